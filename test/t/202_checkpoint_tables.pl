# LangGraph's tables belong to the application: whose rights its triggers have,
# and what happens where the tables are not as LangGraph makes them.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use AmeliaTest qw(say_each);
use LangGraph;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('tables');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off\n");
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE app LOGIN; CREATE ROLE other LOGIN');

my $id = '00000000-0000-4000-8000-000000000001';
my $databases = 0;

# What each of them begins with.
$node->safe_psql('postgres', 'CREATE DATABASE prepared');
$node->safe_psql('prepared', 'CREATE EXTENSION amelia; CREATE SCHEMA app AUTHORIZATION app; SET ROLE app; SET search_path = app;'
	  . checkpoint_tables() . 'RESET ROLE;' . checkpoint_helpers() . qq{
	INSERT INTO amelia.workflows (id, issue_id, worktree_path, status, completed_at)
	VALUES ('$id', '1', '/1', 'completed', now() - interval '100 days');
	SELECT amelia.append_event('$id', 'x', 'm');
	GRANT USAGE ON SCHEMA amelia TO app, other;
	GRANT EXECUTE ON FUNCTION amelia.register_checkpoints(regnamespace), amelia.unregister_checkpoints(name) TO app, other;
	SELECT public.put_thread('app', '$id', now() - interval '101 days')});

# A database with a workflow that is due to go, with an event, and schema app,
# which is the application's, with the tables in it.
sub new_database
{
	my $db = 'd' . ++$databases;

	$node->safe_psql('postgres', "CREATE DATABASE $db TEMPLATE prepared");
	return $db;
}

sub errors
{
	my ($db, $sql) = @_;
	my ($result, $out, $err) = $node->psql($db, "\\set VERBOSITY verbose\n$sql");

	return $err;
}

# Who may register.
my $db = new_database();
like(errors($db, q{SET ROLE other; SELECT amelia.register_checkpoints('app')}), qr/42501/, 'not anybody');
like(errors($db, q{SET ROLE app; SELECT amelia.register_checkpoints('public')}), qr/P0002: .*no checkpoint tables/, 'not without tables');
like(errors($db, q{SELECT amelia.register_checkpoints(NULL)}), qr/22023/, 'not NULL');
like(errors($db, q{SELECT amelia.register_checkpoints('none')}), qr/3F000/, 'not without the schema');
is(run_retention($node, $db), '', 'a run');
is($node->safe_psql($db, "SELECT public.thread_rows('app', '$id'), (SELECT count(*) FROM amelia.workflows)"), '3|0',
	'what is not registered is not looked at');

$db = new_database();
is(errors($db, q{SET ROLE app; SELECT amelia.register_checkpoints('app'), amelia.register_checkpoints('app')}), '', 'the owner, twice');
is($node->safe_psql($db, q{SELECT registered_by FROM amelia.checkpoint_schemas WHERE schema_name = 'app'}), 'app', 'which is noted');
like(errors($db, q{SET ROLE other; SELECT amelia.unregister_checkpoints('app')}), qr/42501/, 'unregister: not anybody');
is($node->safe_psql($db, q{SET ROLE app; SELECT amelia.unregister_checkpoints('app'), amelia.register_checkpoints('app')}), 't|', 'the owner');

# A trigger that the application put there runs with its rights, and tries to
# get others.
$node->safe_psql($db, q{
	SET ROLE app;
	CREATE TABLE app.tried (what text, as_user name, as_session name, path text, result text);
	CREATE FUNCTION app.try() RETURNS trigger LANGUAGE plpgsql AS $$
	DECLARE
		attempt text;
	BEGIN
		INSERT INTO app.tried VALUES (TG_TABLE_NAME, current_user, session_user, current_setting('search_path'), 'fired');
		FOREACH attempt IN ARRAY ARRAY['RESET ROLE', 'SET ROLE NONE', 'SET SESSION AUTHORIZATION DEFAULT',
			'ALTER ROLE app SUPERUSER', 'SET LOCAL session_replication_role = replica',
			'DELETE FROM amelia.workflow_log', 'CREATE TEMP TABLE t ()', 'LISTEN x',
			'CREATE EXTENSION plpgsql_check', 'GRANT app TO other WITH ADMIN OPTION',
			'SELECT pg_read_file(''/etc/passwd'')']
		LOOP
			BEGIN
				EXECUTE attempt;
				INSERT INTO app.tried VALUES (attempt, current_user, NULL, NULL, 'done');
			EXCEPTION WHEN OTHERS THEN
				INSERT INTO app.tried VALUES (attempt, current_user, NULL, NULL, SQLSTATE);
			END;
		END LOOP;
		PERFORM set_config('lock_timeout', '0', false);
		PERFORM set_config('search_path', 'app', false);
		PERFORM set_config('work_mem', '12345', false);
		RETURN OLD;
	END $$;
	CREATE TRIGGER try BEFORE DELETE ON app.checkpoints FOR EACH ROW EXECUTE FUNCTION app.try();
	CREATE TRIGGER try_statement AFTER DELETE ON app.checkpoint_blobs FOR EACH STATEMENT EXECUTE FUNCTION app.try();
	CREATE CONSTRAINT TRIGGER try_later AFTER DELETE ON app.checkpoint_writes DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW EXECUTE FUNCTION app.try();
});
is($node->safe_psql($db, q{CALL amelia.run_retention(); SHOW work_mem; SHOW search_path; SHOW lock_timeout; SELECT current_user = session_user}),
	qq{4MB\n"\$user", public\n0\nt}, 'a run leaves the session as it was');
is($node->safe_psql($db, q{SELECT what, as_user, path FROM app.tried WHERE result = 'fired' ORDER BY 1}),
	join("\n", map { "$_|app|pg_catalog, pg_temp" } qw(checkpoint_blobs checkpoint_writes checkpoints)),
	'each trigger fires as the owner of the tables');
is($node->safe_psql($db, q{SELECT string_agg(DISTINCT what || ' ' || result, ', ') FROM app.tried
	WHERE result = 'done' OR as_user <> 'app'}), '', 'and does not get other rights');
is($node->safe_psql($db, q{SELECT count(DISTINCT what) FROM app.tried WHERE result <> 'fired'}), 11, 'though it tried');
is($node->safe_psql($db, q{SELECT rolsuper FROM pg_roles WHERE rolname = 'app'}), 'f', 'it is no superuser');
is($node->safe_psql($db, "SELECT public.thread_rows('app', '$id'), (SELECT count(*) FROM amelia.workflows)"), '0|0', 'all went');

# delete_thread() and checkpoint_stats() act as the owner, too.
$node->safe_psql($db, q{TRUNCATE app.tried; SELECT public.put_thread('app', 'a', now()), public.put_thread('app', 'b', now() - interval '1 day', 'x')});
is($node->safe_psql($db, q{SELECT schema_name, owner, threads, checkpoints, row_count, bytes > 0, newest - oldest, jsonb_array_length(largest_threads),
	problem FROM amelia.checkpoint_stats()}), 'app|app|2|2|6|t|1 day|2|', 'checkpoint_stats()');
is($node->safe_psql($db, q{SELECT amelia.delete_thread('a'), amelia.delete_thread('a')}), '3|0', 'delete_thread()');
is($node->safe_psql($db, q{SELECT string_agg(DISTINCT as_user, ' ') FROM app.tried}), 'app', 'as the owner');
is($node->safe_psql($db, q{SELECT thread_id FROM app.checkpoints}), 'b', 'only that thread');

# Row security that the owner made bind itself hides no thread.
$db = new_database();
$node->safe_psql($db, q{SET ROLE app; SELECT amelia.register_checkpoints('app');
	ALTER TABLE app.checkpoints ENABLE ROW LEVEL SECURITY;
	ALTER TABLE app.checkpoints FORCE ROW LEVEL SECURITY;
	CREATE POLICY none ON app.checkpoints USING (false)});
is(run_retention($node, $db), '', 'row security');
is($node->safe_psql($db, "SELECT public.thread_rows('app', '$id'), (SELECT count(*) FROM amelia.workflows)"), '0|0', 'hides nothing');

# Tables that are left alone: rule 4 waits, the others do not, and it is told why.
for my $case (
	[ 'a table is missing', 'DROP TABLE app.checkpoint_writes', qr/not all of/ ],
	[ 'a column is missing', 'ALTER TABLE app.checkpoint_blobs DROP COLUMN blob', qr/no column blob of type bytea/ ],
	[ 'a column of another type', 'ALTER TABLE app.checkpoints ALTER checkpoint TYPE text', qr/no column checkpoint of type jsonb/ ],
	[ 'no primary key', 'ALTER TABLE app.checkpoint_writes DROP CONSTRAINT checkpoint_writes_pkey', qr/no primary key/ ],
	[ 'a key that begins otherwise', 'ALTER TABLE app.checkpoint_writes DROP CONSTRAINT checkpoint_writes_pkey,
		ADD PRIMARY KEY (checkpoint_ns, thread_id, checkpoint_id, task_id, idx)', qr/no primary key that begins with thread_id/ ],
	[ 'another owner', 'ALTER TABLE app.checkpoint_writes OWNER TO other', qr/same owner/ ],
	[ 'not readable', 'REVOKE SELECT ON app.checkpoints FROM app', qr/lacks a privilege/ ],
	[ 'not deletable', 'REVOKE DELETE ON app.checkpoint_blobs FROM app', qr/lacks a privilege/ ],
	[ 'a schema that is locked', 'ALTER SCHEMA app OWNER TO other; REVOKE ALL ON SCHEMA app FROM app', qr/may not use the schema/ ],
	[ 'a child', 'CREATE TABLE app.more () INHERITS (app.checkpoints)', qr/not an ordinary table/ ],
	[ 'a rule', 'CREATE RULE r AS ON DELETE TO app.checkpoints DO INSTEAD NOTHING', qr/not an ordinary table/ ],
	[ 'a view', 'ALTER TABLE app.checkpoints RENAME TO c; CREATE VIEW app.checkpoints AS SELECT * FROM app.c', qr/not an ordinary table/ ],
	[ 'partitions', 'DROP TABLE app.checkpoints; CREATE TABLE app.checkpoints (thread_id text, checkpoint_ns text, checkpoint_id text,
		checkpoint jsonb, PRIMARY KEY (thread_id)) PARTITION BY HASH (thread_id)', qr/not an ordinary table/ ])
{
	my ($name, $change, $problem) = @$case;

	$db = new_database();
	my ($changed, $sources, $stats, $preview, $run, $left, $out, $another, $gone, $again) = say_each($node, $db,
		"SELECT amelia.register_checkpoints('app'); $change; SELECT amelia.append_event('$id', 'claude_thinking', 'm')",
		'SELECT problem FROM amelia.checkpoint_sources()',
		'SELECT problem FROM amelia.checkpoint_stats()',
		q{SELECT rule, workflows FROM amelia.retention_preview() WHERE waits_for ~ 'schema "app"' ORDER BY 1},
		'CALL amelia.run_retention()',
		'SELECT (SELECT count(*) FROM amelia.workflows), (SELECT count(*) FROM amelia.workflow_log)',
		q{SELECT amelia.unregister_checkpoints('app')},
		'CALL amelia.run_retention()',
		'SELECT count(*) FROM amelia.workflows',
		q{SELECT amelia.register_checkpoints('app')});

	is($changed->[1], '', "$name: that is possible");
	like($sources->[0], $problem, "$name: checkpoint_sources() says so");
	like($stats->[0], $problem, "$name: checkpoint_stats() says so");
	is($preview->[0], "checkpoints|0\nolder checkpoints|\norphan threads|\nworkflows|0", "$name: the preview says so");
	is($run->[1], '', "$name: a run");
	is($left->[0], '1|0', "$name: rule 4 waits, the others do not");
	is($out->[0], 't', "$name: the operator takes it out");
	is($another->[1], '', "$name: another run");
	is($gone->[0], 0, "$name: and rule 4 goes on");
	like($again->[1], qr/55000: .*not as LangGraph makes them/, "$name: cannot be registered");
}

# In schema amelia itself, where the application's search path may put them,
# and in a schema that is dropped later.
$db = new_database();
$node->safe_psql($db, 'SET search_path = amelia, public;' . checkpoint_tables() . qq{
	SELECT amelia.register_checkpoints('app');
	SELECT public.put_thread('amelia', '$id', now() - interval '101 days')});
is(run_retention($node, $db), '', 'three schemas');
is($node->safe_psql($db, "SELECT public.thread_rows('app', '$id') + public.thread_rows('amelia', '$id'), (SELECT count(*) FROM amelia.workflows)"),
	'0|0', 'in each of them');
$node->safe_psql($db, 'DROP SCHEMA app CASCADE');
is(run_retention($node, $db), '', 'a schema that is gone is no error');

# A thread's checkpoints written after the end of its workflow, in whatever schema,
# keep all of the workflow's threads until it is quiet.
$db = new_database();
$node->safe_psql($db, checkpoint_tables() . qq{
	SELECT amelia.register_checkpoints('app');
	SELECT amelia.link_thread('$id', 'late');
	SELECT public.put_thread('public', 'late', now() - interval '30 minutes')});
is(run_retention($node, $db), '', 'a late checkpoint');
is($node->safe_psql($db, "SELECT public.thread_rows('app', '$id') + public.thread_rows('public', 'late')"), 6, 'all stay');
$node->safe_psql($db, q{SELECT amelia.update_settings('{"checkpoint_grace_minutes": 20}')});
is(run_retention($node, $db), '', 'a shorter grace');
is($node->safe_psql($db, "SELECT public.thread_rows('app', '$id') + public.thread_rows('public', 'late'), (SELECT count(*) FROM amelia.workflows)"),
	'0|0', 'all go');

$node->stop;
done_testing();
