# The order of what is found is that of FTS5's bm25(), as far as statistics can
# tell: of its ten best nine are among ours in the mean.
use strict;
use warnings FATAL => 'all';
use utf8;

use Encode qw(encode_utf8);
use FindBin;
use lib "$FindBin::RealBin/../perl";
use AmeliaTest;
use Fts5;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $file = PostgreSQL::Test::Utils::tempdir() . '/rank.db';
my $node = new_node('rank');

# Paragraphs, so that there is much to put in order.
my @paragraphs = grep { my $n = () = /\w+/g; $n > 5 } map { split /\n{2,}/ } recorded_texts();
my @rows = make_rows(@paragraphs);
new_database($node, 'saga');
$node->safe_psql('saga', 'CREATE EXTENSION amelia_saga CASCADE');
fill_sqlite($file, @rows);
fill_postgres($node, 'saga', @rows);
$node->safe_psql('saga', 'ANALYZE amelia_saga.messages');

seed(42);
words_of(@paragraphs);
my @words = grep { /^\w+\z/ && !/^(?:AND|OR|NOT|NEAR)\z/ } some_words();
my @queries = map { my $kind = pick(1 .. 6);
	$kind == 1 ? pick(@words)
	  : $kind == 2 ? pick(@words) . ' OR ' . pick(@words)
	  : $kind == 3 ? pick(@words) . ' OR ' . pick(@words) . ' OR ' . pick(@words)
	  : $kind == 4 ? substr(pick(@words), 0, 3) . '*'
	  : $kind == 5 ? pick(@words) . ' ' . pick('the', 'a', 'to', 'in', 'file')
	  : 'the ' . substr(pick(@words), 0, 2) . '* OR ' . pick(@words) } 1 .. 600;
my (%wanted, %got);
my $sql = join '', map { "SELECT $_ || '|' || rowid FROM (SELECT rowid FROM messages_fts WHERE messages_fts MATCH '$queries[$_]' ORDER BY rank LIMIT 11);\n" } 0 .. $#queries;
for (sqlite_lines($file, $sql)) { /^(\d+)\|(\d+)$/ or die $_; push @{ $wanted{$1} }, $2 }
my $ours = join '', map { "SELECT $_, id FROM amelia_saga.search_messages('$queries[$_]', row_limit => 10);\n" } 0 .. $#queries;
for (split /\n/, $node->safe_psql('saga', encode_utf8($ours))) { /^(\d+)\|(\d+)$/ or die $_; $got{$1}{$2} = 1 }

# Where FTS5 finds ten or less, there is nothing to choose.
my ($sum, $asked) = (0, 0);
for my $query (grep { @{ $wanted{$_} } > 10 } keys %wanted)
{
	$sum += grep { $got{$query}{$_} } @{ $wanted{$query} }[ 0 .. 9 ];
	$asked++;
}
cmp_ok($asked, '>=', 20, @rows . " paragraphs, $asked queries with more than ten rows");
my $mean = $sum / $asked;
note(sprintf 'of ten, in the mean: %.2f', $mean);
cmp_ok($mean, '>=', 9, 'of its ten best nine are among ours');

# A word that few rows have counts for more than one that all have, which it needs ANALYZE to know.
is( $node->safe_psql('saga', q{
		SELECT rareness[1] > rareness[2] AND rareness[2] < 1, average > 5 FROM amelia_internal.saga_prepare(
			(SELECT '"' || w.word || '" OR the' FROM ts_stat('SELECT search FROM amelia_saga.messages') AS w WHERE w.ndoc = 2 AND w.word ~ '^[a-z]+$' LIMIT 1),
			'{content,tags}', false, 'amelia_saga.messages')}),
	't|t', 'a rare word counts for more');
# Who is bound by row security learns nothing of rows that are not theirs.
$node->safe_psql('saga', q{
	CREATE ROLE bound;
	SELECT amelia_saga.grant_reader('bound');
	ALTER TABLE amelia_saga.messages ENABLE ROW LEVEL SECURITY;
	CREATE POLICY few ON amelia_saga.messages FOR SELECT TO bound USING (id::integer % 7 = 0)});
is( $node->safe_psql('saga', q{
		SET ROLE bound;
		SELECT rareness, average FROM amelia_internal.saga_prepare('the OR zzz', '{content,tags}', false, 'amelia_saga.messages');
		SELECT bool_and(id::integer % 7 = 0), count(*) > 0 FROM amelia_saga.search_messages('the')}),
	"{1,1}|0\nt|t", 'row security binds rank and rows');

$node->stop;
done_testing();
