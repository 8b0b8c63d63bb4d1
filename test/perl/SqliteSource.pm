# What the tests of amelia-import share: small SQLite databases as the
# orchestrator left them, with what is odd in real ones, and running the program.
package SqliteSource;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(sqlite amelia_source amelia_rows import_into import_is wf ev);

my ($top) = __FILE__ =~ m{^(.*)/test/perl/};
$top //= '.';

# Statements in a database file, which is made when it is not there; what they print.
sub sqlite
{
	my ($file, $sql) = @_;
	my ($out, $err) = ('', '');

	IPC::Run::run([ 'sqlite3', '-batch', '-bail', $file ], '<', \$sql, '>', \$out, '2>', \$err)
	  or die "sqlite3: $err";
	return $out;
}

# Ids that are UUIDs already.
sub wf { return sprintf('aaaaaaaa-0000-4000-8000-%012d', $_[0]) }
sub ev { return sprintf('eeeeeeee-0000-4000-8000-%012d', $_[0]) }

# The tables of a generation: events, log or both.
sub amelia_source
{
	my ($file, $generation) = @_;
	my $events = q{
CREATE TABLE events (id TEXT PRIMARY KEY, workflow_id TEXT NOT NULL REFERENCES workflows(id), sequence INTEGER NOT NULL,
	timestamp TIMESTAMP NOT NULL, agent TEXT NOT NULL, event_type TEXT NOT NULL, level TEXT NOT NULL DEFAULT 'debug', message TEXT NOT NULL,
	data_json TEXT, correlation_id TEXT, tool_name TEXT, tool_input_json TEXT, is_error INTEGER NOT NULL DEFAULT 0, trace_id TEXT, parent_id TEXT);};
	my $log = q{
CREATE TABLE workflow_log (id TEXT PRIMARY KEY, workflow_id TEXT NOT NULL REFERENCES workflows(id), sequence INTEGER NOT NULL,
	timestamp TIMESTAMP NOT NULL, event_type TEXT NOT NULL, level TEXT NOT NULL, agent TEXT, message TEXT NOT NULL, data_json TEXT,
	is_error INTEGER NOT NULL DEFAULT 0);};

	sqlite($file, q{
CREATE TABLE profiles (id TEXT PRIMARY KEY, tracker TEXT NOT NULL DEFAULT 'noop', working_dir TEXT NOT NULL, plan_output_dir TEXT NOT NULL,
	plan_path_pattern TEXT NOT NULL, agents TEXT NOT NULL, is_active INTEGER NOT NULL DEFAULT 0, created_at TEXT NOT NULL, updated_at TEXT NOT NULL);
CREATE TABLE workflows (id TEXT PRIMARY KEY, issue_id TEXT NOT NULL, worktree_path TEXT NOT NULL, status TEXT NOT NULL DEFAULT 'pending',
	created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, started_at TIMESTAMP, completed_at TIMESTAMP, failure_reason TEXT,
	workflow_type TEXT NOT NULL DEFAULT 'full', profile_id TEXT, plan_cache TEXT, issue_cache TEXT);
CREATE TABLE token_usage (id TEXT PRIMARY KEY, workflow_id TEXT NOT NULL REFERENCES workflows(id), agent TEXT NOT NULL, model TEXT NOT NULL,
	input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, cache_read_tokens INTEGER DEFAULT 0, cache_creation_tokens INTEGER DEFAULT 0,
	cost_usd REAL NOT NULL, duration_ms INTEGER NOT NULL DEFAULT 0, num_turns INTEGER NOT NULL DEFAULT 1, timestamp TIMESTAMP NOT NULL);
CREATE TABLE prompts (id TEXT PRIMARY KEY, agent TEXT NOT NULL, name TEXT NOT NULL, description TEXT, current_version_id TEXT);
CREATE TABLE prompt_versions (id TEXT PRIMARY KEY, prompt_id TEXT NOT NULL REFERENCES prompts(id), version_number INTEGER NOT NULL,
	content TEXT NOT NULL, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, change_note TEXT);
CREATE TABLE workflow_prompt_versions (workflow_id TEXT NOT NULL, prompt_id TEXT NOT NULL, version_id TEXT NOT NULL, PRIMARY KEY (workflow_id, prompt_id));
CREATE TABLE brainstorm_sessions (id TEXT PRIMARY KEY, profile_id TEXT NOT NULL, driver_session_id TEXT, driver_type TEXT, status TEXT NOT NULL,
	topic TEXT, created_at TIMESTAMP NOT NULL, updated_at TIMESTAMP NOT NULL);
CREATE TABLE brainstorm_messages (id TEXT PRIMARY KEY, session_id TEXT NOT NULL, sequence INTEGER NOT NULL, role TEXT NOT NULL, content TEXT NOT NULL,
	parts_json TEXT, created_at TIMESTAMP NOT NULL, input_tokens INTEGER, output_tokens INTEGER, cost_usd REAL, is_system INTEGER NOT NULL DEFAULT 0);
CREATE TABLE brainstorm_artifacts (id TEXT PRIMARY KEY, session_id TEXT NOT NULL, type TEXT NOT NULL, path TEXT NOT NULL, title TEXT, created_at TIMESTAMP NOT NULL);
CREATE TABLE server_settings (id INTEGER PRIMARY KEY CHECK (id = 1), log_retention_days INTEGER NOT NULL, log_retention_max_events INTEGER NOT NULL,
	checkpoint_retention_days INTEGER NOT NULL DEFAULT 0, checkpoint_path TEXT, websocket_idle_timeout_seconds REAL NOT NULL DEFAULT 300.0,
	workflow_start_timeout_seconds REAL NOT NULL DEFAULT 60.0, max_concurrent INTEGER NOT NULL DEFAULT 5, stream_tool_results INTEGER NOT NULL DEFAULT 0,
	created_at TEXT NOT NULL, updated_at TEXT NOT NULL);
} . ($generation ne 'log' ? $events : '') . ($generation ne 'events' ? $log : ''));
	return $file;
}

# Rows in every table: so many workflows, each with three events and a usage.
sub amelia_rows
{
	my ($file, $workflows) = @_;

	sqlite($file, qq{
INSERT INTO server_settings VALUES (1, -1, 100000, 0, '~/c.db', 300.0, 12.5, 3, 1, '2026-01-05 10:00:00', '2026-01-05T10:00:00Z');
INSERT INTO profiles VALUES ('work', 'github', '/src/work', 'docs', 'p', '{"developer": {"model": "m", "driver": "api", "options": {"t": 0.10}}}', 1, '2026-01-05 10:00:00', '2026-01-05 10:00:00'),
	('home-ü', 'noop', '/src', 'docs', 'p', '{}', 0, '2026-01-05 10:00:00', '2026-01-05 10:00:00');
INSERT INTO prompts VALUES ('architect.plan', 'architect', 'Plan', '', 'v2'), ('evaluator.system', 'evaluator', 'E', NULL, NULL);
INSERT INTO prompt_versions VALUES ('v1', 'architect.plan', 1, 'one', '2026-01-05 10:00:00', NULL), ('v2', 'architect.plan', 2, 'two', '2026-01-06 10:00:00', '');
INSERT INTO brainstorm_sessions VALUES ('bs-1', 'work', NULL, 'cli', 'active', 'T', '2026-01-05 10:00:00', '2026-01-05 10:00:00');
INSERT INTO brainstorm_messages VALUES ('m1', 'bs-1', 1, 'user', 'hello', NULL, '2026-01-05 10:00:00', NULL, NULL, NULL, 1),
	('m2', 'bs-1', 2, 'assistant', 'answer', '[{"type": "text", "text": "a"}]', '2026-01-05 10:00:01', 9, 8, 0.0123, 0);
INSERT INTO brainstorm_artifacts VALUES ('a1', 'bs-1', 'design', 'd.md', NULL, '2026-01-05 10:00:00');
WITH n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < $workflows)
INSERT INTO workflows SELECT printf('aaaaaaaa-0000-4000-8000-%012d', n), 'SHOP-' || n, '/t/' || n,
	CASE n % 4 WHEN 0 THEN 'pending' WHEN 1 THEN 'in_progress' ELSE 'completed' END, '2026-01-05T10:00:00Z',
	CASE WHEN n % 4 THEN '2026-01-06 10:00:00.5' END, CASE n % 4 WHEN 2 THEN '2026-01-07T10:00:00+02:00' END, NULL,
	'full', 'work', CASE n % 2 WHEN 0 THEN '{"goal": "g", "b": 1}' END, '{"title": "t", "n": 1152921504606846977}' FROM n;
INSERT INTO workflow_prompt_versions SELECT id, 'architect.plan', 'v1' FROM workflows;
INSERT INTO token_usage SELECT replace(id, 'aaaaaaaa', 'bbbbbbbb'), id, 'developer', 'gpt-5', 100, 10, NULL, 0, 0.1 + 0.2, 5, 1, '2026-01-06 12:00:00' FROM workflows;
});
	sqlite($file, join "\n", map {
		my ($table, $columns) = @$_;
		sqlite($file, "SELECT count(*) FROM sqlite_master WHERE name = '$table'") > 0 ? qq{
WITH n(n) AS (VALUES (1), (2), (4))
INSERT INTO $table ($columns) SELECT printf('%s-0000-4000-8000-%012d', CASE '$table' WHEN 'events' THEN 'eeeeeeee' ELSE 'ffffffff' END,
	4 * CAST(substr(w.id, 25) AS integer) + n), w.id, n, '2026-01-06T10:00:00.' || n || '00000', 'task_started', 'info', 'developer', 'step ' || n,
	'{"action": "ls -l", "cost": 0.30, "n": ' || n || '}', 0 FROM workflows AS w, n ORDER BY w.id, n;} : '';
	} [ events => 'id, workflow_id, sequence, timestamp, event_type, level, agent, message, data_json, is_error' ],
		[ workflow_log => 'id, workflow_id, sequence, timestamp, event_type, level, agent, message, data_json, is_error' ]);
	return;
}

# Runs the program: exit status, standard output and standard error.
sub import_into
{
	my ($node, $database, @args) = @_;
	my ($out, $err) = ('', '');
	my $program = $ENV{AMELIA_IMPORT} || "$top/client/amelia-import";

	IPC::Run::run([ $program, '-d', $node->connstr($database), @args ], '<', \'', '>', \$out, '2>', \$err);
	return ($? >> 8, $out, $err);
}

# Runs it and checks the exit status; its output, both streams.
sub import_is
{
	my ($node, $database, $status, $name, @args) = @_;
	my ($got, $out, $err) = import_into($node, $database, @args);

	is($got, $status, "$name: exit status $status") or diag("$out$err");
	return $out . $err;
}

1;
