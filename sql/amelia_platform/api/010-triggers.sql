-- Defaults and triggers. Triggers of one kind fire in the order of their
-- names; these begin with zzz so that they see what a user's trigger made of
-- the row.

ALTER TABLE amelia_platform.agents ALTER COLUMN id SET DEFAULT amelia_internal.new_uuid();
ALTER TABLE amelia_platform.agent_capabilities ALTER COLUMN id SET DEFAULT amelia_internal.new_uuid();
ALTER TABLE amelia_platform.agent_performance ALTER COLUMN id SET DEFAULT amelia_internal.new_uuid();
ALTER TABLE amelia_platform.workflows ALTER COLUMN id SET DEFAULT amelia_internal.new_uuid();
ALTER TABLE amelia_platform.workflow_executions ALTER COLUMN id SET DEFAULT amelia_internal.new_uuid();
ALTER TABLE amelia_platform.tasks ALTER COLUMN id SET DEFAULT amelia_internal.new_uuid();
ALTER TABLE amelia_platform.agent_messages ALTER COLUMN id SET DEFAULT amelia_internal.new_uuid();
ALTER TABLE amelia_platform.agent_messages ALTER COLUMN message_id SET DEFAULT amelia_internal.new_uuid();

CREATE OR REPLACE TRIGGER zzz_updated_at
	BEFORE UPDATE ON amelia_platform.agents
	FOR EACH ROW EXECUTE FUNCTION amelia_internal.touch_updated_at();
CREATE OR REPLACE TRIGGER zzz_updated_at
	BEFORE UPDATE ON amelia_platform.workflows
	FOR EACH ROW EXECUTE FUNCTION amelia_internal.touch_updated_at();
CREATE OR REPLACE TRIGGER zzz_updated_at
	BEFORE UPDATE ON amelia_platform.tasks
	FOR EACH ROW EXECUTE FUNCTION amelia_internal.touch_updated_at();
CREATE OR REPLACE TRIGGER zzz_updated_at
	BEFORE UPDATE ON amelia_platform.platform_settings
	FOR EACH ROW EXECUTE FUNCTION amelia_internal.touch_updated_at();

CREATE OR REPLACE TRIGGER zzz_agent_back
	BEFORE UPDATE OF last_heartbeat ON amelia_platform.agents
	FOR EACH ROW
	WHEN (OLD.status <> 'idle' AND (OLD.status = 'offline' OR NEW.last_heartbeat > OLD.last_heartbeat + interval '1 second'))
	EXECUTE FUNCTION amelia_internal.platform_agent_back();

CREATE OR REPLACE TRIGGER zzz_move_task
	BEFORE UPDATE ON amelia_platform.tasks
	FOR EACH ROW EXECUTE FUNCTION amelia_internal.platform_move_task();
-- Behind zzz_move_task: what it left open. An end without a time would never be old, and a task of nobody's in progress for ever.
CREATE OR REPLACE TRIGGER zzz_whole_task
	BEFORE INSERT OR UPDATE ON amelia_platform.tasks
	FOR EACH ROW
	WHEN (NEW.status::text IN ('completed', 'failed', 'cancelled') AND NEW.completed_at IS NULL
		OR NEW.status = 'in_progress' AND NEW.assigned_agent_id IS NULL AND NEW.leased_until IS NULL)
	EXECUTE FUNCTION amelia_internal.platform_whole_task();
CREATE OR REPLACE TRIGGER zzz_task_ended
	AFTER UPDATE ON amelia_platform.tasks
	FOR EACH ROW
	WHEN (OLD.status <> NEW.status AND NEW.status::text IN ('completed', 'failed', 'cancelled'))
	EXECUTE FUNCTION amelia_internal.platform_task_ended();
CREATE OR REPLACE TRIGGER zzz_keep_task
	AFTER DELETE ON amelia_platform.tasks
	FOR EACH ROW
	WHEN (OLD.execution_id IS NOT NULL AND OLD.status::text IN ('pending', 'in_progress'))
	EXECUTE FUNCTION amelia_internal.platform_keep_task();

CREATE OR REPLACE TRIGGER zzz_check_workflow
	BEFORE INSERT OR UPDATE ON amelia_platform.workflows
	FOR EACH ROW EXECUTE FUNCTION amelia_internal.platform_check_workflow();
CREATE OR REPLACE TRIGGER zzz_start_execution
	AFTER INSERT ON amelia_platform.workflow_executions
	FOR EACH ROW
	WHEN (NEW.definition IS NULL AND NEW.status = 'running')
	EXECUTE FUNCTION amelia_internal.platform_start_execution();
CREATE OR REPLACE TRIGGER zzz_move_execution
	BEFORE UPDATE ON amelia_platform.workflow_executions
	FOR EACH ROW
	WHEN (OLD.status IS DISTINCT FROM NEW.status)
	EXECUTE FUNCTION amelia_internal.platform_move_execution();
-- Only what a statement names is compared: a definition is long, and an execution's row is written with each step.
CREATE OR REPLACE TRIGGER zzz_keep_execution
	BEFORE UPDATE OF id, workflow_id, definition, version ON amelia_platform.workflow_executions
	FOR EACH ROW EXECUTE FUNCTION amelia_internal.platform_keep_execution();
CREATE OR REPLACE TRIGGER zzz_whole_execution
	BEFORE INSERT OR UPDATE ON amelia_platform.workflow_executions
	FOR EACH ROW
	WHEN (NEW.status <> 'running' AND NEW.completed_at IS NULL)
	EXECUTE FUNCTION amelia_internal.platform_whole_execution();
CREATE OR REPLACE TRIGGER zzz_execution_ended
	AFTER UPDATE ON amelia_platform.workflow_executions
	FOR EACH ROW
	WHEN (OLD.status = 'running' AND NEW.status <> 'running')
	EXECUTE FUNCTION amelia_internal.platform_execution_ended();

CREATE OR REPLACE TRIGGER zzz_keep_step
	BEFORE UPDATE ON amelia_platform.execution_steps
	FOR EACH ROW
	WHEN (OLD.execution_id <> NEW.execution_id OR OLD.step_id <> NEW.step_id OR OLD.status <> NEW.status AND NOT (
		OLD.status = 'waiting' AND NEW.status IN ('running', 'completed', 'skipped')
		OR OLD.status = 'running' AND NEW.status IN ('completed', 'skipped', 'failed')))
	EXECUTE FUNCTION amelia_internal.platform_keep_step();

-- The moves that most messages make, as receive_messages() and ack_message() make them, it passes by itself; for any other it
-- calls platform_new_message(), platform_deliver_again() and platform_move_message().
CREATE OR REPLACE TRIGGER zzz_message
	BEFORE INSERT OR UPDATE ON amelia_platform.agent_messages
	FOR EACH ROW EXECUTE FUNCTION amelia_internal.platform_message();
