# Whatever ends a background worker, it comes back, and the round is done.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use Maintenance;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = maintained_node('main');
my $pid;

add_database($node, 'one');
slow_deletes($node, 'one', 0);

# Begin a round that waits at the gate.
sub begin_round
{
	my ($name) = @_;

	close_gate($node, 'one');
	add_old_workflows($node, 'one', 2, 2);
	wait_for_delete($node, 'one', "a round is in its midst, for: $name");
	return;
}

sub finish_round
{
	my ($name) = @_;

	open_gate($node, 'one');
	wait_until_clean($node, 'one', "$name: the work is done afterwards");
	is( $node->safe_psql('one', q(SELECT count(*) FROM amelia.verify())),
		0, "$name: nothing is wrong afterwards");
	return;
}

begin_round('worker terminated');
$pid = strike($node, 'one', 'pg_terminate_backend');
ok($node->poll_query_until('postgres', "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid)"),
	'a terminated worker ends in the middle of a batch');
is( $node->safe_psql('one', "SELECT outcome FROM amelia.retention_runs WHERE pid = $pid ORDER BY id DESC LIMIT 1"),
	'stopped', 'and says that it stopped');
finish_round('worker terminated');

begin_round('worker cancelled');
$pid = strike($node, 'one', 'pg_cancel_backend');
ok( $node->poll_query_until(
		'one', "SELECT outcome = 'stopped' AND sqlstate = '57014' FROM amelia.retention_runs
			WHERE pid = $pid ORDER BY id DESC LIMIT 1"),
	'a cancel ends the round, which says so');
finish_round('worker cancelled');

begin_round('launcher terminated');
$pid = launcher_pid($node);
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
ok( $node->poll_query_until(
		'postgres', "SELECT EXISTS (SELECT FROM pg_stat_activity
			WHERE backend_type = 'amelia launcher' AND pid <> $pid)"),
	'a terminated launcher is started again');
cmp_ok($node->safe_psql('postgres', q(SELECT count(*) FROM pg_stat_activity
		WHERE backend_type = 'amelia maintenance worker')),
	'<=', 1, 'and starts no second worker beside one that runs');
finish_round('launcher terminated');
wait_for_round($node, 'one', 'the new launcher starts workers');

# A killed process makes the server start over.
begin_round('worker killed');
# Still: so that it is killed in its midst, however slow we are.
do
{
	$pid = strike($node, 'one', '');
} until kill('STOP', $pid);
kill 'KILL', $pid;
ok(wait_until_back($node, 'one', $pid), 'the server is back');
finish_round('worker killed');
is( $node->safe_psql('one', "SELECT outcome FROM amelia.retention_runs WHERE pid = $pid ORDER BY id DESC LIMIT 1"),
	'crashed', 'the round that it did not end shows');

begin_round('launcher killed');
$pid = launcher_pid($node);
kill 'KILL', $pid;
ok(wait_until_back($node, 'one', $pid), 'the server is back');
finish_round('launcher killed');

begin_round('restart');
$pid = strike($node, 'one', '');
# The gate is closed: who waits gives up a batch after its time limit.
my $row = "FROM amelia.retention_runs WHERE pid = $pid ORDER BY id DESC LIMIT 1";
my $failed = $node->safe_psql('one', "SELECT batches_failed $row");
$node->stop('fast');
$node->start;
is($node->safe_psql('one', "SELECT outcome, batches_failed $row"), "stopped|$failed", 'a shutdown in the midst of a round does not wait for it');
finish_round('restart');

unlike(slurp_file($node->logfile), qr/FATAL:  terminating background worker/, 'none of this is worth an alarm');
unlike(slurp_file($node->logfile), qr/TRAP|PANIC/, 'nothing went wrong that nobody saw');
$node->stop;
done_testing();
