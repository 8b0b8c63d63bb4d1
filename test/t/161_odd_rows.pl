# What the tables' owner lets into them ends in no crash either: a NULL where
# none can be, also as a key, a row that a trigger keeps away from a statement
# which returns it, a column that the code reads without a statement and that is
# of another type or another key. Of every table of the three extensions.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use AmeliaTest;
use OddChanges;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

@AmeliaTest::extensions = ('amelia', 'amelia_saga', 'amelia_platform');
my $node = new_node('odd_rows', preload => 1);
new_database($node, 'odd', extension => 1);
fill($node, 'odd');
prepare_changes($node, 'odd');
$node->safe_psql('odd', q{
	-- A few of each are enough, and go three hundred times.
	DELETE FROM amelia.workflow_log WHERE sequence > 5;
	UPDATE amelia.workflow_leases SET expires_at = '2020-01-01' WHERE lease_token = 42;
	INSERT INTO amelia.budgets (scope, target, period, limit_usd, action)
	VALUES ('profile', 'home', 'total', 0, 'block'), ('everything', NULL, 'day', 0, 'warn');
	INSERT INTO amelia.workflows (issue_id, worktree_path, status, started_at, completed_at, created_at, updated_at)
	SELECT 'OLD', '/old/' || n, 'completed', '2019-01-01', '2019-01-02', '2019-01-01', '2019-01-03' FROM generate_series(1, 5) AS n;
	CREATE FUNCTION s.swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
	-- Take away what keeps a NULL out of a column, and let it in everywhere. Indexes keep their names.
	CREATE FUNCTION s.nullify(relation regclass, name name) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		found record;
	BEGIN
		FOR found IN SELECT c.conname, CASE WHEN c.contype IN ('p', 'u') THEN pg_get_indexdef(c.conindid) END AS index
			FROM pg_constraint AS c, pg_attribute AS a
			WHERE c.conrelid = relation AND a.attrelid = relation AND a.attname = name
				AND (c.contype IN ('f', 'c') OR c.contype IN ('p', 'u') AND a.attnum = ANY (c.conkey))
			ORDER BY c.contype
		LOOP
			EXECUTE format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I CASCADE', relation, found.conname);
			IF found.index IS NOT NULL THEN
				EXECUTE found.index;
			END IF;
		END LOOP;
		EXECUTE format('ALTER TABLE %1$s ALTER %2$I DROP IDENTITY IF EXISTS, ALTER %2$I DROP NOT NULL, DISABLE TRIGGER ALL', relation, name);
		EXECUTE format('UPDATE %s SET %I = NULL', relation, name);
		EXECUTE format('ALTER TABLE %s ENABLE TRIGGER ALL', relation);
	END$$;

	INSERT INTO s.calls SELECT unnest(ARRAY[
	$c$SELECT amelia.append_event('00000000-0000-4000-8000-000000000012', 'claude_tool_call', 'm')$c$,
	$c$SELECT amelia.append_events('00000000-0000-4000-8000-000000000012', '[{"event_type": "deploy_done", "message": "m"}]')$c$,
	$c$SELECT amelia.create_workflow('I', '/new', profile_id => 'work')$c$,
	$c$SELECT id FROM amelia.claim_workflow('w')$c$,
	$c$SELECT id FROM amelia.claim_workflow('w', profile_id => 'home')$c$,
	$c$SELECT amelia.heartbeat('00000000-0000-4000-8000-000000000040', 2, '1 day')$c$,
	$c$SELECT amelia.send_to_workflow('00000000-0000-4000-8000-000000000040', 'pause')$c$,
	$c$SELECT kind FROM amelia.take_inbox('00000000-0000-4000-8000-000000000040', 2)$c$,
	$c$SELECT amelia.request_approval('00000000-0000-4000-8000-000000000040', 2, 'q')$c$,
	$c$SELECT amelia.release_workflow('00000000-0000-4000-8000-000000000040', 2, 'completed')$c$,
	$c$SELECT amelia.record_usage('00000000-0000-4000-8000-000000000012', 'a', 'priced', 1, 1)$c$,
	$c$SELECT amelia.add_brainstorm_message('s1', 'user', 'm')$c$,
	$c$SELECT amelia.update_settings('{"max_concurrent": 9}')$c$,
	$c$SELECT count(*) FROM amelia.feed_after((SELECT c.next_cursor FROM amelia.feed_after() AS c))$c$,
	$c$SELECT count(*) FROM amelia.budget_status()$c$,
	$c$SELECT amelia.compact_budgets()$c$,
	$c$SELECT count(*) FROM amelia.queue_status()$c$,
	$c$SELECT count(*) FROM amelia.maintenance_status()$c$,
	$c$SELECT count(*) FROM amelia.usage_by_model('2020-01-01', '2030-01-01')$c$,
	$c$SELECT count(*) FROM amelia.retention_preview()$c$,
	$c$SELECT count(*) FROM amelia.checkpoint_stats()$c$,
	$c$DELETE FROM amelia.token_usage$c$,
	$c$DELETE FROM amelia.workflows$c$,
	$c$SELECT amelia_platform.agent_heartbeat(a.id) FROM amelia_platform.agents AS a$c$,
	$c$SELECT id FROM amelia_platform.agents AS a, amelia_platform.receive_messages(a.id)$c$,
	$c$SELECT amelia_platform.claim_task(a.id) FROM amelia_platform.agents AS a$c$,
	$c$SELECT amelia_platform.complete_task(t.id, t.lease_token) FROM amelia_platform.tasks AS t$c$,
	$c$SELECT amelia_platform.start_execution(w.id) FROM amelia_platform.workflows AS w WHERE w.status = 'active'$c$,
	$c$SELECT count(*) FROM amelia_saga.search_messages('cart'), amelia_saga.search_files('python')$c$])});

my @changes = split /\n/, $node->safe_psql('odd', q{
	WITH tables AS (
		SELECT c.oid, format('%I.%I', c.relnamespace::regnamespace, c.relname) AS name FROM pg_class AS c
		WHERE c.relnamespace IN ('amelia'::regnamespace, 'amelia_saga'::regnamespace, 'amelia_platform'::regnamespace) AND c.relkind = 'r')
	SELECT format('SELECT s.nullify(%L, %L)', t.name, a.attname)
	FROM tables AS t JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
	UNION ALL
	SELECT format(m.change, t.name)
	FROM tables AS t, (VALUES ('CREATE TRIGGER aaa BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION s.swallow()'),
		('CREATE TRIGGER zzzz BEFORE UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION s.swallow()')) AS m (change)
	UNION ALL
	VALUES ('ALTER TABLE amelia.event_types DROP CONSTRAINT event_types_level_check; ALTER TABLE amelia.event_types ALTER level TYPE integer USING 5'),
		('ALTER TABLE amelia.event_types ALTER persisted DROP DEFAULT; ALTER TABLE amelia.event_types ALTER persisted TYPE text'),
		('ALTER TABLE amelia.event_types DROP CONSTRAINT event_types_pkey; ALTER TABLE amelia.event_types ADD n integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY')});
cmp_ok(scalar @changes, '>', 300, 'there are changes to try');

my $started = $node->safe_psql('odd', 'SELECT pg_postmaster_start_time()');
my $err = make_changes($node, 'odd', @changes);
unlike($err, qr/server closed the connection/, 'no change ends the session');
is($node->safe_psql('odd', 'SELECT pg_postmaster_start_time()'), $started, 'nor the server');
is($node->safe_psql('odd', q{SELECT DISTINCT o.change, left(o.call, 60), o.message FROM s.outcome AS o WHERE o.sqlstate LIKE 'XX%'}),
	'', 'none leads to an internal error');
is($node->safe_psql('odd', 'SELECT count(*) FROM s.outcome AS o WHERE o.call IS NULL'), 0, 'each can be made');
is($node->safe_psql('odd', q{SELECT o.sqlstate FROM s.outcome AS o
	WHERE o.change LIKE '%BEFORE INSERT ON amelia.workflow_inbox %' AND o.call LIKE '%send_to_workflow%'}),
	'27000', 'a message that a trigger keeps away is refused, not sent again for ever');

# What commits by itself, each with a database to spoil.
for my $case (
	[ "SELECT s.nullify('amelia_platform.maintenance_runs', 'reason')", 'CALL amelia_platform.run_maintenance()' ],
	[ "SELECT s.nullify('amelia.budgets', 'id')", 'CALL amelia.close_days()' ],
	[ "SELECT s.nullify('amelia.workflows', 'id')", "CALL amelia.run_retention(held_back => 'delete')" ],
	[ 'ALTER TABLE amelia.workflows RENAME TO moved; ALTER TABLE amelia.moved RENAME id TO moved_id;
		CREATE VIEW amelia.workflows AS SELECT NULL::uuid AS id, m.* FROM amelia.moved AS m', "CALL amelia.run_retention(held_back => 'delete')" ],
	map { [ "CREATE TRIGGER aaa BEFORE INSERT OR UPDATE ON $_ FOR EACH ROW EXECUTE FUNCTION s.swallow()",
			"CALL amelia.run_retention(held_back => 'delete'); CALL amelia.close_days(); CALL amelia_platform.run_maintenance('delete')" ] }
	qw(amelia.retention_runs amelia.usage_days amelia_platform.maintenance_runs))
{
	my ($change, $calls) = @$case;

	$node->safe_psql('postgres', 'CREATE DATABASE spoilt TEMPLATE odd');
	$node->safe_psql('spoilt', "SELECT amelia.update_settings('{\"log_retention_days\": 1}'); $change");
	(undef, undef, $err) = $node->psql('spoilt', "\\set VERBOSITY sqlstate\n$calls", on_error_stop => 0);
	unlike($err, qr/server closed the connection|ERROR:  XX/, (split /\n/, $change)[0]);
	$node->safe_psql('postgres', 'DROP DATABASE spoilt');
}
is($node->safe_psql('odd', 'SELECT pg_postmaster_start_time()'), $started, 'none of these ends the server');

# What was held back for a reason that is not there.
$node->safe_psql('odd', q{INSERT INTO amelia_platform.maintenance_runs (id, outcome) VALUES ('ffffffff-0000-4000-8000-000000000000', 'held back')});
like($node->safe_psql('odd', 'SELECT amelia_internal.held_elsewhere()'), qr/is held back: nobody noted why/, 'the status says that nobody noted why');

$node->stop;
done_testing();
