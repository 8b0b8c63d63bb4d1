-- What depends on the extension's functions, and goes with it when it is dropped
-- with CASCADE: made anew where it is missing.

ALTER TABLE amelia_saga.messages ALTER COLUMN id SET DEFAULT (amelia_internal.saga_id())::text;
ALTER TABLE amelia_saga.files ALTER COLUMN id SET DEFAULT (amelia_internal.saga_id())::text;

ALTER TABLE amelia_saga.messages ADD COLUMN search tsvector
	GENERATED ALWAYS AS (amelia_internal.saga_vector(content, tags, NULL, false)) STORED;
COMMENT ON COLUMN amelia_saga.messages.search IS
'The words of the first 200000 characters of content, and those of the tags.';
CREATE INDEX idx_messages_content_fts ON amelia_saga.messages USING gin (search);
CREATE STATISTICS amelia_saga.messages_words ON (amelia_internal.saga_words(search)) FROM amelia_saga.messages;

ALTER TABLE amelia_saga.files ADD COLUMN search tsvector
	GENERATED ALWAYS AS (amelia_internal.saga_vector(extracted_text, tags, filename, false)) STORED;
COMMENT ON COLUMN amelia_saga.files.search IS
'The words of the first 200000 characters of extracted_text, and those of filename and tags.';
CREATE INDEX idx_files_content_fts ON amelia_saga.files USING gin (search);
CREATE STATISTICS amelia_saga.files_words ON (amelia_internal.saga_words(search)) FROM amelia_saga.files;

-- How many words ANALYZE keeps the frequency of is ten times the target. What
-- an operator has set stays.
DO $$
DECLARE
	searched regclass;
BEGIN
	FOR searched IN
		SELECT a.attrelid FROM pg_catalog.pg_attribute AS a
		WHERE a.attrelid IN ('amelia_saga.messages'::regclass, 'amelia_saga.files'::regclass)
			AND a.attname = 'search' AND COALESCE(a.attstattarget, -1) = -1
	LOOP
		EXECUTE format('ALTER TABLE %s ALTER COLUMN search SET STATISTICS 500', searched);
	END LOOP;
END
$$;
