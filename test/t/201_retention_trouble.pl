# What gets in the way of retention, and what must not: locks, faulty triggers,
# an operator's changes, settings of the session, a crash, a clock.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use LangGraph;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('trouble');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off\n");
$node->start;

my $databases = 0;

# A database with workflows n = 1 to 30 that are due to go, /w/n, with six
# events each, in checkpoint tables of their own a thread each.
sub new_database
{
	my $db = 'd' . ++$databases;

	$node->safe_psql('postgres', "CREATE DATABASE $db");
	$node->safe_psql($db, 'CREATE EXTENSION amelia;' . checkpoint_tables() . checkpoint_helpers() . q{
		INSERT INTO amelia.workflows (id, issue_id, worktree_path, status, completed_at)
		SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, n, '/w/' || n, 'completed',
			now() - interval '100 days' + n * interval '1 s'
		FROM generate_series(1, 30) AS n;
		INSERT INTO amelia.workflow_log (workflow_id, level, event_type, message)
		SELECT w.id, l.level, 'x', 'm'
		FROM amelia.workflows AS w, unnest(ARRAY['trace', 'info', 'trace', 'error', 'debug', 'warning']) AS l (level);
		SELECT public.put_thread('public', id::text, completed_at) FROM amelia.workflows;
		CREATE VIEW public.left_over AS
		SELECT COALESCE(string_agg(issue_id, ' ' ORDER BY completed_at), 'nothing') AS workflows,
			(SELECT count(*) FROM amelia.workflow_log) AS events, (SELECT count(*) FROM public.checkpoints) AS threads
		FROM amelia.workflows;
	});
	return $db;
}

sub left_over
{
	my ($db) = @_;

	return $node->safe_psql($db, 'SELECT * FROM public.left_over');
}

# Rows that somebody holds.
my $db = new_database();
my $user = $node->background_psql($db, on_error_stop => 1);
$user->query_safe('BEGIN');
$user->query_safe(q{SELECT FROM amelia.workflows WHERE issue_id IN ('1', '15', '30') FOR UPDATE});
is(run_retention($node, $db), '', 'workflows that are held are skipped without a warning');
is(left_over($db), '1 15 30|18|3', 'and stay whole');
$user->query_safe(q{COMMIT; BEGIN});
$user->query_safe(q{SELECT FROM amelia.workflow_log AS e JOIN amelia.workflows AS w ON w.id = e.workflow_id
	WHERE w.issue_id = '15' AND e.sequence = 4 FOR UPDATE OF e});
like(run_retention($node, $db), qr/WARNING: .*batch(es)? of retention failed/, 'an event that is held is waited for, not for long');
is(left_over($db), '15|6|0', 'the others of its batch go');
is(last_run($node, $db, q{format('%s %s %s', outcome, batches_failed > 0, sqlstate)}), 'completed t 55P03', 'as retention_runs says');
$user->query_safe('COMMIT');
is(run_retention($node, $db), '', 'the next run takes it');
is(left_over($db), 'nothing|0|0', 'all of it');

# Tables that somebody holds.
$db = new_database();
$user = $node->background_psql($db, on_error_stop => 1);
for my $table ('public.checkpoint_blobs', 'amelia.workflow_log', 'amelia.token_usage')
{
	$user->query_safe("BEGIN; LOCK TABLE $table IN ACCESS EXCLUSIVE MODE");
	like(run_retention($node, $db), qr/lock timeout/, "$table is locked");
	like(last_run($node, $db, q{format('%s %s', outcome, batches_failed)}), qr/^completed \d+$/, 'the round comes to its end');
	$user->query_safe('COMMIT');
}
is(left_over($db), join(' ', 1 .. 30) . '|0|0', 'what needs no locked table went');
is(run_retention($node, $db), '', 'later the rest goes');
is(left_over($db), 'nothing|0|0', 'all of it');
$user->quit;

# A workflow that cannot be deleted keeps none of its batch.
$db = new_database();
$node->safe_psql($db, q{
	CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		IF OLD.issue_id IN ('7', '8') THEN RAISE EXCEPTION 'not this one' USING ERRCODE = 'P0099'; END IF;
		RETURN OLD;
	END $$;
	CREATE TRIGGER refuse BEFORE DELETE ON amelia.workflows FOR EACH ROW EXECUTE FUNCTION public.refuse();
	CREATE FUNCTION public.refuse_thread() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		IF OLD.thread_id ~ '00(12|30)$' THEN RAISE EXCEPTION 'not this thread' USING ERRCODE = 'P0098'; END IF;
		RETURN OLD;
	END $$;
	CREATE TRIGGER refuse BEFORE DELETE ON public.checkpoint_writes FOR EACH ROW EXECUTE FUNCTION public.refuse_thread();
});
like(run_retention($node, $db), qr/not this one/, 'a trigger refuses');
is(left_over($db), '7 8 12 30|0|2', 'only what it refuses stays, and no workflow before its thread');
is(last_run($node, $db, 'sqlstate'), 'P0099', 'the last error is kept');

# A trigger that leaves rows out is no endless loop, and nothing loses its parent.
$db = new_database();
$node->safe_psql($db, q{
	CREATE FUNCTION public.leave_out() RETURNS trigger LANGUAGE plpgsql AS
		$$BEGIN IF OLD.message = 'stays' THEN RETURN NULL; END IF; RETURN OLD; END$$;
	CREATE TRIGGER leave_out BEFORE DELETE ON amelia.workflow_log FOR EACH ROW EXECUTE FUNCTION public.leave_out();
	UPDATE amelia.workflow_log AS e SET message = 'stays' FROM amelia.workflows AS w
	WHERE w.id = e.workflow_id AND w.issue_id IN ('4', '11') AND e.sequence = 2;
});
is(run_retention($node, $db), '', 'a trigger that leaves rows out');
is(left_over($db), '4 11|2|0', 'a workflow stays with its events');
is($node->safe_psql($db, q{SELECT count(*) FROM amelia.verify()}), 0, 'and all is well');

# What an operator adds; deferred triggers; a foreign key that is checked later.
$db = new_database();
$node->safe_psql($db, q{
	ALTER TABLE amelia.workflow_log ADD COLUMN first_note text;
	ALTER TABLE amelia.workflows ADD COLUMN team text DEFAULT 'ours', DROP COLUMN plan_cache;
	CREATE INDEX ON amelia.workflow_log (level, message);
	CREATE TABLE public.seen (what text, as_role name);
	CREATE TABLE public.notes (workflow_id uuid REFERENCES amelia.workflows ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED);
	INSERT INTO public.notes SELECT id FROM amelia.workflows;
	CREATE TABLE public.ties (workflow_id uuid REFERENCES amelia.workflows DEFERRABLE INITIALLY DEFERRED);
	CREATE FUNCTION public.see() RETURNS trigger LANGUAGE plpgsql AS
		$$BEGIN INSERT INTO public.seen VALUES (TG_TABLE_NAME, current_user); RETURN NULL; END$$;
	CREATE CONSTRAINT TRIGGER see AFTER DELETE ON amelia.workflow_log DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW EXECUTE FUNCTION public.see();
	CREATE CONSTRAINT TRIGGER see AFTER DELETE ON public.checkpoints DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW EXECUTE FUNCTION public.see();
	INSERT INTO public.ties SELECT id FROM amelia.workflows WHERE issue_id = '9';
});
like(run_retention($node, $db), qr/violates foreign key/, 'a deferred foreign key is checked in the batch');
is(left_over($db), '9|0|0', 'and keeps what it refers to');
is($node->safe_psql($db, 'SELECT what, count(*) FROM public.seen GROUP BY 1 ORDER BY 1'),
	"checkpoints|30\nworkflow_log|180", 'deferred triggers fire');

# The session's settings do not matter.
$db = new_database();
is( run_retention($node, $db, q{
		SET default_transaction_isolation = 'repeatable read';
		SET default_transaction_read_only = on;
		SET session_replication_role = replica;
		SET row_security = off;
		SET search_path = '';
		SET datestyle = 'German';
		SET timezone = 'Asia/Tokyo';
		SET enable_indexscan = off}), '', 'in a session that is set up in a strange way');
is(left_over($db), 'nothing|0|0', 'all goes');
is($node->safe_psql($db, 'SELECT count(*) FROM amelia.workflow_history'), 30, 'with its history');

# Where it may not run.
$db = new_database();
for my $case (
	[ 'BEGIN; CALL amelia.run_retention()', qr/cannot run inside a transaction block/, 'in a transaction block' ],
	[ 'CREATE ROLE nobody; SET ROLE nobody; CALL amelia.run_retention()', qr/permission denied/, 'by anybody' ],
	[ 'CALL amelia.run_retention(NULL)', qr/dry_run must not be null/, 'with NULL' ])
{
	my ($result, $out, $err) = $node->psql($db, $case->[0]);
	like($err, $case->[1], "not $case->[2]");
}
is($node->safe_psql($db, q{SELECT count(*) FROM amelia.retention_runs}), 0, 'nothing was begun');
$node->safe_psql($db, 'CALL amelia.run_retention(dry_run => true)');
is(left_over($db), join(' ', 1 .. 30) . '|180|30', 'a dry run deletes nothing');
is($node->safe_psql($db, q{SELECT count(*) FROM amelia.retention_runs}), 0, 'and is no run');

# By a role that has been granted it, on tables that it could not delete from.
$node->safe_psql($db, q{
	CREATE ROLE janitor LOGIN;
	GRANT USAGE ON SCHEMA amelia TO janitor;
	GRANT EXECUTE ON PROCEDURE amelia.run_retention(boolean, text) TO janitor;
	SELECT amelia.update_settings('{"retention_max_workflows": 12}')});
my ($result, $out, $err) = $node->psql($db, 'SET SESSION AUTHORIZATION janitor; CALL amelia.run_retention()');
is($err, '', 'by a role that may');
is(left_over($db), join(' ', 13 .. 30) . '|108|18', 'no more than the bound goes in one run');
is(last_run($node, $db, q{format('%s %s %s %s', requested_by, worker, workflows, checkpoint_threads)}),
	'janitor f 12 12', 'and who asked is noted');
run_retention($node, $db);
is(left_over($db), join(' ', 25 .. 30) . '|36|6', 'the next run goes on');

# Small batches, and a workflow with more events than one.
$db = new_database();
$node->safe_psql($db, q{
	INSERT INTO amelia.workflow_log (workflow_id, level, event_type, message, sequence)
	SELECT id, CASE WHEN n % 2 = 0 THEN 'trace' ELSE 'info' END, 'x', 'm', n * 1000000
	FROM amelia.workflows, generate_series(1, 50) AS n WHERE issue_id = '5';
	SELECT amelia.update_settings('{"log_retention_days": -1}')});
is(run_retention($node, $db, q{SET amelia.batch_size = 7}), '', 'batches of seven events');
is($node->safe_psql($db, q{SELECT count(*) FROM amelia.workflow_log WHERE level = 'trace'}), 0, 'no trace event is left');
is(last_run($node, $db, 'trace_events'), 60 + 25, 'each was counted once');
$node->safe_psql($db, q{SELECT amelia.update_settings('{"log_retention_days": 30}')});
is(run_retention($node, $db, q{SET amelia.batch_size = 7}), '', 'again');
is(left_over($db), 'nothing|0|0', 'all goes');
is(last_run($node, $db, q{format('%s %s', events, workflows)}), '145 30', 'each was counted once');

# Trace events that come after rule 1 had been there, and a workflow that is resumed.
$db = new_database();
$node->safe_psql($db, q{
	SELECT amelia.update_settings('{"log_retention_days": -1, "recovery_hours": 0, "trace_retention_days": 0}');
	UPDATE amelia.workflows SET updated_at = now() - interval '1 day';
	INSERT INTO amelia.workflows (id, issue_id, worktree_path, status, completed_at)
	VALUES ('00000000-0000-4000-8000-000000000099', 'f', '/f', 'failed', now() - interval '9 days');
	INSERT INTO amelia.workflow_log (workflow_id, level, event_type, message)
	SELECT '00000000-0000-4000-8000-000000000099', 'trace', 'x', 'm'});
run_retention($node, $db);
is($node->safe_psql($db, q{SELECT string_agg(DISTINCT traces_removed_to::text, ' '), max(updated_at) < now() - interval '1 hour'
	FROM amelia.workflows WHERE status = 'completed'}), '6|t', 'a mark that is no change of the workflow');
$node->safe_psql($db, q{
	SELECT amelia.append_event('00000000-0000-4000-8000-000000000003', 'claude_thinking', 'late');
	SELECT amelia.set_workflow_status('00000000-0000-4000-8000-000000000099', 'in_progress');
	SELECT amelia.append_event('00000000-0000-4000-8000-000000000099', 'claude_thinking', 'again')});
is($node->safe_psql($db, q{SELECT traces_removed_to IS NULL FROM amelia.workflows WHERE issue_id = 'f'}), 't', 'a resumed workflow has no mark');
run_retention($node, $db);
is($node->safe_psql($db, q{SELECT string_agg(message, ' ') FROM amelia.workflow_log WHERE level = 'trace'}), 'again',
	'late trace events go, those of a workflow that runs do not');

# Two at a time, a cancel, a crash.
$db = new_database();
$node->safe_psql($db, q{
	CREATE FUNCTION public.wait() RETURNS trigger LANGUAGE plpgsql AS
		$$BEGIN IF OLD.message = 'slow' THEN PERFORM pg_sleep(600); END IF; RETURN OLD; END$$;
	CREATE TRIGGER wait BEFORE DELETE ON amelia.workflow_log FOR EACH ROW EXECUTE FUNCTION public.wait();
	UPDATE amelia.workflow_log AS e SET message = 'slow' FROM amelia.workflows AS w
	WHERE w.id = e.workflow_id AND w.issue_id = '30' AND e.sequence = 3});
my $sleeps = q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'};
$user = $node->background_psql($db, on_error_die => 0, on_error_stop => 0);
$user->query_until(qr/begun/, "\\echo begun\nSET amelia.batch_size = 60;\nCALL amelia.run_retention();\n");
ok($node->poll_query_until($db, $sleeps), 'a run is under way');
is(last_run($node, $db, q{format('%s %s %s %s', outcome, checkpoint_threads, workflows > 0, finished_at IS NULL)}),
	'running 30 t t', 'its progress can be seen');
my $pid = last_run($node, $db, 'pid');
like(run_retention($node, $db), qr/retention is running already\nDETAIL: +In process $pid\./, 'a second one is refused');
$node->safe_psql($db, "SELECT pg_cancel_backend($pid)");
ok( $node->poll_query_until($db, q{SELECT outcome = 'stopped' AND sqlstate = '57014' AND finished_at IS NOT NULL
	FROM amelia.retention_runs ORDER BY id DESC LIMIT 1}), 'a cancel ends it, and shows');
$user->query_until(qr/begun/, "\\echo begun\nCALL amelia.run_retention();\n");
ok($node->poll_query_until($db, $sleeps), 'the same session can run it again');
$node->safe_psql($db, 'SELECT pg_terminate_backend(pid) FROM amelia.retention_runs ORDER BY id DESC LIMIT 1');
ok( $node->poll_query_until($db, q{SELECT count(*) = 0 FROM pg_stat_activity WHERE wait_event = 'PgSleep'}), 'its session is ended');
is($node->safe_psql($db, q{SELECT workflows || ' ' || events FROM public.left_over}), join(' ', 21 .. 30) . ' 60', 'only its batch was lost');
$node->safe_psql($db, 'DROP TRIGGER wait ON amelia.workflow_log');
is(run_retention($node, $db), '', 'the next run');
is($node->safe_psql($db, q{SELECT string_agg(outcome, ' ' ORDER BY id) FROM amelia.retention_runs}),
	'stopped crashed completed', 'finds that it crashed');
is(left_over($db), 'nothing|0|0', 'and does the rest');

# The history of runs is bounded.
$node->safe_psql($db, q{
	INSERT INTO amelia.retention_runs (requested_by, pid, thorough, outcome) SELECT 'x', 1, false, 'completed' FROM generate_series(1, 1500)});
run_retention($node, $db);
is($node->safe_psql($db, q{SELECT count(*), max(id) = 1504 FROM amelia.retention_runs}), '1000|t', 'the newest runs are kept');
$node->safe_psql($db, q{
	CREATE FUNCTION public.be_worker() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.worker := true; RETURN NEW; END$$;
	CREATE TRIGGER be_worker BEFORE INSERT ON amelia.retention_runs FOR EACH ROW EXECUTE FUNCTION public.be_worker();
	TRUNCATE amelia.retention_runs});
run_retention($node, $db) for 1 .. 2;
$node->safe_psql($db, q{UPDATE amelia.retention_runs SET events = 1});
run_retention($node, $db) for 1 .. 3;
is($node->safe_psql($db, q{SELECT string_agg(events::text, ' ' ORDER BY id) FROM amelia.retention_runs}), '1 0',
	'of the worker\'s rounds that found nothing, the newest is');

# A column that the owner gave another type: nothing is taken for what it is not,
# and the round ends.
$db = new_database();
$node->safe_psql($db, q{
	DO $$
	BEGIN
		EXECUTE (SELECT 'DROP VIEW ' || string_agg(c.oid::regclass::text, ', ') || ' CASCADE'
			FROM pg_class AS c
			WHERE c.relkind = 'v' AND c.relnamespace IN ('amelia'::regnamespace, 'public'::regnamespace));
	END
	$$;
	ALTER TABLE amelia.workflows ALTER completed_at TYPE date});
like(run_retention($node, $db), qr/"completed_at" must be of type timestamp with time zone, not date/, 'a completed_at that is a date');
is(last_run($node, $db, q{format('%s %s %s', outcome, sqlstate, error)}),
	'completed 55000 "completed_at" must be of type timestamp with time zone, not date', 'is named');
is(last_run($node, $db, 'batches < 100 AND batches_failed < 10'), 't', 'and ends the phases that need it');
is($node->safe_psql($db, 'SELECT count(*) FROM amelia.workflows'), 30, 'nothing of theirs is lost');
$node->safe_psql($db, 'ALTER TABLE amelia.workflows ALTER completed_at TYPE timestamptz');
is(run_retention($node, $db), '', 'with the type that it had');
is($node->safe_psql($db, 'SELECT count(*) FROM amelia.workflows'), 0, 'the next run does it');

$node->stop;
done_testing();
