# An orchestrator's own migrator goes on with our tables: it numbers its
# versions, adds columns and tables, drops a setting, makes text keys uuid, drops
# foreign keys and widens CHECKs. Whatever it did, functions work or refuse by
# name, verify() finds nothing, and migrate() and a dump keep it.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use AmeliaTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('orchestrator', preload => 1);
my $dir = PostgreSQL::Test::Utils::tempdir;
my $nothing = 'schema version 1 is complete, nothing to do';
my $session = '00000000-0000-4000-8000-00000000005e';
my $message = '00000000-0000-4000-8000-00000000003e';
my $workflow = '00000000-0000-4000-8000-000000000001';
my $restored = 0;

# A migration as its migrator runs it: one transaction, with its number.
sub apply
{
	my ($db, $version, $sql) = @_;

	$node->safe_psql($db, "BEGIN;\nSET LOCAL search_path = amelia;\n$sql;\n"
		. "INSERT INTO schema_migrations (version) VALUES ($version);\nCOMMIT");
	return;
}

# All is well, migrate() leaves everything as it is also when it makes things
# anew, and so does a dump.
sub stays
{
	my ($db, $name) = @_;
	my $sums = table_sums($node, $db);
	my $catalog = catalog($node, $db);
	my $copy = 'copy' . ++$restored;

	verify_is($node, $db, '', "$name: verify() finds nothing");
	is($node->safe_psql($db, 'SELECT amelia.migrate()'), $nothing, "$name: migrate() has nothing to do");
	$node->safe_psql($db, 'DROP FUNCTION amelia.active_profile(); SELECT amelia.migrate()');
	same_database($node, $db, $sums, $catalog, "$name, made anew");
	new_database($node, $copy);
	$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/$copy", $db ], "$name: dump");
	$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $copy, "$dir/$copy" ], "$name: restore");
	same_database($node, $copy, $sums, $catalog, "$name, restored");
	is($node->safe_psql($copy, 'SELECT amelia.migrate()'), $nothing, "$name, restored: migrate() has nothing to do");
	return;
}

# What chats and prompts do, whatever the type of their keys; a line for each
# call. It leaves nothing behind.
my $use = qq{
	BEGIN;
	SELECT 'version ' || v.version_number FROM amelia.create_prompt_version('p', 'say') AS v;
	SELECT 'in force ' || (p.current_version_id::text = v.id::text)
	FROM (SELECT h.id FROM amelia.prompt_history('p') AS h ORDER BY h.version_number LIMIT 1) AS v, amelia.set_prompt_version('p', v.id::text) AS p;
	SELECT 'current ' || v.version_number FROM amelia.current_prompt('p') AS v;
	SELECT 'noted' FROM amelia.current_prompt('p') AS v, amelia.record_workflow_prompt('$workflow', 'p', v.id::text);
	SELECT 'noted again' FROM amelia.current_prompt('p') AS v, amelia.record_workflow_prompt('$workflow', 'p', v.id::text);
	SELECT 'ran with ' || w.version_number FROM amelia.workflow_prompts('$workflow') AS w;
	SELECT 'reset ' || (p.current_version_id IS NULL) FROM amelia.reset_prompt('p') AS p;
	SELECT 'said ' || m.sequence FROM amelia.add_brainstorm_message('$session', 'user', 'hello', input_tokens => 3) AS m;
	SELECT 'said ' || m.sequence FROM amelia.add_brainstorm_message('$session', 'user', 'hi', id => '$message') AS m;
	SELECT 'again ' || m.sequence FROM amelia.add_brainstorm_message('$session', 'user', 'hi', id => '$message') AS m;
	INSERT INTO amelia.brainstorm_messages (id, session_id, role, content)
	VALUES ('00000000-0000-4000-8000-00000000004e', '$session', 'assistant', 'ho') RETURNING 'plain ' || sequence;
	SELECT 'after 1: ' || count(*) FROM amelia.brainstorm_messages_after('$session', 1);
	SELECT 'used ' || u.input_tokens FROM amelia.brainstorm_usage('$session') AS u;
	SELECT 'sessions ' || count(*) FROM amelia.list_brainstorm_sessions('home');
	INSERT INTO amelia.brainstorm_artifacts (id, session_id, type, path)
	VALUES ('00000000-0000-4000-8000-00000000005a', '$session', 'adr', 'a.md') RETURNING 'artifact';
	UPDATE amelia.brainstorm_messages SET content = content || '!' WHERE id = '$message' RETURNING 'changed';
	DELETE FROM amelia.brainstorm_messages WHERE sequence = 4 RETURNING 'removed';
	SELECT 'said ' || m.sequence FROM amelia.add_brainstorm_message('$session', 'user', 'on') AS m;
	ROLLBACK};
my $used = join "\n", 'version 2', 'in force true', 'current 1', 'noted', 'noted again', 'ran with 1', 'reset true',
  'said 2', 'said 3', 'again 3', 'plain 4', 'after 1: 3', 'used 3', 'sessions 1', 'artifact', 'changed', 'removed', 'said 5';

sub refuses
{
	my ($db, $name) = @_;

	fails_with($node, $db, "SELECT amelia.add_brainstorm_message('$workflow', 'user', 'x')", 'P0002',
		"no brainstorm session \"$workflow\"", "$name: a session that is not there");
	all_fail_with($node, $db, 'P0002', "prompt \"p\" has no version \"$workflow\"",
		[ "SELECT amelia.set_prompt_version('p', '$workflow')", "$name: a version that is not there" ],
		[ "SELECT amelia.record_workflow_prompt('$workflow', 'p', '$workflow')", "$name: a version that is not there, of a workflow" ]);
	fails_with($node, $db, "SELECT amelia.add_brainstorm_message('$session', 'assistant', 'x', id => '00000000-0000-4000-8000-0000000000aa')",
		'23505', 'exists already, with other content', "$name: other content under an id");
	fails_with($node, $db, "INSERT INTO amelia.brainstorm_messages (id, session_id, role, content) VALUES ('$message', '$workflow', 'user', 'x')",
		'23503', 'brainstorm_messages_session_id_fkey', "$name: an orphan");
	all_fail_with($node, $db, '55000', 'cannot change the id, the parent or the sequence',
		map { [ "UPDATE amelia.brainstorm_messages SET $_", "$name: SET $_" ] } "id = '$message'", "session_id = '$workflow'", 'sequence = 7');
	return;
}

new_database($node, 'client', extension => 1);
$node->safe_psql('client', qq{
	INSERT INTO amelia.profiles (id, working_dir, agents) VALUES ('home', '/', '{}');
	SELECT amelia.create_workflow('I-1', '/w1', profile_id => 'home', id => '$workflow');
	SELECT amelia.seed_prompts('[{"id": "p", "agent": "a", "name": "n"}]');
	SELECT amelia.record_workflow_prompt('$workflow', 'p', v.id) FROM amelia.create_prompt_version('p', 'do') AS v;
	INSERT INTO amelia.brainstorm_sessions (id, profile_id) VALUES ('$session', 'home');
	SELECT amelia.add_brainstorm_message('$session', 'user', 'x', id => '00000000-0000-4000-8000-0000000000aa');
	INSERT INTO amelia.brainstorm_artifacts (id, session_id, type, path)
	VALUES ('00000000-0000-4000-8000-0000000000ab', '$session', 'spec', 's.md');
	SELECT amelia.update_settings('{"stream_tool_results": true, "max_concurrent": 7}')});
is($node->safe_psql('client', 'SELECT version FROM amelia.schema_migrations'), 1, 'it finds version 1');
is($node->safe_psql('client', $use), $used, 'texts: all works');
refuses('client', 'texts');

# This session has plans and types of before.
my $old = $node->background_psql('client');
$old->query_safe($use);
$old->query_safe(q{SELECT amelia.settings(), amelia.update_settings('{"max_concurrent": 6}')});

# Columns and tables, as it adds them, and a setting that it drops.
my @tables = (q{ALTER TABLE profiles ADD COLUMN sandbox jsonb NOT NULL DEFAULT '{}'},
	q{CREATE TABLE documents (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL);
	INSERT INTO documents (name) VALUES ('a');
	CREATE TABLE runs (id uuid PRIMARY KEY, workflow_id uuid REFERENCES workflows (id) ON DELETE SET NULL);
	INSERT INTO runs SELECT gen_random_uuid(), id FROM workflows;
	ALTER TABLE server_settings ADD COLUMN polling boolean NOT NULL DEFAULT false;
	ALTER TABLE workflows ADD COLUMN branch text, ADD COLUMN base_commit text},
	'ALTER TABLE server_settings DROP COLUMN IF EXISTS stream_tool_results',
	'ALTER TABLE profiles RENAME COLUMN working_dir TO repo_root');
apply('client', $_ + 2, $tables[$_]) foreach 0 .. $#tables;
is($node->safe_psql('client', q{SELECT id, sandbox, repo_root FROM amelia.set_active_profile('home')}), 'home|{}|/', 'its columns');
foreach my $setting (qw(log_retention_days trace_retention_days checkpoint_retention_days websocket_idle_timeout_seconds
	workflow_start_timeout_seconds max_concurrent recovery_hours orphan_thread_retention_days checkpoint_grace_minutes
	retention_max_workflows feed_retention_hours keep_latest_days keep_latest squash_idle_days))
{
	is($node->safe_psql('client', qq{SELECT $setting, polling FROM amelia.update_settings('{"$setting": 12.0}')}), '12|f', "$setting is set");
}
is($node->safe_psql('client', 'SELECT record_unpriced_usage, max_concurrent, polling FROM amelia.update_settings(\'{"record_unpriced_usage": true}\')'),
	't|12|f', 'the others stay');
like($old->query_safe(q{SELECT (amelia.settings()).max_concurrent, (amelia.update_settings('{"max_concurrent": 6}')).max_concurrent}), qr/12\|6/,
	'also in a session of before');
is($node->safe_psql('client', q{BEGIN; DELETE FROM amelia.server_settings;
	SELECT s.max_concurrent, s.polling IS NULL FROM amelia.settings() AS s; ROLLBACK}), '5|t', 'and without a row');
fails_with($node, 'client', qq{SELECT amelia.update_settings('{"$_": true}')}, '22023', "\"$_\" is no setting.*Settings: log_retention_days, ",
	"$_, which is no setting of ours")
  foreach qw(stream_tool_results polling);
fails_with($node, 'client', q{SELECT amelia.update_settings('{"max_concurrent": 0}')}, '22023', 'max_concurrent', 'a value out of range');
is($node->safe_psql('client', $use), $used, 'with its columns: all works');
stays('client', 'its columns');

# Texts become uuid: as they are written in its migration, but for the key of
# the current version, which has to go first.
my $uuids = q{
	ALTER TABLE brainstorm_messages DROP CONSTRAINT brainstorm_messages_session_id_fkey;
	ALTER TABLE brainstorm_artifacts DROP CONSTRAINT brainstorm_artifacts_session_id_fkey;
	ALTER TABLE brainstorm_sessions ALTER COLUMN id TYPE uuid USING id::uuid;
	ALTER TABLE brainstorm_messages ALTER COLUMN id TYPE uuid USING id::uuid;
	ALTER TABLE brainstorm_messages ALTER COLUMN session_id TYPE uuid USING session_id::uuid;
	ALTER TABLE brainstorm_artifacts ALTER COLUMN id TYPE uuid USING id::uuid;
	ALTER TABLE brainstorm_artifacts ALTER COLUMN session_id TYPE uuid USING session_id::uuid;
	ALTER TABLE brainstorm_messages ADD CONSTRAINT brainstorm_messages_session_id_fkey
		FOREIGN KEY (session_id) REFERENCES brainstorm_sessions (id) ON DELETE CASCADE;
	ALTER TABLE brainstorm_artifacts ADD CONSTRAINT brainstorm_artifacts_session_id_fkey
		FOREIGN KEY (session_id) REFERENCES brainstorm_sessions (id) ON DELETE CASCADE;
	ALTER TABLE workflow_prompt_versions DROP CONSTRAINT workflow_prompt_versions_version_id_fkey;
	ALTER TABLE prompt_versions ALTER COLUMN id TYPE uuid USING id::uuid;
	ALTER TABLE prompts ALTER COLUMN current_version_id TYPE uuid USING current_version_id::uuid;
	ALTER TABLE workflow_prompt_versions ALTER COLUMN version_id TYPE uuid USING version_id::uuid;
	ALTER TABLE workflow_prompt_versions ADD CONSTRAINT workflow_prompt_versions_version_id_fkey
		FOREIGN KEY (version_id) REFERENCES prompt_versions (id)};
fails_with($node, 'client', "BEGIN; SET LOCAL search_path = amelia; $uuids; COMMIT", '42804', 'prompts_current_version_fkey', 'with that key');
$node->safe_psql('client', 'ALTER TABLE amelia.prompts DROP CONSTRAINT prompts_current_version_fkey');
apply('client', 6, $uuids);
is($node->safe_psql('client', $use), $used, 'uuids: all works');
is(join("\n", grep { /\S/ } split /\n/, $old->query_safe($use)), $used, 'uuids: all works in a session of before');
$old->quit;
refuses('client', 'uuids');
fails_with($node, 'client', $_, '22P02', 'invalid input syntax for type uuid: "no-uuid"', 'uuids: what is none')
  foreach q{SELECT amelia.add_brainstorm_message('no-uuid', 'user', 'x')},
  "SELECT amelia.add_brainstorm_message('$session', 'user', 'x', id => 'no-uuid')",
  q{SELECT amelia.brainstorm_messages_after('no-uuid')}, q{SELECT amelia.brainstorm_usage('no-uuid')},
  q{SELECT amelia.set_prompt_version('p', 'no-uuid')}, "SELECT amelia.record_workflow_prompt('$workflow', 'p', 'no-uuid')";
is($node->safe_psql('client', qq{
		BEGIN;
		SELECT p.id FROM amelia.prompt_versions AS v, amelia.set_prompt_version('p', upper(v.id::text)) AS p;
		TRUNCATE amelia.brainstorm_messages;
		SELECT m.sequence FROM amelia.add_brainstorm_message(upper('$session'), 'user', 'x') AS m;
		ROLLBACK}), "p\n2", 'uuids: in capitals, and numbers after TRUNCATE');
stays('client', 'uuids');

# Keys that it does without, and words of its own.
apply('client', 7, q{
	ALTER TABLE workflow_prompt_versions DROP CONSTRAINT workflow_prompt_versions_version_id_fkey;
	ALTER TABLE brainstorm_sessions DROP CONSTRAINT brainstorm_sessions_profile_id_fkey;
	INSERT INTO brainstorm_sessions (id, profile_id) VALUES (gen_random_uuid(), 'gone');
	ALTER TABLE workflows DROP CONSTRAINT workflows_workflow_type_check,
		ADD CONSTRAINT workflows_workflow_type_check CHECK (workflow_type IN ('full', 'review', 'spike'));
	ALTER TABLE workflows DROP CONSTRAINT workflows_status_check,
		ADD CONSTRAINT workflows_status_check CHECK (status IN ('pending', 'in_progress', 'blocked', 'completed', 'failed', 'cancelled', 'parked'));
	ALTER TABLE profiles DROP CONSTRAINT profiles_tracker_check,
		ADD CONSTRAINT profiles_tracker_check CHECK (tracker IN ('noop', 'github', 'jira', 'linear'));
	INSERT INTO profiles (id, repo_root, agents, tracker) VALUES ('other', '/', '{}', 'linear');
	INSERT INTO workflows (id, issue_id, worktree_path, workflow_type, profile_id, status)
	VALUES ('00000000-0000-4000-8000-000000000002', 'I-2', '/w2', 'spike', 'other', 'pending'),
		('00000000-0000-4000-8000-000000000003', 'I-3', '/w3', 'full', 'other', 'parked')});
is($node->safe_psql('client', $use), $used, 'without keys: all works');
is($node->safe_psql('client', q{
		BEGIN;
		SELECT c.issue_id FROM amelia.claim_workflow('w', profile_id => 'other') AS c;
		SELECT count(*) FROM amelia.claim_workflow('w', profile_id => 'other');
		SELECT amelia.append_event('00000000-0000-4000-8000-000000000003', 'x', 'm') > 0;
		SELECT issue_id FROM amelia.workflow_overview ORDER BY 1;
		SELECT id FROM amelia.set_active_profile('other');
		SELECT count(*) FROM amelia.list_brainstorm_sessions('gone');
		ROLLBACK}), "I-2\n0\nt\nI-1\nI-2\nI-3\nother\n1", 'words of its own: claimed, logged, shown');
fails_with($node, 'client', q{SELECT amelia.set_workflow_status('00000000-0000-4000-8000-000000000003', 'in_progress')}, '22023',
	'unknown status "parked"', 'a status that no transition leaves');
fails_with($node, 'client', q{UPDATE amelia.workflows SET workflow_type = 'nothing'}, '23514', 'workflows_workflow_type_check', 'a word that is in no CHECK');
stays('client', 'without keys');
is($node->safe_psql("copy$restored", q{SELECT string_agg(version::text, ' ' ORDER BY version) FROM amelia.schema_migrations}), '1 2 3 4 5 6 7',
	'its versions are in the dump');
is($node->safe_psql("copy$restored", $use), $used, 'restored: all works');

# After all of it, every function is called, and none has an error.
new_database($node, 'calls', extension => 1);
apply('calls', $_ + 2, $tables[$_]) foreach 0 .. $#tables;
apply('calls', 7, 'ALTER TABLE server_settings DROP COLUMN websocket_idle_timeout_seconds');
apply('calls', 6, "ALTER TABLE prompts DROP CONSTRAINT prompts_current_version_fkey; $uuids");
my $calls = slurp_file("$FindBin::RealBin/../assert/calls.sql");
$calls =~ s/\bworking_dir\b/repo_root/g;
$calls =~ s/^(.*brainstorm.*)$/$1 =~ s{'s'}{'$session'}gr =~ s{'m'}{'$message'}gr/gem;
my ($ret, $out, $err) = $node->psql('calls', $calls, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
is($ret, 0, 'every function is called');
unlike($err, qr/ERROR/, 'and none has an error');
fails_with($node, 'calls', q{SELECT amelia.update_settings('{"websocket_idle_timeout_seconds": 1}')}, '22023',
	'"websocket_idle_timeout_seconds" is no setting', 'the other setting that is not ours');
verify_is($node, 'calls', '', 'verify() finds nothing after them');

$node->stop;
done_testing();
