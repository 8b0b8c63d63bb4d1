# An error stops neither the rest of a round nor another database; it is logged
# once, makes the rounds rarer while it repeats, and clears.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use Maintenance;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = maintained_node('main');

sub times_logged
{
	my ($pattern) = @_;
	my $count = () = slurp_file($node->logfile) =~ /$pattern/g;
	return $count;
}

add_database($node, 'one');
add_database($node, 'two');
$node->safe_psql('one', q(
	ALTER DATABASE one SET exit_on_error = on;
	CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN RAISE EXCEPTION 'not this one' USING ERRCODE = 'P0042'; END $$;
	CREATE TRIGGER refuse BEFORE DELETE ON amelia.workflow_log
		FOR EACH ROW WHEN (OLD.message = 'keep') EXECUTE FUNCTION public.refuse();
	INSERT INTO amelia.workflows (id, issue_id, worktree_path, status, completed_at)
		VALUES ('00000000-0000-4000-8000-000000000001', 'KEEP', '/keep', 'completed', now() - interval '102 days');
	INSERT INTO amelia.workflow_log (workflow_id, event_type, message)
		VALUES ('00000000-0000-4000-8000-000000000001', 'x', 'keep')));
add_old_workflows($node, 'one', 30, 2);

wait_for_status($node, 'one', "s.state = 'failing' AND s.errors_in_a_row >= 3", 'the error repeats, and is counted');
is(status($node, 'one', 's.last_error'), 'not this one', 'the status has the error');
is(status($node, 'one', 's.last_error_sqlstate'), 'P0042', 'with its SQLSTATE');
is(status($node, 'one', 's.active'), 't', 'maintenance is active all the same');
is(times_logged(qr/WARNING:  not this one/), 1, 'the log has it once');
like(slurp_file($node->logfile), qr/WARNING:  not this one.*maintenance of database "one"/s, 'with the database');
is(times_logged(qr/WARNING|ERROR|FATAL/), 1, 'and nothing else');
wait_for_status($node, 'one', "COALESCE(s.next_round > s.last_round_finished + interval '5 seconds', false)",
	'the rounds have become rarer');
wait_until_clean($node, 'one', 'the other workflows go');
wait_for_round($node, 'two', 'another database does not mind');

$node->safe_psql('one', 'DROP TRIGGER refuse ON amelia.workflow_log');
wait_for_status($node, 'one', "s.state = 'waiting' AND s.errors_in_a_row = 0", 'the error clears');
is( $node->safe_psql('one', q(SELECT count(*) FROM amelia.workflows WHERE issue_id = 'KEEP')),
	0, 'with what it kept');
$node->wait_for_log(qr/maintenance of database "one" works again/);
pass('the log says so');
is(status($node, 'one', 's.last_error'), 'not this one', 'the last error stays to be seen');
wait_for_round($node, 'one', 'the rounds are as often as before');

$node->stop;
done_testing();
