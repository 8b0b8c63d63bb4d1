# What the tests of amelia_saga against FTS5 share: texts, the same rows in SQLite
# and in PostgreSQL, and queries of the whole language, made from a fixed seed.
package Fts5;

use strict;
use warnings FATAL => 'all';
use utf8;

use Encode qw(encode_utf8);
use Exporter 'import';
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(recorded_texts odd_texts make_rows fill_sqlite fill_postgres sqlite_answers sqlite_lines seed pick chance
  words_of some_words make_query);

my ($top) = __FILE__ =~ m{^(.*)/test/perl/};
$top //= '.';

# The same numbers on every machine.
my $state = 1;
sub seed { ($state) = @_; return }

sub pick_number
{
	my ($below) = @_;

	$state = ($state * 1103515245 + 12345) & 0x7fffffff;
	return int($state / 65536) % $below;
}
sub pick { return $_[ pick_number(scalar @_) ] }
sub chance { return pick_number(100) < $_[0] }

# What coding agents said and saw: from the folder of recorded runs, or from the samples.
sub recorded_texts
{
	my $folder = $ENV{AMELIA_RECORDED_RUNS} // '';
	my @files = sort glob("$folder/*.traj");
	my @texts;

	@files = sort glob("$top/samples/*.traj") if $folder eq '' || !@files;
	for my $file (@files)
	{
		my $run = decode_json(slurp_file($file));

		push @texts, grep { !ref && /\S/ } map { $_->{content} } @{ $run->{history} // [] };
		push @texts, grep { defined && !ref && /\S/ } map { @$_{qw(thought observation)} } @{ $run->{trajectory} // [] };
	}
	s/\0//g for @texts;
	my %seen;
	return grep { !$seen{$_}++ } @texts;
}

# Unicode, paths, code, e-mail, CJK, emoji, and what a tsvector has no room for.
sub odd_texts
{
	return (
		'', ' ', '...', '— „“ …', "\t\n", 'a', 'A b C', 'a b a b a b a b', 'a a a a', 'b a c a d',
		'src/cart.py:42: TypeError: unsupported operand type(s) for +', './src/cart.py', 'C:\\Users\\me\\cart.py', 'cart.PY', 'cart_py cart-py cartpy',
		'mail x@y.z or first.last+tag@example.co.uk', 'https://example.org/a/b?c=d&e=f#g', 'def f(self, *args, **kwargs): return {"a": [1, 2.5e-3]}',
		'fooBar foo_bar foo-bar foo.bar FOO::BAR', '1.2.3 0x1F 1e10 1,000.00 №5 ½ ² ③', '2024-02-29T23:59:59Z', 'v1.0-rc.1+build.5',
		'Café CAFÉ cafe café', "cafe\x{301} cafe\x{301}\x{327}s \x{301}cafe", 'naïve NAÏVE naive', 'Straße STRASSE strasse ẞ', 'Ångström ångström Å',
		'ÀÁÂÃÄÅ àáâãäå Āā Ǎǎ Ạạ ẤấẦầ Ệệ ếấ', 'İstanbul ISTANBUL ıstanbul istanbul', 'ΑΒΓ αβγ άέή ΆΈΉ ς Σ σ', 'ПРИВЕТ привет Ёлка ёлка й', 'ǅ ǆ Ǆ ﬁ ﬀ ŉ ǰ',
		'日本語のテキスト検索', '日本語 の テキスト', '中文 搜索 测试', '한국어 검색 한국', 'ภาษาไทย', 'हिन्दी भाषा', 'עברית שלום', 'العربية مَرحَبًا',
		'emoji 😀 grin😀grin 👩‍👩‍👧 🇩🇪 ✈️ ❤ ☃', "\x{1F600}\x{1F680}", "\x{1FAE0} new\x{1FAE0}new", "\x{E000}\x{F8FF} priv\x{E001}ate", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𐐀𐐨 𐐁",
		"zero\x{200B}width\x{200D}join\x{FEFF}er", "soft\x{AD}hyphen", "nb\x{A0}space", "line\x{2028}sep", "combining\x{20DD}s a\x{308}o\x{328}", "ﷺ",
		'AND OR NOT NEAR and or not near', '"quoted" \'single\' `back`', '^caret *star +plus -minus :colon {brace} (paren), comma', 'a_b __init__ _', '-- x; DROP TABLE',
		"tab\tsep\x{0b}vt\x{0c}ff", "ctrl\x{1a}sub \x{7f}del \x{01}x",
		join(' ', ('x') x 300), join(' ', ('x', 'y') x 200), join(' ', map { "w$_" } 1 .. 300),
		# behind the last position, and more often than positions are kept
		join(' ', map { 'n' . ($_ % 977) } 1 .. 15000) . ' late phrase here late end', join(' ', ('again') x 400, 'after', 'again', 'then', 'last'),
		join(' ', map { "p$_" } 1 .. 14340), 'q' x 2100 . ' end', 'q' x 2100 . 'r end', 'q' x 2046, 'é' x 1500 . ' accent', '長' x 900 . ' cjk',
		'not here' . (' pad' x 14400) . ' near edge', 'first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth',
		'one two three four five one two five', 'one x x x x x x x x x x two', 'one x x x x x x x x x x x two', 'two one', 'one two one two one', 'two x one x two x one');
}

my @tags = ([], [], [], ['python'], ['bug', 'rounding'], ['needs review', 'a b'], ['Café'], ['x'], ['src/cart.py'], ['late']);

# Rows of texts that are not blank, as [number, content, tags].
sub make_rows
{
	my (@texts) = grep { /[^\s\p{Z}]/ && /\S/ } @_;
	my $number = 0;

	return map { [ ++$number, $_, $tags[ $number % @tags ] ] } @texts;
}

sub literal
{
	my ($text) = @_;

	$text =~ s/'/''/g;
	return "'$text'";
}

# The table as the application had it.
sub fill_sqlite
{
	my ($file, @rows) = @_;
	my $sql = "CREATE VIRTUAL TABLE messages_fts USING fts5(id UNINDEXED, content, tags);\nBEGIN;\n";

	# The program reads a line into a buffer of its own, whatever is in it.
	$sql .= "INSERT INTO messages_fts (rowid, id, content, tags) VALUES ($_->[0], $_->[0], CAST(x'"
	  . unpack('H*', encode_utf8($_->[1])) . "' AS TEXT), " . literal(join ' ', @{ $_->[2] }) . ");\n" for @rows;
	sqlite_lines($file, "$sql COMMIT;\n");
	return;
}

sub sqlite_lines
{
	my ($file, $sql) = @_;
	my ($out, $err) = ('', '');
	my $input = encode_utf8($sql);

	IPC::Run::run([ 'sqlite3', '-batch', $file ], '<', \$input, '>', \$out, '2>', \$err);
	return split /\n/, $out;
}

sub fill_postgres
{
	my ($node, $database, @rows) = @_;
	my $json = JSON::PP->new->canonical;

	while (my @batch = splice @_, 2, 100)
	{
		my $messages = $json->encode([ map { { id => "$_->[0]", provider => 'p', role => 'user', content => $_->[1],
			tags => $_->[2], timestamp => '2025-01-01T00:00:00Z' } } @batch ]);

		$node->safe_psql($database, encode_utf8('SELECT amelia_saga.save_messages(' . literal($messages) . ')'));
	}
	return;
}

# What FTS5 says to each query: "refused", or the numbers of the rows in order.
sub sqlite_answers
{
	my ($file, @queries) = @_;
	my $sql = '';
	my @answers = ('refused') x @queries;

	for my $i (0 .. $#queries)
	{
		my $query = "CAST(x'" . unpack('H*', encode_utf8($queries[$i])) . "' AS TEXT)";

		$sql .= "SELECT $i || '|' || (SELECT count(*) FROM messages_fts WHERE messages_fts MATCH $query) || '|' ||"
		  . " COALESCE((SELECT group_concat(r, ' ') FROM (SELECT rowid AS r FROM messages_fts WHERE messages_fts MATCH $query ORDER BY rowid)), '');\n";
	}
	for (sqlite_lines($file, $sql))
	{
		my ($i, $count, $rows) = /^(\d+)\|(\d+)\|([\d ]*)$/ or die "sqlite3 printed: $_";
		die "query $i: $count rows" if $count != split / /, $rows;
		$answers[$i] = $rows;
	}
	return @answers;
}

# What looks like words in the texts, and pieces of several as they stand there.
my (@words, @pieces);
sub words_of
{
	my (@texts) = @_;
	my %seen;

	@words = ();
	@pieces = ();
	for my $text (@texts)
	{
		my @found = $text =~ /([\p{L}\p{N}\p{M}]+)/g;

		next if !@found;
		push @words, map { $found[ pick_number(scalar @found) ] } 1 .. 4 + @found / 20;
		for (1 .. 3)
		{
			my $at = pick_number(length $text);
			my $piece = substr($text, $at, 3 + pick_number(25));

			push @pieces, $piece if $piece =~ /\S/ && length $piece < 200;
		}
	}
	@words = grep { length($_) < 60 && !$seen{$_}++ } @words;
	return;
}
sub some_words { return @words }

my @columns = ('content', 'tags', 'Content', '"tags"');

sub make_string
{
	my $piece = pick(@pieces);

	return pick(@words) if chance(60);
	return pick('AND', 'or', 'NEAR', 'x', 'a', 'b', 'one', 'two', 'again', 'late', 'the', 'e', '1') if chance(40);
	$piece = pick('...', '', ' ', '—', '😀', "\x{301}") if chance(8);
	$piece =~ s/"/""/g;
	return qq{"$piece"};
}

sub make_phrase
{
	my $phrase = make_string();

	$phrase .= pick('*', ' *') if chance(12);
	$phrase .= pick(' + ', '+') . make_string() . (chance(15) ? '*' : '') while chance(12);
	return $phrase;
}

sub make_filter
{
	my $filter = chance(50) ? pick(@columns) : '{' . join(' ', map { pick(@columns) } 0 .. pick_number(2)) . '}';

	return (chance(25) ? pick('-', '- ') : '') . $filter . pick(':', ' : ');
}

sub make_beside
{
	my $item = chance(15) ? 'NEAR' . pick('(', ' (') . join(' ', map { make_phrase() } 0 .. pick_number(3))
	  . (chance(60) ? pick(',', ', ') . pick(0, 1, 2, 3, 5, 10, 100, 14) : '') . ')' : (chance(8) ? '^' : '') . make_phrase();

	return (chance(12) ? make_filter() : '') . $item;
}

# A query of the language, mostly; some have a fault, or mean another thing than they look.
sub make_query
{
	my ($depth) = @_;
	my $kind = pick_number(100);
	my $query;

	$depth //= 0;
	if ($depth > 3 || $kind < 45)
	{
		$query = join ' ', map { make_beside() } 0 .. (chance(30) ? pick_number(3) : 0);
	}
	elsif ($kind < 60) { $query = '(' . make_query($depth + 1) . ')' }
	elsif ($kind < 65) { $query = make_filter() . '(' . make_query($depth + 1) . ')' }
	else { $query = make_query($depth + 1) . pick(' AND ', ' OR ', ' NOT ') . make_query($depth + 1) }
	if ($depth == 0 && chance(15))
	{
		my $at = pick_number(length($query) + 1);

		if (chance(40)) { substr($query, $at, 1, '') if $at < length $query }
		else { substr($query, $at, 0, pick('"', '(', ')', '*', '+', '^', ':', ',', '-', '{', '}', '.', '/', "'", ' AND ', ' NOT', '_', ' ', 'content:', '😀')) }
	}
	return $query;
}

1;
