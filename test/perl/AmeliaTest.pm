# What the TAP tests of dumps, migrations and crashes share: a database with
# rows in every table and an operator's changes, and ways to compare two of them.
package AmeliaTest;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use File::Basename qw(dirname);
use Polls;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(new_node new_database fill operator_changes table_sums catalog
  same_lines same_database say_each fails_with all_fail_with verify_is gaps_and_duplicates wait_for_lock);

# The extensions that a test is about; amelia is one of them.
our @extensions = ('amelia');

# A running server. With preload the library is loaded at start, as in production.
sub new_node
{
	my ($name, %params) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(
		extra => [ '--no-locale', '--encoding=UTF8' ],
		allows_streaming => $params{allows_streaming});
	# Each statement in the log would make a failed test hard to read.
	$node->append_conf('postgresql.conf', "log_statement = none\n");
	# Its worker would delete what fill() makes old; it has tests of its own.
	$node->append_conf('postgresql.conf', "shared_preload_libraries = 'amelia'\namelia.enabled = off\n")
	  if $params{preload};
	$node->append_conf('postgresql.conf', $params{conf}) if $params{conf};
	$node->start;
	return $node;
}

sub new_database
{
	my ($node, $db, %params) = @_;

	$node->safe_psql('postgres',
		"CREATE DATABASE $db TEMPLATE template0"
		  . ($params{owner} ? " OWNER $params{owner}" : ''));
	$node->safe_psql($db, join '; ', map { "CREATE EXTENSION $_" } @extensions) if $params{extension};
	return;
}

# The schemas of the extensions, as a list in SQL.
sub schemas { return join ', ', map { "'$_'" } @extensions }

# Rows in every table of the schema, with what a dump could lose: numbers that
# were removed, reserved, or brought by a client, a circle of foreign keys,
# events with parents, values that are stored out of line.
sub fill
{
	my ($node, $db) = @_;

	$node->safe_psql($db, <<'SQL');
SET search_path = amelia, public;
SET timezone = 'UTC';
INSERT INTO profiles (id, tracker, working_dir, agents)
VALUES ('work', 'github', '/srv/work', '{"architect": {"driver": "api", "model": "m1", "options": {}}}'),
	('home', 'noop', E'/srv/a\tb\\c', '{}');
SELECT set_active_profile('work');
SELECT update_settings('{"log_retention_days": -1, "max_concurrent": 7, "stream_tool_results": true,
	"record_unpriced_usage": true}');
UPDATE server_settings SET updated_at = '2020-02-02 02:02:02.123456+00';
-- a round with nothing to delete yet
CALL run_retention();

SELECT seed_prompts('[{"id": "architect.plan", "agent": "architect", "name": "Plan"},
	{"id": "reviewer.agentic", "agent": "reviewer", "name": "Review", "description": "d"}]');
SELECT create_prompt_version('architect.plan', 'plan well, ' || n) FROM generate_series(1, 3) AS n;
SELECT create_prompt_version('reviewer.agentic', 'review', 'first');
SELECT reset_prompt('reviewer.agentic');
INSERT INTO prompt_versions (id, prompt_id, version_number, content) VALUES ('v9', 'reviewer.agentic', 9, 'x');

SELECT create_workflow('ISSUE-' || n, '/tree/' || n, profile_id => 'work',
	issue_cache => jsonb_build_object('n', n), id => ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid)
FROM generate_series(1, 30) AS n;
SELECT set_workflow_status(id, 'in_progress') FROM workflows ORDER BY id LIMIT 20;
SELECT set_workflow_status(id, 'completed') FROM workflows WHERE status = 'in_progress' ORDER BY id LIMIT 5;
SELECT set_workflow_status(id, 'failed', 'out of tokens — “quota”')
FROM workflows WHERE status = 'in_progress' ORDER BY id LIMIT 5;
SELECT set_plan_cache(id, '{"steps": [1, 2, {"a": null}]}') FROM workflows WHERE status = 'failed';
INSERT INTO workflows (issue_id, worktree_path, status, started_at, completed_at, created_at, updated_at)
VALUES ('OLD', '/tree/old', 'cancelled', '2019-01-01', '2019-01-02', '2019-01-01', '2019-01-03');

SELECT append_event(w.id, 'claude_tool_call', 'step ' || n, agent => 'architect',
	data => jsonb_build_object('n', n, 'text', repeat('é\', n)), tool_name => 'bash',
	tool_input => '{"cmd": "ls"}', trace_id => 't' || n % 3, correlation_id => 'c' || n)
FROM workflows AS w, generate_series(1, 60) AS n;
INSERT INTO workflow_log (workflow_id, event_type, message, level, is_error, parent_id)
SELECT workflow_id, 'task_failed', E'it broke\n\\.\n', 'error', true, id FROM workflow_log WHERE sequence = 7;
-- random, so that it is not compressed away
INSERT INTO workflow_log (workflow_id, event_type, message, data)
SELECT id, 'big', (SELECT string_agg(md5(n::text || id), '') FROM generate_series(1, 500) AS n),
	jsonb_build_object('k', repeat('long ', 5000))
FROM workflows ORDER BY id LIMIT 10;
-- numbers that a client brought, gaps included, and an automatic one after them
INSERT INTO workflow_log (workflow_id, sequence, event_type, message)
SELECT id, 1000 * n, 'imported', 'brought' FROM workflows, generate_series(1, 2) AS n WHERE issue_id = 'OLD';
INSERT INTO workflow_log (workflow_id, event_type, message)
SELECT id, 'imported', 'numbered' FROM workflows WHERE issue_id = 'OLD';
-- removed from the middle and at the end, and reserved
DELETE FROM workflow_log AS e USING workflows AS w
WHERE w.id = e.workflow_id AND w.status = 'pending' AND (e.sequence > 58 OR e.sequence IN (3, 4));
SELECT next_sequence(id, 5) FROM workflows WHERE issue_id = 'ISSUE-30';

SELECT record_usage(w.id, 'architect', 'model-' || n % 3, 1000 * n, n, cost_usd => 0.000001 * n,
	"timestamp" => '2024-02-29 23:59:59.999999+00')
FROM workflows AS w, generate_series(1, 5) AS n;
UPDATE token_usage SET cache_read_tokens = NULL WHERE input_tokens = 1000;
-- priced and not, a budget with what is spent under it and its warning, days
-- that are closed, and one that changed since
SELECT load_prices('{"priced": {"input_cost_per_token": 0.000003, "output_cost_per_token": 0.000015}}');
INSERT INTO budgets (scope, target, period, limit_usd, action)
VALUES ('workflow', '00000000-0000-4000-8000-000000000003', 'total', 0.25, 'warn'),
	('profile', 'work', 'month', 1000000, 'block');
SELECT record_usage(id, 'architect', 'priced', 100000, 10000), record_usage(id, 'architect', 'unpriced', 1, 1)
FROM workflows ORDER BY id LIMIT 3;
SELECT compact_budgets();
CALL close_days();
SELECT record_usage(id, 'reviewer', 'model-1', 1, 1, cost_usd => 0.1, "timestamp" => '2024-02-29 12:00:00+00')
FROM workflows ORDER BY id LIMIT 1;

SELECT record_workflow_prompt(w.id, p.id, p.current_version_id)
FROM workflows AS w, prompts AS p WHERE p.current_version_id IS NOT NULL;
-- one that a worker holds, under its second lease, with a message that it took
-- and one that waits; others whose lease an older client wrote
SELECT create_workflow('HELD', '/tree/held', profile_id => 'work', id => '00000000-0000-4000-8000-000000000040');
UPDATE workflows SET priority = 9 WHERE issue_id = 'HELD';
UPDATE profiles SET max_concurrent = 3 WHERE id = 'work';
SELECT id, lease_token FROM claim_workflow('host-7');
SELECT release_workflow('00000000-0000-4000-8000-000000000040', 1);
SELECT id, lease_token FROM claim_workflow('host-8');
SELECT heartbeat('00000000-0000-4000-8000-000000000040', 2, '1 day');
SELECT send_to_workflow('00000000-0000-4000-8000-000000000040', 'pause', '{"until": "noon"}');
SELECT kind FROM take_inbox('00000000-0000-4000-8000-000000000040', 2);
SELECT send_to_workflow('00000000-0000-4000-8000-000000000040', 'message', '{"text": "é\\"}');
INSERT INTO workflow_leases (workflow_id, worker, lease_token, expires_at)
SELECT id, 'host-1', 42, '2031-01-01' FROM workflows WHERE status = 'in_progress' AND issue_id <> 'HELD';
INSERT INTO checkpoint_walks VALUES ('public', 'older checkpoints', 'thread');
INSERT INTO claim_faults (workflow_id, times, retry_at, sqlstate, reason)
SELECT id, 3, '2031-01-01', '23514', 'a CHECK that é refuses' FROM workflows WHERE status = 'pending' ORDER BY id LIMIT 1;
SELECT prune_feed('0', 5);
-- one that is gone, with its history
SELECT create_workflow('GONE', '/tree/gone', profile_id => 'work', id => '00000000-0000-4000-8000-000000000099');
SELECT record_usage('00000000-0000-4000-8000-000000000099', 'architect', 'model-1', 10 * n, n, cost_usd => 0.25)
FROM generate_series(1, 3) AS n;
DELETE FROM workflows WHERE issue_id = 'GONE';
INSERT INTO workflow_threads (thread_id, workflow_id) SELECT 'thread-' || issue_id, id FROM workflows;

INSERT INTO brainstorm_sessions (id, profile_id, topic, status)
VALUES ('s1', 'work', 'a design', 'active'), ('s2', 'home', NULL, 'completed');
SELECT add_brainstorm_message('s1', CASE n % 2 WHEN 0 THEN 'assistant' ELSE 'user' END, 'message ' || n,
	'[{"type": "text"}]', n, n, 0.5, id => 'm' || n)
FROM generate_series(1, 9) AS n;
SELECT add_brainstorm_message('s2', 'user', 'hello');
DELETE FROM brainstorm_messages WHERE id IN ('m2', 'm9');
INSERT INTO brainstorm_artifacts (id, session_id, type, path) VALUES ('a1', 's1', 'adr', 'docs/adr.md');

-- the operator switches a seeded type, and has one of their own
UPDATE event_types SET persisted = NOT persisted WHERE event_type IN ('stream', 'system_warning');
INSERT INTO event_types (event_type, domain, level) VALUES ('deploy_done', 'workflow', 'info');
SQL

	fill_saga($node, $db) if is_about('amelia_saga');
	$node->safe_psql($db, slurp_file(dirname(__FILE__) . '/platform_rows.sql')) if is_about('amelia_platform');

	is(join(' ', grep { s/\|0\|.*// } split(/\n/, table_sums($node, $db))), '', "$db: no table of the schema is empty");
	return;
}

# Messages and files: with an index of English words, of one time, with what is
# stored out of line, and longer than what is indexed.
sub fill_saga
{
	my ($node, $db) = @_;

	$node->safe_psql($db, <<'SQL');
SET search_path = amelia_saga, public;
SET timezone = 'UTC';
SELECT save_message('openai', 'user', 'The café in src/cart.py, é\' || n, '["python", "a b"]', '2024-02-29 23:59:59.999999+00',
	'{"k": 1.50, "n": 1152921504606846977}', 's1', 'm' || n)
FROM generate_series(1, 40) AS n;
SELECT save_message('groq', 'assistant', E'tabs\tand\n\\.\nlines ' || n) FROM generate_series(1, 10) AS n;
INSERT INTO messages (id, provider, role, content) VALUES ('long', 'p', 'r', repeat('many words ', 30000) || 'end');
INSERT INTO messages (id, provider, role, content)
SELECT 'big', 'p', 'r', string_agg(md5(n::text), ' ') FROM generate_series(1, 2000) AS n;
DELETE FROM messages WHERE id = 'm40';
SELECT save_file('cart.py', '/srv/src/cart.py', 'text/x-python', 'def total(): return 1', '["python"]', 21, id => 'f1'),
	save_file('empty', '/srv/empty', 'text/plain', id => 'f2');
SELECT index_english(true);
SQL
	return;
}

# Whether a test is about an extension.
sub is_about
{
	my ($extension) = @_;

	return grep { $_ eq $extension } @extensions;
}

# What an operator does to tables that are theirs. Roles are the cluster's:
# they are made once.
sub operator_changes
{
	my ($node, $db) = @_;

	$node->safe_psql($db, <<'SQL');
DO $$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'dashboard') THEN
		CREATE ROLE dashboard;
		CREATE ROLE runner;
		CREATE ROLE boss;
	END IF;
END
$$;
SELECT amelia.grant_reader('dashboard'), amelia.grant_worker('runner'), amelia.grant_admin('boss');
GRANT SELECT (id, message) ON amelia.workflow_log TO PUBLIC;
GRANT REFERENCES ON amelia.workflows TO dashboard WITH GRANT OPTION;
REVOKE DELETE ON amelia.event_types FROM boss;

ALTER TABLE amelia.workflows ADD COLUMN team text NOT NULL DEFAULT 'core',
	ADD CONSTRAINT team_is_named CHECK (team <> '');
UPDATE amelia.workflows SET team = 'ops' WHERE issue_id = 'ISSUE-3';
COMMENT ON COLUMN amelia.workflows.team IS 'ours';
ALTER TABLE amelia.workflow_log ADD COLUMN words integer GENERATED ALWAYS AS (length(message)) STORED;
CREATE INDEX ops_log_words ON amelia.workflow_log (words) INCLUDE (agent) WHERE words > 10;
COMMENT ON INDEX amelia.ops_log_words IS 'ours too';
CREATE UNIQUE INDEX ops_lower_issue ON amelia.workflows (lower(issue_id), team);
CREATE STATISTICS amelia.ops_stats ON status, team FROM amelia.workflows;
ALTER TABLE amelia.workflow_log SET (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE amelia.workflow_log ALTER COLUMN message SET STATISTICS 500,
	ALTER COLUMN data SET STORAGE EXTERNAL, ALTER COLUMN agent SET (n_distinct = 7);
ALTER TABLE amelia.token_usage REPLICA IDENTITY FULL;
ALTER TABLE amelia.server_settings ALTER COLUMN log_retention_days SET DEFAULT 90;
COMMENT ON TABLE amelia.token_usage IS 'what we pay for';

ALTER TABLE amelia.profiles ENABLE ROW LEVEL SECURITY;
CREATE POLICY ops_see_own ON amelia.profiles AS PERMISSIVE FOR SELECT TO dashboard USING (id <> 'home');
CREATE POLICY ops_write ON amelia.profiles FOR UPDATE TO runner USING (true) WITH CHECK (tracker = 'github');

UPDATE amelia.workflow_log SET agent = 'nobody' WHERE tool_name IS NULL AND agent IS NULL;
CREATE FUNCTION amelia.ops_default_agent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW.agent := COALESCE(NEW.agent, 'nobody');
	RETURN NEW;
END
$$;
CREATE TRIGGER ops_default_agent BEFORE INSERT ON amelia.workflow_log
	FOR EACH ROW WHEN (NEW.tool_name IS NULL) EXECUTE FUNCTION amelia.ops_default_agent();
COMMENT ON TRIGGER ops_default_agent ON amelia.workflow_log IS 'every event has an agent';
CREATE TRIGGER ops_switched_off BEFORE UPDATE ON amelia.token_usage
	FOR EACH ROW EXECUTE FUNCTION amelia.ops_default_agent();
ALTER TABLE amelia.token_usage DISABLE TRIGGER ops_switched_off;

CREATE VIEW amelia.ops_open AS
	SELECT w.id, w.team, s.total_cost_usd, amelia.last_sequence(w.id) AS events
	FROM amelia.workflows AS w, amelia.token_summary(w.id) AS s
	WHERE w.status IN ('pending', 'in_progress', 'blocked');
GRANT SELECT ON amelia.ops_open TO dashboard;
CREATE MATERIALIZED VIEW amelia.ops_cost AS SELECT model, sum(cost_usd) FROM amelia.token_usage GROUP BY model;
CREATE TABLE amelia.ops_notes (
	id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
	workflow_id uuid REFERENCES amelia.workflows (id) ON DELETE CASCADE,
	note text);
INSERT INTO amelia.ops_notes (workflow_id, note) SELECT id, 'see ' || issue_id FROM amelia.workflows;
SQL
	$node->safe_psql($db, <<'SQL') if is_about('amelia_saga');
SELECT amelia_saga.grant_reader('dashboard'), amelia_saga.grant_writer('runner');
ALTER TABLE amelia_saga.messages ADD COLUMN team text NOT NULL DEFAULT 'core';
UPDATE amelia_saga.messages SET team = 'ops' WHERE id = 'm3';
CREATE INDEX ops_words ON amelia_saga.messages USING gin (to_tsvector('amelia_saga.exact', provider));
CREATE TEXT SEARCH CONFIGURATION amelia_saga.ours (COPY = amelia_saga.exact);
ALTER TABLE amelia_saga.messages ALTER COLUMN search SET STATISTICS 77;
ALTER TABLE amelia_saga.messages ENABLE ROW LEVEL SECURITY;
CREATE POLICY ops_see_own ON amelia_saga.messages TO dashboard USING (team = 'ops');
SQL
	return;
}

# A line for each table: its name, how many rows, and an md5 of them all.
sub table_sums { my ($node, $db) = @_; return $node->safe_psql($db, sums_query()) }

sub sums_query
{
	return q{SET timezone = 'UTC';
		SELECT format(
			'SELECT %L, count(*), md5(string_agg(t::text, E''\n'' ORDER BY t::text COLLATE "C")) FROM %s AS t',
			r.name, r.name)
		FROM (SELECT format('%I.%I', n.nspname, c.relname)
			FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
			WHERE n.nspname IN (} . schemas() . q{) AND c.relkind IN ('r', 'p', 'm')) AS r (name)
		ORDER BY 1
		\gexec
		};
}

# A line for everything in the catalog that a user may have set. An ACL that
# was never touched reads like the default that it stands for.
sub catalog { my ($node, $db) = @_; return $node->safe_psql($db, catalog_query()) }

sub catalog_query
{
	(my $sql = <<'SQL') =~ s/EXTENSIONS/schemas()/ge;
SET search_path = '';
WITH ns AS (SELECT n.* FROM pg_catalog.pg_namespace AS n WHERE n.nspname IN (EXTENSIONS)),
rel AS (SELECT c.*, c.oid::regclass AS name FROM pg_catalog.pg_class AS c, ns WHERE c.relnamespace = ns.oid),
acls (object, acl) AS (
	SELECT 'schema ' || nspname, COALESCE(nspacl, acldefault('n', nspowner)) FROM ns
	UNION ALL
	SELECT 'relation ' || rel.name,
		COALESCE(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner))
	FROM rel WHERE relkind IN ('r', 'p', 'v', 'm', 'S')
	UNION ALL
	SELECT 'column ' || rel.name || '.' || attname, attacl
	FROM rel JOIN pg_catalog.pg_attribute AS a ON a.attrelid = rel.oid WHERE attacl IS NOT NULL
	UNION ALL
	SELECT 'routine ' || p.oid::regprocedure, COALESCE(proacl, acldefault('f', proowner))
	FROM pg_catalog.pg_proc AS p, ns WHERE p.pronamespace = ns.oid),
lines (line) AS (
	SELECT concat_ws('|', 'schema', nspname, nspowner::regrole,
		obj_description(oid, 'pg_namespace')) FROM ns
	UNION ALL
	SELECT concat_ws('|', 'extension', extname, extowner::regrole, extnamespace::regnamespace,
		extversion, extconfig IS NULL, obj_description(oid, 'pg_extension'))
	FROM pg_catalog.pg_extension WHERE extname IN (EXTENSIONS)
	UNION ALL
	SELECT concat_ws('|', 'member', pg_describe_object(d.classid, d.objid, d.objsubid))
	FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_extension AS e ON e.oid = d.refobjid
	WHERE d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e' AND e.extname IN (EXTENSIONS)
	UNION ALL
	SELECT concat_ws('|', 'acl', object, grantee::regrole, privilege_type, is_grantable, grantor::regrole)
	FROM acls, aclexplode(acl)
	UNION ALL
	SELECT concat_ws('|', 'relation', rel.name, relkind, relpersistence, relowner::regrole,
		relreplident, relrowsecurity, relforcerowsecurity, reloptions,
		obj_description(oid, 'pg_class')) FROM rel
	UNION ALL
	SELECT concat_ws('|', 'column', rel.name, attname, format_type(atttypid, atttypmod), attnotnull,
		atthasdef, pg_get_expr(d.adbin, d.adrelid), attidentity, attgenerated, attstorage,
		attcompression, NULLIF(attstattarget, -1), attcollation::regcollation,
		-- a server may keep options of its own here
		(SELECT string_agg(o, ',' ORDER BY o) FROM unnest(attoptions) AS o WHERE o LIKE 'n\_distinct%'),
		col_description(rel.oid, attnum))
	FROM rel JOIN pg_catalog.pg_attribute AS a ON a.attrelid = rel.oid
	LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = rel.oid AND d.adnum = attnum
	WHERE attnum > 0 AND NOT attisdropped AND relkind IN ('r', 'p', 'v', 'm', 'S')
	UNION ALL
	SELECT concat_ws('|', 'constraint', c.conrelid::regclass, conname, pg_get_constraintdef(c.oid),
		condeferrable, condeferred, convalidated, conislocal,
		obj_description(c.oid, 'pg_constraint'))
	FROM pg_catalog.pg_constraint AS c, ns WHERE c.connamespace = ns.oid
	UNION ALL
	SELECT concat_ws('|', 'index', pg_get_indexdef(indexrelid), indisunique, indisprimary, indisclustered,
		indisvalid, indisready, indislive, indisreplident)
	FROM pg_catalog.pg_index JOIN rel ON rel.oid = indexrelid
	UNION ALL
	SELECT concat_ws('|', 'trigger', pg_get_triggerdef(t.oid), tgenabled, obj_description(t.oid, 'pg_trigger'))
	FROM pg_catalog.pg_trigger AS t JOIN rel ON rel.oid = tgrelid WHERE NOT tgisinternal
	UNION ALL
	SELECT concat_ws('|', 'policy', polrelid::regclass, polname, polcmd, polpermissive,
		(SELECT string_agg(r::regrole::text, ',') FROM unnest(polroles) AS r),
		pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
	FROM pg_catalog.pg_policy JOIN rel ON rel.oid = polrelid
	UNION ALL
	SELECT concat_ws('|', 'rule', pg_get_ruledef(r.oid))
	FROM pg_catalog.pg_rewrite AS r JOIN rel ON rel.oid = ev_class
	UNION ALL
	SELECT concat_ws('|', 'statistics', pg_get_statisticsobjdef(s.oid), stxowner::regrole)
	FROM pg_catalog.pg_statistic_ext AS s, ns WHERE stxnamespace = ns.oid
	UNION ALL
	SELECT concat_ws('|', 'routine', pg_get_functiondef(p.oid), proowner::regrole,
		obj_description(p.oid, 'pg_proc'))
	FROM pg_catalog.pg_proc AS p, ns WHERE p.pronamespace = ns.oid AND prokind <> 'a'
	UNION ALL
	SELECT concat_ws('|', 'type', t.oid::regtype, typtype, typowner::regrole)
	FROM pg_catalog.pg_type AS t, ns WHERE t.typnamespace = ns.oid)
-- one line each, and so short that a failed test can be read
SELECT left(replace(line, E'\n', ' '), 200) || ' ' || md5(line) FROM lines ORDER BY line COLLATE pg_catalog."C";
SQL
	return $sql;
}

# Like is(), but shows only the lines that differ.
sub same_lines
{
	my ($got, $expected, $name) = @_;
	my (%got, %expected);

	$got{$_} = 1 foreach split /\n/, $got;
	$expected{$_} = 1 foreach split /\n/, $expected;
	my @missing = grep { !$got{$_} } sort keys %expected;
	my @added = grep { !$expected{$_} } sort keys %got;

	ok($expected ne '' && !@missing && !@added, $name)
	  or diag(join "\n", (map { "missing: $_" } @missing), (map { "new: $_" } @added));
	return;
}

# Whether a database equals another's table_sums() and catalog(), and is sound.
sub same_database
{
	my ($node, $db, $sums, $catalog, $name) = @_;

	my ($rows, $found, $objects) = say_each($node, $db, sums_query(), verify_query(), catalog_query());

	is(join('', map { $_->[1] } $rows, $found, $objects), '', "$name: can be read");
	same_lines($rows->[0], $sums, "$name: every row of every table");
	same_lines($objects->[0], $catalog, "$name: the catalog");
	is($found->[0], '', "$name: verify() finds nothing");
	return;
}

# What each of some statements says, in one session: pairs of its output and its
# errors.
sub say_each
{
	my ($node, $db, @statements) = @_;
	my $end = 'the end of what it says';
	my ($ret, $out, $err) = $node->psql($db,
		join("\n", '\set VERBOSITY verbose', map { ("$_\n;", "\\echo $end", "\\warn $end") } @statements), on_error_stop => 0);
	my @answers = split(/^\Q$end\E\n/m, "$out\n");
	my @errors = split(/^\Q$end\E\n/m, "$err\n");

	return map { [ ($answers[$_] // '') =~ s/\n\z//r, $errors[$_] // '' ] } 0 .. $#statements;
}

# The same of statements that each begin outside a transaction: pairs of one and a name.
sub all_fail_with
{
	my ($node, $db, $sqlstate, $like, @cases) = @_;
	my @said = say_each($node, $db, map { $_->[0] } @cases);

	like($said[$_][1], qr/(?:ERROR|FATAL):  $sqlstate: .*$like/s, "$cases[$_][1]: $sqlstate") for 0 .. $#cases;
	return;
}

# Whether a script ends in an error with that SQLSTATE, and a message or hint
# like that.
sub fails_with
{
	my ($node, $db, $sql, $sqlstate, $like, $name, @psql_params) = @_;
	my ($ret, $out, $err) = $node->psql($db, $sql,
		extra_params => [ '-v', 'VERBOSITY=verbose', @psql_params ]);

	isnt($ret, 0, "$name: refused");
	like($err, qr/(?:ERROR|FATAL):  $sqlstate: .*$like/s, "$name: $sqlstate");
	return;
}

# What verify() finds: "problem|object" lines, in order.
sub verify_is
{
	my ($node, $db, $expected, $name) = @_;

	is($node->safe_psql($db, verify_query()), $expected, $name);
	return;
}

sub verify_query
{
	return 'SELECT problem, object FROM (' . join(' UNION ALL ', map { "SELECT * FROM $_.verify()" } @extensions)
	  . ') AS v ORDER BY problem COLLATE "C", object COLLATE "C"';
}

# The workflows whose log is not 1, 2, 3, … without a gap or a duplicate, but
# for what was removed: counted from the rows, without the index.
sub gaps_and_duplicates
{
	my ($node, $db) = @_;

	return $node->safe_psql($db, q{
		SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off;
		SELECT e.workflow_id, count(*), max(e.sequence), w.sequence_floor, w.events_removed
		FROM amelia.workflow_log AS e JOIN amelia.workflows AS w ON w.id = e.workflow_id
		GROUP BY e.workflow_id, w.sequence_floor, w.events_removed
		HAVING count(*) <> count(DISTINCT e.sequence)
			OR count(*) + w.events_removed <> GREATEST(max(e.sequence), w.sequence_floor)});
}

# Wait until a session of that application_name waits for a lock.
sub wait_for_lock
{
	my ($node, $application) = @_;

	$node->poll_query_until('postgres', qq{
		SELECT EXISTS (SELECT FROM pg_stat_activity
			WHERE application_name = '$application' AND wait_event_type = 'Lock')})
	  or die "$application does not wait for a lock";
	return;
}

1;
