-- Splitting text as FTS5 does, for PostgreSQL's own text search.

CREATE FUNCTION amelia_internal.saga_parser_start(internal, integer) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'amelia_saga_parser_start';
COMMENT ON FUNCTION amelia_internal.saga_parser_start(internal, integer) IS
'Of the text search parser amelia_saga.unicode61.';

CREATE FUNCTION amelia_internal.saga_parser_token(internal, internal, internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'amelia_saga_parser_token';
COMMENT ON FUNCTION amelia_internal.saga_parser_token(internal, internal, internal) IS
'Of the text search parser amelia_saga.unicode61.';

CREATE FUNCTION amelia_internal.saga_parser_end(internal) RETURNS void
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'amelia_saga_parser_end';
COMMENT ON FUNCTION amelia_internal.saga_parser_end(internal) IS
'Of the text search parser amelia_saga.unicode61.';

CREATE FUNCTION amelia_internal.saga_parser_types(internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'amelia_saga_parser_types';
COMMENT ON FUNCTION amelia_internal.saga_parser_types(internal) IS
'Of the text search parser amelia_saga.unicode61.';

CREATE FUNCTION amelia_internal.saga_dictionary_init(internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'amelia_saga_dictionary_init';
COMMENT ON FUNCTION amelia_internal.saga_dictionary_init(internal) IS
'Of the text search template amelia_saga.unicode61.';

CREATE FUNCTION amelia_internal.saga_dictionary_lexize(internal, internal, internal, internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'amelia_saga_dictionary_lexize';
COMMENT ON FUNCTION amelia_internal.saga_dictionary_lexize(internal, internal, internal, internal) IS
'Of the text search template amelia_saga.unicode61.';

REVOKE ALL ON FUNCTION
	amelia_internal.saga_parser_start(internal, integer),
	amelia_internal.saga_parser_token(internal, internal, internal),
	amelia_internal.saga_parser_end(internal),
	amelia_internal.saga_parser_types(internal),
	amelia_internal.saga_dictionary_init(internal),
	amelia_internal.saga_dictionary_lexize(internal, internal, internal, internal)
FROM PUBLIC;

CREATE TEXT SEARCH PARSER amelia_saga.unicode61 (
	START = amelia_internal.saga_parser_start,
	GETTOKEN = amelia_internal.saga_parser_token,
	END = amelia_internal.saga_parser_end,
	LEXTYPES = amelia_internal.saga_parser_types,
	HEADLINE = pg_catalog.prsd_headline
);
COMMENT ON TEXT SEARCH PARSER amelia_saga.unicode61 IS
'Splits at everything that is no letter, digit or character for private use, as FTS5''s tokenizer unicode61.';

CREATE TEXT SEARCH TEMPLATE amelia_saga.unicode61 (
	INIT = amelia_internal.saga_dictionary_init,
	LEXIZE = amelia_internal.saga_dictionary_lexize
);
COMMENT ON TEXT SEARCH TEMPLATE amelia_saga.unicode61 IS
'Folds case and diacritics as FTS5''s unicode61 with remove_diacritics 1. Option filter: hands the word on to the next dictionary.';

CREATE TEXT SEARCH DICTIONARY amelia_saga.folded (TEMPLATE = amelia_saga.unicode61);
COMMENT ON TEXT SEARCH DICTIONARY amelia_saga.folded IS
'The word without case and diacritics.';

CREATE TEXT SEARCH DICTIONARY amelia_saga.folding (TEMPLATE = amelia_saga.unicode61, filter = true);
COMMENT ON TEXT SEARCH DICTIONARY amelia_saga.folding IS
'The word without case and diacritics, for the next dictionary.';

CREATE TEXT SEARCH DICTIONARY amelia_saga.english_stem (TEMPLATE = pg_catalog.snowball, language = english);
COMMENT ON TEXT SEARCH DICTIONARY amelia_saga.english_stem IS
'The stem of an English word. No word is left out, for a phrase would miss it.';

CREATE TEXT SEARCH CONFIGURATION amelia_saga.exact (PARSER = amelia_saga.unicode61);
ALTER TEXT SEARCH CONFIGURATION amelia_saga.exact ADD MAPPING FOR word WITH amelia_saga.folded;
COMMENT ON TEXT SEARCH CONFIGURATION amelia_saga.exact IS
'Words as FTS5 has them by default: nothing stemmed, nothing left out.';

CREATE TEXT SEARCH CONFIGURATION amelia_saga.english (PARSER = amelia_saga.unicode61);
ALTER TEXT SEARCH CONFIGURATION amelia_saga.english
ADD MAPPING FOR word WITH amelia_saga.folding, amelia_saga.english_stem;
COMMENT ON TEXT SEARCH CONFIGURATION amelia_saga.english IS
'The same words as English stems.';
