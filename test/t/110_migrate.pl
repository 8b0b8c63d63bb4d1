# amelia.migrate(): does nothing to a complete schema, mends what is missing,
# brings up the schema of an older dump, and leaves nothing half done.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use AmeliaTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('migrate');
my $dir = PostgreSQL::Test::Utils::tempdir;
my $nothing = 'schema version 1 is complete, nothing to do';
my $anew = 'functions, triggers and defaults made anew';

# The code of later versions, as a database sees it after the extension was
# updated: a member function whose rows have more scripts.
my $version_2 = q{(2, 'schema/002-teams/010-teams.sql', $script$
ALTER TABLE amelia.workflows ADD COLUMN squad text;
UPDATE amelia.workflows SET squad = 'squad of ' || issue_id;
CREATE TABLE amelia.squads (id text PRIMARY KEY);
$script$), (2, 'schema/002-teams/020-rows.sql', $script$
INSERT INTO amelia.squads SELECT DISTINCT squad FROM amelia.workflows;
COMMENT ON TABLE amelia.squads IS 'who works on what';
$script$), (3, 'schema/003-more/010-more.sql', $script$
ALTER TABLE amelia.squads ADD COLUMN size integer NOT NULL DEFAULT 1;
$script$), (NULL, 'api/800-squads.sql', $script$
CREATE OR REPLACE FUNCTION amelia.squad(id uuid) RETURNS text LANGUAGE sql STABLE
AS 'SELECT w.squad FROM amelia.workflows AS w WHERE w.id = squad.id';
$script$)};
my $broken_2 = q{(2, 'schema/002-teams/010-teams.sql', $script$
ALTER TABLE amelia.workflows ADD COLUMN squad text;
DELETE FROM amelia.event_types;
SELECT 1 / 0;
$script$)};
my $broken_3 = q{(2, 'schema/002-teams/010-teams.sql', $script$
ALTER TABLE amelia.workflows ADD COLUMN squad text;
$script$), (3, 'schema/003-more/010-more.sql', $script$
CREATE TABLE amelia.squads (id text PRIMARY KEY);
CREATE TABLE amelia.squads (id text PRIMARY KEY);
$script$)};
my $broken_api = q{(NULL, 'api/800-squads.sql', $script$
CREATE OR REPLACE FUNCTION amelia.squad(id uuid) RETURNS text LANGUAGE sql AS 'SELECT no such thing';
$script$)};

sub install_code
{
	my ($db, $scripts) = @_;

	# What version 1 brings is kept beside it, once.
	$node->safe_psql(
		$db, qq{
		DO \$do\$
		BEGIN
			IF to_regproc('amelia_internal.scripts_of_1') IS NULL THEN
				ALTER FUNCTION amelia_internal.amelia_scripts() RENAME TO scripts_of_1;
			ELSE
				ALTER EXTENSION amelia DROP FUNCTION amelia_internal.amelia_scripts();
				DROP FUNCTION amelia_internal.amelia_scripts();
			END IF;
		END
		\$do\$;
		CREATE FUNCTION amelia_internal.amelia_scripts() RETURNS TABLE (version integer, name text, script text)
		LANGUAGE sql AS \$body\$
		SELECT * FROM amelia_internal.scripts_of_1() UNION ALL VALUES $scripts
		\$body\$;
		ALTER EXTENSION amelia ADD FUNCTION amelia_internal.amelia_scripts();});
	return;
}

sub migrate_is
{
	my ($db, $expected, $name) = @_;

	is($node->safe_psql($db, 'SELECT amelia.migrate()'), $expected, $name);
	return;
}

sub restore
{
	my ($db, $file) = @_;

	new_database($node, $db);
	$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $db, "$dir/$file" ], "restore into $db");
	return;
}

new_database($node, 'runs', extension => 1);
fill($node, 'runs');
operator_changes($node, 'runs');
my $sums = table_sums($node, 'runs');
my $catalog = catalog($node, 'runs');
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/version1", 'runs' ], 'dump version 1');

# A complete schema: nothing is done, and no lock is taken that a writer or a
# reader holds up, or that would hold them up.
{
	my $writer = $node->background_psql('runs');

	migrate_is('runs', $nothing, 'complete: says so');
	$writer->query_safe(q{
		BEGIN;
		UPDATE amelia.workflows SET priority = 1 WHERE issue_id = 'ISSUE-1';
		SELECT count(*) FROM amelia.workflow_log, amelia.event_types;
		LOCK TABLE amelia.brainstorm_messages IN SHARE UPDATE EXCLUSIVE MODE});
	is( $node->safe_psql(
			'runs', q{
			SET lock_timeout = '20s';
			BEGIN;
			SELECT amelia.migrate();
			SELECT string_agg(DISTINCT l.mode, ' ')
			FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation
			WHERE l.pid = pg_backend_pid() AND c.relnamespace = 'amelia'::regnamespace}),
		"$nothing\nAccessShareLock", 'complete: not held up by an open transaction, and only AccessShareLock');
	$writer->query_safe('ROLLBACK');
	$writer->quit;
	same_database($node, 'runs', $sums, $catalog, 'complete, after migrate()');
}

# What is missing or not as it should be: verify() names it, migrate() mends it.
$node->safe_psql('postgres', 'CREATE DATABASE damaged TEMPLATE runs');
my $trigger = 'trigger is missing, disabled or not as migrate() makes it';
my $default = 'default is missing, disabled or not as migrate() makes it';
my $index = 'index is missing, disabled or not as migrate() makes it';
my $function = 'function is missing, disabled or not as migrate() makes it';
foreach my $damage (
	[ 'dropped trigger', 'DROP TRIGGER zzz_allocate_sequence ON amelia.workflow_log',
		"$trigger|zzz_allocate_sequence on workflow_log" ],
	[ 'disabled trigger', 'ALTER TABLE amelia.workflows DISABLE TRIGGER zzz_workflow_update',
		"$trigger|zzz_workflow_update on workflows" ],
	[ 'trigger that fires on replicas only',
		'ALTER TABLE amelia.brainstorm_messages ENABLE REPLICA TRIGGER zzz_raise_sequence_floor',
		"$trigger|zzz_raise_sequence_floor on brainstorm_messages" ],
	[ 'trigger of another function', q{
		CREATE OR REPLACE TRIGGER zzz_updated_at BEFORE UPDATE ON amelia.profiles
		FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()},
		"$trigger|zzz_updated_at on profiles" ],
	[ 'trigger with a condition', q{
		CREATE OR REPLACE TRIGGER zzz_allocate_sequence BEFORE INSERT ON amelia.workflow_log
		FOR EACH ROW WHEN (NEW.sequence = 0) EXECUTE FUNCTION amelia_internal.allocate_sequence()},
		"$trigger|zzz_allocate_sequence on workflow_log" ],
	[ 'trigger for another event', q{
		DROP TRIGGER zzz_raise_sequence_floor_truncate ON amelia.workflow_log;
		CREATE TRIGGER zzz_raise_sequence_floor_truncate AFTER INSERT ON amelia.workflow_log
		FOR EACH STATEMENT WHEN (false) EXECUTE FUNCTION amelia_internal.raise_sequence_floor()},
		"$trigger|zzz_raise_sequence_floor_truncate on workflow_log" ],
	[ 'dropped default', 'ALTER TABLE amelia.token_usage ALTER COLUMN id DROP DEFAULT',
		"$default|token_usage.id" ],
	[ 'dropped function', 'DROP FUNCTION amelia.event_exists(uuid)', "$function|event_exists" ],
	[ 'function with another body', q{
		CREATE OR REPLACE FUNCTION amelia.event_exists(id uuid) RETURNS boolean LANGUAGE sql STABLE
		SET search_path = pg_catalog, pg_temp AS 'SELECT true'},
		"$function|event_exists" ],
	[ 'function without its search_path', 'ALTER FUNCTION amelia.last_sequence(uuid) RESET search_path',
		"$function|last_sequence" ],
	[ "function with its owner's rights", 'ALTER FUNCTION amelia.last_sequence(uuid) SECURITY DEFINER',
		"$function|last_sequence" ],
	(map { [ "without $_", "DROP INDEX amelia.$_", "$index|$_" ] }
		qw(idx_workflows_claim_order idx_workflows_claim idx_workflows_parked idx_workflows_active_worktree idx_workflow_leases_expires_at)))
{
	my ($name, $sql, $problem) = @$damage;

	is( $node->safe_psql('damaged', "$sql; SELECT problem, object FROM amelia.verify(); SELECT amelia.migrate()"),
		"$problem\n$anew", "$name: verify() names it, migrate() acts");
	# A dropped function takes its grants along.
	$node->safe_psql('damaged', 'GRANT EXECUTE ON FUNCTION amelia.event_exists(uuid) TO dashboard, runner, boss')
	  if $name eq 'dropped function';
	same_database($node, 'damaged', $sums, $catalog, "$name: mended");
}

# What migrate() cannot mend by itself is said as well, and what to do.
foreach my $damage (
	[ 'another index of that name', q{
		DROP INDEX amelia.idx_workflows_parked;
		CREATE INDEX idx_workflows_parked ON amelia.workflows (worktree_path)},
		"$index|idx_workflows_parked|drop it, then run SELECT amelia.migrate()", 'DROP INDEX amelia.idx_workflows_parked' ],
	[ 'an index that is not valid',
		q{UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'amelia.idx_workflows_claim'::regclass},
		"$index|idx_workflows_claim|drop it, then run SELECT amelia.migrate()", 'DROP INDEX amelia.idx_workflows_claim' ],
	[ 'a primary key that was renamed', 'ALTER INDEX amelia.workflow_leases_pkey RENAME TO leases_pkey',
		'primary key is missing, or has another name|workflow_leases_pkey|have an index of that name for the primary key of workflow_leases',
		'ALTER INDEX amelia.leases_pkey RENAME TO workflow_leases_pkey' ])
{
	my ($name, $sql, $problem, $mend) = @$damage;

	$node->safe_psql('damaged', $sql);
	is($node->safe_psql('damaged', 'SELECT * FROM amelia.verify()'), $problem, "$name: verify() names it");
	fails_with($node, 'damaged', q{SELECT amelia.claim_workflow('host-1')}, '55000', 'HINT: .*migrate\(\)', "$name: a claim")
	  unless $name =~ /another index/;
	$node->safe_psql('damaged', "$mend; SELECT amelia.migrate()");
	same_database($node, 'damaged', $sums, $catalog, "$name: mended");
}

# Several at once, as --disable-triggers leaves them when it is interrupted.
$node->safe_psql('runs', 'ALTER TABLE amelia.workflow_log DISABLE TRIGGER USER');
verify_is(
	$node, 'runs',
	join("\n", map { "$trigger|zzz_$_ on workflow_log" }
		  qw(allocate_sequence fence fence_delete keep_sequence note_event raise_sequence_floor raise_sequence_floor_truncate)),
	'DISABLE TRIGGER USER: verify() names each of ours');
migrate_is('runs', $anew, 'DISABLE TRIGGER USER: migrate() acts');
verify_is($node, 'runs', '', 'DISABLE TRIGGER USER: ours are mended');
is( $node->safe_psql('runs', q{SELECT tgenabled FROM pg_trigger WHERE tgname = 'ops_default_agent'}),
	'D', q{DISABLE TRIGGER USER: the operator's own trigger is left alone});
$node->safe_psql('runs', 'ALTER TABLE amelia.workflow_log ENABLE TRIGGER ops_default_agent');
# A trigger that fires always is more than what is asked for.
$node->safe_psql('runs', 'ALTER TABLE amelia.workflow_log ENABLE ALWAYS TRIGGER zzz_allocate_sequence');
verify_is($node, 'runs', '', 'ENABLE ALWAYS: nothing is wrong');
$node->safe_psql('runs', 'ALTER TABLE amelia.workflow_log ENABLE TRIGGER zzz_allocate_sequence');

# DROP EXTENSION. A session that has plans and tables in its caches goes on.
{
	my $session = $node->background_psql('runs', on_error_stop => 0);
	my $append = q{SELECT amelia.append_event(id, 'task_started', 'go on') FROM amelia.workflows WHERE issue_id = 'ISSUE-1';
		SELECT amelia.append_events(id, '[{"event_type": "task_started", "message": "go on"}]') FROM amelia.workflows WHERE issue_id = 'ISSUE-1';
		SELECT amelia.next_sequence(id) FROM amelia.workflows WHERE issue_id = 'ISSUE-2';};

	is($session->query("BEGIN; $append ROLLBACK;"), "66\n[67,68)\n66", 'a session writes');
	fails_with($node, 'runs', 'DROP EXTENSION amelia', '2BP01', 'CASCADE', 'DROP EXTENSION');
	same_lines(catalog($node, 'runs'), $catalog, 'DROP EXTENSION that is refused changes nothing');

	$node->safe_psql('runs', 'DROP EXTENSION amelia CASCADE');
	is(table_sums($node, 'runs'), $sums, 'DROP EXTENSION CASCADE takes no row');
	is( $node->safe_psql(
			'runs', q{SELECT (SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'zzz%'),
				(SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'ops%'), to_regproc('amelia.append_event')}),
		'0|2|', '… but our triggers and our functions in C');
	$session->query($append);
	like($session->{stderr}, qr/amelia\.append_event.* does not exist/, 'the session finds no function');

	$node->safe_psql('runs', 'CREATE EXTENSION amelia');
	is(table_sums($node, 'runs'), $sums, 'CREATE EXTENSION again: every row in place');
	verify_is($node, 'runs', '', 'CREATE EXTENSION again: verify() finds nothing');
	migrate_is('runs', $nothing, 'CREATE EXTENSION again has migrated');
	is($session->query("BEGIN; $append ROLLBACK;"), "66\n[67,68)\n66", 'the session goes on');
	$session->quit;

	# The grants on the functions in C went with them.
	$node->safe_psql('runs', q{
		SELECT amelia.grant_reader('dashboard'), amelia.grant_worker('runner'), amelia.grant_admin('boss');
		REVOKE DELETE ON amelia.event_types FROM boss});
	same_lines(catalog($node, 'runs'), $catalog, 'CREATE EXTENSION again: the catalog is as before');
}

# The restore of a dump that is one version older, or two.
restore('older', 'version1');
install_code('older', $version_2);
verify_is(
	$node, 'older',
	"function is missing, disabled or not as migrate() makes it|squad\n"
	  . "schema is older than the code|schema_versions\nschema is older than the code|schema_versions",
	'older: verify() tells');
is( $node->safe_psql('older', q{SELECT detail FROM amelia.verify() WHERE problem LIKE 'schema%' ORDER BY 1}),
	"version 2 is missing: run SELECT amelia.migrate()\nversion 3 is missing: run SELECT amelia.migrate()",
	'older: verify() says what to do');
migrate_is('older', "schema brought from version 1 to 3; $anew", 'older: migrate() brings it up');
is( $node->safe_psql('older', 'SELECT version, applied_at IS NOT NULL FROM amelia.schema_versions ORDER BY 1'),
	"1|t\n2|t\n3|t", 'older: a row for each version');
verify_is($node, 'older', '', 'older: then verify() finds nothing');
is( $node->safe_psql(
		'older', q{SELECT amelia.squad(id) FROM amelia.workflows WHERE issue_id = 'ISSUE-1';
		SELECT count(*), sum(size) FROM amelia.squads}),
	"squad of ISSUE-1\n32|32", 'older: rows and functions of the new version');
migrate_is('older', 'schema version 3 is complete, nothing to do', 'older: the second time nothing');
{
	my $left = join "\n", grep { !/^amelia\.(workflows|squads|schema_versions)\|/ } split /\n/, table_sums($node, 'older');
	my $right = join "\n", grep { !/^amelia\.(workflows|schema_versions)\|/ } split /\n/, $sums;

	is($left, $right, 'older: tables that the new version does not touch are as they were');
}

# A database that was made anew at that version is the same.
new_database($node, 'fresh3');
$node->safe_psql('fresh3', 'SET row_security = off; CREATE EXTENSION amelia');
install_code('fresh3', $version_2);
migrate_is('fresh3', "schema brought from version 0 to 3; $anew", 'a new database goes through all versions');
new_database($node, 'upgraded3', extension => 1);
install_code('upgraded3', $version_2);
migrate_is('upgraded3', "schema brought from version 1 to 3; $anew", 'an empty one is upgraded');
same_lines(catalog($node, 'upgraded3'), catalog($node, 'fresh3'), 'fresh and upgraded: the same catalog');

# Tables that lack what the functions in C need say so.
restore('lacking', 'version1');
$node->safe_psql('lacking', 'ALTER TABLE amelia.workflow_log DROP COLUMN sequence_allocated');
foreach my $write (
	q{SELECT amelia.append_event(id, 'x', 'm') FROM amelia.workflows LIMIT 1},
	q{INSERT INTO amelia.workflow_log (workflow_id, event_type, message) SELECT id, 'x', 'm' FROM amelia.workflows LIMIT 1})
{
	fails_with($node, 'lacking', $write, '55000', 'amelia\.migrate\(\)', 'a function that needs a newer schema');
}
restore('earlier', 'version1');
$node->safe_psql('earlier', 'DROP TABLE amelia.workflow_leases, amelia.workflow_inbox, amelia.workflow_feed, amelia.feed_snapshots');
foreach my $call (
	q{amelia.claim_workflow('host-1')},
	map { "$_('00000000-0000-4000-8000-000000000040', 2)" } qw(amelia.heartbeat amelia_internal.check_lease amelia_internal.give_back amelia.set_worker amelia.release_workflow))
{
	fails_with($node, 'earlier', "SELECT $call", '55000', 'amelia\.migrate\(\)', "without its tables: $call");
}
is( $node->safe_psql('earlier', q{SELECT amelia.append_event('00000000-0000-4000-8000-000000000040', 'x', 'm')}),
	'4', 'without its tables: events are stored');
$node->safe_psql('lacking', 'ALTER TABLE amelia.workflow_leases DROP COLUMN given_back');
fails_with($node, 'lacking', q{SELECT amelia.claim_workflow('host-1')}, '55000', 'amelia\.migrate\(\)', 'a claim without a column');

# One that is newer than the code.
restore('newer', 'version1');
$node->safe_psql('newer', 'INSERT INTO amelia.schema_versions (version) VALUES (2)');
my $newer = catalog($node, 'newer');
fails_with($node, 'newer', 'SELECT amelia.migrate()', '55000', 'version 2 is newer.*HINT:.*newer extension', 'newer');
$node->safe_psql('newer', 'DROP TRIGGER zzz_updated_at ON amelia.profiles');
fails_with($node, 'newer', 'SELECT amelia.migrate()', '55000', 'newer', 'newer, and damaged');
fails_with($node, 'newer', 'DROP EXTENSION amelia CASCADE; CREATE EXTENSION amelia',
	'55000', 'newer', 'newer, to CREATE EXTENSION');

# A dump without rows has tables of a version that nobody noted: what is there
# is not made again, and not half. (With no row at all: 112_schema_only.pl.)
new_database($node, 'hollow');
$node->command_ok(
	[ 'pg_restore', '--exit-on-error', '--schema-only', '-d', 'hollow', "$dir/version1" ], 'restore without rows');
$node->safe_psql('hollow', q{INSERT INTO amelia.workflows (issue_id) VALUES ('A-1')});
my $hollow = catalog($node, 'hollow');
fails_with($node, 'hollow', 'SELECT amelia.migrate()', '55000', 'HINT: ', 'tables without a version');
same_lines(catalog($node, 'hollow'), $hollow, 'tables without a version: nothing is changed');

# An error in the middle leaves nothing half done, and the session sane.
foreach my $broken (
	[ 'first of two scripts', $broken_2, '22012', 'schema/002-teams/010-teams\.sql' ],
	[ 'second of two versions', $broken_3, '42P07', 'schema/003-more/010-more\.sql' ],
	[ 'api layer', "$version_2, $broken_api", '42601', 'api/800-squads\.sql' ])
{
	my ($name, $scripts, $sqlstate, $script) = @$broken;

	install_code('runs', $scripts);
	my $before = catalog($node, 'runs');
	my $rows = table_sums($node, 'runs');
	fails_with($node, 'runs', 'SELECT amelia.migrate()', $sqlstate, $script, "error in the $name");
	same_lines(catalog($node, 'runs'), $before, "error in the $name: the catalog is as before");
	is(table_sums($node, 'runs'), $rows, "error in the $name: the rows are as before");

	my ($ret, $out, $err) = $node->psql(
		'runs', q{
		SELECT amelia.migrate();
		SELECT current_user = session_user;
		CREATE TABLE amelia.ops_after (id integer);
		SELECT relowner::regrole, (SELECT count(*) FROM pg_depend WHERE objid = c.oid AND deptype = 'e')
		FROM pg_class AS c WHERE oid = 'amelia.ops_after'::regclass;
		DROP TABLE amelia.ops_after;
		SAVEPOINT none}, on_error_stop => 0);
	my $me = $node->safe_psql('runs', 'SELECT current_user::regrole');
	is($out, "t\n$me|0", "error in the $name: the session is itself again");
}
install_code('runs', $version_2);
migrate_is('runs', "schema brought from version 1 to 3; $anew", 'the mended code migrates');
verify_is($node, 'runs', '', 'the mended code: verify() finds nothing');

# In the middle of CREATE EXTENSION.
new_database($node, 'torn');
$node->safe_psql(
	'torn', q{
	CREATE FUNCTION public.no_usage() RETURNS event_trigger LANGUAGE plpgsql AS $$
	BEGIN
		IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity = 'amelia.token_usage') THEN
			RAISE 'no usage' USING ERRCODE = 'AM001';
		END IF;
	END $$;
	CREATE EVENT TRIGGER no_usage ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION public.no_usage()});
fails_with($node, 'torn', 'CREATE EXTENSION amelia', 'AM001', 'no usage', 'error in CREATE EXTENSION');
is( $node->safe_psql('torn', q{SELECT count(*) FROM pg_namespace WHERE nspname = 'amelia'}),
	'0', 'error in CREATE EXTENSION: nothing is left');
{
	my ($ret, $out, $err) = $node->psql(
		'torn', q{
		CREATE EXTENSION amelia;
		CREATE TABLE public.mine (id integer);
		DROP EVENT TRIGGER no_usage;
		CREATE EXTENSION amelia;
		CREATE TABLE public.mine_too (id integer);
		SELECT count(*) FROM pg_depend WHERE deptype = 'e' AND objid IN ('public.mine'::regclass, 'public.mine_too'::regclass)},
		on_error_stop => 0);
	is($out, '0', 'error in CREATE EXTENSION: the same session can go on, and again');
	new_database($node, 'whole', extension => 1);
	same_lines(catalog($node, 'torn'), catalog($node, 'whole'), 'error in CREATE EXTENSION: the second try is whole');
}

# Two sessions at once: the second waits, and then finds it done, or does it.
foreach my $case (
	[ 'COMMIT', 'read committed', 'schema version 3 is complete, nothing to do' ],
	[ 'ROLLBACK', 'read committed', "schema brought from version 1 to 3; $anew" ],
	[ 'COMMIT', 'repeatable read', 'schema version 3 is complete, nothing to do' ])
{
	my ($end, $isolation, $expected) = @$case;
	my $db = 'race_' . lc($end) . '_' . substr($isolation, 0, 4);

	restore($db, 'version1');
	install_code($db, $version_2);
	my $first = $node->background_psql($db);
	my $second = $node->background_psql($db, on_error_stop => 0);

	is($first->query_safe('BEGIN; SELECT amelia.migrate()'),
		"schema brought from version 1 to 3; $anew", "two at once, $end: the first migrates");
	$second->query_safe(qq{SET application_name = '$db'; BEGIN ISOLATION LEVEL $isolation});
	$second->query_until(qr/waits/, "\\echo waits\nSELECT amelia.migrate();\n");
	wait_for_lock($node, $db);
	$first->query_safe($end);
	is($second->query('COMMIT'), $expected, "two at once, $end, $isolation: the second");
	is($second->{stderr}, '', "two at once, $end, $isolation: without an error");
	$first->quit;
	$second->quit;
	verify_is($node, $db, '', "two at once, $end, $isolation: verify() finds nothing");
	is( $node->safe_psql($db, 'SELECT string_agg(version::text, $$ $$ ORDER BY version) FROM amelia.schema_versions'),
		'1 2 3', "two at once, $end, $isolation: each version once");
}

# Nobody but who may execute it; and then it is done as the owner, whoever called.
$node->safe_psql('older', 'CREATE ROLE stranger; DROP TRIGGER zzz_updated_at ON amelia.profiles');
my $as_stranger = 'SET SESSION AUTHORIZATION stranger; SELECT amelia.migrate()';
fails_with($node, 'older', $as_stranger, '42501', 'amelia', 'migrate() by a stranger');
$node->safe_psql('older', q{SELECT amelia.grant_worker('stranger')});
fails_with($node, 'older', $as_stranger, '42501', 'migrate', 'migrate() by a worker');
verify_is($node, 'older', "$trigger|zzz_updated_at on profiles", 'nothing was mended for strangers');
$node->safe_psql('older', q{SELECT amelia.grant_admin('stranger')});
is($node->safe_psql('older', $as_stranger), $anew, 'an orchestrator that is an admin may');
verify_is($node, 'older', '', '… and all is mended');
my $owned = 'count(*) FROM pg_proc WHERE proowner = $$stranger$$::regrole';
is($node->safe_psql('older', "SELECT $owned"), '0', '… with the rights of the owner');

done_testing();
