-- What is searched, for what, and how well it fits.

CREATE FUNCTION amelia_internal.saga_vector(content text, tags jsonb, filename text, stem boolean) RETURNS tsvector
LANGUAGE c IMMUTABLE PARALLEL SAFE COST 1000
AS 'MODULE_PATHNAME', 'amelia_saga_vector';
COMMENT ON FUNCTION amelia_internal.saga_vector(text, jsonb, text, boolean) IS
'The words of a row, of the first 200000 characters of the content and the first 10000 of tags and filename; each column at positions of its own. stem: as English stems. A NULL has no words.';

CREATE FUNCTION amelia_internal.saga_words(search tsvector) RETURNS integer
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'amelia_saga_words';
COMMENT ON FUNCTION amelia_internal.saga_words(tsvector) IS
'How many words a row has, as far as its tsvector has their positions.';

CREATE FUNCTION amelia_saga.fts5_query(
	query text,
	columns text[] DEFAULT '{content,tags}',
	mode text DEFAULT 'exact',
	OUT candidates tsquery,
	OUT exact boolean)
LANGUAGE c STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_saga_fts5_query';
COMMENT ON FUNCTION amelia_saga.fts5_query(text, text[], text) IS
'What a search for a query in the language of FTS5 needs. candidates: every row that the query finds matches it; empty when there can be none. exact: and no other row. columns: those of the table that are searched, {content,tags} or {filename,extracted_text,tags}. mode exact or english. Errors: 42601 what FTS5 refuses too, with the place; 22023 a NULL, an unknown column or mode, a query longer than 1000 characters.';

CREATE FUNCTION amelia_internal.saga_prepare(
	query text,
	columns text[],
	stem boolean,
	searched regclass,
	OUT candidates tsquery,
	OUT rareness double precision[],
	OUT average double precision)
LANGUAGE c STABLE STRICT
AS 'MODULE_PATHNAME', 'amelia_saga_prepare';
COMMENT ON FUNCTION amelia_internal.saga_prepare(text, text[], boolean, regclass) IS
'What a search of a table begins with: the tsquery of fts5_query(); how rare each phrase of the query is, as the idf of BM25, and how many words rows have on average (0: not known), from the statistics that ANALYZE keeps. Without them, and for who may not read all rows, each phrase is 1. Errors: 42601, 55000 when the table has not the column that is searched.';

CREATE FUNCTION amelia_internal.saga_rank(
	query text,
	columns text[],
	stem boolean,
	rareness double precision[],
	average double precision,
	search tsvector,
	content text,
	tags jsonb,
	filename text)
RETURNS double precision
LANGUAGE c STABLE PARALLEL SAFE COST 100
AS 'MODULE_PATHNAME', 'amelia_saga_rank';
COMMENT ON FUNCTION amelia_internal.saga_rank(text, text[], boolean, double precision[], double precision, tsvector, text, jsonb, text) IS
'BM25 of a row, greater is better; NULL when the query does not find it. The texts are only read where the tsvector does not tell.';

CREATE FUNCTION amelia_internal.saga_snippet(
	query text,
	columns text[],
	stem boolean,
	mark_before text,
	mark_after text,
	content text,
	tags jsonb,
	filename text)
RETURNS text
LANGUAGE c STABLE PARALLEL SAFE COST 1000
AS 'MODULE_PATHNAME', 'amelia_saga_snippet';
COMMENT ON FUNCTION amelia_internal.saga_snippet(text, text[], boolean, text, text, text, jsonb, text) IS
'The passage of up to 32 words that shows best why a row was found, with marks around what was found and … where the text goes on.';

REVOKE ALL ON FUNCTION
	amelia_internal.saga_vector(text, jsonb, text, boolean),
	amelia_internal.saga_words(tsvector),
	amelia_saga.fts5_query(text, text[], text),
	amelia_internal.saga_prepare(text, text[], boolean, regclass),
	amelia_internal.saga_rank(text, text[], boolean, double precision[], double precision, tsvector, text, jsonb, text),
	amelia_internal.saga_snippet(text, text[], boolean, text, text, text, jsonb, text)
FROM PUBLIC;
