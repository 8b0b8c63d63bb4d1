# When the server has no room for a background worker, that is said once, and
# maintenance goes on when there is room again.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::Bin;
use Maintenance;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# The logical replication launcher, ours, and one more.
my $node = maintained_node('main', 'max_worker_processes = 3');

add_database($node, 'one');
wait_for_round($node, 'one', 'a round while there is room');

# Takes the one place that is left, as a parallel worker.
my $hog = $node->background_psql('postgres', on_error_stop => 0);
$hog->query_until(qr/began/, q(
	SET force_parallel_mode = on;
	SET max_parallel_workers_per_gather = 1;
	\echo began
	DO $$BEGIN
		LOOP
			PERFORM pg_sleep(600) FROM pg_class LIMIT 1;
		END LOOP;
	END$$;
));
wait_for_status($node, 'one', "s.reason ~ 'max_worker_processes'", 'the status says what is lacking');
my $log = slurp_file($node->logfile);
my $told = () = $log =~ /WARNING:  no maintenance worker can be started/g;
is($told, 1, 'so does the log');
add_old_workflows($node, 'one', 2, 2);
ok($node->poll_query_until('one', q(SELECT clock_timestamp() > s.next_round + interval '3 seconds'
	FROM amelia.maintenance_status() AS s) =~ s/s\.next_round/max(s.last_round_finished)/r), 'some naptimes pass');
is(old_workflows($node, 'one'), 2, 'there was no round');
$told = () = slurp_file($node->logfile) =~ /WARNING:  no maintenance worker can be started/g;
is($told, 1, 'the log has it once');

$node->safe_psql('postgres', q(SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query ~ 'LOOP' AND pid <> pg_backend_pid()));
wait_until_clean($node, 'one', 'rounds begin again when there is room');
is(status($node, 'one', 's.reason'), '', 'the status has nothing to complain about');
$node->wait_for_log(qr/maintenance workers can be started again/);
pass('and the log says that it is over');
$hog->quit;
$node->stop;
done_testing();
