-- Defaults and triggers. Triggers of one kind fire in the order of their
-- names; these begin with zzz so that they see what a user's trigger made of
-- the row, and so that one which appends to the same workflow is numbered first.

ALTER TABLE amelia.workflows ALTER COLUMN id SET DEFAULT amelia.uuid_v7();
ALTER TABLE amelia.workflow_log ALTER COLUMN id SET DEFAULT amelia.uuid_v7();
ALTER TABLE amelia.token_usage ALTER COLUMN id SET DEFAULT amelia.uuid_v7();
ALTER TABLE amelia.model_prices ALTER COLUMN id SET DEFAULT amelia.uuid_v7();
ALTER TABLE amelia.budgets ALTER COLUMN id SET DEFAULT amelia.uuid_v7();
ALTER TABLE amelia.budget_spending ALTER COLUMN id SET DEFAULT amelia.uuid_v7();

CREATE OR REPLACE TRIGGER zzz_workflow_update
	BEFORE UPDATE ON amelia.workflows
	FOR EACH ROW EXECUTE FUNCTION amelia_internal.enforce_workflow_update();

-- Whoever moves a workflow away from in_progress ends its lease, and the next
-- one of its worktree may come.
CREATE OR REPLACE TRIGGER zzz_end_lease
	AFTER UPDATE ON amelia.workflows
	FOR EACH ROW
	WHEN (OLD.status = 'in_progress' AND NEW.status <> 'in_progress')
	EXECUTE FUNCTION amelia_internal.end_lease();
CREATE OR REPLACE TRIGGER zzz_unpark_next
	AFTER UPDATE ON amelia.workflows
	FOR EACH ROW
	WHEN ((OLD.status IN ('pending', 'in_progress', 'blocked')
			AND NEW.status IN ('pending', 'completed', 'failed', 'cancelled')
			AND OLD.status <> NEW.status)
		OR OLD.worktree_path IS DISTINCT FROM NEW.worktree_path)
	EXECUTE FUNCTION amelia_internal.unpark_next();
CREATE OR REPLACE TRIGGER zzz_unpark_next_deleted
	AFTER DELETE ON amelia.workflows
	FOR EACH ROW
	WHEN (OLD.status IN ('pending', 'in_progress', 'blocked'))
	EXECUTE FUNCTION amelia_internal.unpark_next();
CREATE OR REPLACE TRIGGER zzz_fence
	BEFORE INSERT OR UPDATE OR DELETE ON amelia.token_usage
	FOR EACH ROW EXECUTE FUNCTION amelia_internal.fence_workflow();
CREATE OR REPLACE TRIGGER zzz_fence
	BEFORE INSERT OR UPDATE OR DELETE ON amelia.workflow_prompt_versions
	FOR EACH ROW EXECUTE FUNCTION amelia_internal.fence_workflow();
CREATE OR REPLACE TRIGGER zzz_fence
	BEFORE INSERT OR UPDATE OR DELETE ON amelia.workflow_threads
	FOR EACH ROW EXECUTE FUNCTION amelia_internal.fence_workflow();
CREATE OR REPLACE TRIGGER zzz_fence
	AFTER UPDATE ON amelia.workflow_log
	FOR EACH ROW EXECUTE FUNCTION amelia_internal.fence_workflow();
CREATE OR REPLACE TRIGGER zzz_fence_delete
	BEFORE DELETE ON amelia.workflow_log
	FOR EACH ROW EXECUTE FUNCTION amelia_internal.fence_workflow();
-- Anybody may send a message; to take one, or to do away with it, is the worker's.
CREATE OR REPLACE TRIGGER zzz_fence
	BEFORE UPDATE OR DELETE ON amelia.workflow_inbox
	FOR EACH ROW EXECUTE FUNCTION amelia_internal.fence_workflow();
CREATE OR REPLACE TRIGGER zzz_fence_taken
	BEFORE INSERT ON amelia.workflow_inbox
	FOR EACH ROW
	WHEN (NEW.taken_at IS NOT NULL OR NEW.lease_token IS NOT NULL)
	EXECUTE FUNCTION amelia_internal.fence_workflow();
CREATE OR REPLACE TRIGGER zzz_note_event
	AFTER INSERT ON amelia.workflow_log
	FOR EACH ROW EXECUTE FUNCTION amelia_internal.note_event();
CREATE OR REPLACE TRIGGER zzz_note_status
	AFTER UPDATE ON amelia.workflows
	FOR EACH ROW
	WHEN (OLD.status IS DISTINCT FROM NEW.status)
	EXECUTE FUNCTION amelia_internal.note_status();
CREATE OR REPLACE TRIGGER zzz_note_created
	AFTER INSERT ON amelia.workflows
	FOR EACH ROW EXECUTE FUNCTION amelia_internal.note_status();

CREATE OR REPLACE TRIGGER zzz_allocate_sequence
	BEFORE INSERT ON amelia.workflow_log
	FOR EACH ROW EXECUTE FUNCTION amelia_internal.allocate_sequence();
CREATE OR REPLACE TRIGGER zzz_keep_sequence
	BEFORE UPDATE ON amelia.workflow_log
	FOR EACH ROW
	WHEN (OLD.id IS DISTINCT FROM NEW.id
		OR OLD.workflow_id IS DISTINCT FROM NEW.workflow_id
		OR OLD.sequence IS DISTINCT FROM NEW.sequence)
	EXECUTE FUNCTION amelia_internal.keep_sequence();
CREATE OR REPLACE TRIGGER zzz_raise_sequence_floor
	AFTER DELETE ON amelia.workflow_log
	REFERENCING OLD TABLE AS removed
	FOR EACH STATEMENT EXECUTE FUNCTION amelia_internal.raise_sequence_floor();
CREATE OR REPLACE TRIGGER zzz_raise_sequence_floor_truncate
	BEFORE TRUNCATE ON amelia.workflow_log
	FOR EACH STATEMENT EXECUTE FUNCTION amelia_internal.raise_sequence_floor();

-- No WHEN: a column that one names cannot be made uuid.
CREATE OR REPLACE TRIGGER zzz_allocate_sequence
	BEFORE INSERT ON amelia.brainstorm_messages
	FOR EACH ROW EXECUTE FUNCTION amelia_internal.allocate_sequence();
CREATE OR REPLACE TRIGGER zzz_keep_sequence
	BEFORE UPDATE ON amelia.brainstorm_messages
	FOR EACH ROW EXECUTE FUNCTION amelia_internal.keep_sequence();
CREATE OR REPLACE TRIGGER zzz_raise_sequence_floor
	AFTER DELETE ON amelia.brainstorm_messages
	REFERENCING OLD TABLE AS removed
	FOR EACH STATEMENT EXECUTE FUNCTION amelia_internal.raise_sequence_floor();
CREATE OR REPLACE TRIGGER zzz_raise_sequence_floor_truncate
	BEFORE TRUNCATE ON amelia.brainstorm_messages
	FOR EACH STATEMENT EXECUTE FUNCTION amelia_internal.raise_sequence_floor();

CREATE OR REPLACE TRIGGER zzz_keep_sequence_floor
	BEFORE UPDATE ON amelia.brainstorm_sessions
	FOR EACH ROW
	WHEN (NEW.sequence_floor < OLD.sequence_floor)
	EXECUTE FUNCTION amelia_internal.keep_sequence_floor();
CREATE OR REPLACE TRIGGER zzz_updated_at
	BEFORE UPDATE ON amelia.brainstorm_sessions
	FOR EACH ROW EXECUTE FUNCTION amelia_internal.touch_updated_at();
CREATE OR REPLACE TRIGGER zzz_updated_at
	BEFORE UPDATE ON amelia.profiles
	FOR EACH ROW EXECUTE FUNCTION amelia_internal.touch_updated_at();
CREATE OR REPLACE TRIGGER zzz_updated_at
	BEFORE UPDATE ON amelia.server_settings
	FOR EACH ROW EXECUTE FUNCTION amelia_internal.touch_updated_at();

-- Upper case sorts before the foreign keys' triggers, whose cascade takes the
-- usage that this one is to keep.
CREATE OR REPLACE TRIGGER "AAA_keep_history"
	AFTER DELETE ON amelia.workflows
	FOR EACH ROW EXECUTE FUNCTION amelia_internal.keep_history();
CREATE OR REPLACE TRIGGER zzz_keep_history_truncate
	BEFORE TRUNCATE ON amelia.workflows
	FOR EACH STATEMENT EXECUTE FUNCTION amelia_internal.keep_history();

CREATE OR REPLACE TRIGGER zzz_mark_usage_day
	BEFORE INSERT OR UPDATE OR DELETE ON amelia.token_usage
	FOR EACH ROW EXECUTE FUNCTION amelia_internal.mark_usage_day();
CREATE OR REPLACE TRIGGER zzz_mark_usage_day_truncate
	BEFORE TRUNCATE ON amelia.token_usage
	FOR EACH STATEMENT EXECUTE FUNCTION amelia_internal.mark_usage_day();
CREATE OR REPLACE TRIGGER "AAA_mark_history_day"
	AFTER DELETE ON amelia.usage_history
	FOR EACH ROW EXECUTE FUNCTION amelia_internal.mark_history_day();
CREATE OR REPLACE TRIGGER zzz_mark_history_day_truncate
	BEFORE TRUNCATE ON amelia.usage_history
	FOR EACH STATEMENT EXECUTE FUNCTION amelia_internal.mark_history_day();
