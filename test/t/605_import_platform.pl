# amelia-import from the platform's SQLite database: agents with capabilities of both kinds, and
# their tasks in every status; what is odd in them, a second load, what changed since, the proof and the way back.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use SqliteSource;

my $files = PostgreSQL::Test::Utils::tempdir();
my $source = "$files/platform.db";
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->append_conf('postgresql.conf', "timezone = 'UTC'\n");
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE app');
$node->safe_psql('app', 'CREATE EXTENSION amelia');

sub value { return $node->safe_psql('app', "SET search_path = amelia_platform, public; $_[0]"); }

sqlite($source, q{
CREATE TABLE agents (id TEXT PRIMARY KEY, name TEXT NOT NULL, agent_type TEXT NOT NULL, status TEXT DEFAULT 'idle', capabilities TEXT, system_prompt TEXT,
	model_provider TEXT DEFAULT 'openrouter', model_name TEXT DEFAULT 'auto', created_at TEXT, updated_at TEXT);
CREATE TABLE tasks (id TEXT PRIMARY KEY, title TEXT NOT NULL, description TEXT, status TEXT DEFAULT 'pending', priority TEXT DEFAULT 'medium',
	assigned_agent_id TEXT, created_at TEXT, updated_at TEXT, FOREIGN KEY (assigned_agent_id) REFERENCES agents (id));
INSERT INTO agents VALUES
	('AAAAAAAA-0000-4000-8000-000000000001', 'Chief', 'chief_of_staff', 'idle', '["plan", "plan", 7]', 'You lead.', 'openrouter', 'auto', '2025-10-01T10:00:00', '2025-10-02 10:00:00+02:00'),
	('agent-2', 'Operator', 'master_operator', 'busy', '[{"name": "sql", "level": 3}, {"title": "no name"}, "python"]', '', 'anthropic', 'm', '2025-10-01T10:00:00', NULL),
	('agent-3', 'Other', 'master_operator', 'offline', NULL, NULL, 'openrouter', 'auto', '2025-10-01T10:00:00', NULL);
INSERT INTO tasks VALUES
	('42', 'Plan', 'all of it', 'completed', 'high', 'AAAAAAAA-0000-4000-8000-000000000001', '2025-10-03T10:00:00', '2025-10-04T10:00:00'),
	('43', 'Write', 'é', 'in_progress', 'urgent', 'agent-2', '2025-10-03T11:00:00', NULL),
	('44', 'Check', NULL, 'pending', 'low', NULL, '2025-10-03T12:00:00', NULL),
	('45', 'Lost', NULL, 'failed', 'medium', 'agent-gone', '2025-10-03T13:00:00', NULL),
	('46', 'Dropped', NULL, 'cancelled', 'medium', 'agent-3', '2025-10-03T14:00:00', NULL);});

# Without the extension it says what to do.
my $said = import_is($node, 'app', 1, 'without the extension', $source);
like($said, qr/amelia_platform/, 'without the extension: it is named');
$node->safe_psql('app', 'CREATE EXTENSION amelia_platform');

$said = import_is($node, 'app', 4, 'an agent that is gone', $source);
like($said, qr/1 row is rejected/, 'an agent that is gone: is said');
is(value('SELECT count(*) FROM tasks WHERE title = $$Lost$$'), 0, 'an agent that is gone: nothing of it is stored');
$said = import_is($node, 'app', 0, 'load', '--orphans=null', $source);
like($said, qr/tasks -> tasks: 5 loaded/, 'load: its rows');
is( value(q{SELECT id, name, agent_type, status, capabilities, model_name, created_at, updated_at = created_at OR name <> 'Chief' FROM agents ORDER BY name}),
	"aaaaaaaa-0000-4000-8000-000000000001|Chief|chief_of_staff|idle|[\"plan\", \"plan\", 7]|auto|2025-10-01 10:00:00+00|f\n"
	  . value(q{SELECT id || '|Operator|master_operator|busy|[{"name": "sql", "level": 3}, {"title": "no name"}, "python"]|m|2025-10-01 10:00:00+00|t' FROM agents WHERE name = 'Operator'}) . "\n"
	  . value(q{SELECT id || '|Other|master_operator|offline|[]|auto|2025-10-01 10:00:00+00|t' FROM agents WHERE name = 'Other'}), 'the agents');
is( value(q{SELECT a.name, c.capability_name, c.confidence_score FROM agent_capabilities AS c JOIN agents AS a ON a.id = c.agent_id ORDER BY 1, 2}),
	"Chief|plan|0.50\nOperator|python|0.50\nOperator|sql|0.50", 'the names of what they can do');
is( value(q{SELECT t.title, t.status, t.priority, a.name, t.attempts FROM tasks AS t LEFT JOIN agents AS a ON a.id = t.assigned_agent_id ORDER BY 1}),
	"Check|pending|low||0\nDropped|cancelled|medium|Other|0\nLost|failed|medium||0\nPlan|completed|high|Chief|0\nWrite|in_progress|urgent|Operator|0", 'the tasks');
is(value(q{SELECT id FROM tasks WHERE title = 'Plan'}), '349d2714-3b7e-592d-9f33-d6f8219510f5', 'an id that is no UUID becomes the one that is promised');
$said = import_is($node, 'app', 0, 'again', $source);
is(value('SELECT count(*) FROM tasks'), 5, 'again: nothing is there twice');

# Maintenance leaves alone what came: who never sent a heartbeat is not late with one, and what ended there is kept from now on.
value('CALL amelia_platform.run_maintenance()');
import_is($node, 'app', 0, 'verify', '--verify', $source);
is(value('SELECT * FROM verify()'), '', 'verify() finds nothing');

# What changed there moves here as it did there, whatever the state machine says, and is no news.
sqlite($source, q{UPDATE tasks SET status = 'pending', updated_at = '2025-10-05T10:00:00' WHERE id = '42';
	UPDATE tasks SET status = 'completed' WHERE id = '46'; UPDATE tasks SET status = 'completed' WHERE id = '44';
	INSERT INTO tasks VALUES ('47', 'New', NULL, 'pending', 'low', NULL, '2025-10-06T10:00:00', NULL);});
import_is($node, 'app', 0, 'delta', '--delta', $source);
is( value(q{SELECT title, status, attempts, CASE WHEN status = 'completed' THEN completed_at > now() - interval '1 hour' END, lease_token FROM tasks WHERE title IN ('Plan', 'Dropped', 'Check', 'New') ORDER BY 1}),
	"Check|completed|0|t|0\nDropped|completed|0|t|0\nNew|pending|0||0\nPlan|pending|0||0", 'delta: as the source has it');
import_is($node, 'app', 0, 'verify after delta', '--verify', $source);
# And an agent takes it up.
is(value(q{SELECT c.title, c.lease_token FROM claim_task((SELECT id FROM agents WHERE name = 'Chief'), '1 day') AS c}), 'Plan|1', 'a task that came is claimed');
$said = import_is($node, 'app', 3, 'verify after that', '--verify', $source);
value(q{UPDATE tasks SET status = 'pending', updated_at = '2025-10-05 10:00:00+00' WHERE title = 'Plan'});

# One run after the other, the last one first.
import_is($node, 'app', 0, 'rollback of the delta', '--rollback', $source);
is( value(q{SELECT title, status FROM tasks ORDER BY 1}),
	"Check|pending\nDropped|cancelled\nLost|failed\nPlan|completed\nWrite|in_progress", 'rollback of the delta: as it was before');
import_is($node, 'app', 0, 'rollback of the run that brought nothing', '--rollback', $source);
# Its claim was a sign of life of the agent.
$said = import_is($node, 'app', 3, 'rollback of what has changed', '--rollback', $source);
like($said, qr/agents aaaaaaaa-0000-4000-8000-000000000001 has changed/, 'rollback of what has changed: is named');
import_is($node, 'app', 0, 'rollback', '--rollback', '--force', $source);
is(value('SELECT (SELECT count(*) FROM agents), (SELECT count(*) FROM tasks), (SELECT count(*) FROM agent_capabilities)'), '0|0|0', 'rollback: all of it is gone');
is(value('SELECT * FROM verify()'), '', 'rollback: verify() finds nothing');

done_testing();
