# A dump of the schema alone, as frameworks keep it beside their code: migrate()
# puts in the rows that it brought itself, and the database is as a new one.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use AmeliaTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('schema');
my $file = PostgreSQL::Test::Utils::tempdir . '/structure.sql';
my $rows = q{SELECT (SELECT count(*) FROM amelia.event_types), (SELECT string_agg(version::text, ',') FROM amelia.schema_versions),
	(SELECT string_agg(version::text, ',') FROM amelia.schema_migrations), (SELECT count(*) FROM amelia.checkpoint_schemas)};

new_database($node, 'source', extension => 1);
my $seeds = $node->safe_psql('source', $rows);
$node->safe_psql('source', q{
	ALTER TABLE amelia.workflows ADD priority_class text;
	SELECT amelia.create_workflow('A-1', '/a')});
$node->command_ok([ 'pg_dump', '-s', '-f', $file, '-d', $node->connstr('source') ], 'pg_dump -s');

sub restored
{
	my ($name) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $name");
	$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $file, '-d', $node->connstr($name) ], "$name: psql");
	return;
}

restored('empty');
is($node->safe_psql('empty', $rows), '0|||0', 'no row comes with it');
like($node->safe_psql('empty', q{SELECT detail FROM amelia.verify() WHERE object = 'schema_versions'}),
	qr/if no table has a row, run SELECT amelia\.migrate\(\)/, 'verify() says what to do');
is($node->safe_psql('empty', 'SELECT amelia.migrate()'),
	'rows of schema version 1 put into empty tables; schema version 1 is complete', 'migrate() does it');
is($node->safe_psql('empty', $rows), $seeds, 'the rows are those of a new database');
is($node->safe_psql('empty', 'SELECT amelia.migrate()'), 'schema version 1 is complete, nothing to do', 'once');
is($node->safe_psql('empty', 'SELECT * FROM amelia.verify()'), '', 'all is well');
is(catalog($node, 'empty'), catalog($node, 'source'), 'and the catalog is the same');
is($node->safe_psql('empty', q{
	SELECT amelia.append_event(id, 'claude_thinking', 'm') FROM amelia.create_workflow('A-2', '/a');
	SELECT level FROM amelia.workflow_log WHERE event_type = 'claude_thinking'}), "2\ntrace", 'event types are known');
restored('again');
$node->safe_psql('again', 'DROP EXTENSION amelia CASCADE; CREATE EXTENSION amelia');
is($node->safe_psql('again', $rows), $seeds, 'CREATE EXTENSION does the same');

# With rows of anything, somebody else has to know.
restored('other');
$node->safe_psql('other', q{SELECT amelia.create_workflow('A-3', '/a')});
my (undef, undef, $err) = $node->psql('other', 'SELECT amelia.migrate()');
like($err, qr/schema_versions does not say of which version.*other tables have some/s, 'where a table has rows it is refused');
is($node->safe_psql('other', 'SELECT count(*) FROM amelia.event_types'), 0, 'and nothing is put in');

$node->stop;
done_testing();
