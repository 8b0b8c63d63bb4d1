-- What workers hold: leases, and the slots that limit how many there are.

-- What a claim may take, in the order in which it takes: for each type and
-- profile one range, so that neither a filter nor a profile at its limit makes
-- a claim walk past rows. C, because no locale matters here.
CREATE INDEX idx_workflows_claim ON amelia.workflows
	(workflow_type COLLATE "C", COALESCE(profile_id, '') COLLATE "C", priority DESC, available_at, id)
	WHERE NOT parked AND (status = 'pending' OR (status = 'failed' AND retry_at IS NOT NULL));
CREATE INDEX idx_workflows_parked ON amelia.workflows
	(worktree_path, priority DESC, available_at, id)
	WHERE parked;

CREATE TABLE amelia.workflow_leases (
	workflow_id uuid PRIMARY KEY REFERENCES amelia.workflows (id) ON DELETE CASCADE,
	worker text NOT NULL,
	lease_token bigint NOT NULL,
	claimed_at timestamptz NOT NULL DEFAULT now(),
	expires_at timestamptz NOT NULL,
	seen_at timestamptz NOT NULL DEFAULT now(),
	starts_until timestamptz,
	given_back boolean NOT NULL DEFAULT false,
	slot integer,
	profile_id text,
	profile_slot integer
);
COMMENT ON TABLE amelia.workflow_leases IS
'A worker''s right to a workflow until a time. Narrow and apart, so that heartbeats neither rewrite workflows nor wait behind appends. The row stays when the lease ends, for its token. The library writes it; nobody else should.';
COMMENT ON COLUMN amelia.workflow_leases.lease_token IS
'The fencing token: greater with every claim of that workflow.';
COMMENT ON COLUMN amelia.workflow_leases.expires_at IS
'From then on the lease is lost and the workflow can be claimed; -infinity: the lease has ended with its attempt.';
COMMENT ON COLUMN amelia.workflow_leases.seen_at IS
'The claim, the worker''s last heartbeat, or the first thing that it wrote.';
COMMENT ON COLUMN amelia.workflow_leases.starts_until IS
'Until the worker is first seen, expires_at is no later than workflow_start_timeout_seconds allows, and this is what it becomes then. NULL: it was seen.';
COMMENT ON COLUMN amelia.workflow_leases.given_back IS
'The worker gave the lease back: taking the workflow over counts as no failure.';
COMMENT ON COLUMN amelia.workflow_leases.slot IS
'Which one of the slots of max_concurrent it holds; NULL: none.';
COMMENT ON COLUMN amelia.workflow_leases.profile_slot IS
'Which one of the slots of the profile in profile_id it holds; NULL: none.';
-- Not partial: those that have ended stand apart, at -infinity.
CREATE INDEX idx_workflow_leases_expires_at ON amelia.workflow_leases (expires_at);

CREATE TABLE amelia.workflow_slots (
	scope text COLLATE "C" NOT NULL,
	slot integer NOT NULL CHECK (slot > 0),
	workflow_id uuid NOT NULL,
	PRIMARY KEY (scope, slot)
);
COMMENT ON TABLE amelia.workflow_slots IS
'A row for each workflow that counts against a limit: its number is one from 1 to the limit that nobody else holds, so that the limit is kept exactly and no claim waits for another. The library writes it; nobody else should.';
COMMENT ON COLUMN amelia.workflow_slots.scope IS
'all, or profile: and the profile''s id.';
COMMENT ON COLUMN amelia.workflow_slots.workflow_id IS
'Who holds it. No foreign key: the row goes with the lease''s.';
