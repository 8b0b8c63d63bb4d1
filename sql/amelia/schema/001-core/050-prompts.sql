-- Prompts and their versions.

CREATE TABLE amelia.prompts (
	id text PRIMARY KEY,
	agent text NOT NULL,
	name text NOT NULL,
	description text,
	current_version_id text
);
COMMENT ON TABLE amelia.prompts IS 'The prompts that an orchestrator lets its users change.';
COMMENT ON COLUMN amelia.prompts.current_version_id IS
'The version in force; NULL means the application''s built-in default.';

CREATE TABLE amelia.prompt_versions (
	-- without a cast of its own, so that the column can be made uuid
	id text PRIMARY KEY DEFAULT gen_random_uuid(),
	prompt_id text NOT NULL REFERENCES amelia.prompts (id),
	version_number integer NOT NULL CHECK (version_number > 0),
	content text NOT NULL,
	change_note text,
	created_at timestamptz NOT NULL DEFAULT now(),
	CONSTRAINT idx_prompt_versions_prompt UNIQUE (prompt_id, version_number),
	-- what the foreign keys below refer to
	UNIQUE (prompt_id, id)
);
COMMENT ON TABLE amelia.prompt_versions IS 'What a prompt has said, numbered from 1 per prompt.';

-- The current version exists and is this prompt's own. Deferred, so that both
-- rows can be written in either order in one transaction.
ALTER TABLE amelia.prompts ADD CONSTRAINT prompts_current_version_fkey
	FOREIGN KEY (id, current_version_id) REFERENCES amelia.prompt_versions (prompt_id, id)
	DEFERRABLE INITIALLY DEFERRED;

CREATE TABLE amelia.workflow_prompt_versions (
	workflow_id uuid REFERENCES amelia.workflows (id) ON DELETE CASCADE,
	prompt_id text REFERENCES amelia.prompts (id),
	version_id text,
	CONSTRAINT idx_workflow_prompts_workflow PRIMARY KEY (workflow_id, prompt_id),
	CONSTRAINT workflow_prompt_versions_version_id_fkey
		FOREIGN KEY (prompt_id, version_id) REFERENCES amelia.prompt_versions (prompt_id, id)
);
COMMENT ON TABLE amelia.workflow_prompt_versions IS
'Which version of each prompt a workflow ran with; the version is one of that prompt, NULL the application''s built-in default.';
CREATE INDEX idx_workflow_prompts_version ON amelia.workflow_prompt_versions (prompt_id, version_id);
