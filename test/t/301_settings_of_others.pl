# What the operator sets for a database, with its sessions in mind, does not
# reach into the rounds.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::Bin;
use Maintenance;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = maintained_node('main');
my @settings = (
	[ 'statement_timeout', q('10ms') ],
	[ 'lock_timeout', q('10ms') ],
	[ 'idle_in_transaction_session_timeout', q('10ms') ],
	[ 'default_transaction_read_only', 'on' ],
	[ 'default_transaction_isolation', 'serializable' ],
	[ 'session_replication_role', 'replica' ],
	[ 'row_security', 'off' ],
	[ 'search_path', 'hostile, pg_catalog' ],
	[ 'DateStyle', 'SQL, DMY' ],
	[ 'role', 'nobody' ]);
push @settings, [ 'transaction_timeout', q('10ms') ]
  if $node->safe_psql('postgres', q(SELECT count(*) FROM pg_settings WHERE name = 'transaction_timeout'));

add_database($node, 'one');
# Each batch takes longer than the settings would have it.
slow_deletes($node, 'one', 0.05);
$node->safe_psql('one', 'CREATE ROLE nobody; CREATE SCHEMA hostile;
	CREATE FUNCTION hostile.now() RETURNS timestamptz LANGUAGE sql AS $$SELECT \'infinity\'::timestamptz$$');
add_old_workflows($node, 'one', 2, 3);
$node->safe_psql('postgres', join(';', map { "ALTER DATABASE one SET $_->[0] = $_->[1]" } @settings));

{
	# For the sessions that look at it.
	local $ENV{PGOPTIONS} = join(' ', '-c role=none -c search_path=public -c session_replication_role=origin',
		'-c default_transaction_isolation=read\ committed -c default_transaction_read_only=off',
		map { "-c $_->[0]=0" } grep { $_->[0] =~ /timeout/ } @settings);

	wait_until_clean($node, 'one', 'a round does its work');
	wait_for_round($node, 'one', 'and so does the next one');
	is(status($node, 'one', 's.errors_in_a_row'), 0, 'without an error');
	is(status($node, 'one', 's.last_error'), '', 'and without one before');
	is($node->safe_psql('one', 'SELECT count(*) FROM amelia.verify()'), 0, 'the triggers did theirs');
}
$node->stop;
done_testing();
