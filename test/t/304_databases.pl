# Nobody who wants a database for himself is kept waiting by its maintenance.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::Bin;
use Maintenance;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = maintained_node('main');

# One row per batch and a slow delete: the round goes on for minutes.
sub add_busy_database
{
	my ($database) = @_;

	add_database($node, $database);
	$node->safe_psql('postgres', "ALTER DATABASE $database SET amelia.batch_size = 1");
	slow_deletes($node, $database, 0.1);
	add_old_workflows($node, $database, 1000, 2);
	return;
}

add_busy_database('busy');
wait_for_delete($node, 'busy', 'a round is in its midst');
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE busy');
pass('a database can be copied in mid-round');
cmp_ok(old_workflows($node, 'copy'), '>', 0, 'the round was not over');

wait_for_delete($node, 'busy', 'the round goes on');
$node->safe_psql('postgres', 'ALTER DATABASE busy RENAME TO renamed');
pass('a database can be renamed in mid-round');

wait_for_delete($node, 'renamed', 'the round goes on');
$node->safe_psql('postgres', 'CREATE DATABASE other; ');
$node->safe_psql('postgres', 'DROP DATABASE other');
pass('another database can be dropped in mid-round');

close_gate($node, 'renamed');
wait_for_delete($node, 'renamed', 'a batch waits');
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('postgres', 'DROP DATABASE other');
pass('and so it can while a batch waits');
open_gate($node, 'renamed');

wait_for_delete($node, 'renamed', 'the round goes on');
$node->safe_psql('postgres', 'DROP DATABASE renamed');
pass('a database can be dropped in mid-round');

wait_for_delete($node, 'copy', 'a round is in its midst in the copy');
$node->safe_psql('postgres', 'DROP DATABASE copy WITH (FORCE)');
pass('a database can be dropped with force in mid-round');

# One that takes no connections is left alone, and stops nobody else.
add_database($node, 'closed');
add_database($node, 'open');
wait_for_round($node, 'closed', 'a round before the database is closed');
add_old_workflows($node, 'closed', 2, 2);
$node->safe_psql('postgres', 'ALTER DATABASE closed ALLOW_CONNECTIONS false');
wait_for_round($node, 'open', 'rounds go on elsewhere');
wait_for_round($node, 'open', 'and on');
unlike(slurp_file($node->logfile), qr/not currently accepting connections/,
	'no attempt is made on a database that takes no connections');
$node->safe_psql('postgres', 'ALTER DATABASE closed ALLOW_CONNECTIONS true');
wait_until_clean($node, 'closed', 'rounds begin again when it does');

$node->stop;
done_testing();
