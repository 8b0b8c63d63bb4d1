# A clock that jumps ahead does not end the history, though rounds go by
# themselves. Instead of the clock, everything else is set back.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use Maintenance;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = maintained_node('main', 'amelia.naptime = 1h');

add_database($node, 'one');
wait_for_status($node, 'one', 's.last_round_finished IS NOT NULL', 'a round');
$node->safe_psql('one', q(UPDATE amelia.retention_runs SET started_at = started_at - interval '400 days'));
add_old_workflows($node, 'one', 1500, 1);
set_naptime($node, '1s');
wait_for_status($node, 'one', "s.last_round_outcome = 'held back'", 'a round that would delete most of what there is, is held back');
wait_for_round($node, 'one', 'and so is the next one');
wait_for_round($node, 'one', 'and the next');
is(old_workflows($node, 'one'), 1500, 'nothing is deleted');
is($node->safe_psql('one', 'SELECT count(*) FROM amelia.workflow_log'), 1500, 'nor are events');
like(status($node, 'one', 's.reason'), qr/retention is held back: 1500 of 1500 .*run_retention\(held_back => 'delete'\)/,
	'the status says why, and what to do');
my $log = slurp_file($node->logfile);
is(scalar(() = $log =~ /WARNING:  retention is held back/g), 1, 'the log says it once');

# One round at a time runs in a database.
$node->safe_psql('postgres', 'ALTER DATABASE one SET amelia.enabled = off');
wait_for_status($node, 'one', "s.state = 'disabled'", 'a pause');
is(status($node, 'one', 's.errors_in_a_row, s.last_error IS NULL'), '0|t', 'it is no error');
is($node->safe_psql('one', q(SELECT count(*) FROM amelia.retention_runs WHERE outcome = 'held back')), 1,
	'the newest of them is kept');
$node->safe_psql('one', q(CALL amelia.run_retention(held_back => 'delete')));
$node->safe_psql('postgres', 'ALTER DATABASE one RESET amelia.enabled');
is(old_workflows($node, 'one'), 0, 'somebody who has looked at the clock says the word');
wait_for_round($node, 'one', 'from then on rounds go by themselves again');
is(status($node, 'one', 's.reason'), '', 'and the status is as before');
add_old_workflows($node, 'one', 1500, 1);
wait_until_clean($node, 'one', 'whatever there is to do');

$node->stop;
done_testing();
