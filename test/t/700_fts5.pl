# What amelia_saga finds is what FTS5 finds: thousands of queries of the whole
# language, over recorded runs of coding agents and over texts that are odd on
# purpose, asked of the real FTS5 in Debian's sqlite3.
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

my $number = $ENV{AMELIA_FTS5_QUERIES} // 4000;
my $file = PostgreSQL::Test::Utils::tempdir() . '/fts5.db';
my $node = new_node('fts5');
my @rows = make_rows(odd_texts(), recorded_texts());

new_database($node, 'saga');
$node->safe_psql('saga', 'CREATE EXTENSION amelia_saga CASCADE');
fill_sqlite($file, @rows);
fill_postgres($node, 'saga', @rows);
is($node->safe_psql('saga', 'SELECT count(*) FROM amelia_saga.messages'), scalar @rows, 'all texts are there');
note(scalar(@rows) . ' rows');

# The same as sqlite_answers().
$node->safe_psql('saga', q{
CREATE TABLE public.queries (n integer PRIMARY KEY, query text);
CREATE FUNCTION public.answer(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	wanted tsquery;
	answer text;
BEGIN
	SELECT candidates INTO wanted FROM amelia_saga.fts5_query($1);
	-- with the functions that search_messages() consists of, which shows 500 rows at most
	SELECT string_agg(m.id, ' ' ORDER BY m.id::integer) INTO answer
	FROM amelia_saga.messages AS m
	WHERE m.search @@ wanted
		AND amelia_internal.saga_rank($1, '{content,tags}', false, '{}', 0, m.search, m.content, m.tags, NULL) IS NOT NULL;
	RETURN COALESCE(answer, '');
EXCEPTION WHEN syntax_error THEN
	RETURN 'refused';
END
$$});

sub postgres_answers
{
	my (@queries) = @_;
	my $lines = join '', map { my $hex = unpack('H*', encode_utf8($queries[$_])); "$_\t\\\\x$hex\n" } 0 .. $#queries;

	$node->safe_psql('saga', "TRUNCATE public.queries; CREATE TEMP TABLE given (n integer, query bytea); COPY given FROM STDIN;\n$lines\\.\n"
		. q{INSERT INTO public.queries SELECT n, convert_from(query, 'UTF8') FROM given});
	return map { /^\d+\|(.*)$/ ? $1 : die $_ }
	  split /\n/, $node->safe_psql('saga', 'SELECT n, public.answer(query) FROM public.queries ORDER BY n');
}

# As many as differ, the first few shown.
sub same_answers
{
	my ($name, @queries) = @_;
	my @wanted = sqlite_answers($file, @queries);
	my @got = postgres_answers(@queries);
	my @different = grep { $got[$_] ne $wanted[$_] } 0 .. $#queries;
	my $refused = grep { $_ eq 'refused' } @wanted;
	my $empty = grep { $_ eq '' } @wanted;

	is(scalar @got, scalar @wanted, "$name: all " . @queries . ' queries are answered');
	is(scalar @different, 0, "$name: as FTS5 answers ($refused refused, $empty without a row)");
	diag(encode_utf8($queries[$_]) . "\n   FTS5:       " . substr($wanted[$_], 0, 200) . "\n   PostgreSQL: " . substr($got[$_], 0, 200))
	  for @different > 15 ? @different[ 0 .. 14 ] : @different;
	return;
}

same_answers('by hand',
	'a', 'A', 'x', 'cart', 'cart*', '"cart.py"', 'src/cart.py', '"src/cart.py"', 'cart py', 'cart AND py', 'cart OR naive', 'cart NOT py', 'cart not py',
	'a NOT b AND c', 'a AND b NOT c', 'a OR b NOT c', '(a OR b) NOT c', 'a b NOT c d', 'a AND (b OR c)', 'a (b)', '(a) b', '(a)(b)', 'a NEAR b', 'NOT a', 'a NOT', 'AND', 'a AND OR b',
	'^a', '^ a', '^a b', 'a ^b', '^"a b"', '^a + b', 'a + ^b', '^(a)', '^NEAR(a b)', 'NEAR(^a b)', '^a*', 'content : ^a', '^ content : a', 'tags : ^needs', 'tags : ^review',
	'NEAR(one two)', 'NEAR(one two, 10)', 'NEAR(one two, 9)', 'NEAR(one two, 11)', 'NEAR(one two, 0)', 'NEAR(two one, 0)', 'NEAR(one two five, 1)', 'NEAR(one)', 'NEAR()', 'NEAR(one, two)',
	'NEAR(one two, )', 'NEAR(one two, -1)', 'NEAR(one two, "3")', 'NEAR(one two 3)', 'NEAR (one two, 3)', 'near(one two)', '"NEAR"(one two)', 'NEAR("one two" five, 2)', 'NEAR(one* two, 2)', 'NEAR(one + two five)',
	'NEAR(late end, 2)', 'NEAR(near edge, 0)', '"late phrase"', '"late phrase here late end"', '"phrase late"', '"again after again"', '"again again"', '"after again then last"', '^again', '^late', '"p14339 p14340"', '"p14335 p14336 p14337"',
	'content : x', 'tags : x', 'tags:x', 'TAGS : x', '"tags" : x', '- tags : x', '-tags : x', '{content tags} : x', '- {content tags} : x', '-{content}:x', '{} : x', '{content, tags} : x', 'content tags : x', 'nope : x', 'tags : nope : x',
	'tags : content : x', 'tags : (content : x)', 'content : (a OR tags : x)', '{content tags} : (tags : x)', 'tags : (a b)', 'tags : (a) b', 'x tags : (a)', 'tags : a b', 'tags : "a b"', '- tags : (a b)', '- content : - tags : x', '-{content tags}:x y', 'y -{content tags}:x',
	'""', '"" a', 'a ""', 'a AND ""', 'a OR ""', 'a NOT ""', '"" NOT a', '"..." + a', 'a + "..."', 'a + ""*', 'a* + ""', '"a"*', '"a" *', 'a * *', 'a**', '*', '*a', '"" *', 'NEAR("" a)', 'NEAR(a "")', 'NEAR("" "")', 'NEAR("")', '^""', '"" "" ""', '("") a', '"" AND "" OR a',
	'"unterminated', '"a ""b"" c"', "'a'", 'a.b', 'a-b', 'a - b', 'a+b', 'a + b', 'a +', '+ a', 'a,b', 'a;b', 'a:b', 'a\\b', '$a', 'a%', 'a_b', '__init__', '_', 'a!', '(', ')', '()', '(a', 'a)', '((a))', '{a}', '{a', '}', ':', ': a', 'content :', 'content : ()',
	'café', 'cafe', 'CAFE', "cafe\x{301}", "\x{301}cafe", 'NAÏVE', 'strasse', 'straße', 'STRASSE', 'istanbul', 'İstanbul', 'ıstanbul', 'σ', 'Σ', 'ς', 'ΆΈΉ', 'ёлка', 'елка', 'ế', 'Ệ', 'ệ', 'angstrom', 'ÅNGSTRÖM',
	'日本語', '日本語*', '"日本語 の"', '検索', '한국*', '😀', '"😀"', 'grin', "\x{1FAE0}", "new\x{1FAE0}new", 'new*', "\x{E000}*", 'zero', 'hyphen', '𐐨', '𝔘𝔫𝔦𝔠𝔬𝔡𝔢', 'ﬁ', 'fi', '½', '1', '2.5e', '"2.5e-3"',
	'q' x 1000, 'q' x 999 . '*', 'q' x 999 . 'r', 'q' x 100 . '*', 'q*', 'é' x 999, 'é' x 1000, '長' x 900, '長' x 899 . '*', '長' x 901, 'a AND b AND c AND d', 'a OR b OR c OR d NOT e', 'a NOT b NOT c', 'a NOT (b NOT c)',
	"a\tb", "a\nb", "a\x{0b}b", "a\x{a0}b", "\x{1a}x", 'a' . ' OR a' x 100, '(' x 20 . 'a' . ')' x 20, 'OR', 'x AND', 'NEAR', 'NEAR a', 'NEAR NEAR', 'AND AND AND', '"AND"', '"and" or', 'and', 'or not near');

words_of(map { $_->[1] } @rows);
# What the recorded runs say and what is odd in other shares than there are rows of each.
seed(20251201);
same_answers('generated', map { make_query() } 1 .. $number);

# The function that people call, with snippets and the limit.
my @asked = map { make_query() } 1 .. $number / 20;
my @wanted = sqlite_answers($file, @asked);
postgres_answers(@asked);
my @got = split /\n/, $node->safe_psql('saga', q{
	CREATE FUNCTION public.found(query text) RETURNS text LANGUAGE plpgsql AS $$
	BEGIN
		RETURN (SELECT COALESCE(string_agg(f.id, ' ' ORDER BY f.id::integer), '') FROM amelia_saga.search_messages(query, row_limit => 500) AS f);
	EXCEPTION WHEN syntax_error THEN
		RETURN 'refused';
	WHEN invalid_parameter_value THEN
		RETURN 'blank';
	END
	$$;
	SELECT n, public.found(query) FROM public.queries ORDER BY n}), -1;
my @different = grep { my ($answer) = $got[$_] =~ /^\d+\|(.*)$/; $answer ne $wanted[$_] && $answer ne 'blank' && split(/ /, $wanted[$_]) <= 500 } 0 .. $#asked;
is(join("\n", map { encode_utf8($asked[$_]) } @different), '', 'search_messages() finds them');

$node->stop;
done_testing();
