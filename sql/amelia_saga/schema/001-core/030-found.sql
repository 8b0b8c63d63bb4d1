-- What a search returns. A function cannot have an argument and a column of its
-- result of one name, a type can.

CREATE TYPE amelia_saga.found_message AS (
	id text,
	session_id text,
	provider text,
	role text,
	content text,
	tags jsonb,
	"timestamp" timestamptz,
	rank double precision,
	snippet text
);
COMMENT ON TYPE amelia_saga.found_message IS
'What search_messages() returns: the message, how well it fits (BM25, greater is better), and the passage that shows why.';

CREATE TYPE amelia_saga.found_file AS (
	id text,
	filename text,
	filepath text,
	file_type text,
	tags jsonb,
	file_size bigint,
	uploaded_at timestamptz,
	rank double precision,
	snippet text
);
COMMENT ON TYPE amelia_saga.found_file IS
'What search_files() returns: the file without its text, how well it fits (BM25, greater is better), and the passage that shows why.';
