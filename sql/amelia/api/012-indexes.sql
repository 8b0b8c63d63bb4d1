-- The indexes that claims look up by name, and cannot do without. migrate()
-- makes each where none has its name.

-- What a claim may take, in the order in which it takes: of each type, with the
-- profile in the entry so that those of a profile at its limit are passed over
-- without a look at their rows; and of each type and profile, for claims that ask for
-- one. C, because no locale matters here.
CREATE INDEX idx_workflows_claim_order ON amelia.workflows
	(workflow_type COLLATE "C", priority DESC, available_at, id) INCLUDE (profile_id)
	WHERE NOT parked AND (status = 'pending' OR (status = 'failed' AND retry_at IS NOT NULL));
CREATE INDEX idx_workflows_claim ON amelia.workflows
	(workflow_type COLLATE "C", COALESCE(profile_id, '') COLLATE "C", priority DESC, available_at, id)
	WHERE NOT parked AND (status = 'pending' OR (status = 'failed' AND retry_at IS NOT NULL));
CREATE INDEX idx_workflows_parked ON amelia.workflows
	(worktree_path, priority DESC, available_at, id)
	WHERE parked;
CREATE UNIQUE INDEX idx_workflows_active_worktree ON amelia.workflows (worktree_path)
	WHERE status IN ('in_progress', 'blocked');
COMMENT ON INDEX amelia.idx_workflows_active_worktree IS
'At most one workflow in a worktree is in_progress or blocked; any number may be pending.';
-- Not partial: those that have ended stand apart, as NULL.
CREATE INDEX idx_workflow_leases_expires_at ON amelia.workflow_leases (expires_at);
-- What keeps the limits: a slot is one lease's.
CREATE UNIQUE INDEX idx_workflow_leases_slot ON amelia.workflow_leases (slot)
	WHERE slot IS NOT NULL;
CREATE UNIQUE INDEX idx_workflow_leases_profile_slot ON amelia.workflow_leases
	(profile_id COLLATE "C", profile_slot)
	WHERE profile_slot IS NOT NULL;
