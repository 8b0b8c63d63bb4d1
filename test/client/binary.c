/*-------------------------------------------------------------------------
 *
 * binary.c
 *	  Binding parameters in binary, and looking at what comes back.
 *
 *	  Each check prints "ok - NAME" or "not ok - NAME (why)". A connection
 *	  that is lost ends the program.
 *
 *-------------------------------------------------------------------------
 */
#include "binary.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

PGconn	   *conn;

void
check(bool is_right, const char *name, const char *why)
{
	if (is_right)
		printf("ok - %s\n", name);
	else
		printf("not ok - %s (%s)\n", name, why);
	fflush(stdout);
}

/* Adding parameters */

char *
add(Params *params, Oid type, int length)
{
	int			n = params->count++;

	if (n >= MAX_PARAMS || length > MAX_VALUE)
	{
		fprintf(stderr, "too many parameters, or too long a one\n");
		exit(1);
	}
	params->types[n] = type;
	params->values[n] = params->data[n];
	params->lengths[n] = length;
	params->formats[n] = 1;
	return params->data[n];
}

void
add_null(Params *params, Oid type)
{
	add(params, type, 0);
	params->values[params->count - 1] = NULL;
}

void
put_int16(char **at, int value)
{
	uint16_t	network = htons((uint16_t) value);

	memcpy(*at, &network, 2);
	*at += 2;
}

void
put_int32(char **at, int32_t value)
{
	uint32_t	network = htonl((uint32_t) value);

	memcpy(*at, &network, 4);
	*at += 4;
}

void
add_int4(Params *params, int32_t value)
{
	char	   *at = add(params, INT4OID, 4);

	put_int32(&at, value);
}

static void
add_int64(Params *params, Oid type, int64_t value)
{
	char	   *at = add(params, type, 8);

	put_int32(&at, (int32_t) (value >> 32));
	put_int32(&at, (int32_t) value);
}

void
add_timestamptz(Params *params, int64_t microseconds)
{
	add_int64(params, TIMESTAMPTZOID, microseconds);
}

void
add_bool(Params *params, bool value)
{
	*add(params, BOOLOID, 1) = value;
}

void
add_text(Params *params, const char *value)
{
	memcpy(add(params, TEXTOID, (int) strlen(value)), value, strlen(value));
}

void
add_jsonb(Params *params, const char *value)
{
	char	   *at = add(params, JSONBOID, (int) strlen(value) + 1);

	*at = 1;					/* the version of the format */
	memcpy(at + 1, value, strlen(value));
}

void
put_uuid(char **at, const char *text)
{
	for (int i = 0; i < 16; i++)
	{
		unsigned int byte;

		if (*text == '-')
			text++;
		sscanf(text, "%2x", &byte);
		text += 2;
		*(*at)++ = (char) byte;
	}
}

void
add_uuid(Params *params, const char *text)
{
	char	   *at = add(params, UUIDOID, 16);

	put_uuid(&at, text);
}

void
add_uuid_array(Params *params, const char *first, const char *second)
{
	char	   *at = add(params, UUIDARRAYOID, 5 * 4 + 2 * (4 + 16));

	put_int32(&at, 1);			/* dimensions */
	put_int32(&at, 0);			/* no NULL in it */
	put_int32(&at, UUIDOID);
	put_int32(&at, 2);			/* elements */
	put_int32(&at, 1);			/* from 1 on */
	put_int32(&at, 16);
	put_uuid(&at, first);
	put_int32(&at, 16);
	put_uuid(&at, second);
}

/*
 * A numeric from its decimal text: groups of four digits, counted from the
 * point, each as a base-10000 digit.
 */
void
add_numeric(Params *params, const char *text)
{
	const char *point = strchr(text, '.');
	int			whole = point ? (int) (point - text) : (int) strlen(text);
	int			scale = point ? (int) strlen(point + 1) : 0;
	int			before = (whole + 3) / 4;
	int			after = (scale + 3) / 4;
	char	   *at = add(params, NUMERICOID, 8 + 2 * (before + after));

	put_int16(&at, before + after);
	put_int16(&at, before - 1); /* weight of the first digit */
	put_int16(&at, 0);			/* positive */
	put_int16(&at, scale);
	for (int group = 0; group < before + after; group++)
	{
		int			digit = 0;

		for (int i = 0; i < 4; i++)
		{
			int			place = group * 4 + i - (before * 4 - whole);	/* of the digit, from the left */
			int			value = 0;

			if (place >= 0 && place < whole)
				value = text[place] - '0';
			else if (place >= whole && place - whole < scale)
				value = point[1 + place - whole] - '0';
			digit = digit * 10 + value;
		}
		put_int16(&at, digit);
	}
}

void
add_numeric_nan(Params *params)
{
	char	   *at = add(params, NUMERICOID, 8);

	put_int16(&at, 0);
	put_int16(&at, 0);
	put_int16(&at, 0xC000);
	put_int16(&at, 0);
}

/* Running statements and reading what comes back, in binary too */

PGresult *
run(const char *statement, const Params *params)
{
	PGresult   *result = PQexecParams(conn, statement, params->count, params->types,
									  params->values, params->lengths, params->formats, 1);

	if (PQstatus(conn) != CONNECTION_OK)
	{
		fprintf(stderr, "%s", PQerrorMessage(conn));
		exit(1);
	}
	return result;
}

/* The statement succeeds and reports that many rows in its command tag. */
void
check_rows(const char *statement, const Params *params, const char *rows, const char *name)
{
	PGresult   *result = run(statement, params);
	bool		succeeded = PQresultStatus(result) == PGRES_COMMAND_OK ||
		PQresultStatus(result) == PGRES_TUPLES_OK;

	if (!succeeded)
		check(false, name, PQresultErrorMessage(result));
	else
		check(strcmp(PQcmdTuples(result), rows) == 0, name, PQcmdTuples(result));
	PQclear(result);
}

/* The statement fails with this SQLSTATE. */
void
check_error(const char *statement, const Params *params, const char *sqlstate, const char *name)
{
	PGresult   *result = run(statement, params);
	const char *actual = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	check(actual != NULL && strcmp(actual, sqlstate) == 0, name,
		  actual != NULL ? PQresultErrorMessage(result) : "no error");
	PQclear(result);
}

int64_t
get_integer(const PGresult *result, int row, int column)
{
	const unsigned char *value = (const unsigned char *) PQgetvalue(result, row, column);
	uint64_t	number = 0;
	int			length = PQgetlength(result, row, column);

	for (int i = 0; i < length; i++)
		number = number << 8 | value[i];
	if (length == 4)
		return (int32_t) (uint32_t) number;
	return (int64_t) number;
}

/* One row of integers comes back: of one column, this one. */
void
check_integer(const char *statement, const Params *params, Oid type, int64_t expected, const char *name)
{
	PGresult   *result = run(statement, params);
	char		why[64] = "";

	if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) != 1)
		check(false, name, PQresultErrorMessage(result));
	else if (PQftype(result, 0) != type)
		check(false, name, "another type");
	else
	{
		snprintf(why, sizeof(why), "%lld", (long long) get_integer(result, 0, 0));
		check(!PQgetisnull(result, 0, 0) && get_integer(result, 0, 0) == expected, name, why);
	}
	PQclear(result);
}

/* One value comes back, of this type, with the bytes that were bound. */
void
check_bytes(const char *statement, const Params *params, const Params *expected, const char *name)
{
	PGresult   *result = run(statement, params);

	if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) != 1 ||
		PQnfields(result) != expected->count)
		check(false, name, PQresultErrorMessage(result));
	else
	{
		const char *why = NULL;

		for (int i = 0; i < expected->count; i++)
		{
			if (PQftype(result, i) != expected->types[i] ||
				PQgetisnull(result, 0, i) != (expected->values[i] == NULL) ||
				PQgetlength(result, 0, i) != expected->lengths[i] ||
				memcmp(PQgetvalue(result, 0, i), expected->data[i], (size_t) expected->lengths[i]) != 0)
				why = PQfname(result, i);
		}
		check(why == NULL, name, why);
	}
	PQclear(result);
}

/* What the server takes a statement's parameters for, when it is not told. */
void
check_types(const char *statement, const Oid *types, int count, const char *name)
{
	PGresult   *result = PQprepare(conn, "", statement, 0, NULL);
	PGresult   *described;
	bool		is_right;

	if (PQresultStatus(result) != PGRES_COMMAND_OK)
	{
		check(false, name, PQresultErrorMessage(result));
		PQclear(result);
		return;
	}
	PQclear(result);
	described = PQdescribePrepared(conn, "");
	is_right = PQresultStatus(described) == PGRES_COMMAND_OK && PQnparams(described) == count;
	for (int i = 0; is_right && i < count; i++)
		is_right = PQparamtype(described, i) == types[i];
	check(is_right, name, "other types");
	PQclear(described);
}
