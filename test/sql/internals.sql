-- What is not meant for callers, called all the same: it raises, and the server
-- goes on.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers

-- The triggers' functions by hand.
SELECT * FROM t.errors(
	$$SELECT amelia_internal.touch_updated_at()$$,
	$$SELECT amelia_internal.enforce_workflow_update()$$,
	$$SELECT amelia_internal.allocate_sequence()$$,
	$$SELECT amelia_internal.keep_sequence()$$,
	$$SELECT amelia_internal.keep_sequence_floor()$$,
	$$SELECT amelia_internal.raise_sequence_floor()$$);

-- On tables that are not theirs, with columns of other types and without them;
-- by triggers of another kind.
CREATE TABLE t.mine (id integer, n integer, updated_at text, session_id integer, sequence text, sequence_allocated text,
	sequence_floor text, events_removed text, status integer, started_at integer);
CREATE TABLE t.bare (n integer);
CREATE TABLE t.workflow_log (id text, n integer, workflow_id integer, sequence integer, sequence_allocated boolean);
CREATE TABLE t.brainstorm_messages (id text, n integer, session_id text, sequence bigint, sequence_allocated boolean);
CREATE FUNCTION t.misused(function text, target text, timing text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE format('CREATE TRIGGER misused %s ON t.%I %s EXECUTE FUNCTION amelia_internal.%I()', timing, target,
		CASE WHEN timing LIKE '%TRUNCATE' THEN 'FOR EACH STATEMENT' ELSE 'FOR EACH ROW' END, function);
	result := t.error(format('INSERT INTO t.%I (n) VALUES (1)', target));
	IF result = 'no error' THEN
		result := t.error(format('UPDATE t.%I SET n = n + 1', target));
	END IF;
	IF result = 'no error' THEN
		result := t.error(format('DELETE FROM t.%I', target));
	END IF;
	IF result = 'no error' THEN
		result := t.error(format('TRUNCATE t.%I', target));
	END IF;
	EXECUTE format('DROP TRIGGER misused ON t.%I', target);
	EXECUTE format('DELETE FROM t.%I', target);
	RETURN result;
END
$$;
CREATE TABLE t.result AS
SELECT f.name AS function, c.target, k.timing, t.misused(f.name, c.target, k.timing) AS error
FROM unnest(ARRAY['touch_updated_at', 'enforce_workflow_update', 'allocate_sequence', 'keep_sequence', 'keep_sequence_floor',
		'raise_sequence_floor']) AS f (name),
	unnest(ARRAY['mine', 'bare', 'workflow_log', 'brainstorm_messages']) AS c (target),
	unnest(ARRAY['BEFORE INSERT', 'AFTER INSERT', 'BEFORE UPDATE', 'AFTER DELETE', 'BEFORE TRUNCATE']) AS k (timing);
SELECT function, left(error, 5) AS sqlstate, count(*) FROM t.result GROUP BY 1, 2 ORDER BY function COLLATE "C", 2;
SELECT function, target, error FROM t.result WHERE timing = 'BEFORE UPDATE' AND target IN ('mine', 'bare')
ORDER BY function COLLATE "C", target COLLATE "C";

-- On Amelia's own tables, but of another kind than they are made for.
INSERT INTO amelia.workflows (id, issue_id, worktree_path) VALUES (t.w(1), 'I-1', '/w1');
CREATE TRIGGER misused AFTER INSERT ON amelia.workflow_log FOR EACH ROW EXECUTE FUNCTION amelia_internal.allocate_sequence();
SELECT * FROM t.errors($$SELECT amelia.append_event(t.w(1), 'x', 'm')$$);
DROP TRIGGER misused ON amelia.workflow_log;
CREATE TRIGGER misused BEFORE UPDATE ON amelia.workflow_log FOR EACH ROW EXECUTE FUNCTION amelia_internal.touch_updated_at();
SELECT amelia.append_event(t.w(1), 'x', 'm');
SELECT * FROM t.errors($$UPDATE amelia.workflow_log SET message = 'n'$$);
DROP TRIGGER misused ON amelia.workflow_log;
SELECT * FROM amelia.verify();

-- The checks.
SELECT * FROM t.errors(
	$$SELECT amelia_internal.check_given('x', NULL::integer)$$,
	$$SELECT amelia_internal.check_given(NULL, NULL::integer)$$,
	$$SELECT amelia_internal.check_given(NULL, 1)$$,
	$$SELECT amelia_internal.check_choice(NULL, 'red')$$,
	$$SELECT amelia_internal.check_choice('status', NULL)$$,
	$$SELECT amelia_internal.check_container(NULL, '5')$$,
	$$SELECT amelia_internal.check_count('n', -9223372036854775808)$$,
	$$SELECT amelia_internal.check_cost('c', -1e20)$$,
	$$SELECT amelia_internal.check_transition(NULL, 'pending', 'failed')$$,
	$$SELECT amelia_internal.check_transition(t.w(1), NULL, 'failed')$$,
	$$SELECT amelia_internal.check_transition(t.w(1), 'pending', NULL)$$,
	$$SELECT amelia_internal.check_transition(t.w(1), 'pending', 'nowhere')$$);
