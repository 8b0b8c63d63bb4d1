# What the owner of the tables puts there never runs with the rights of the
# extension's owner, nor of who calls migrate().
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use Maintenance;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = maintained_node('hostile');

# A database whose tables, with their schemas, are all eve's, and what she would do.
sub database_of_eve
{
	my ($name) = @_;

	$node->safe_psql('postgres', qq{CREATE DATABASE "$name"; ALTER DATABASE "$name" SET amelia.enabled = off});
	$node->safe_psql($name, q{
		CREATE EXTENSION amelia;
		CREATE EXTENSION amelia_platform;
		CREATE EXTENSION amelia_saga;
		DO $$
		DECLARE
			r record;
		BEGIN
			FOR r IN SELECT format('ALTER %s %s OWNER TO eve', CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END,
					c.oid::regclass) AS run FROM pg_class AS c
				WHERE c.relnamespace::regnamespace::text ~ '^amelia(_platform|_saga)?$' AND c.relkind IN ('r', 'v')
				UNION ALL SELECT format('ALTER ROUTINE %s OWNER TO eve', p.oid::regprocedure) FROM pg_proc AS p
				WHERE p.pronamespace::regnamespace::text ~ '^amelia(_platform|_saga)?$'
					AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = p.oid AND d.deptype = 'e')
				UNION ALL SELECT format('ALTER SCHEMA %s OWNER TO eve', n.oid::regnamespace) FROM pg_namespace AS n
				WHERE n.nspname ~ '^amelia(_platform|_saga)?$'
			LOOP
				EXECUTE r.run;
			END LOOP;
		END $$;
		SELECT amelia.migrate(), amelia_platform.migrate(), amelia_saga.migrate();
		CREATE SCHEMA eve AUTHORIZATION eve;
		SET ROLE eve;
		CREATE FUNCTION eve.rise() RETURNS integer LANGUAGE plpgsql AS $$
		BEGIN
			ALTER ROLE eve SUPERUSER;
			RETURN 1;
		EXCEPTION WHEN insufficient_privilege THEN
			RETURN 1;
		END $$;
		CREATE FUNCTION eve.rise_later() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			PERFORM eve.rise();
			RETURN NULL;
		END $$;
	});
	return $name;
}

sub is_not_risen
{
	my ($what) = @_;

	is($node->safe_psql('postgres', q{SELECT rolsuper FROM pg_roles WHERE rolname = 'eve'}), 'f', $what);
	$node->safe_psql('postgres', 'ALTER ROLE eve NOSUPERUSER');
	return;
}

$node->safe_psql('postgres', 'CREATE ROLE eve');

# The maintenance worker looks at the version first, as nobody of the tables'.
for my $extension ('amelia', 'amelia_platform')
{
	my $db = database_of_eve("look_$extension");

	$node->safe_psql($db, qq{
		SET ROLE eve;
		CREATE TABLE eve.versions AS SELECT * FROM $extension.schema_versions;
		ALTER TABLE $extension.schema_versions RENAME TO old_versions;
		CREATE VIEW $extension.schema_versions AS SELECT v.version * eve.rise() AS version FROM eve.versions AS v;
	});
	my $now = $node->safe_psql($db, 'SELECT clock_timestamp()');
	$node->safe_psql('postgres', qq{ALTER DATABASE "$db" RESET amelia.enabled});
	# Of the status only what comes from no table: who polls is a superuser.
	ok($node->poll_query_until($db, "SELECT s.last_look > '$now' AND s.state <> 'disabled' FROM amelia_internal.maintenance_state() AS s"),
		"a round with a view in the place of $extension.schema_versions");
	is_not_risen('… which ran as its owner');
	$node->safe_psql('postgres', qq{ALTER DATABASE "$db" SET amelia.enabled = off});
}

# A trigger that waits for the commit, which is the caller's.
my $db = database_of_eve('later');
for my $extension ('amelia', 'amelia_platform', 'amelia_saga')
{
	$node->safe_psql($db, qq{
		SET ROLE eve;
		TRUNCATE $extension.schema_versions;
		CREATE CONSTRAINT TRIGGER later AFTER INSERT ON $extension.schema_versions
			DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION eve.rise_later();
		RESET ROLE;
		DO \$\$DECLARE r record; BEGIN
			FOR r IN SELECT format('TRUNCATE %s CASCADE', c.oid::regclass) AS run FROM pg_class AS c
				WHERE c.relnamespace = '$extension'::regnamespace AND c.relkind = 'r'
			LOOP EXECUTE r.run; END LOOP;
		END\$\$;
	});
	my (undef, undef, $error) = $node->psql($db, "SELECT $extension.migrate()");
	like($error, qr/deferred trigger/, "$extension.migrate(): a deferred trigger of the owner's is refused");
	is_not_risen('… and did not run');
	$node->safe_psql($db, "SET ROLE eve; DROP TRIGGER later ON $extension.schema_versions");
	like($node->safe_psql($db, "SELECT $extension.migrate()"), qr/put into empty tables/, '… without it, all is done');
}

# What she sets in there is not left behind.
$db = database_of_eve('settings');
$node->safe_psql($db, q{
	SET ROLE eve;
	CREATE FUNCTION eve.set_style() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM pg_catalog.set_config('DateStyle', 'German', false);
		RETURN NEW;
	END $$;
	TRUNCATE amelia_saga.schema_versions, amelia_saga.messages, amelia_saga.files;
	CREATE TRIGGER set_style BEFORE INSERT ON amelia_saga.schema_versions FOR EACH ROW EXECUTE FUNCTION eve.set_style();
});
is($node->safe_psql($db, q{SELECT FROM amelia_saga.migrate(); SHOW DateStyle}), 'ISO, MDY', 'migrate(): what its triggers set is undone');

# Whose the schema amelia is can put another in its place: what the other
# extensions' tables belong to is called by no name in it.
$node->safe_psql('postgres', 'CREATE DATABASE renamed; ALTER DATABASE renamed SET amelia.enabled = off; GRANT CREATE ON DATABASE renamed TO eve');
$node->safe_psql('renamed', q{
	CREATE EXTENSION amelia;
	ALTER SCHEMA amelia OWNER TO eve;
	SET ROLE eve;
	ALTER SCHEMA amelia RENAME TO amelia_before;
	CREATE SCHEMA amelia;
	CREATE FUNCTION amelia.uuid_v7() RETURNS uuid LANGUAGE plpgsql AS $$
	BEGIN
		BEGIN
			ALTER ROLE eve SUPERUSER;
		EXCEPTION WHEN insufficient_privilege THEN
			NULL;
		END;
		RETURN gen_random_uuid();
	END $$;
	RESET ROLE;
});
is($node->safe_psql('renamed', q{
	CREATE EXTENSION amelia_platform;
	CREATE EXTENSION amelia_saga;
	INSERT INTO amelia_platform.tasks (title) VALUES ('t');
	INSERT INTO amelia_saga.messages (provider, role, content) VALUES ('p', 'user', 'c');
	CALL amelia_platform.run_maintenance();
	SELECT (SELECT count(*) FROM amelia_platform.tasks) + (SELECT count(*) FROM amelia_saga.messages)}), '2',
	'the other extensions work where somebody put a schema in the place of amelia');
is_not_risen('… and call nothing in it');

$node->stop;
done_testing();
