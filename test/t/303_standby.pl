# On a standby nothing runs; after its promotion it does.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::Bin;
use Maintenance;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = maintained_node('primary', 'max_replication_slots = 4', allows_streaming => 1);
$primary->backup('backup');
$primary->safe_psql('postgres', q(SELECT pg_create_physical_replication_slot('for_standby')));

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->append_conf('postgresql.conf', <<'CONF');
primary_slot_name = 'for_standby'
hot_standby_feedback = on
wal_receiver_status_interval = 1
CONF
$standby->start;

add_database($primary, 'one');
wait_for_round($primary, 'one', 'a round on the primary');
$primary->wait_for_catchup($standby);

is($standby->safe_psql('one', 'SELECT state FROM amelia.maintenance_status()'),
	'standby', 'a standby knows that it is one');
is($standby->safe_psql('one', 'SELECT active FROM amelia.maintenance_status()'),
	'f', 'and that maintenance is not active there');
is( $standby->safe_psql('one', q(SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'amelia%')),
	0, 'no background worker runs there');
is($standby->safe_psql('one', 'SELECT last_round IS NOT NULL FROM amelia.maintenance_status()'),
	't', 'it shows what the primary did');

# The standby's feedback keeps rows for it, through its slot.
ok( $primary->poll_query_until(
		'one', q(SELECT EXISTS (SELECT FROM amelia.vacuum_holders()
			WHERE holder = 'replication slot "for_standby"'))),
	'a slot that holds back vacuum is named');

$primary->safe_psql('postgres', 'ALTER SYSTEM SET amelia.enabled = off');
$primary->reload;
wait_for_status($primary, 'one', "s.state = 'disabled'", 'the primary pauses');
add_old_workflows($primary, 'one', 2, 2);
$primary->wait_for_catchup($standby);
$primary->stop;

$standby->promote;
wait_until_clean($standby, 'one', 'rounds begin after the promotion');
wait_for_round($standby, 'one', 'and go on');
is(status($standby, 'one', 's.active'), 't', 'the status says so');
$standby->stop;
done_testing();
