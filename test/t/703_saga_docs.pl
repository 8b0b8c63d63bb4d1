# docs/saga.md names what there is: each table of amelia_saga with its columns and
# indexes, each function with its signature, arguments and errors; and nothing else.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use AmeliaTest;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $text = slurp_file("$FindBin::RealBin/../../docs/saga.md");
my $node = new_node('docs');
new_database($node, 'saga');
$node->safe_psql('saga', 'CREATE EXTENSION amelia_saga CASCADE');

sub rows
{
	return @{ decode_json($node->safe_psql('saga', "SET search_path = pg_catalog; SELECT json_agg(r) FROM ($_[0]) AS r")) };
}

# From a heading to the next one of its level or above.
sub section
{
	my ($heading) = @_;
	my $upto = $heading =~ /^(#+)/ ? length $1 : 0;

	return $text =~ /^\Q$heading\E\n(.*?)(?=^#{1,$upto} |\z)/ms ? $1 : '';
}
sub headings { return sort map { s/`//gr } section($_[0]) =~ /^### (.*)$/mg }

my @tables = rows(q{SELECT c.oid::integer AS oid, c.relname AS name FROM pg_class AS c
	WHERE c.relnamespace = 'amelia_saga'::regnamespace AND c.relkind IN ('r', 'v') ORDER BY c.relname});
is_deeply([ headings('## Tables') ], [ map { $_->{name} } @tables ], 'each table has its section');
for my $table (@tables)
{
	my $shown = section("### `$table->{name}`");
	my @columns = map { join '|', map { $_ // '' } @$_{qw(name type null def)} } rows(qq{
		SELECT a.attname AS name, replace(format_type(a.atttypid, a.atttypmod), 'timestamp with time zone', 'timestamptz') AS type,
			CASE WHEN NOT a.attnotnull THEN 'yes' END AS null,
			CASE WHEN a.attgenerated <> '' THEN 'generated' WHEN a.attidentity <> '' THEN 'identity'
				ELSE regexp_replace(pg_get_expr(d.adbin, d.adrelid), '^(''.*'')::.*\$', '\\1') END AS def
		FROM pg_attribute AS a LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
		WHERE a.attrelid = $table->{oid} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum});

	is_deeply([ map { join '|', map { s/^ +| +$//gr =~ s/`//gr } (split /\|/, $_, -1)[ 1 .. 4 ] } $shown =~ /^(\| `.*)$/mg ],
		\@columns, "the columns of $table->{name}");
	like($shown, qr/`$_->{name}`/, "index $_->{name}")
	  for grep { $_->{name} =~ /^idx_/ } rows(qq{SELECT c.relname AS name FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid WHERE i.indrelid = $table->{oid}});
}

my @functions = rows(q{SELECT p.proname AS name, pg_get_function_arguments(p.oid) AS arguments, pg_get_function_result(p.oid) AS result,
	obj_description(p.oid, 'pg_proc') AS comment, p.proargnames[1:p.pronargs] AS names
	FROM pg_proc AS p WHERE p.pronamespace = 'amelia_saga'::regnamespace ORDER BY p.proname});
is_deeply([ headings('## Functions') ], [ map { $_->{name} } @functions ], 'each function has its section');
for my $function (@functions)
{
	my ($signature, $explained) = section("### `$function->{name}`") =~ /\A\n```\n(.*?)\n```\n(.*)/s;
	my ($arguments, $result) = map {
		s/timestamp with time zone/timestamptz/gr =~ s/(DEFAULT (?:NULL|'[^']*'))::[a-z]+(?: [a-z]+)*(?:\[\])?/$1/gr
	} @$function{qw(arguments result)};
	my @out = $arguments =~ /OUT ([^,]*)/g;

	$result = 'record(' . join(', ', @out) . ')' if @out;
	$arguments =~ s/(, )?OUT [^,]*//g;
	is($signature =~ s/\s+/ /gr =~ s/\( /(/gr, "amelia_saga.$function->{name}($arguments) \342\206\222 $result", "$function->{name}(): signature");
	like($explained, qr/`$_`/, "$function->{name}(): argument $_") for @{ $function->{names} // [] };
	like($explained, qr/`$_`/, "$function->{name}(): error $_") for grep { /\d/ && /^[0-9]{2}|^P0/ && !/^(?:10000|20000)$/ } $function->{comment} =~ /\b([0-9P][0-9A-Z]{4})\b/g;
}

$node->stop;
done_testing();
