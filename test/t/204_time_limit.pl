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

$node->stop;
done_testing();
