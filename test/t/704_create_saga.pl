# CREATE EXTENSION amelia_saga: where it is made, whose schema it takes, and what it
# does in the session that restores a dump. test/t/120_create_extension.pl has the
# same of amelia, whose code it is.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use AmeliaTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('create');
my $create = 'CREATE EXTENSION amelia_saga';
my $cascade = "$create CASCADE";

fails_with($node, 'postgres', $create, '42704', 'HINT:.*CASCADE', 'without amelia');
# Words are told by their Unicode characters, so there must be such.
for my $encoding ('LATIN1', 'SQL_ASCII')
{
	$node->safe_psql('postgres', "CREATE DATABASE other_\L$encoding\E ENCODING '$encoding' TEMPLATE template0");
	fails_with($node, "other_\L$encoding", $cascade, '0A000', "UTF8, not $encoding.*HINT:", "a database in $encoding");
	is($node->safe_psql("other_\L$encoding", q{SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'amelia%'}), '0', '… and nothing is made');
}

@AmeliaTest::extensions = ('amelia', 'amelia_saga');
new_database($node, 'plain', extension => 1);
verify_is($node, 'plain', '', 'verify() finds nothing');
my $catalog = catalog($node, 'plain');
fails_with($node, 'plain', $create, '42710', 'exists', 'twice');
fails_with($node, 'plain', 'ALTER EXTENSION amelia_saga SET SCHEMA public', '0A000', 'SET SCHEMA', 'to move it');
$node->safe_psql('plain', 'ALTER EXTENSION amelia_saga UPDATE');
same_lines(catalog($node, 'plain'), $catalog, 'none of that changed anything');

# Whose schema it is, and what is in it.
new_database($node, 'taken');
$node->safe_psql('taken', 'CREATE ROLE landlord; CREATE SCHEMA amelia_saga AUTHORIZATION landlord');
fails_with($node, 'taken', $cascade, '42501', 'schema "amelia_saga" is owned by role "landlord".*HINT:', 'a schema of another role');
$node->safe_psql('taken', 'DROP SCHEMA amelia_saga; CREATE SCHEMA amelia_saga; CREATE TABLE amelia_saga.theirs (id integer)');
fails_with($node, 'taken', $cascade, '55000', 'holds objects.*theirs', 'a schema that holds a table');
$node->safe_psql('taken', 'DROP TABLE amelia_saga.theirs');
$node->safe_psql('taken', 'CREATE EXTENSION amelia');
$node->safe_psql('taken', $create);
same_lines(catalog($node, 'taken'), $catalog, 'an empty schema of ours: the same as without');
$node->safe_psql('taken', q{DROP EXTENSION amelia_saga CASCADE; CREATE TABLE amelia_saga.theirs (id integer)});
$node->safe_psql('taken', "$create; DROP TABLE amelia_saga.theirs");
verify_is($node, 'taken', '', 'ours is taken up again, with what others keep in it');

# The session that restores a dump makes no tables.
new_database($node, 'restoring');
$node->safe_psql('restoring', 'CREATE EXTENSION amelia');
my ($ret, $out, $err) = $node->psql('restoring', "SET row_security = off; $create");
is($ret, 0, 'in a restoring session');
like($err, qr/left to the dump.*HINT: .*amelia_saga\.migrate\(\)/s, '… says that it makes no tables');
is($node->safe_psql('restoring', q{SELECT count(*) FROM pg_class WHERE relnamespace = 'amelia_saga'::regnamespace}), '0', '… and makes none');
is( $node->safe_psql('restoring', 'SELECT amelia_saga.migrate()'),
	'schema brought from version 0 to 1; functions, triggers and defaults made anew', 'migrate() makes them');
same_lines(catalog($node, 'restoring'), $catalog, '… the same as CREATE EXTENSION');

# A dump of the conversations alone, as docs/saga.md has it.
$node->safe_psql('plain', q{
	SELECT amelia_saga.save_message('p', 'r', 'the cart', id => 'm-1'), amelia_saga.save_file('cart.py', '/cart.py', 't', id => 'f-1')});
my ($options) = slurp_file("$FindBin::RealBin/../../docs/saga.md") =~ /^To dump only this: `pg_dump (.*?)`/m;
$node->command_ok([ 'pg_dump', split(' ', $options), '-f', $node->basedir . '/saga.sql', $node->connstr('plain') ], 'it is dumped');
new_database($node, 'alone');
$node->safe_psql('alone', 'CREATE EXTENSION amelia');
$node->command_ok([ 'psql', '-X', '-v', 'ON_ERROR_STOP=1', '-f', $node->basedir . '/saga.sql', $node->connstr('alone') ], '… and restored where amelia is');
is( $node->safe_psql('alone', q{SELECT m.id, f.id FROM amelia_saga.search_messages('cart') AS m, amelia_saga.search_files('cart') AS f}),
	'm-1|f-1', '… and its rows are found');
verify_is($node, 'alone', '', '… and verify() finds nothing');

# Default privileges of the installer hand out nothing.
new_database($node, 'generous');
$node->safe_psql('generous', qq{
	ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC, landlord;
	ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO PUBLIC;
	ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO PUBLIC;
	ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO PUBLIC;
	$cascade});
is( $node->safe_psql('generous', q{
		SELECT count(*) FROM (
			SELECT c.relowner, c.relacl FROM pg_class AS c WHERE c.relnamespace = 'amelia_saga'::regnamespace AND c.relkind IN ('r', 'S')
			UNION ALL
			SELECT n.nspowner, n.nspacl FROM pg_namespace AS n WHERE n.nspname = 'amelia_saga'
			UNION ALL
			SELECT p.proowner, COALESCE(p.proacl, acldefault('f', p.proowner)) FROM pg_proc AS p
			WHERE p.pronamespace IN ('amelia_saga'::regnamespace, 'amelia_internal'::regnamespace)) AS o (owner, acl), aclexplode(o.acl) AS a
		WHERE a.grantee <> o.owner}), '0', 'default privileges hand out nothing of it');

$node->stop;
done_testing();
