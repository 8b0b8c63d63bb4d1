# Logical replication: a subscriber whose schema a dump made has every row, and
# takes over when the subscription is dropped.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use AmeliaTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $publisher = PostgreSQL::Test::Cluster->new('publisher');
my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
for my $node ($publisher, $subscriber)
{
	$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
	$node->append_conf('postgresql.conf', "shared_preload_libraries = 'amelia'\nwal_level = logical\nmax_wal_senders = 4\namelia.enabled = off\n");
	$node->start;
	$node->safe_psql('postgres', 'CREATE DATABASE agents');
}

$publisher->safe_psql('agents', q{
	CREATE EXTENSION amelia;
	SELECT amelia.create_workflow('I-1', '/w/1', id => '00000000-0000-4000-8000-000000000001');
	INSERT INTO amelia.budgets (scope, period, limit_usd, action) VALUES ('everything', 'total', 100, 'warn');
	SELECT amelia.record_usage('00000000-0000-4000-8000-000000000001', 'developer', 'model', 10, 20, cost_usd => 1.5);
	CREATE PUBLICATION agents FOR TABLES IN SCHEMA amelia;
});
my $dump = "${PostgreSQL::Test::Utils::tmp_check}/schema.sql";
$publisher->command_ok([ 'pg_dump', '-s', '--no-publications', '-f', $dump, 'agents' ], 'the schema is dumped');
$subscriber->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', 'agents', '-f', $dump ], '... and restored');
$subscriber->safe_psql('agents', sprintf(q{CREATE SUBSCRIPTION agents CONNECTION $$%s$$ PUBLICATION agents}, $publisher->connstr('agents')));
$subscriber->wait_for_subscription_sync($publisher, 'agents', 'agents');

# What comes after the first copy.
# A lease that was only claimed lasts for workflow_start_timeout_seconds at most.
my $token = $publisher->safe_psql('agents', q{
	SELECT amelia.append_event('00000000-0000-4000-8000-000000000001', 'file_created', 'written');
	SELECT (SELECT lease_token FROM amelia.claim_workflow('worker')) AS token \\gset
	SELECT amelia.heartbeat('00000000-0000-4000-8000-000000000001', :token, lease => '10 hours');
	SELECT :token;
}) =~ s/.*\n//sr;
$publisher->wait_for_catchup('agents');

for my $table (split /\n/, $publisher->safe_psql('agents', q{SELECT tablename FROM pg_tables WHERE schemaname = 'amelia' ORDER BY 1}))
{
	my $rows = "SELECT md5(string_agg(t::text, ',' ORDER BY t::text)), count(*) FROM amelia.$table AS t";
	is($subscriber->safe_psql('agents', $rows), $publisher->safe_psql('agents', $rows), "$table has the same rows");
}

# The publisher is lost.
$publisher->stop('immediate');
$subscriber->safe_psql('agents', q{
	ALTER SUBSCRIPTION agents DISABLE;
	ALTER SUBSCRIPTION agents SET (slot_name = NONE);
	DROP SUBSCRIPTION agents;
	SELECT amelia.migrate();
});
is($subscriber->safe_psql('agents', 'SELECT count(*) FROM amelia.verify()'), '0', 'verify() finds nothing');
is($subscriber->safe_psql('agents', q{SELECT amelia.append_event('00000000-0000-4000-8000-000000000001', 'file_created', 'goes on')}),
	'4', 'sequences go on');
is($subscriber->safe_psql('agents', qq{SELECT cancel_requested FROM amelia.heartbeat('00000000-0000-4000-8000-000000000001', $token)}),
	'f', 'so does a lease');
is($subscriber->safe_psql('agents', q{SELECT amelia.record_usage('00000000-0000-4000-8000-000000000001', 'developer', 'model', 10, 20, cost_usd => 0.25);
	SELECT spent_usd FROM amelia.budget_status()}) =~ s/.*\n//r, '1.750000', 'and a budget');

done_testing();
