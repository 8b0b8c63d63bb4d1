-- verify(): a row for each thing that is wrong, nothing when all is well. Each
-- fault is made, and undone.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\i :helpers

SELECT * FROM amelia.verify();

-- A database in use, in which all is well: removed, reserved and brought numbers
-- are no fault, nor is a workflow that ended or failed as it should.
INSERT INTO amelia.profiles (id, working_dir, agents) VALUES ('work', '/work', '{}');
INSERT INTO amelia.prompts (id, agent, name) VALUES ('p', 'a', 'n');
SELECT version_number FROM amelia.create_prompt_version('p', 'c');
INSERT INTO amelia.brainstorm_sessions (id, profile_id) VALUES ('s1', 'work');
SELECT m.sequence, m.id
FROM unnest(ARRAY['a', 'b', 'c', 'd']) AS c, amelia.add_brainstorm_message('s1', 'user', c, id => 'm-' || c) AS m;
DELETE FROM amelia.brainstorm_messages WHERE id = 'm-b';
SELECT status FROM amelia.create_workflow('I-1', '/w1', id => t.w(1));
SELECT status FROM amelia.create_workflow('I-2', '/w2', id => t.w(2));
SELECT status FROM amelia.create_workflow('I-3', '/w3', id => t.w(3));
SELECT status FROM amelia.set_workflow_status(t.w(2), 'failed');
SELECT status FROM amelia.set_workflow_status(t.w(3), 'cancelled');
SELECT amelia.append_event(t.w(1), 'x', 'm', id => t.e(n)) FROM generate_series(2, 6) AS n;
DELETE FROM amelia.workflow_log WHERE workflow_id = t.w(1) AND sequence IN (1, 3);
INSERT INTO amelia.workflow_log (workflow_id, event_type, message, sequence) VALUES (t.w(2), 'x', 'brought', 10);
SELECT amelia.append_event(t.w(2), 'x', 'follows');
SELECT amelia.next_sequence(t.w(3), 5);
SELECT amelia.append_event(t.w(3), 'x', 'above the reserved');
SELECT amelia.record_usage(t.w(1), 'a', 'm', 1, 1, cost_usd => 1, id => t.u(1));
SELECT * FROM amelia.verify();

-- Gaps in allocated sequences: in the middle, and at the beginning.
BEGIN;
SET LOCAL session_replication_role = replica;
DELETE FROM amelia.workflow_log WHERE workflow_id = t.w(1) AND sequence = 5;
DELETE FROM amelia.workflow_log WHERE workflow_id = t.w(2) AND sequence = 1;
DELETE FROM amelia.brainstorm_messages WHERE id = 'm-c';
SELECT * FROM amelia.verify() ORDER BY object COLLATE "C", detail COLLATE "C";
SELECT * FROM amelia_internal.verify_sequences() ORDER BY object COLLATE "C", detail COLLATE "C";
ROLLBACK;

-- Duplicates.
BEGIN;
ALTER TABLE amelia.workflow_log DROP CONSTRAINT idx_workflow_log_workflow;
ALTER TABLE amelia.brainstorm_messages DROP CONSTRAINT idx_brainstorm_messages_session;
INSERT INTO amelia.workflow_log (workflow_id, event_type, message, sequence) VALUES (t.w(1), 'x', 'twice', 6);
INSERT INTO amelia.brainstorm_messages (id, session_id, role, content, sequence) VALUES ('m-e', 's1', 'user', 'twice', 4);
SELECT * FROM amelia_internal.verify_sequences() ORDER BY object COLLATE "C", detail COLLATE "C";
ROLLBACK;

-- Orphans, of every parent.
BEGIN;
SET LOCAL session_replication_role = replica;
DELETE FROM amelia.workflows WHERE id = t.w(1);
DELETE FROM amelia.profiles;
DELETE FROM amelia.prompt_versions;
DELETE FROM amelia.brainstorm_sessions;
INSERT INTO amelia.workflow_log (workflow_id, event_type, message, sequence, id, parent_id) VALUES (t.w(2), 'x', 'an orphan', 12, t.e(12), t.e(99));
INSERT INTO amelia.workflow_leases (workflow_id, worker, lease_token, expires_at) VALUES (t.w(99), 'w', 1, now());
INSERT INTO amelia.workflow_threads (thread_id, workflow_id) VALUES ('t', t.w(99));
INSERT INTO amelia.brainstorm_artifacts (id, session_id, type, path) VALUES ('a', 's1', 'adr', '/a');
INSERT INTO amelia.prompt_versions (id, prompt_id, version_number, content) VALUES ('v', 'nowhere', 1, 'c');
INSERT INTO amelia.workflow_prompt_versions (workflow_id, prompt_id, version_id) VALUES (t.w(99), 'nowhere', 'v-9');
SELECT * FROM amelia_internal.verify_references() ORDER BY object COLLATE "C", detail COLLATE "C";
ROLLBACK;

-- A final state without completed_at is how a client left it: nothing is wrong.
BEGIN;
UPDATE amelia.workflows SET completed_at = NULL WHERE id = t.w(2);
INSERT INTO amelia.workflows (id, issue_id, worktree_path, status) VALUES (t.w(8), 'I-8', '/w8', 'completed'),
	(t.w(9), 'I-9', '/w9', 'cancelled'), (t.w(10), 'I-10', '/w10', 'pending'), (t.w(11), 'I-11', '/w11', 'blocked');
SELECT * FROM amelia.verify() ORDER BY object COLLATE "C";
ROLLBACK;

-- A lease that a trigger which was off did not end.
BEGIN;
SELECT lease_token FROM amelia.claim_workflow('host-1');
SELECT * FROM amelia.verify();
SET LOCAL session_replication_role = replica;
UPDATE amelia.workflows SET status = 'cancelled' WHERE status = 'in_progress';
SELECT problem, object = 'workflow ' || t.w(1) AS first, detail FROM amelia.verify() WHERE problem LIKE 'lease%';
ROLLBACK;

-- Triggers: each that is missing, disabled, or calls something else; one of
-- them is there as soon as there is a budget.
INSERT INTO amelia.budgets (id, scope, target, period, limit_usd, action) VALUES (t.w(1), 'workflow', t.w(1)::text, 'day', 1, 'warn');
CREATE FUNCTION t.nothing() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$;
CREATE FUNCTION t.without_triggers(change text)
RETURNS TABLE (tgname name, relation regclass, problems bigint, named boolean)
LANGUAGE plpgsql AS $$
DECLARE
	trigger record;
BEGIN
	FOR trigger IN SELECT g.oid, g.tgname, g.tgrelid::regclass AS relation FROM pg_trigger AS g, pg_class AS c
		WHERE c.oid = g.tgrelid AND c.relnamespace = 'amelia'::regnamespace AND NOT g.tgisinternal
		ORDER BY c.relname COLLATE "C", g.tgname COLLATE "C"
	LOOP
		BEGIN
			EXECUTE format(change, trigger.tgname, trigger.relation,
				regexp_replace(replace(pg_get_triggerdef(trigger.oid), 'CREATE TRIGGER', 'CREATE OR REPLACE TRIGGER'),
					'EXECUTE FUNCTION .*', 'EXECUTE FUNCTION t.nothing()'));
			SELECT trigger.tgname, trigger.relation, count(*),
				bool_and(v.object = format('%s on %s', trigger.tgname, split_part(trigger.relation::text, '.', 2)))
			INTO without_triggers.tgname, without_triggers.relation, problems, named
			FROM amelia.verify() AS v;
			RAISE EXCEPTION USING ERRCODE = 'UNDOO';
		EXCEPTION WHEN SQLSTATE 'UNDOO' THEN
			RETURN NEXT;
		END;
	END LOOP;
END
$$;
SELECT * FROM t.without_triggers('DROP TRIGGER %I ON %s');
SELECT * FROM t.without_triggers('ALTER TABLE %2$s DISABLE TRIGGER %1$I') WHERE problems <> 1 OR NOT named;
SELECT * FROM t.without_triggers('ALTER TABLE %2$s ENABLE REPLICA TRIGGER %1$I') WHERE problems <> 1 OR NOT named;
SELECT * FROM t.without_triggers('ALTER TABLE %2$s ENABLE ALWAYS TRIGGER %1$I') WHERE problems <> 0;
SELECT * FROM t.without_triggers('%3$s') WHERE problems <> 1 OR NOT named;
SELECT * FROM t.without_triggers('ALTER TRIGGER %I ON %s RENAME TO another_name') WHERE problems <> 1 OR NOT named;

-- The one that budgets have, gone and back.
BEGIN;
DROP TRIGGER zzz_spend_budgets ON amelia.token_usage;
SELECT * FROM amelia.verify();
SELECT amelia.migrate();
SELECT * FROM amelia.verify();
ALTER TABLE amelia.token_usage DISABLE TRIGGER zzz_spend_budgets;
SELECT amelia.migrate();
SELECT * FROM amelia.verify();
ROLLBACK;
BEGIN;
DELETE FROM amelia.budgets;
DROP TRIGGER zzz_spend_budgets ON amelia.token_usage;
SELECT * FROM amelia.verify();
ROLLBACK;

-- Defaults, functions, and the version of the schema.
BEGIN;
ALTER TABLE amelia.workflows ALTER COLUMN id DROP DEFAULT;
ALTER TABLE amelia.token_usage ALTER COLUMN id DROP DEFAULT;
DROP FUNCTION amelia.recent_events;
CREATE OR REPLACE FUNCTION amelia.event_exists(id uuid) RETURNS boolean LANGUAGE sql AS 'SELECT true';
SELECT * FROM amelia.verify() ORDER BY problem COLLATE "C", object COLLATE "C";
SELECT amelia.migrate();
SELECT * FROM amelia.verify();
ROLLBACK;
BEGIN;
DELETE FROM amelia.schema_versions;
SELECT * FROM amelia.verify();
ROLLBACK;

-- Nothing is left of all that.
SELECT * FROM amelia.verify();
SELECT amelia.migrate();
