# A batch that takes too long is given up, and keeps no other workflow.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use LangGraph;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('limit');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\n");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION amelia;
	SELECT amelia.update_settings('{"trace_retention_days": -1}');
	INSERT INTO amelia.workflows (issue_id, worktree_path, status, completed_at)
	SELECT n, '/' || n, 'completed', now() - interval '50 days' FROM generate_series(1, 3) AS n;
	INSERT INTO amelia.workflow_log (workflow_id, event_type, message) SELECT id, 'x', issue_id FROM amelia.workflows;
	CREATE FUNCTION public.sleep() RETURNS trigger LANGUAGE plpgsql AS
		$$BEGIN IF OLD.message = '2' THEN PERFORM pg_sleep(600); END IF; RETURN OLD; END$$;
	CREATE TRIGGER sleep BEFORE DELETE ON amelia.workflow_log FOR EACH ROW EXECUTE FUNCTION public.sleep()});
like(run_retention($node, 'postgres', q{SET amelia.batch_size = 1}), qr/WARNING: +1 batch of retention failed/, 'a batch is given up');
is($node->safe_psql('postgres', 'SELECT string_agg(issue_id, $$ $$) FROM amelia.workflows'), '2', 'the others go');
is(last_run($node, 'postgres', q{format('%s %s %s', outcome, sqlstate, error)}),
	'completed 57014 a batch took longer than 20 s', 'the reason is kept');
$node->safe_psql('postgres', 'DROP TRIGGER sleep ON amelia.workflow_log');

# The limit of the batch before does not end the one after, nor does the user's
# own statement_timeout pass for it.
is(run_retention($node, 'postgres'), '', 'the next run');
is($node->safe_psql('postgres', 'SELECT count(*) FROM amelia.workflows'), 0, 'does it');
$node->safe_psql('postgres', q{
	INSERT INTO amelia.workflows (issue_id, worktree_path, status, completed_at) VALUES ('4', '/4', 'completed', now() - interval '50 days');
	INSERT INTO amelia.workflow_log (workflow_id, event_type, message) SELECT id, 'x', '2' FROM amelia.workflows;
	CREATE TRIGGER sleep BEFORE DELETE ON amelia.workflow_log FOR EACH ROW EXECUTE FUNCTION public.sleep()});
like(run_retention($node, 'postgres', q{SET statement_timeout = '5s'}), qr/canceling statement due to statement timeout/,
	'a statement_timeout of the user holds for the call');
is(last_run($node, 'postgres', 'outcome'), 'stopped', 'which shows as stopped');

# A trigger that catches the cancel, again and again, does not outlive it: what
# cannot be cancelled is ended.
$node->safe_psql('postgres', q{
	CREATE OR REPLACE FUNCTION public.sleep() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		LOOP
			BEGIN
				PERFORM pg_sleep(600);
			EXCEPTION WHEN query_canceled THEN
				NULL;
			END;
		END LOOP;
	END$$});
like(run_retention($node, 'postgres'), qr/FATAL:  terminating connection due to administrator command/,
	'a batch that catches its cancel ends its session');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CALL amelia.run_retention%'
	AND pid <> pg_backend_pid() AND state = 'active'}), 0, 'nothing of it runs on');
$node->safe_psql('postgres', 'DROP TRIGGER sleep ON amelia.workflow_log');
is(run_retention($node, 'postgres'), '', 'the next run does it');
is($node->safe_psql('postgres', q{SELECT string_agg(outcome, ' ' ORDER BY id) FROM (SELECT r.* FROM amelia.retention_runs AS r ORDER BY r.id DESC LIMIT 2) AS r}),
	'crashed completed', 'and the one before shows as crashed');

# Such a trigger on LangGraph's tables ends round after round, and keeps nothing
# but its own schema: the next round does the rest before.
$node->safe_psql('postgres', checkpoint_tables() . checkpoint_helpers() . q{
	INSERT INTO amelia.workflows (issue_id, worktree_path, status, completed_at)
	SELECT n, '/' || n, 'completed', now() - interval '50 days' FROM generate_series(6, 7) AS n;
	INSERT INTO amelia.workflow_log (workflow_id, event_type, message) SELECT id, 'x', 'm' FROM amelia.workflows;
	SELECT public.put_thread('public', id::text, completed_at) FROM amelia.workflows WHERE issue_id = '6';
	CREATE TRIGGER sleep BEFORE DELETE ON public.checkpoints FOR EACH ROW EXECUTE FUNCTION public.sleep()});
my $left = q{SELECT string_agg(issue_id, ' ' ORDER BY issue_id), (SELECT count(*) FROM amelia.workflow_log) FROM amelia.workflows};
like(run_retention($node, 'postgres'), qr/FATAL:/, 'a trigger on checkpoints ends a session');
is($node->safe_psql('postgres', $left), '6 7|2', 'before the rules behind it');
like(run_retention($node, 'postgres'), qr/FATAL:/, 'and the next one');
is($node->safe_psql('postgres', $left), '6|0', 'after these were done');
$node->safe_psql('postgres', 'DROP TRIGGER sleep ON public.checkpoints');
is(run_retention($node, 'postgres'), '', 'without it the next run');
is($node->safe_psql('postgres', $left), '|0', 'does all of it');

# A worker inside the server that is terminated while such a trigger runs is gone
# as well, and the server shuts down.
$node->safe_psql('postgres', q{
	INSERT INTO amelia.workflows (issue_id, worktree_path, status, completed_at) VALUES ('5', '/5', 'completed', now() - interval '50 days');
	INSERT INTO amelia.workflow_log (workflow_id, event_type, message) SELECT id, 'x', '2' FROM amelia.workflows;
	CREATE TRIGGER sleep BEFORE DELETE ON amelia.workflow_log FOR EACH ROW EXECUTE FUNCTION public.sleep()});
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'amelia'\namelia.naptime = 1\n");
$node->restart;
ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity
	WHERE backend_type = 'amelia maintenance worker' AND wait_event = 'PgSleep'}), 'the worker runs the trigger');
$node->stop('fast');
pass('the server shuts down all the same');
done_testing();
