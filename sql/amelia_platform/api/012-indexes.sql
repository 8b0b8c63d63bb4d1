-- The indexes that claims and receivers cannot do without. migrate() makes
-- each where none has its name.

-- What a claim may take, in the order in which it takes. Heartbeats change no column of an index.
CREATE INDEX idx_tasks_claim ON amelia_platform.tasks
	(COALESCE(assigned_agent_id, '00000000-0000-0000-0000-000000000000'), priority, required_capabilities, deadline, created_at, id)
	WHERE status = 'pending';
-- What a receiver may take, in the order in which it takes: a range for each priority.
CREATE INDEX idx_agent_messages_receive ON amelia_platform.agent_messages (recipient_id, priority, available_at, id)
	WHERE status::text IN ('pending', 'sent', 'delivered');
