# Rounds happen by themselves in every database that has the extension, as the
# settings have it.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use Maintenance;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# With this naptime nothing would happen within the time that the test waits.
my $node = maintained_node('main', 'amelia.naptime = 1h');

add_database($node, 'one');
wait_for_status($node, 'one', 's.last_round_finished IS NOT NULL',
	'CREATE EXTENSION is followed by a round at once');
is(status($node, 'one', 's.active'), 't', 'maintenance is active there');
is(status($node, 'one', 's.preloaded'), 't', 'the library is preloaded');
is(status($node, 'one', 's.last_round_outcome'), 'completed', 'the round came to its end');
is(status($node, 'one', "s.next_round > now() + interval '30 minutes'"),
	't', 'the next round is a naptime away');

add_old_workflows($node, 'one', 3, 3);
set_naptime($node, '1s');
wait_until_clean($node, 'one', 'a reload of the configuration changes the naptime');

add_old_workflows($node, 'one', 2, 2);
add_database($node, 'two');
add_old_workflows($node, 'two', 2, 2);
wait_until_clean($node, 'two', 'a round in a second database');
wait_until_clean($node, 'one', 'and again in the first one');

# A copy comes with the extension, without that anybody creates it there.
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE two');
wait_for_round($node, 'copy', 'a round in a copy of a database');

# Somebody who prepares an extension, and then thinks better of it.
$node->safe_psql('postgres', 'CREATE DATABASE empty');
$node->safe_psql('empty', 'BEGIN; CREATE EXTENSION amelia; ROLLBACK');
wait_for_round($node, 'one', 'a database that did not get the extension is no problem');
is( $node->safe_psql('empty', q(SELECT count(*) FROM pg_namespace WHERE nspname = 'amelia')),
	0, 'and nothing is made there');

$node->safe_psql('postgres', 'ALTER DATABASE one SET amelia.enabled = off');
wait_for_status($node, 'one', "s.state = 'disabled' AND NOT s.active AND s.reason ~ 'amelia[.]enabled'",
	'amelia.enabled is respected per database: maintenance is not active there, and the status says why');
# A worker that comes to ask for the setting again, and is kept waiting for it.
is( $node->safe_psql('one', q(
		BEGIN;
		LOCK TABLE pg_db_role_setting;
		DO $$BEGIN
			FOR i IN 1 .. 18000 LOOP
				EXIT WHEN EXISTS (SELECT FROM pg_locks AS l WHERE l.relation = 'pg_db_role_setting'::regclass AND NOT l.granted);
				PERFORM pg_sleep(0.01);
			END LOOP;
		END$$;
		SELECT s.state, s.active FROM amelia.maintenance_status() AS s)),
	'disabled|f', 'also while a worker asks again');
add_old_workflows($node, 'one', 2, 2);
wait_for_round($node, 'two', 'rounds go on in the other database');
wait_for_round($node, 'two', 'and on');
is(old_workflows($node, 'one'), 2, 'none where it is off');
$node->safe_psql('postgres', 'ALTER DATABASE one RESET amelia.enabled');
wait_until_clean($node, 'one', 'rounds begin again when it is on');

$node->safe_psql('postgres', q(CREATE DATABASE "Odd, Name"));
$node->safe_psql('Odd, Name', 'CREATE EXTENSION amelia');
$node->append_conf('postgresql.conf', q(amelia.databases = 'TWO, "Odd, Name"'));
$node->reload;
wait_for_status($node, 'one', "s.state = 'not listed'", 'amelia.databases leaves out what it does not name');
like(status($node, 'one', 's.reason'), qr/amelia\.databases/, 'the status says why');
wait_for_round($node, 'two', 'and names what is maintained');
wait_for_round($node, 'Odd, Name', 'however odd the name');
add_old_workflows($node, 'one', 2, 2);
wait_for_round($node, 'two', 'rounds go on in what is named');
is(old_workflows($node, 'one'), 2, 'and in nothing else');

my ($status, undef, $stderr) = $node->psql('postgres', q(ALTER SYSTEM SET amelia.databases = 'a,,b'));
isnt($status, 0, 'what is no list is refused');
like($stderr, qr/list of database names/, 'with a reason');

$node->stop;
done_testing();
