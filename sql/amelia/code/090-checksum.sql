-- Whether two tables hold the same rows.

CREATE FUNCTION amelia.row_checksums("table" regclass, keys name[], columns name[] DEFAULT NULL,
	OUT key text, OUT hash uuid)
RETURNS SETOF record
LANGUAGE c STABLE
SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres'
SET extra_float_digits = 1 SET bytea_output = 'hex' SET lc_monetary = 'C'
AS 'MODULE_PATHNAME', 'amelia_row_checksums';
COMMENT ON FUNCTION amelia.row_checksums(regclass, name[], name[]) IS
'A row for each row of a table: its key as text (of several columns as a JSON array of texts) and the MD5 of its columns in the order of their names, for each "-" if it is NULL, else the length of its text in bytes, ":" and the text. columns NULL: all. Reads the table with the caller''s rights. Errors: 22023 a NULL, 22004 a row whose key is NULL, 42703 no such column.';

CREATE FUNCTION amelia.table_checksum("table" regclass, key name, columns name[] DEFAULT NULL,
	OUT rows bigint, OUT sum text, OUT "xor" text)
RETURNS record
LANGUAGE c STABLE
SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres'
SET extra_float_digits = 1 SET bytea_output = 'hex' SET lc_monetary = 'C'
AS 'MODULE_PATHNAME', 'amelia_table_checksum';
COMMENT ON FUNCTION amelia.table_checksum(regclass, name, name[]) IS
'How many rows a table has, and the sum modulo 2^128 and the exclusive or of their hashes, in hexadecimal digits: equal in two databases when the tables hold the same, in whatever order of rows and columns. key is the column that a row is known by; row_checksums() has the hashes one by one, to find what differs. columns NULL: all. Errors: 22023 a NULL, 22004 a row whose key is NULL, 42703 no such column.';

REVOKE ALL ON FUNCTION
	amelia.row_checksums(regclass, name[], name[]),
	amelia.table_checksum(regclass, name, name[])
FROM PUBLIC;
