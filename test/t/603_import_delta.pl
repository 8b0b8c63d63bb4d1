# amelia-import after the first load: what changed in the source and what is
# gone from it, the proof and what it finds, and the way back. And what a load
# does to feed, budgets, closed days, history and retention.
use strict;
use warnings;

use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use SqliteSource;

my $files = PostgreSQL::Test::Utils::tempdir();
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->append_conf('postgresql.conf', "timezone = 'UTC'\n");
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE app');
$node->safe_psql('app', q{CREATE EXTENSION amelia;
	INSERT INTO amelia.budgets (scope, period, limit_usd, action) VALUES ('everything', 'total', 1, 'block');
	INSERT INTO amelia.workflows (id, issue_id, worktree_path, created_at) VALUES ('cccccccc-0000-4000-8000-000000000001', 'OURS', '/ours', '2026-01-01');
	INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd, "timestamp")
	SELECT id, 'developer', 'gpt-5', 1, 1, 0.5, '2026-01-06 12:00:00+00' FROM amelia.workflows;
	CALL amelia.close_days(); SELECT amelia.prune_feed('0')});
my $source = amelia_source("$files/app.db", 'events');
amelia_rows($source, 20);
# workflows without their counters: a number that was given is not given again
my $sums = q{SELECT concat_ws(' ', (SELECT amelia.table_checksum('amelia.workflows', 'id', '{id, issue_id, worktree_path, status, workflow_type, profile_id,
		plan_cache, issue_cache, failure_reason, created_at, started_at, completed_at, updated_at, available_at}')), (SELECT amelia.table_checksum('amelia.workflow_log', 'id')),
	(SELECT amelia.table_checksum('amelia.token_usage', 'id')), (SELECT amelia.table_checksum('amelia.profiles', 'id')),
	(SELECT amelia.table_checksum('amelia.prompts', 'id')), (SELECT amelia.table_checksum('amelia.brainstorm_messages', 'id')),
	(SELECT count(*) FROM amelia.workflow_history), (SELECT count(*) FROM amelia.usage_history),
	(SELECT t FROM amelia.usage_trend('2026-01-01', '2026-01-31') AS t))};
my $untouched = $node->safe_psql('app', $sums);

# ---- the load, beside what is there ----
my $said = import_is($node, 'app', 0, 'load', "--report=$files/report.json", $source);
like($said, qr/workflows -> workflows: 20 loaded/, 'load: its rows');
my $report = decode_json(slurp_file("$files/report.json"));
is_deeply([ @{$report}{qw(system outcome run)} ], [ 'amelia', 'done', 1 ], 'the report: what was done');
my ($of_events) = grep { $_->{source} eq 'events' } @{ $report->{tables} };
is_deeply([ @{$of_events}{qw(rows loaded rejected different)} ], [ 60, 60, 0, 0 ], 'the report: a table');
is($node->safe_psql('app', q{SELECT count(*) FROM amelia.workflow_feed AS f WHERE f.workflow_id <> 'cccccccc-0000-4000-8000-000000000001'}), 0, 'the feed tells nothing of old rows');
is($node->safe_psql('app', 'SELECT spent_usd < 1 AND NOT is_spent FROM amelia.budget_status()'), 't', 'no budget is spent');
my $trend = q{SELECT string_agg(concat_ws('|', t.date, t.cost_usd, t.workflows), ' ' ORDER BY t.date) FROM amelia.usage_trend('2026-01-01', '2026-01-31') AS t};
my $plain = q{SELECT string_agg(concat_ws('|', d.day, d.cost, d.n), ' ' ORDER BY d.day) FROM (SELECT ("timestamp" AT TIME ZONE 'UTC')::date AS day,
	sum(cost_usd) AS cost, count(DISTINCT workflow_id) AS n FROM amelia.token_usage GROUP BY 1) AS d};
is($node->safe_psql('app', $trend), $node->safe_psql('app', $plain), 'a day that was closed before is right');
$node->safe_psql('app', 'CALL amelia.close_days()');
is($node->safe_psql('app', $trend), $node->safe_psql('app', $plain), 'and when it is closed anew');
is($node->safe_psql('app', 'SELECT count(*) FROM amelia.verify()'), 0, 'verify() finds nothing');
import_is($node, 'app', 0, 'verify', '--verify', $source);
like(import_is($node, 'app', 0, 'again', $source), qr/workflows -> workflows: 0 loaded, 20 from earlier runs/, 'a second load adds nothing');

# ---- the proof finds what was changed ----
$node->safe_psql('app', "UPDATE amelia.token_usage SET cost_usd = cost_usd + 0.000001 WHERE workflow_id = '${\wf(3)}';
	DELETE FROM amelia.brainstorm_artifacts; UPDATE amelia.workflow_log SET message = message || ' ' WHERE id = '${\ev(5)}'");
$said = import_is($node, 'app', 3, 'verify finds what was changed', '--verify', $source);
like($said, qr/token_usage: 1 row differs\n.*bbbbbbbb-0000-4000-8000-000000000003 is not as the source has it/, 'a value');
like($said, qr/the sum of cost_usd is 6\.000001, and 6\.000000 in the source/, 'and its sum');
like($said, qr/brainstorm_artifacts: 1 row differs\n.*a1 is missing/, 'a row that is gone');
like($said, qr/workflow_log: 1 row differs\n.*${\ev(5)} is not as the source has it/, 'a blank at the end');

# ---- and the way back refuses, until it is told ----
$node->safe_psql('app', "UPDATE amelia.token_usage SET cost_usd = cost_usd - 0.000001 WHERE workflow_id = '${\wf(3)}'");
$said = import_is($node, 'app', 0, 'rollback of the run that brought nothing', '--rollback', $source);
like($said, qr/run 2 is taken back: 0 rows/, 'takes nothing back');
$said = import_is($node, 'app', 3, 'rollback of what has changed', '--rollback', $source);
like($said, qr/workflow_log ${\ev(5)} has changed since it was loaded/, 'is refused, and named');
$node->safe_psql('app', "UPDATE amelia.workflow_log SET message = rtrim(message) WHERE id = '${\ev(5)}'");
$node->safe_psql('app', "SELECT amelia.append_event('${\wf(2)}', 'x', 'of somebody else')");
$said = import_is($node, 'app', 3, 'rollback of what others refer to', '--rollback', $source);
like($said, qr/1 row of amelia\.workflow_log that the run did not bring refers to rows of workflows that it did/, 'is refused, and named');
is($node->safe_psql('app', 'SELECT count(*) FROM amelia.workflow_log'), 61, 'nothing is changed by a refusal');
$node->safe_psql('app', "DELETE FROM amelia.workflow_log WHERE message = 'of somebody else'");
$said = import_is($node, 'app', 0, 'rollback', '--rollback', $source);
is($node->safe_psql('app', $sums), $untouched, 'rollback: all is as it was before, history and days too');
is($node->safe_psql('app', 'SELECT count(*) FROM amelia_import.ledger'), 0, 'rollback: the ledger is empty');
import_is($node, 'app', 1, 'nothing is left to take back', '--rollback', $source);

# ---- delta ----
import_is($node, 'app', 0, 'loaded anew', '--jobs=2', $source);
my $loaded = $node->safe_psql('app', $sums);
sqlite($source, qq{
UPDATE workflows SET status = 'completed', completed_at = '2026-02-01T10:00:00Z', started_at = '2026-01-31 10:00:00' WHERE id = '${\wf(4)}';
UPDATE workflows SET status = 'completed' WHERE id = '${\wf(5)}';
UPDATE events SET message = 'mended' WHERE id = '${\ev(5)}';
UPDATE token_usage SET cost_usd = 7 WHERE workflow_id = '${\wf(6)}';
UPDATE prompts SET current_version_id = 'v1' WHERE id = 'architect.plan';
INSERT INTO workflows SELECT '${\wf(50)}', 'SHOP-50', '/t/50', 'in_progress', created_at, started_at, NULL, NULL, 'full', NULL, NULL, NULL FROM workflows LIMIT 1;
INSERT INTO events (id, workflow_id, sequence, timestamp, agent, event_type, message) VALUES ('${\ev(999)}', '${\wf(50)}', 1, '2026-02-01T10:00:00Z', 'a', 'x', 'new');
DELETE FROM events WHERE workflow_id = '${\wf(8)}'; DELETE FROM token_usage WHERE workflow_id = '${\wf(8)}';
DELETE FROM workflow_prompt_versions WHERE workflow_id = '${\wf(8)}'; DELETE FROM workflows WHERE id = '${\wf(8)}';});
$said = import_is($node, 'app', 3, 'a load of a source that changed', $source);
like($said, qr/workflows -> workflows: 1 loaded, 17 from earlier runs, 2 changed in the source since \(--delta brings them\)/, 'adds, and says what changed');
import_is($node, 'app', 0, 'which is taken back', '--rollback', $source);
is($node->safe_psql('app', $sums), $loaded, 'to what it was');
$said = import_is($node, 'app', 0, 'delta', '--delta', $source);
like($said, qr/workflows -> workflows: 1 loaded, 17 from earlier runs, 2 updated, 1 gone from the source \(--delete-gone deletes them\)/, 'delta: workflows');
like($said, qr/events -> workflow_log: 1 loaded, 56 from earlier runs, 1 updated, 3 gone from the source/, 'delta: events');
is($node->safe_psql('app', "SELECT status || ' ' || completed_at || ' ' || started_at FROM amelia.workflows WHERE id = '${\wf(4)}'"),
	'completed 2026-02-01 10:00:00+00 2026-01-31 10:00:00+00', 'delta: from pending to completed, as it went there');
is($node->safe_psql('app', "SELECT status || ' ' || COALESCE(completed_at::text, 'NULL') FROM amelia.workflows WHERE id = '${\wf(5)}'"), 'completed NULL', 'delta: a final state without completed_at');
is($node->safe_psql('app', "SELECT cost_usd FROM amelia.token_usage WHERE workflow_id = '${\wf(6)}'"), '7.000000', 'delta: amounts');
is($node->safe_psql('app', $trend), $node->safe_psql('app', $plain), 'delta: days are right');
is($node->safe_psql('app', "SELECT current_version_id FROM amelia.prompts WHERE id = 'architect.plan'"), 'v1', 'delta: the current version');
like(import_is($node, 'app', 0, 'delta again', '--delta', $source), qr/workflows -> workflows: 0 loaded, 20 from earlier runs, 1 gone/, 'a second delta changes nothing');
import_is($node, 'app', 0, 'which is taken back', '--rollback', $source);
$said = import_is($node, 'app', 0, 'delta with what is gone', '--delta', '--delete-gone', $source);
like($said, qr/workflows -> workflows: 0 loaded, 20 from earlier runs, 1 gone from the source, deleted/, 'gone rows are deleted');
is($node->safe_psql('app', 'SELECT (SELECT count(*) FROM amelia.workflows), (SELECT count(*) FROM amelia.workflow_log)'), '21|58', 'and no others');
import_is($node, 'app', 0, 'what was deleted comes back', '--rollback', $source) foreach 1 .. 2;
is($node->safe_psql('app', $sums), $loaded, 'delta: rolled back to what the load had made');
like(import_is($node, 'app', 0, 'status', '--status'), qr/run \d+: load of amelia, done.*SHA-256.*\n.*workflows -> amelia\.workflows: 20 loaded/s, 'status');

# ---- what was there before stays as it is ----
$node->safe_psql('postgres', 'CREATE DATABASE before');
$node->safe_psql('before', q{CREATE EXTENSION amelia;
	INSERT INTO amelia.prompts (id, agent, name) VALUES ('architect.plan', 'architect', 'Plan'), ('evaluator.system', 'evaluator', 'E');
	INSERT INTO amelia.server_settings (id, log_retention_days) VALUES (1, 7)});
$said = import_is($node, 'before', 3, 'rows that are there', $source);
like($said, qr/prompts -> prompts: 0 loaded, 2 there before/, 'are counted');
like($said, qr/server_settings: 1 row differs\n.*1 is not as the source has it/, 'and named where they differ');
is($node->safe_psql('before', 'SELECT log_retention_days FROM amelia.server_settings'), 7, 'and left as they are');
is($node->safe_psql('before', q{SELECT current_version_id IS NULL FROM amelia.prompts WHERE id = 'architect.plan'}), 't', 'their references too');
import_is($node, 'before', 0, 'rolled back', '--rollback', $source);
is($node->safe_psql('before', 'SELECT (SELECT count(*) FROM amelia.prompts), (SELECT count(*) FROM amelia.server_settings), (SELECT count(*) FROM amelia.workflows)'), '2|1|0', 'and not taken back');

# ---- retention waits for a load ----
$node->safe_psql('postgres', 'CREATE DATABASE held');
$node->safe_psql('held', q{CREATE EXTENSION amelia;
	CREATE FUNCTION public.wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_lock_shared(42); RETURN NULL; END $$;
	CREATE TRIGGER wait AFTER INSERT ON amelia.token_usage FOR EACH STATEMENT EXECUTE FUNCTION public.wait()});
sqlite($source, 'UPDATE server_settings SET log_retention_days = 1');
my $holder = $node->background_psql('held');
$holder->query_safe('SELECT pg_advisory_lock(42)');
my ($out, $err) = ('', '');
my $run = IPC::Run::start([ ($ENV{AMELIA_IMPORT} || 'client/amelia-import'), '-d', $node->connstr('held'), $source ], '<', \'', '>', \$out, '2>', \$err);
$node->poll_query_until('held', q{SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 42 AND NOT granted)}) or die;
my ($ret, undef, $why) = $node->psql('held', "SET lock_timeout = '1s'; CALL amelia.run_retention()");
like($why, qr/lock timeout/, 'retention waits while rows are loaded');
$holder->query_safe('SELECT pg_advisory_unlock(42)');
$holder->quit;
$run->finish;
is($run->result(0), 0, 'and nothing is missing at the end') or diag("$out$err");
like($err, qr/retention will delete 12 workflows that finished more than 1 days ago/, 'what retention will delete is said');

done_testing();
