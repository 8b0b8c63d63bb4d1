/*-------------------------------------------------------------------------
 *
 * binary.h
 *	  Binding parameters in binary, and looking at what comes back.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BINARY_H
#define BINARY_H

#include <stdbool.h>
#include <stdint.h>

#include <libpq-fe.h>

/* PostgreSQL's own, which never change; catalog/pg_type_d.h is not for clients. */
#define BOOLOID 16
#define INT8OID 20
#define INT4OID 23
#define TEXTOID 25
#define TIMESTAMPTZOID 1184
#define NUMERICOID 1700
#define UUIDOID 2950
#define UUIDARRAYOID 2951
#define JSONBOID 3802

#define MAX_PARAMS 16
#define MAX_VALUE 1024

/* Parameters of a statement, in binary. */
typedef struct Params
{
	int			count;
	Oid			types[MAX_PARAMS];
	char		data[MAX_PARAMS][MAX_VALUE];
	const char *values[MAX_PARAMS];
	int			lengths[MAX_PARAMS];
	int			formats[MAX_PARAMS];
} Params;

extern PGconn *conn;

extern void check(bool is_right, const char *name, const char *why);

/* parameters */
extern char *add(Params *params, Oid type, int length);
extern void add_null(Params *params, Oid type);
extern void add_int4(Params *params, int32_t value);
extern void add_timestamptz(Params *params, int64_t microseconds);
extern void add_bool(Params *params, bool value);
extern void add_text(Params *params, const char *value);
extern void add_jsonb(Params *params, const char *value);
extern void add_uuid(Params *params, const char *text);
extern void add_uuid_array(Params *params, const char *first, const char *second);
extern void add_numeric(Params *params, const char *text);
extern void add_numeric_nan(Params *params);

/* parts of other messages */
extern void put_int16(char **at, int value);
extern void put_int32(char **at, int32_t value);
extern void put_uuid(char **at, const char *text);

/* statements, and what they must give */
extern PGresult *run(const char *statement, const Params *params);
extern void check_rows(const char *statement, const Params *params, const char *rows, const char *name);
extern void check_error(const char *statement, const Params *params, const char *sqlstate, const char *name);
extern void check_integer(const char *statement, const Params *params, Oid type, int64_t expected, const char *name);
extern void check_bytes(const char *statement, const Params *params, const Params *expected, const char *name);
extern void check_types(const char *statement, const Oid *types, int count, const char *name);
extern int64_t get_integer(const PGresult *result, int row, int column);

#endif							/* BINARY_H */
