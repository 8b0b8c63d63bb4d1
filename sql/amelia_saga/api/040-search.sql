-- Searching. The rows that may match come from the index, each is looked at and
-- ranked, and only those of the page get a snippet. The statement is planned for
-- its values each time: how many rows have a word decides how they are best read.
-- The planner does not know two things: the index always beats looking at every row,
-- which for it costs next to nothing, and workers pay only where there are many rows.

CREATE OR REPLACE FUNCTION amelia_saga.search_messages(
	query text,
	tags text[] DEFAULT NULL,
	row_limit integer DEFAULT 50,
	providers text[] DEFAULT NULL,
	roles text[] DEFAULT NULL,
	session_id text DEFAULT NULL,
	since timestamptz DEFAULT NULL,
	until timestamptz DEFAULT NULL,
	mode text DEFAULT 'exact',
	marks text[] DEFAULT '{**,**}')
RETURNS SETOF amelia_saga.found_message
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET parallel_setup_cost = 20000 SET jit = off
AS $$
DECLARE
	columns CONSTANT text[] := ARRAY['content', 'tags'];
	stem CONSTANT boolean := mode = 'english';
	candidates tsquery;
	rareness double precision[];
	average double precision;
BEGIN
	IF (query ~ '[^[:space:]]' AND length(query) <= 1000 AND row_limit BETWEEN 1 AND 500 AND mode IN ('exact', 'english')
			AND marks = ARRAY['**', '**'] AND since IS NULL AND until IS NULL
			AND tags IS NULL AND providers IS NULL AND roles IS NULL) IS NOT TRUE THEN
		PERFORM amelia_internal.saga_check_search(query, tags, row_limit, providers, roles, since, until, mode, marks);
	END IF;
	SELECT p.candidates, p.rareness, p.average INTO candidates, rareness, average
	FROM amelia_internal.saga_prepare(query, columns, stem, 'amelia_saga.messages'::regclass) AS p;
	RETURN QUERY EXECUTE format($statement$
SELECT m.id, m.session_id, m.provider, m.role, m.content, m.tags, m."timestamp", p.rank,
	amelia_internal.saga_snippet($1, $2, $3, $13[1], $13[2], m.content, m.tags, NULL)
FROM (SELECT c.tableoid AS part, c.ctid AS place, c."timestamp", c.arrival,
		amelia_internal.saga_rank($1, $2, $3, $4, $5, c.%1$I, c.content, c.tags, NULL) AS rank
	FROM amelia_saga.messages AS c
	WHERE c.%1$I @@ $6
		AND ($7 IS NULL OR c.tags ?& $7)
		AND ($8 IS NULL OR c.provider = ANY ($8))
		AND ($9 IS NULL OR c.role = ANY ($9))
		AND ($10 IS NULL OR c.session_id = $10)
		AND ($11 IS NULL OR c."timestamp" >= $11)
		AND ($12 IS NULL OR c."timestamp" < $12)
	ORDER BY rank DESC NULLS LAST, c."timestamp" DESC, c.arrival DESC
	LIMIT $14) AS p
JOIN amelia_saga.messages AS m ON m.tableoid = p.part AND m.ctid = p.place
WHERE p.rank IS NOT NULL
ORDER BY p.rank DESC, p."timestamp" DESC, p.arrival DESC
$statement$, CASE WHEN stem THEN 'search_english' ELSE 'search' END)
	USING query, columns, stem, rareness, average, candidates, tags, providers, roles, session_id, since, until,
		marks, row_limit;
END
$$;
COMMENT ON FUNCTION amelia_saga.search_messages(text, text[], integer, text[], text[], text, timestamptz, timestamptz, text, text[]) IS
'The messages that a query in the language of FTS5 finds in content and tags, best first, then newest. tags: all must be there, as they are; providers, roles: one of them; since and what is before until; NULL does not filter. mode exact, or english for stems, see index_english(). marks stand before and after what was found in the snippet. rank is BM25, greater is better, and needs ANALYZE to know which words are rare. Errors: 42601 a query that FTS5 refuses too; 22023 a query that is NULL, blank or longer than 1000 characters, a row_limit outside 1 to 500, an unknown mode, marks that are not two, a NULL in a list, since after until; 55000 mode english without its index.';

CREATE OR REPLACE FUNCTION amelia_saga.search_files(
	query text,
	tags text[] DEFAULT NULL,
	row_limit integer DEFAULT 50,
	file_types text[] DEFAULT NULL,
	since timestamptz DEFAULT NULL,
	until timestamptz DEFAULT NULL,
	mode text DEFAULT 'exact',
	marks text[] DEFAULT '{**,**}')
RETURNS SETOF amelia_saga.found_file
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET parallel_setup_cost = 20000 SET jit = off
AS $$
DECLARE
	columns CONSTANT text[] := ARRAY['filename', 'extracted_text', 'tags'];
	stem CONSTANT boolean := mode = 'english';
	candidates tsquery;
	rareness double precision[];
	average double precision;
BEGIN
	PERFORM amelia_internal.saga_check_search(query, tags, row_limit, file_types, NULL, since, until, mode, marks);
	SELECT p.candidates, p.rareness, p.average INTO candidates, rareness, average
	FROM amelia_internal.saga_prepare(query, columns, stem, 'amelia_saga.files'::regclass) AS p;
	RETURN QUERY EXECUTE format($statement$
SELECT f.id, f.filename, f.filepath, f.file_type, f.tags, f.file_size, f.uploaded_at, p.rank,
	amelia_internal.saga_snippet($1, $2, $3, $11[1], $11[2], f.extracted_text, f.tags, f.filename)
FROM (SELECT c.tableoid AS part, c.ctid AS place, c.uploaded_at, c.id,
		amelia_internal.saga_rank($1, $2, $3, $4, $5, c.%1$I, c.extracted_text, c.tags, c.filename) AS rank
	FROM amelia_saga.files AS c
	WHERE c.%1$I @@ $6
		AND ($7 IS NULL OR c.tags ?& $7)
		AND ($8 IS NULL OR c.file_type = ANY ($8))
		AND ($9 IS NULL OR c.uploaded_at >= $9)
		AND ($10 IS NULL OR c.uploaded_at < $10)
	ORDER BY rank DESC NULLS LAST, c.uploaded_at DESC, c.id DESC
	LIMIT $12) AS p
JOIN amelia_saga.files AS f ON f.tableoid = p.part AND f.ctid = p.place
WHERE p.rank IS NOT NULL
ORDER BY p.rank DESC, p.uploaded_at DESC, p.id DESC
$statement$, CASE WHEN stem THEN 'search_english' ELSE 'search' END)
	USING query, columns, stem, rareness, average, candidates, tags, file_types, since, until, marks, row_limit;
END
$$;
COMMENT ON FUNCTION amelia_saga.search_files(text, text[], integer, text[], timestamptz, timestamptz, text, text[]) IS
'The files that a query in the language of FTS5 finds in filename, extracted_text and tags, best first, then newest; since and until are of uploaded_at. All else, and the errors, as search_messages().';

CREATE OR REPLACE FUNCTION amelia_saga.index_english("on" boolean) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	searched record;
BEGIN
	PERFORM amelia_internal.check_given('on', index_english."on");
	FOR searched IN
		SELECT t.name, t.vector, EXISTS (SELECT FROM pg_attribute AS a
				WHERE a.attrelid = format('amelia_saga.%I', t.name)::regclass
					AND a.attname = 'search_english' AND NOT a.attisdropped) AS has_it
		FROM (VALUES ('messages', 'amelia_internal.saga_vector(content, tags, NULL, true)'),
			('files', 'amelia_internal.saga_vector(extracted_text, tags, filename, true)')) AS t (name, vector)
	LOOP
		IF index_english."on" AND NOT searched.has_it THEN
			EXECUTE format('ALTER TABLE amelia_saga.%I ADD COLUMN search_english tsvector GENERATED ALWAYS AS (%s) STORED',
				searched.name, searched.vector);
			EXECUTE format('ALTER TABLE amelia_saga.%I ALTER COLUMN search_english SET STATISTICS 500', searched.name);
			EXECUTE format('CREATE INDEX %I ON amelia_saga.%I USING gin (search_english)',
				format('idx_%s_english_fts', searched.name), searched.name);
		ELSIF NOT index_english."on" AND searched.has_it THEN
			EXECUTE format('ALTER TABLE amelia_saga.%I DROP COLUMN search_english', searched.name);
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION amelia_saga.index_english(boolean) IS
'Adds a column and an index of English stems to messages and files, or drops them; for the search in mode english. To add them writes both tables anew, under a lock that nobody reads through. What is as it should be stays. Errors: 22023 NULL, 42501 not the owner of the tables.';

REVOKE ALL ON FUNCTION
	amelia_saga.search_messages(text, text[], integer, text[], text[], text, timestamptz, timestamptz, text, text[]),
	amelia_saga.search_files(text, text[], integer, text[], timestamptz, timestamptz, text, text[]),
	amelia_saga.index_english(boolean)
FROM PUBLIC;
