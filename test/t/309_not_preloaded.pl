# Without shared_preload_libraries everything works save the automatic rounds.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::Bin;
use Maintenance;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', 'max_prepared_transactions = 2');
$node->start;
add_database($node, 'one');

is(status($node, 'one', 's.state'), 'not preloaded', 'the status says so');
is(status($node, 'one', 's.active'), 'f', 'maintenance is not active');
like(status($node, 'one', 's.reason'), qr/shared_preload_libraries = 'amelia'/,
	'with the line for postgresql.conf');
is( $node->safe_psql('one', q(SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'amelia%')),
	0, 'there is no background worker');

add_old_workflows($node, 'one', 3, 3);
$node->safe_psql('one', 'CALL amelia.run_retention()');
is(old_workflows($node, 'one'), 0, 'retention works by hand');
is( $node->safe_psql('one', 'SELECT worker, outcome FROM amelia.retention_runs ORDER BY id DESC LIMIT 1'),
	'f|completed', 'and is written down');

$node->safe_psql('one', q(BEGIN; CREATE TABLE public.t (); PREPARE TRANSACTION 'forgotten'));
$node->safe_psql('one', 'CREATE TABLE public.u ()');
like(status($node, 'one', 's.vacuum_held_by'), qr/^prepared transaction "forgotten" of role /,
	'a prepared transaction that holds back vacuum is named');
$node->safe_psql('one', q(ROLLBACK PREPARED 'forgotten'));

$node->safe_psql('one', q(CREATE ROLE dashboard LOGIN; SELECT amelia.grant_reader('dashboard')));
like($node->safe_psql('one', 'SELECT reason FROM amelia.maintenance_status()', extra_params => [ '-U', 'dashboard' ]),
	qr/shared_preload_libraries/, 'a reader may ask for the status');

# Preloaded, after all.
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'amelia'\namelia.naptime = 1s");
$node->restart;
add_old_workflows($node, 'one', 3, 3);
wait_until_clean($node, 'one', 'once it is preloaded, rounds happen by themselves');

$node->stop;
done_testing();
