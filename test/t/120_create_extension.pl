# CREATE EXTENSION: whose schema it takes, what belongs to the extension, and
# what it does in the session that restores a dump.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use AmeliaTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('create');
my $create = 'CREATE EXTENSION amelia';
my $me = $node->safe_psql('postgres', 'SELECT current_user');

sub count_of
{
	my ($db, $from) = @_;

	return $node->safe_psql($db, "SELECT count(*) FROM $from");
}

# What belongs to the extension, and what does not.
new_database($node, 'plain');
my ($ret, $out, $err) = $node->psql('plain', $create);
is($ret, 0, $create);
is($err, '', 'without a word');
is( $node->safe_psql(
		'plain', q{
		SELECT DISTINCT d.classid::regclass, CASE l.lanname WHEN 'c' THEN 'c' ELSE p.pronamespace::regnamespace::text END
		FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'amelia'
		LEFT JOIN pg_proc AS p ON p.oid = d.objid LEFT JOIN pg_language AS l ON l.oid = p.prolang
		WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
		ORDER BY 2}),
	"pg_proc|amelia_internal\npg_proc|c\npg_namespace|", 'members are the functions in C, migrate() among them, and what is internal');
is( $node->safe_psql(
		'plain', q{
		SELECT count(*) FROM pg_proc AS p JOIN pg_language AS l ON l.oid = p.prolang
		WHERE p.pronamespace IN ('amelia'::regnamespace, 'amelia_internal'::regnamespace) AND l.lanname = 'c' AND NOT EXISTS (
			SELECT FROM pg_depend AS d WHERE d.objid = p.oid AND d.deptype = 'e')}),
	'0', 'every function in C is a member');
is($node->safe_psql('plain', q{SELECT extconfig IS NULL, extrelocatable FROM pg_extension WHERE extname = 'amelia'}),
	't|f', 'no table is marked for pg_dump, and the schema is fixed');
verify_is($node, 'plain', '', 'verify() finds nothing');
my $catalog = catalog($node, 'plain');

fails_with($node, 'plain', $create, '42710', 'exists', 'CREATE EXTENSION twice');
($ret, $out, $err) = $node->psql('plain', 'ALTER EXTENSION amelia UPDATE');
is($ret, 0, 'ALTER EXTENSION UPDATE to the same version');
like($err, qr/NOTICE:  version "1\.0" of extension "amelia" is already installed/, '… says so');
fails_with($node, 'plain', 'ALTER EXTENSION amelia SET SCHEMA public', '0A000', 'SET SCHEMA', 'to move the extension');
same_lines(catalog($node, 'plain'), $catalog, 'none of that changed anything');

# Not in another schema, and not for anybody who is not a superuser.
new_database($node, 'empty');
fails_with($node, 'empty', "$create SCHEMA public", '0A000', 'schema "amelia"', 'CREATE EXTENSION in another schema');
$node->safe_psql('postgres', 'CREATE ROLE landlord; CREATE ROLE tenant');
new_database($node, 'rented', owner => 'landlord');
fails_with($node, 'rented', "SET SESSION AUTHORIZATION landlord; $create",
	'42501', 'permission denied to create extension', 'CREATE EXTENSION by the owner of the database');

# Whose schema it is.
$node->safe_psql('rented', 'CREATE SCHEMA amelia AUTHORIZATION landlord');
fails_with($node, 'rented', $create, '42501', 'schema "amelia" is owned by role "landlord".*HINT:', 'a schema of another role');
$node->safe_psql('rented', 'CREATE TABLE amelia.schema_versions (version integer PRIMARY KEY, applied_at timestamptz);
	ALTER TABLE amelia.schema_versions OWNER TO landlord');
fails_with($node, 'rented', $create, '42501', 'owned by role "landlord"', 'a schema of another role that looks like ours');
$node->safe_psql('rented', qq{ALTER SCHEMA amelia OWNER TO "$me"});
fails_with($node, 'rented', $create, '55000', '', 'our schema, with a schema_versions of another role');
is(count_of('rented', 'pg_proc WHERE pronamespace = $$amelia$$::regnamespace'), '0', 'nothing was made there');

# What is in it. Each kind of thing that a schema can hold.
my @things = (
	[ 'table', 'CREATE TABLE amelia.ours (id integer)' ],
	[ 'partitioned table', 'CREATE TABLE amelia.ours (id integer) PARTITION BY RANGE (id)' ],
	[ 'view', 'CREATE VIEW amelia.ours AS SELECT 1 AS one' ],
	[ 'materialized view', 'CREATE MATERIALIZED VIEW amelia.ours AS SELECT 1 AS one' ],
	[ 'sequence', 'CREATE SEQUENCE amelia.ours' ],
	[ 'function', q{CREATE FUNCTION amelia.ours() RETURNS integer LANGUAGE sql AS 'SELECT 1'} ],
	[ 'procedure', q{CREATE PROCEDURE amelia.ours() LANGUAGE sql AS 'SELECT 1'} ],
	[ 'aggregate', 'CREATE AGGREGATE amelia.ours (integer) (SFUNC = int4pl, STYPE = integer)' ],
	[ 'enum', q{CREATE TYPE amelia.ours AS ENUM ('one')} ],
	[ 'domain', 'CREATE DOMAIN amelia.ours AS integer' ],
	[ 'composite type', 'CREATE TYPE amelia.ours AS (one integer)' ],
	[ 'range type', 'CREATE TYPE amelia.ours AS RANGE (SUBTYPE = text)' ],
	[ 'operator', 'CREATE OPERATOR amelia.### (FUNCTION = int4pl, LEFTARG = integer, RIGHTARG = integer)' ],
	[ 'collation', 'CREATE COLLATION amelia.ours FROM "C"' ],
	[ 'conversion', q{CREATE CONVERSION amelia.ours FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8} ],
	[ 'text search configuration', 'CREATE TEXT SEARCH CONFIGURATION amelia.ours (COPY = simple)' ],
	[ 'text search dictionary', 'CREATE TEXT SEARCH DICTIONARY amelia.ours (TEMPLATE = simple)' ],
	[ 'operator family', 'CREATE OPERATOR FAMILY amelia.ours USING btree' ],
	[ 'schema_versions of another client', q{CREATE TABLE amelia.schema_versions (version text PRIMARY KEY);
		INSERT INTO amelia.schema_versions VALUES ('20240229000000')} ],
	[ 'schema_versions of another shape', 'CREATE TABLE amelia.schema_versions (id integer)' ],
	[ 'view that is called schema_versions', 'CREATE VIEW amelia.schema_versions AS SELECT 1 AS version' ]);
my @said = say_each($node, 'empty', 'SET client_min_messages = warning',
	map { ("CREATE SCHEMA amelia; $_->[1]", $create, q{SELECT count(*) FROM pg_proc WHERE proname = 'append_event'}, 'DROP SCHEMA amelia CASCADE') } @things);
shift @said;
foreach my $thing (@things)
{
	my ($made, $refused, $functions, $gone) = splice(@said, 0, 4);

	is($made->[1] . $gone->[1], '', "a schema that holds: $thing->[0]");
	like($refused->[1], qr/ERROR:  55000: .*holds objects that are not Amelia's/, '… is refused');
	is($functions->[0], '0', '… and nothing was made');
}
$node->safe_psql('empty', 'CREATE SCHEMA amelia; CREATE TABLE amelia.theirs (id integer)');
fails_with($node, 'empty', $create, '55000', 'theirs', 'what is there is named');
$node->safe_psql('empty', 'DROP TABLE amelia.theirs');

# An empty schema of ours is taken, and one that was ours is taken up again,
# with what others keep in it by now.
$node->safe_psql('empty', $create);
same_lines(catalog($node, 'empty'), $catalog, 'an empty schema of ours: the same as without');
$node->safe_psql('empty', q{
	DROP EXTENSION amelia CASCADE;
	CREATE TABLE amelia.checkpoints (thread_id text);
	CREATE FUNCTION amelia.theirs() RETURNS integer LANGUAGE sql AS 'SELECT 1'});
$node->safe_psql('empty', $create);
is(count_of('empty', 'amelia.checkpoints'), '0', 'ours is taken up again, with what others keep in it');
$node->safe_psql('empty', 'DROP TABLE amelia.checkpoints; DROP FUNCTION amelia.theirs()');
same_lines(catalog($node, 'empty'), $catalog, 'ours is taken up again: the same as at first');

# Without the schema nothing is left, and a session's caches do not mind.
is( $node->safe_psql(
		'empty', q{
		SET client_min_messages = warning;
		SELECT amelia.append_event((amelia.create_workflow('A', '/a')).id, 'x', 'm');
		DROP SCHEMA amelia CASCADE;
		SELECT count(*) FROM pg_extension WHERE extname = 'amelia';
		CREATE EXTENSION amelia;
		SELECT amelia.append_event((amelia.create_workflow('A', '/a')).id, 'x', 'm');
		SELECT count(*) FROM amelia.verify()}),
	"2\n0\n2\n0", 'DROP SCHEMA and CREATE EXTENSION in one session');
same_lines(catalog($node, 'empty'), $catalog, 'DROP SCHEMA and CREATE EXTENSION: the same as at first');

# In a transaction that is rolled back.
new_database($node, 'undone');
$node->safe_psql('undone', 'BEGIN; CREATE EXTENSION amelia; ROLLBACK');
is(count_of('undone', q{pg_namespace WHERE nspname = 'amelia'}), '0', 'CREATE EXTENSION rolled back: nothing is left');

# The session that restores a dump makes no tables, whoever owns the schema,
# and says so; without a dump, migrate() makes up for it.
new_database($node, 'restoring');
($ret, $out, $err) = $node->psql('restoring', "SET row_security = off; $create");
is($ret, 0, 'CREATE EXTENSION in a restoring session');
# CREATE EXTENSION keeps what is below a warning to itself, unless it is INFO.
like($err, qr/(?:NOTICE|INFO|WARNING): .*left to the dump.*HINT: .*amelia\.migrate\(\)/s, '… says that it makes no tables, and names migrate()');
is(count_of('restoring', q{pg_class WHERE relnamespace = 'amelia'::regnamespace}), '0', '… and makes none');
is( $node->safe_psql(
		'restoring', q{
		SELECT (SELECT count(*) FROM pg_proc WHERE pronamespace IN ('amelia'::regnamespace, 'amelia_internal'::regnamespace)),
			(SELECT count(*) FROM pg_depend WHERE deptype = 'e' AND refclassid = 'pg_extension'::regclass
				AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'amelia') AND classid = 'pg_proc'::regclass)}) =~ /^(\d+)\|\1$/ ? 1 : 0,
	1, '… and no functions but its members');
foreach my $call (
	q{amelia.append_event('00000000-0000-4000-8000-000000000000', 'x', 'm')},
	q{amelia.append_events('00000000-0000-4000-8000-000000000000', '[{"event_type": "x", "message": "m"}]')},
	q{amelia.next_sequence('00000000-0000-4000-8000-000000000000')})
{
	fails_with($node, 'restoring', "SELECT $call", '55000', 'HINT: .*amelia\.migrate\(\)', "without tables, $call");
}
is( $node->safe_psql('restoring', 'SET row_security = off; SELECT amelia.migrate()'),
	'schema brought from version 0 to 1; functions, triggers and defaults made anew',
	'migrate() makes them, in such a session too');
same_lines(catalog($node, 'restoring'), $catalog, 'migrate() after that: the same as CREATE EXTENSION');
verify_is($node, 'restoring', '', 'migrate() after that: verify() finds nothing');

new_database($node, 'moving');
$node->safe_psql('moving', 'CREATE SCHEMA amelia AUTHORIZATION landlord');
$node->safe_psql('moving', "SET row_security = off; $create");
is(count_of('moving', q{pg_class WHERE relnamespace = 'amelia'::regnamespace}), '0',
	'a restoring session takes the schema that the dump brought, with its owner');

# Default privileges of the installer hand out nothing.
new_database($node, 'generous');
$node->safe_psql('generous', q{
	ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC, tenant;
	ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO landlord WITH GRANT OPTION;
	ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO PUBLIC, tenant;
	ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO PUBLIC, tenant;
	ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO PUBLIC});
my $granted = q{
	SELECT format('%s %s to %s', a.privilege_type, o.name, a.grantee::regrole)
	FROM (SELECT c.relname, c.relowner, c.relacl FROM pg_class AS c
			WHERE c.relnamespace = 'amelia'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
		UNION ALL
		SELECT c.relname || '.' || t.attname, c.relowner, t.attacl FROM pg_class AS c JOIN pg_attribute AS t ON t.attrelid = c.oid
			WHERE c.relnamespace = 'amelia'::regnamespace
		UNION ALL
		SELECT n.nspname, n.nspowner, n.nspacl FROM pg_namespace AS n WHERE n.nspname = 'amelia'
		UNION ALL
		SELECT p.proname, p.proowner, COALESCE(p.proacl, acldefault('f', p.proowner)) FROM pg_proc AS p
			WHERE p.pronamespace IN ('amelia'::regnamespace, 'amelia_internal'::regnamespace)) AS o (name, owner, acl), aclexplode(o.acl) AS a
	WHERE a.grantee <> o.owner ORDER BY 1};
$node->safe_psql('generous', $create);
is($node->safe_psql('generous', $granted), '', 'default privileges hand out nothing of it');
$node->safe_psql('generous', q{
	DROP FUNCTION amelia.settings();
	DROP TRIGGER zzz_updated_at ON amelia.profiles;
	SELECT amelia.migrate()});
is($node->safe_psql('generous', $granted), '', '… nor of what migrate() makes anew');
$node->safe_psql('generous', 'DROP EXTENSION amelia CASCADE; CREATE EXTENSION amelia');
is($node->safe_psql('generous', $granted), '', '… nor after DROP EXTENSION and CREATE EXTENSION');

# One database knows nothing of the other.
$node->safe_psql('plain', q{SELECT amelia.create_workflow('A', '/a', id => '00000000-0000-4000-8000-000000000001')});
new_database($node, 'second', extension => 1);
is(count_of('second', 'amelia.workflows'), '0', 'a second database starts empty');
is( $node->safe_psql(
		'second', q{
		SELECT (amelia.create_workflow('B', '/a', id => '00000000-0000-4000-8000-000000000001')).issue_id;
		SELECT amelia.append_event('00000000-0000-4000-8000-000000000001', 'x', 'm')}),
	"B\n2", 'a second database has ids and sequences of its own');
$node->safe_psql('plain', 'DROP EXTENSION amelia CASCADE');
verify_is($node, 'second', '', 'a second database does not notice what happens to the first');
$node->safe_psql('postgres', "DROP DATABASE $_") foreach qw(plain second);

done_testing();
