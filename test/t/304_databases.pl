# Nobody who wants a database for himself is kept waiting by its maintenance.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use Maintenance;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = maintained_node('main');

# One row per batch and a slow delete.
add_database($node, 'busy');
$node->safe_psql('postgres', 'ALTER DATABASE busy SET amelia.batch_size = 1');
slow_deletes($node, 'busy', 0.1);

# Wait until a round is in its midst that has a minute's work before it.
sub be_busy
{
	my ($database, $name) = @_;

	add_old_workflows($node, $database, 300, 2);
	wait_for_delete($node, $database, $name);
	return;
}

be_busy('busy', 'a round is in its midst');
# The copy is kept out of the launcher's sight, or its round would come first.
take($node, 'CREATE DATABASE copy TEMPLATE busy ALLOW_CONNECTIONS false', 'a database can be copied in mid-round');

be_busy('busy', 'the round goes on');
take($node, 'ALTER DATABASE busy RENAME TO renamed', 'a database can be renamed in mid-round');

be_busy('renamed', 'the round goes on');
$node->safe_psql('postgres', 'CREATE DATABASE other');
take($node, 'DROP DATABASE other', 'another database can be dropped in mid-round');

close_gate($node, 'renamed');
be_busy('renamed', 'a batch waits');
$node->safe_psql('postgres', 'CREATE DATABASE other');
take($node, 'DROP DATABASE other', 'and so it can while a batch waits');
open_gate($node, 'renamed');

be_busy('renamed', 'the round goes on');
take($node, 'DROP DATABASE renamed', 'a database can be dropped in mid-round');

$node->safe_psql('postgres', 'ALTER DATABASE copy ALLOW_CONNECTIONS true');
cmp_ok(old_workflows($node, 'copy'), '>', 0, 'the round was not over when the copy was made');
be_busy('copy', 'a round is in its midst in the copy');
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
