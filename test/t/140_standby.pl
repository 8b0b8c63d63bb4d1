# A hot standby answers every read and refuses every write, and goes on without
# a gap when it is promoted. Logical replication brings rows with their numbers.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use AmeliaTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = new_node('primary', allows_streaming => 'logical', preload => 1);
new_database($primary, 'runs', extension => 1);
fill($primary, 'runs');
# Nobody has set anything: the settings are the defaults, and reading writes nothing.
$primary->safe_psql('runs', 'DELETE FROM amelia.server_settings');
my $sums = table_sums($primary, 'runs');
my $catalog = catalog($primary, 'runs');

$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

# What came after the backup comes as well.
my $w = '00000000-0000-4000-8000-000000000001';
$primary->safe_psql('runs', qq{
	SELECT amelia.append_event('$w', 'task_started', 'streamed');
	DELETE FROM amelia.workflow_log WHERE workflow_id = '$w' AND sequence = 2});
$sums = table_sums($primary, 'runs');
$primary->wait_for_catchup($standby);
is(table_sums($standby, 'runs'), $sums, 'standby: every row of every table');
same_lines(catalog($standby, 'runs'), $catalog, 'standby: the catalog');

my @reads = (
	"SELECT id, status FROM amelia.get_workflow('$w')",
	"SELECT count(*) FROM amelia.active_workflow('/tree/12')",
	'SELECT id FROM amelia.list_workflows(row_limit => 5)',
	q{SELECT amelia.count_workflows('pending')},
	'SELECT count(*) FROM amelia.list_active_workflows()',
	"SELECT amelia.last_sequence('$w')",
	"SELECT sequence, message FROM amelia.events_after('$w', 60)",
	"SELECT f.sequence FROM amelia.events_after('$w', 10, 1) AS e, amelia.events_after_event(e.id, 3) AS f",
	"SELECT sequence FROM amelia.recent_events('$w', 3)",
	"SELECT bool_and(amelia.event_exists(id)) FROM amelia.workflow_log WHERE workflow_id = '$w'",
	"SELECT * FROM amelia.token_summary('$w')",
	"SELECT * FROM amelia.token_summaries(ARRAY['$w'::uuid])",
	q{SELECT version_number FROM amelia.prompt_history('architect.plan')},
	q{SELECT content FROM amelia.current_prompt('architect.plan')},
	"SELECT prompt_id, version_number FROM amelia.workflow_prompts('$w')",
	'SELECT id FROM amelia.active_profile()',
	'SELECT log_retention_days, max_concurrent FROM amelia.settings()',
	q{SELECT sequence FROM amelia.brainstorm_messages_after('s1')},
	'SELECT id FROM amelia.list_brainstorm_sessions()',
	q{SELECT * FROM amelia.brainstorm_usage('s1')},
	q{SELECT count(*), bool_and(intact) FROM amelia_internal.api_objects('amelia')},
	'SELECT rule, workflows, row_count, waits_for FROM amelia.retention_preview()',
	'SELECT count(*) FROM amelia.checkpoint_stats()',
	'SELECT schema_version, code_version FROM amelia.maintenance_status()',
	'SELECT by_status, expired_leases, held, workers FROM amelia.queue_status()',
	q{SELECT count(*) FROM amelia.dead_workflows()});
my @expected = say_each($primary, 'runs', @reads);
my @shown = say_each($standby, 'runs', @reads);
foreach my $n (0 .. $#reads)
{
	isnt($expected[$n][0], '', "primary: $reads[$n]");
	is_deeply($shown[$n], [ $expected[$n][0], '' ], "standby: $reads[$n]");
}
verify_is($standby, 'runs', '', 'standby: verify() finds nothing');

my $held = '00000000-0000-4000-8000-000000000040';

# Each write, on the standby and in a transaction that is read only.
my @writes = (
	"SELECT amelia.append_event('$w', 'x', 'm')",
	"SELECT amelia.append_events('$w', '[{\"event_type\": \"x\", \"message\": \"m\"}]')",
	"SELECT amelia.next_sequence('$w')",
	"INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES ('$w', 'x', 'm')",
	"SELECT amelia.create_workflow('A', '/a')",
	"SELECT amelia.set_workflow_status('00000000-0000-4000-8000-000000000030', 'in_progress')",
	"SELECT amelia.set_plan_cache('$w', '{}')",
	"SELECT amelia.record_usage('$w', 'a', 'm', 1, 1, cost_usd => 1)",
	q{SELECT amelia.seed_prompts('[{"id": "a", "agent": "a", "name": "a"}]')},
	q{SELECT amelia.create_prompt_version('architect.plan', 'x')},
	q{SELECT amelia.reset_prompt('architect.plan')},
	"SELECT amelia.record_workflow_prompt('$w', p.id, p.current_version_id) FROM amelia.prompts AS p WHERE p.current_version_id IS NOT NULL",
	q{SELECT amelia.set_active_profile('home')},
	q{SELECT amelia.update_settings('{"max_concurrent": 2}')},
	q{SELECT amelia.add_brainstorm_message('s1', 'user', 'x')},
	"SELECT amelia.link_thread('$w', 'another')",
	q{SELECT amelia.unlink_thread('thread-ISSUE-1')},
	"SELECT amelia.forget_workflow('$w')",
	"SELECT amelia.unregister_checkpoints('public')",
	q{SELECT amelia.claim_workflow('host-1')},
	(map { "SELECT $_('$held', 2)" } qw(amelia.heartbeat amelia_internal.check_lease amelia_internal.give_back
		amelia.set_worker amelia.release_workflow amelia.take_inbox)),
	"SELECT amelia.release_workflow('$held', 2, 'failed')",
	"SELECT amelia.request_approval('$held', 2, 'q')",
	"SELECT amelia.decide('$held', 1, true)",
	"SELECT amelia.send_to_workflow('$held', 'pause')",
	"SELECT amelia.request_cancel('$held')",
	"SELECT amelia.requeue_workflow('$held')",
	'SELECT amelia.prune_feed()');
all_fail_with($standby, 'runs', '25006', '', map { [ $_, "standby: $_" ] } @writes);
all_fail_with($primary, 'runs', '25006', '', map { [ "BEGIN READ ONLY; $_; ROLLBACK", "read only: $_" ] } @writes);
fails_with($standby, 'runs', 'CALL amelia.run_retention()', '25006', '', 'standby: run_retention()');
# Refused, whatever there is to do.
fails_with($standby, 'runs', 'SELECT amelia.migrate()', '25006', '', 'standby: migrate()');
is(table_sums($primary, 'runs'), $sums, 'nothing was written by any of that');

# Promotion.
$primary->safe_psql('runs', "SELECT amelia.append_event('$w', 'x', n::text) FROM generate_series(1, 20) AS n");
$primary->wait_for_catchup($standby);
my $last = $primary->safe_psql('runs', "SELECT amelia.last_sequence('$w')");
$primary->stop('immediate');
$standby->promote;
is( $standby->safe_psql('runs', "
		SELECT amelia.append_event('$w', 'x', 'promoted');
		INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES ('$w', 'x', 'promoted') RETURNING sequence;
		SELECT lower(amelia.append_events('$w', '[{\"event_type\": \"x\", \"message\": \"m\"}]'))"),
	join("\n", map { $last + $_ } 1 .. 3), 'promoted: the log goes on where it was');
is($standby->safe_psql('runs', 'SELECT amelia.migrate()'), 'schema version 1 is complete, nothing to do',
	'promoted: migrate()');
verify_is($standby, 'runs', '', 'promoted: verify() finds nothing');
# Who held a workflow goes on; what was sent is not lost.
is( $standby->safe_psql('runs', qq{
		SELECT expires_at > now() FROM amelia.heartbeat('$held', 2);
		SELECT id, kind FROM amelia.take_inbox('$held', 2);
		SELECT amelia.send_to_workflow('$held', 'pause') > 2;
		SELECT status FROM amelia.release_workflow('$held', 2);
		SELECT lease_token FROM amelia.claim_workflow('host-9');
		SELECT expires_at > now() FROM amelia.heartbeat('$held', 3, '1 day')}),
	"t\n2|message\nt\nin_progress\n3\nt", 'promoted: leases, the inbox and claims');
# A new leader may be a standby's primary as well, with the same library.
is( $standby->safe_psql('runs', q{
		SELECT amelia.append_event((amelia.create_workflow('NEW', '/new')).id, 'x', 'm')}),
	'2', 'promoted: new workflows');

# Logical replication, from one database to another. Triggers do not fire where
# rows are applied: their numbers come along, and are followed afterwards.
my $node = $standby;
new_database($node, 'copy', extension => 1);
my $seeded = join(', ', grep { !/\|0\|/ && s/\|.*// } split(/\n/, table_sums($node, 'copy')));
like($seeded, qr/event_types/, 'a new database has seeds, which are replicated as well');
$node->safe_psql('copy', "TRUNCATE $seeded");
my $tables = $node->safe_psql('runs', q{
	SELECT string_agg(c.oid::regclass::text, ', ') FROM pg_class AS c
	WHERE c.relnamespace = 'amelia'::regnamespace AND c.relkind = 'r'});
# In one server the slot must be there before the subscription asks for it.
$node->safe_psql('runs', qq{
	CREATE PUBLICATION all_runs FOR TABLE $tables;
	SELECT pg_create_logical_replication_slot('to_copy', 'pgoutput')});
my $connection = $node->connstr('runs');
$connection =~ s/'/''/g;
$node->safe_psql('copy', "
	CREATE SUBSCRIPTION to_copy CONNECTION '$connection' PUBLICATION all_runs
	WITH (create_slot = false, slot_name = 'to_copy')");
$node->wait_for_subscription_sync($node, 'to_copy', 'copy');
$sums = table_sums($node, 'runs');
is(table_sums($node, 'copy'), $sums, 'replicated: every row of every table');

$node->safe_psql('runs', "
	SELECT amelia.append_event('$w', 'x', 'replicated');
	SELECT amelia.append_events('$w', '[{\"event_type\": \"x\", \"message\": \"1\"}, {\"event_type\": \"x\", \"message\": \"2\"}]');
	DELETE FROM amelia.workflow_log WHERE workflow_id = '$w' AND sequence > amelia.last_sequence('$w') - 2;
	SELECT amelia.next_sequence('$w', 4);
	SELECT amelia.set_workflow_status('00000000-0000-4000-8000-000000000029', 'in_progress');
	SELECT amelia.add_brainstorm_message('s1', 'user', 'x');
	SELECT amelia.set_active_profile('home');
	UPDATE amelia.event_types SET persisted = false WHERE event_type = 'deploy_done'");
$node->wait_for_catchup('to_copy');
$sums = table_sums($node, 'runs');
is(table_sums($node, 'copy'), $sums, 'replicated: what was written and removed since');
verify_is($node, 'copy', 'trigger is missing, disabled or not as migrate() makes it|zzz_spend_budgets on token_usage',
	'replicated: budgets came without the trigger that the first one makes, and verify() says so');
$node->safe_psql('copy', 'SELECT amelia.migrate()');
is(table_sums($node, 'copy'), $sums, 'replicated: migrate() changes no row');
verify_is($node, 'copy', '', 'replicated: verify() finds nothing after that');

my $next = "
	SELECT amelia.append_event('$w', 'x', 'go on');
	INSERT INTO amelia.brainstorm_messages (id, session_id, role, content) VALUES ('next', 's1', 'user', 'x') RETURNING sequence";
my $expected = $node->safe_psql('runs', "BEGIN; $next; ROLLBACK");
$node->safe_psql('copy', 'ALTER SUBSCRIPTION to_copy DISABLE; ALTER SUBSCRIPTION to_copy SET (slot_name = NONE); DROP SUBSCRIPTION to_copy');
is($node->safe_psql('copy', $next), $expected, 'replicated: the logs go on where they were');
verify_is($node, 'copy', '', 'replicated: verify() finds nothing when they went on');
# Sequences are not replicated.
is( $node->safe_psql('copy', qq{
		SELECT amelia.send_to_workflow('$held', 'late') IS NOT NULL;
		SELECT kind FROM amelia.take_inbox('$held', 3);
		SELECT status FROM amelia.release_workflow('$held', 3);
		SELECT lease_token FROM amelia.claim_workflow('host-9')}),
	"t\npause\nlate\nin_progress\n4", 'replicated: the inbox, leases and claims go on');
$node->safe_psql('copy', 'CALL amelia.run_retention()');
is($node->safe_psql('copy', 'SELECT outcome FROM amelia.retention_runs ORDER BY id DESC LIMIT 1'),
	'completed', 'replicated: retention goes on');

# A session that silences triggers: its rows bring their numbers, or are
# refused; none is taken twice.
fails_with($node, 'copy', "SET session_replication_role = replica;
	INSERT INTO amelia.workflow_log (id, workflow_id, event_type, message) VALUES (gen_random_uuid(), '$w', 'x', 'm')",
	'23502', 'sequence', 'replica role: a row without a number');
$last = $node->safe_psql('copy', "SELECT amelia.append_event('$w', 'x', 'last')");
$node->safe_psql('copy', "SET session_replication_role = replica;
	INSERT INTO amelia.workflow_log (workflow_id, event_type, message, sequence) VALUES ('$w', 'x', 'm', $last + 5)");
is($node->safe_psql('copy', "SELECT amelia.append_event('$w', 'x', 'next')"), $last + 6, 'replica role: the next number follows');
{
	my ($ret, $out, $err) = $node->psql('copy', "SET session_replication_role = replica;
		SELECT amelia.append_event('$w', 'x', 'silent');
		SELECT lower(amelia.append_events('$w', '[{\"event_type\": \"x\", \"message\": \"m\"}]'))", on_error_stop => 0);

	# Refused or numbered, each of them, but nothing in between.
	my @given = split /\n/, $out;
	is_deeply(\@given, [ map { $last + 6 + $_ } 1 .. @given ], 'replica role: what append_event() gives has no gap');
	is($node->safe_psql('copy', "SELECT amelia.append_event('$w', 'x', 'after')"), $last + 7 + @given, 'replica role: and is followed');
}
verify_is($node, 'copy', '', 'replica role: verify() finds nothing');

done_testing();
