# When the server has no room for a background worker, that is said once, and
# maintenance goes on when there is room again.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use Maintenance;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# The logical replication launcher, ours, and one more.
my $node = maintained_node('main', 'max_worker_processes = 3');

add_database($node, 'one');
wait_for_round($node, 'one', 'a round while there is room');

# Takes the one place that is left, as a parallel worker.
my $parallel = $node->safe_psql('postgres',
	q(SELECT name FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query')));
my $hog = $node->background_psql('postgres', on_error_stop => 0);
$hog->query_safe("SET $parallel = on");
# A maintenance worker may have that place just now: then it is tried again.
my $sleeps = q(FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep' AND backend_type = 'client backend');
my $waits_for = '';
$hog->query_safe('SET max_parallel_workers_per_gather = 1');
for (1 .. 1000)
{
	$hog->query_until(qr/began/, "\\echo began\nSELECT pg_sleep(3600) FROM pg_class LIMIT 1;\n");
	$node->poll_query_until('postgres', "SELECT EXISTS (SELECT $sleeps AND wait_event IN ('PgSleep', 'ExecuteGather'))") or die 'nobody sleeps';
	$waits_for = $node->safe_psql('postgres', "SELECT wait_event $sleeps");
	last if $waits_for eq 'ExecuteGather';
	$node->safe_psql('postgres', "SELECT pg_cancel_backend(pid) $sleeps");
}
is($waits_for, 'ExecuteGather', 'a parallel worker has the place');
wait_for_status($node, 'one', "s.reason ~ 'max_worker_processes'", 'the status says what is lacking');
my $log = slurp_file($node->logfile);
my $told = () = $log =~ /WARNING:  no maintenance worker can be started/g;
is($told, 1, 'so does the log');
add_old_workflows($node, 'one', 2, 2);
ok( $node->poll_query_until(
		'one', q(SELECT clock_timestamp() > max(started_at) + interval '3 seconds' FROM amelia.retention_runs)),
	'some naptimes pass');
is(old_workflows($node, 'one'), 2, 'there was no round');
$told = () = slurp_file($node->logfile) =~ /WARNING:  no maintenance worker can be started/g;
is($told, 1, 'the log has it once');

$node->safe_psql('postgres', "SELECT pg_cancel_backend(pid) $sleeps");
wait_until_clean($node, 'one', 'rounds begin again when there is room');
is(status($node, 'one', 's.reason'), '', 'the status has nothing to complain about');
$node->wait_for_log(qr/maintenance workers can be started again/);
pass('and the log says that it is over');
$hog->quit;
$node->stop;
done_testing();
