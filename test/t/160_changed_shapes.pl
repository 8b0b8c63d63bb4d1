# What the tables' owner may do to them, however odd, ends in no crash and in no
# internal error: each table that C reads, each of its columns, each change, and
# then all that reads and writes there. And each trigger function of ours on a
# table that it was not made for.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use AmeliaTest;
use OddChanges;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('shapes', preload => 1);
new_database($node, 'shapes', extension => 1);
my $started = $node->safe_psql('shapes', 'SELECT pg_postmaster_start_time()');

prepare_changes($node, 'shapes');
$node->safe_psql('shapes', q{
	CREATE DOMAIN s.always AS text CHECK (VALUE <> 'never');
	CREATE FUNCTION s.any(anyelement) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN 1; END';
	INSERT INTO amelia.profiles (id, working_dir, agents) VALUES ('p', '/', '{}');
	INSERT INTO amelia.workflows (id, issue_id, worktree_path, profile_id, status)
	SELECT ('00000000-0000-7000-8000-00000000000' || n)::uuid, 'I', '/' || n, 'p', 'pending' FROM generate_series(1, 5) AS n;
	SELECT amelia.append_event(w.id, 'x', 'm') FROM amelia.workflows AS w;
	SELECT amelia.record_usage(w.id, 'a', 'm', 1, 1, cost_usd => 1) FROM amelia.workflows AS w;
	SELECT id FROM amelia.claim_workflow('w');
	INSERT INTO amelia.brainstorm_sessions (id, profile_id) VALUES ('b', 'p');
	SELECT amelia.add_brainstorm_message('b', 'user', 'm');
	SELECT amelia.prune_feed('0');

	INSERT INTO s.calls VALUES
	($c$SELECT amelia.append_event('00000000-0000-7000-8000-000000000002', 'x', 'm')$c$),
	($c$SELECT amelia.append_events('00000000-0000-7000-8000-000000000002', '[{"event_type": "x", "message": "m"}]')$c$),
	($c$INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES ('00000000-0000-7000-8000-000000000002', 'x', 'm')$c$),
	($c$DELETE FROM amelia.workflow_log$c$),
	($c$SELECT amelia.next_sequence('00000000-0000-7000-8000-000000000002')$c$),
	($c$SELECT amelia.create_workflow('I', '/new')$c$),
	($c$SELECT id FROM amelia.claim_workflow('w')$c$),
	($c$SELECT * FROM amelia.heartbeat(l.workflow_id, l.lease_token) AS h, amelia.workflow_leases AS l$c$),
	($c$SELECT amelia.release_workflow(l.workflow_id, l.lease_token, 'completed') FROM amelia.workflow_leases AS l$c$),
	($c$SELECT amelia.release_workflow(l.workflow_id, l.lease_token, NULL) FROM amelia.workflow_leases AS l$c$),
	($c$SELECT amelia.set_workflow_status('00000000-0000-7000-8000-000000000003', 'in_progress')$c$),
	($c$UPDATE amelia.workflows SET status = 'cancelled' WHERE status IN ('pending', 'in_progress')$c$),
	($c$DELETE FROM amelia.workflows$c$),
	($c$SELECT amelia.add_brainstorm_message('b', 'user', 'm')$c$),
	($c$DELETE FROM amelia.brainstorm_messages$c$),
	($c$SELECT amelia.record_usage('00000000-0000-7000-8000-000000000002', 'a', 'm', 1, 1, cost_usd => 1)$c$),
	($c$DELETE FROM amelia.token_usage$c$),
	($c$SELECT * FROM amelia.usage_summary('2020-01-01', '2099-01-01')$c$),
	($c$SELECT count(*) FROM amelia.feed_after((SELECT c.next_cursor FROM amelia.feed_after() AS c))$c$),
	($c$SELECT count(*) FROM amelia.verify()$c$),
	($c$SELECT count(*) FROM amelia.retention_preview()$c$)});

my @changes = split /\n/, $node->safe_psql('shapes', q{
	WITH tables AS (
		SELECT c.oid, c.relname FROM pg_class AS c
		WHERE c.relnamespace = 'amelia'::regnamespace AND c.relname IN ('workflows', 'workflow_log', 'workflow_leases',
			'workflow_feed', 'brainstorm_sessions', 'brainstorm_messages', 'token_usage', 'profiles', 'workflow_threads'))
	SELECT format(m.change, t.relname, a.attname)
	FROM tables AS t JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped,
		(VALUES ('ALTER TABLE amelia.%1$I DROP COLUMN %2$I CASCADE'),
			('ALTER TABLE amelia.%1$I ALTER %2$I DROP DEFAULT, ALTER %2$I TYPE text USING %2$I::text'),
			('ALTER TABLE amelia.%1$I ALTER %2$I DROP DEFAULT, ALTER %2$I TYPE bigint USING 1'),
			('ALTER TABLE amelia.%1$I ALTER %2$I DROP DEFAULT, ALTER %2$I TYPE s.always USING %2$I::text'),
			('CREATE INDEX ON amelia.%1$I (s.any(%2$I))'),
			('ALTER TABLE amelia.%1$I RENAME %2$I TO "renamed"')) AS m (change)
	UNION ALL
	SELECT format('ALTER TABLE amelia.%1$I ALTER %2$I DROP NOT NULL; ALTER TABLE amelia.%1$I DISABLE TRIGGER ALL;'
		' UPDATE amelia.%1$I SET %2$I = NULL; ALTER TABLE amelia.%1$I ENABLE TRIGGER ALL', t.relname, a.attname)
	FROM tables AS t JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND a.attnotnull
	UNION ALL
	SELECT format(m.change, t.relname)
	FROM tables AS t, (VALUES
		('ALTER TABLE amelia.%1$I RENAME TO moved; CREATE VIEW amelia.%1$I AS SELECT * FROM amelia.moved'),
		('ALTER TABLE amelia.%1$I RENAME TO moved; CREATE TABLE amelia.%1$I (LIKE amelia.moved) PARTITION BY HASH ((1))'),
		('DROP TABLE amelia.%1$I CASCADE'),
		('CREATE TABLE s.child () INHERITS (amelia.%1$I)'),
		('ALTER TABLE amelia.%1$I ADD g integer GENERATED ALWAYS AS (1) STORED'),
		('ALTER TABLE amelia.%1$I ADD must_be text NOT NULL DEFAULT ''x'''),
		('CREATE RULE r AS ON INSERT TO amelia.%1$I DO INSTEAD NOTHING'),
		('ALTER TABLE amelia.%1$I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY')) AS m (change)});
cmp_ok(scalar @changes, '>', 400, 'there are changes to try');

my $err = make_changes($node, 'shapes', @changes);
is($node->safe_psql('shapes', 'SELECT pg_postmaster_start_time()'), $started, 'the server runs on');
unlike($err, qr/server closed the connection/, 'and so did the session');
is($node->safe_psql('shapes', q{SELECT DISTINCT o.change, left(o.call, 60), o.message FROM s.outcome AS o WHERE o.sqlstate LIKE 'XX%'}),
	'', 'no change leads to an internal error');
cmp_ok($node->safe_psql('shapes', 'SELECT count(DISTINCT o.change) FROM s.outcome AS o WHERE o.call IS NOT NULL'), '>', 300,
	'most of them make something refuse');
note($node->safe_psql('shapes', q{SELECT o.call IS NULL AS not_possible, o.sqlstate, count(*) FROM s.outcome AS o GROUP BY 1, 2 ORDER BY 3 DESC}));

# Our trigger functions on tables of others, with columns of the names they look for.
$node->safe_psql('shapes', q{TRUNCATE s.outcome;
	CREATE TABLE s.bare (n integer);
	CREATE TABLE s.mine (id integer, workflow_id text, thread_id integer, sequence text, status integer, sequence_floor text, events_removed text,
		updated_at integer, worktree_path integer, timestamp text, day text, session_id integer, parked text, period integer, scope integer);
	INSERT INTO s.mine SELECT; INSERT INTO s.bare SELECT});
my @triggers = split /\n/, $node->safe_psql('shapes', q{
	SELECT format('CREATE TRIGGER odd %s ON s.%I FOR EACH %s EXECUTE FUNCTION %s()', k.timing, t.name, k.each, p.oid::regproc)
	FROM pg_proc AS p, (VALUES ('mine'), ('bare')) AS t (name),
		(VALUES ('BEFORE INSERT', 'ROW'), ('AFTER INSERT', 'ROW'), ('BEFORE UPDATE', 'ROW'), ('AFTER UPDATE', 'ROW'),
			('BEFORE DELETE', 'ROW'), ('AFTER DELETE', 'ROW'), ('AFTER INSERT', 'STATEMENT'), ('AFTER DELETE', 'STATEMENT'),
			('BEFORE TRUNCATE', 'STATEMENT')) AS k (timing, each)
	WHERE p.pronamespace IN ('amelia'::regnamespace, 'amelia_internal'::regnamespace) AND p.prorettype = 'trigger'::regtype});
cmp_ok(scalar @triggers, '>', 100, 'there are trigger functions to try');
$node->safe_psql('shapes', q{
	CREATE FUNCTION s.odd(trigger_sql text, call text) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		EXECUTE trigger_sql;
		EXECUTE call;
		RAISE EXCEPTION 'undo' USING ERRCODE = 'TT001';
	EXCEPTION
		WHEN SQLSTATE 'TT001' THEN NULL;
		WHEN internal_error THEN RAISE WARNING 'internal: % / % / %', trigger_sql, call, SQLERRM;
		WHEN OTHERS THEN NULL;
	END$$});
my $script = join("\n", map {
		my $t = /ON s\.mine/ ? 'mine' : 'bare';
		my $column = $t eq 'mine' ? 'id' : 'n';
		my $trigger = $_;

		map { "SELECT s.odd('$trigger', '$_');" }
		  ("INSERT INTO s.$t SELECT", "UPDATE s.$t SET $column = 1", "DELETE FROM s.$t", "TRUNCATE s.$t")
	} @triggers);
(undef, undef, $err) = $node->psql('shapes', $script, on_error_stop => 0, timeout => 600);
is($node->safe_psql('shapes', 'SELECT pg_postmaster_start_time()'), $started, 'no trigger function on a table of somebody else ends the server');
is(join("\n", grep { /WARNING/ } split /\n/, $err), '', 'and none meets an internal error');

$node->stop;
done_testing();
