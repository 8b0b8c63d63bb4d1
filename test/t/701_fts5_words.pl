# Words are split and folded as FTS5 does it: every character that stands for
# something, in the middle of a word, at its beginning and alone. And the tables of
# characters in src/saga are what scripts/unicode61-data makes.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use AmeliaTest;
use Fts5;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = "$FindBin::RealBin/../..";
my ($made, $err) = ('', '');
IPC::Run::run([ "$top/scripts/unicode61-data" ], '>', \$made, '2>', \$err);
is($err, '', 'scripts/unicode61-data has nothing to say');
is($made, slurp_file("$top/src/saga/unicode_data.c"), 'the tables are what it makes');

my $node = new_node('words');
new_database($node, 'saga');
$node->safe_psql('saga', 'CREATE EXTENSION amelia_saga CASCADE');

# The planes with characters in them, and some of each of the others.
my $characters = 'c BETWEEN 1 AND 204799 OR c BETWEEN 917504 AND 918016 OR c % 61 = 0 OR c % 65536 > 65500';
my $ranges = '(c < 55296 OR c > 57343) AND c < 1114112';
my $file = PostgreSQL::Test::Utils::tempdir() . '/words.db';
my @lines = sqlite_lines($file, <<"SQL");
CREATE VIRTUAL TABLE t USING fts5(a);
CREATE VIRTUAL TABLE v USING fts5vocab(t, instance);
WITH RECURSIVE n(c) AS (VALUES (1) UNION ALL SELECT c + 1 FROM n WHERE c < 1114111)
INSERT INTO t (rowid, a) SELECT c, 'Q' || char(c) || 'R ' || char(c) || 'S ' || char(c) FROM n WHERE ($characters) AND $ranges;
SELECT doc || ':' || group_concat(offset || ':' || hex(term), ' ') FROM (SELECT doc, offset, term FROM v ORDER BY doc, offset) GROUP BY doc ORDER BY doc;
SQL
cmp_ok(scalar @lines, '>', 200000, 'FTS5 has split ' . @lines . ' texts');
my @ours = split /\n/, $node->safe_psql('saga', qq{
	SELECT c || ':' || (SELECT string_agg((p - 1) || ':' || upper(encode(convert_to(w.lexeme, 'UTF8'), 'hex')), ' ' ORDER BY p)
		FROM unnest(amelia_internal.saga_vector('Q' || chr(c) || 'R ' || chr(c) || 'S ' || chr(c), NULL, NULL, false)) AS w, unnest(w.positions) AS p)
	FROM generate_series(1, 1114111) AS c WHERE ($characters) AND $ranges ORDER BY c});
my @different = grep { ($ours[$_] // '') ne $lines[$_] } 0 .. $#lines;
is(scalar @ours, scalar @lines, 'so has amelia_saga');
is(scalar @different, 0, 'every text into the same words');
diag("FTS5 $lines[$_], ours $ours[$_]") for @different > 20 ? @different[ 0 .. 19 ] : @different;

# The generated column is what PostgreSQL's own text search makes with the configurations.
my @rows = make_rows(grep { length($_) < 20000 } odd_texts(), recorded_texts());
fill_postgres($node, 'saga', map { [ $_->[0], $_->[1], [] ] } @rows);
is( $node->safe_psql('saga', q{
		SELECT count(*) > 50, count(*) FILTER (WHERE search <> to_tsvector('amelia_saga.exact', content)),
			count(*) FILTER (WHERE amelia_internal.saga_vector(content, '[]', NULL, true) <> to_tsvector('amelia_saga.english', content))
		-- to_tsvector() leaves out what is too long, and keeps more positions of a word
		FROM amelia_saga.messages WHERE NOT EXISTS (SELECT FROM regexp_split_to_table(content, '\s') AS w WHERE length(w) > 500) AND NOT EXISTS (
			SELECT FROM unnest(search) AS w WHERE cardinality(w.positions) > 190)}),
	't|0|0', 'to_tsvector() with the configurations makes the same');
is( $node->safe_psql('saga', q{SELECT alias || ':' || token FROM ts_debug('amelia_saga.exact', 'src/Caf' || chr(233) || '.py')}),
	"word:src\nblank:/\nword:Caf\303\251\nblank:.\nword:py", 'the parser cuts a text into its parts');
is( $node->safe_psql('saga', q{SELECT ts_headline('amelia_saga.exact', 'see src/CAFE.py now', 'cafe'::tsquery)}),
	'see src/<b>CAFE</b>.py now', 'ts_headline() works with it');

$node->stop;
done_testing();
