-- The files that messages spoke about.

CREATE TABLE amelia_saga.files (
	id text PRIMARY KEY CHECK (id ~ '[^[:space:]]'),
	filename text NOT NULL CHECK (filename ~ '[^[:space:]]'),
	filepath text NOT NULL CHECK (filepath ~ '[^[:space:]]'),
	file_type text NOT NULL CHECK (file_type ~ '[^[:space:]]'),
	extracted_text text NOT NULL DEFAULT '',
	tags jsonb NOT NULL DEFAULT '[]'
		CHECK (jsonb_typeof(tags) = 'array' AND NOT jsonb_path_exists(tags, 'strict $[*] ? (@.type() != "string")', '{}', true)),
	file_size bigint CHECK (file_size >= 0),
	uploaded_at timestamptz NOT NULL DEFAULT now(),
	metadata jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
	created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE amelia_saga.files IS
'Files that were spoken about, with the text that was found in them. A plain INSERT is as good as save_file().';
COMMENT ON COLUMN amelia_saga.files.extracted_text IS 'What can be searched of the file''s content; empty for none.';
COMMENT ON COLUMN amelia_saga.files.tags IS 'An array of strings.';
COMMENT ON COLUMN amelia_saga.files.file_size IS 'In bytes.';

CREATE INDEX idx_files_tags ON amelia_saga.files USING gin (tags);
CREATE INDEX idx_files_metadata ON amelia_saga.files USING gin (metadata);
CREATE INDEX idx_files_uploaded ON amelia_saga.files (uploaded_at);
