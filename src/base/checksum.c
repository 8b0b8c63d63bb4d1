/*-------------------------------------------------------------------------
 *
 * checksum.c
 *	  Hashes of rows, and their sums: what tells whether two tables hold the
 *	  same, in two databases or on two sides of a move.
 *
 *	  A row's hash is the MD5 of its columns in the order of their names: for
 *	  each "-" where it is NULL, else the length of its text in bytes, ":" and
 *	  the text, as COPY writes it. The functions' own settings make the text
 *	  the same in every session. MD5 tells apart what differs by accident, not
 *	  by intent.
 *
 *	  The table is read by a statement, with its caller's rights and policies.
 *
 *-------------------------------------------------------------------------
 */
#include "base/amelia.h"

#include "catalog/pg_type.h"
#include "common/cryptohash.h"
#include "common/md5.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/uuid.h"

#include "access/table.h"

PG_FUNCTION_INFO_V1(amelia_row_checksums);
PG_FUNCTION_INFO_V1(amelia_table_checksum);

/* rows that are read at a time */
#define ROWS 1000

typedef struct Reading
{
	int			nkeys;			/* they stand before the columns */
	int			ncolumns;
	Portal		portal;
	FmgrInfo   *output;			/* of each column of the query */
	pg_cryptohash_ctx *md5;
	MemoryContext context;		/* of one row: what is used again stays in the
								 * cache */
} Reading;

/*
 * The names of an array as C strings; 22023 when one is NULL.
 */
static char **
Names(ArrayType *array, int *count, const char *argument)
{
	Datum	   *values;
	bool	   *nulls;
	char	  **names;

	deconstruct_array(array, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR, &values, &nulls, count);
	names = palloc(sizeof(char *) * Max(*count, 1));
	for (int i = 0; i < *count; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("%s may not hold NULL", argument)));
		names[i] = NameStr(*DatumGetName(values[i]));
	}
	return names;
}

/*
 * All columns of a table.
 */
static char **
AllColumns(Oid table, int *count)
{
	Relation	relation = table_open(table, AccessShareLock);
	TupleDesc	tupdesc = RelationGetDescr(relation);
	char	  **names = palloc(sizeof(char *) * Max(tupdesc->natts, 1));

	*count = 0;
	for (int i = 0; i < tupdesc->natts; i++)
	{
		if (!TupleDescAttr(tupdesc, i)->attisdropped)
			names[(*count)++] = pstrdup(NameStr(TupleDescAttr(tupdesc, i)->attname));
	}
	table_close(relation, NoLock);
	return names;
}

static int
CompareNames(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/*
 * Open a cursor on the keys and the columns of a table, which may be NULL for
 * all. SPI must be connected.
 */
static void
BeginReading(Reading *reading, Oid table, char **keys, int nkeys, ArrayType *chosen)
{
	StringInfoData query;
	SPIPlanPtr	plan;
	TupleDesc	tupdesc;
	char	  **columns;

	reading->nkeys = nkeys;
	columns = chosen == NULL ? AllColumns(table, &reading->ncolumns) :
		Names(chosen, &reading->ncolumns, "columns");
	qsort(columns, reading->ncolumns, sizeof(char *), CompareNames);
	initStringInfo(&query);
	appendStringInfoString(&query, "SELECT ");
	for (int i = 0; i < nkeys + reading->ncolumns; i++)
		appendStringInfo(&query, "%st.%s", i > 0 ? ", " : "",
						 quote_identifier(i < nkeys ? keys[i] : columns[i - nkeys]));
	appendStringInfo(&query, " FROM %s AS t",
					 quote_qualified_identifier(get_namespace_name(get_rel_namespace(table)), get_rel_name(table)));
	plan = SPI_prepare(query.data, 0, NULL);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	reading->portal = SPI_cursor_open(NULL, plan, NULL, NULL, true);
	tupdesc = reading->portal->tupDesc;
	reading->output = palloc(sizeof(FmgrInfo) * tupdesc->natts);
	for (int i = 0; i < tupdesc->natts; i++)
	{
		Oid			function;
		bool		is_varlena;

		getTypeOutputInfo(TupleDescAttr(tupdesc, i)->atttypid, &function, &is_varlena);
		fmgr_info(function, &reading->output[i]);
	}
	reading->md5 = pg_cryptohash_create(PG_MD5);
	reading->context = AllocSetContextCreate(CurrentMemoryContext, "amelia rows", ALLOCSET_DEFAULT_SIZES);
}

/*
 * The table of a call, and its keys; 22023 for what is missing.
 */
static Oid
GivenTable(FunctionCallInfo fcinfo)
{
	Oid			table;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the table and its key must be given")));
	table = PG_GETARG_OID(0);
	if (get_rel_name(table) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("there is no table with OID %u", table)));
	return table;
}

/*
 * A value of the current piece as text, or NULL.
 */
static char *
ValueText(Reading *reading, HeapTuple row, int column)
{
	bool		is_null;
	Datum		value = SPI_getbinval(row, reading->portal->tupDesc, column + 1, &is_null);

	return is_null ? NULL : OutputFunctionCall(&reading->output[column], value);
}

static void
AddBytes(Reading *reading, const char *bytes, size_t length)
{
	if (pg_cryptohash_update(reading->md5, (const uint8 *) bytes, length) < 0)
		elog(ERROR, "could not compute MD5: %s", pg_cryptohash_error(reading->md5));
}

static void
HashRow(Reading *reading, HeapTuple row, uint8 hash[MD5_DIGEST_LENGTH])
{
	if (pg_cryptohash_init(reading->md5) < 0)
		elog(ERROR, "could not compute MD5: %s", pg_cryptohash_error(reading->md5));
	for (int i = 0; i < reading->ncolumns; i++)
	{
		char	   *text = ValueText(reading, row, reading->nkeys + i);
		char		length[24];

		if (text == NULL)
		{
			AddBytes(reading, "-", 1);
			continue;
		}
		snprintf(length, sizeof(length), "%zu:", strlen(text));
		AddBytes(reading, length, strlen(length));
		AddBytes(reading, text, strlen(text));
	}
	if (pg_cryptohash_final(reading->md5, hash, MD5_DIGEST_LENGTH) < 0)
		elog(ERROR, "could not compute MD5: %s", pg_cryptohash_error(reading->md5));
}

/*
 * A row's key: its text, or an array of them as jsonb prints it.
 */
static Datum
KeyText(Reading *reading, HeapTuple row)
{
	StringInfoData key;

	initStringInfo(&key);
	for (int i = 0; i < reading->nkeys; i++)
	{
		char	   *text = ValueText(reading, row, i);

		if (text == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("a row has NULL in its key")));
		if (reading->nkeys == 1)
			return CStringGetTextDatum(text);
		appendStringInfoString(&key, i == 0 ? "[" : ", ");
		escape_json(&key, text);
	}
	appendStringInfoChar(&key, ']');
	return CStringGetTextDatum(key.data);
}

/*
 * row_checksums("table" regclass, keys name[], columns name[])
 * returns setof (key text, hash uuid)
 */
Datum
amelia_row_checksums(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			table = GivenTable(fcinfo);
	Reading		reading;
	char	  **keys;
	int			nkeys;

	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	keys = Names(PG_GETARG_ARRAYTYPE_P(1), &nkeys, "keys");
	if (nkeys == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the table and its key must be given")));
	BeginReading(&reading, table, keys, nkeys, PG_ARGISNULL(2) ? NULL : PG_GETARG_ARRAYTYPE_P(2));
	do
	{
		MemoryContext caller;

		CHECK_FOR_INTERRUPTS();
		SPI_cursor_fetch(reading.portal, true, ROWS);
		caller = MemoryContextSwitchTo(reading.context);
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			pg_uuid_t	hash;
			Datum		values[2] = {0, UUIDPGetDatum(&hash)};
			bool		nulls[2] = {false, false};

			HashRow(&reading, SPI_tuptable->vals[i], hash.data);
			values[0] = KeyText(&reading, SPI_tuptable->vals[i]);
			tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
			MemoryContextReset(reading.context);
		}
		MemoryContextSwitchTo(caller);
		SPI_freetuptable(SPI_tuptable);
	} while (SPI_processed > 0);
	SPI_cursor_close(reading.portal);
	pg_cryptohash_free(reading.md5);
	SPI_finish();
	PG_RETURN_NULL();
}

/*
 * A number of 128 bits as hexadecimal digits, the highest first.
 */
static Datum
HexText(const uint8 bytes[MD5_DIGEST_LENGTH])
{
	char text[	MD5_DIGEST_LENGTH * 2 + 1];

	for (int i = 0; i < MD5_DIGEST_LENGTH; i++)
		snprintf(text +i * 2, 3, "%02x", bytes[i]);
	return CStringGetTextDatum(text);
}

/*
 * table_checksum("table" regclass, key name, columns name[])
 * returns (rows bigint, sum text, xor text)
 */
Datum
amelia_table_checksum(PG_FUNCTION_ARGS)
{
	Oid			table = GivenTable(fcinfo);
	char	   *key = NameStr(*PG_GETARG_NAME(1));
	uint8		sum[MD5_DIGEST_LENGTH] = {0};
	uint8		xor[MD5_DIGEST_LENGTH] = {0};
	int64		rows = 0;
	Reading		reading;
	TupleDesc	tupdesc;
	Datum		values[3];
	bool		nulls[3] = {false, false, false};

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	SPI_connect();
	BeginReading(&reading, table, &key, 1, PG_ARGISNULL(2) ? NULL : PG_GETARG_ARRAYTYPE_P(2));
	do
	{
		MemoryContext caller;

		CHECK_FOR_INTERRUPTS();
		SPI_cursor_fetch(reading.portal, true, ROWS);
		caller = MemoryContextSwitchTo(reading.context);
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			uint8		hash[MD5_DIGEST_LENGTH];
			int			carry = 0;

			(void) KeyText(&reading, SPI_tuptable->vals[i]);
			HashRow(&reading, SPI_tuptable->vals[i], hash);
			for (int b = MD5_DIGEST_LENGTH - 1; b >= 0; b--)
			{
				carry += sum[b] + hash[b];
				sum[b] = carry & 0xff;
				carry >>= 8;
				xor[b] ^= hash[b];
			}
			rows++;
			MemoryContextReset(reading.context);
		}
		MemoryContextSwitchTo(caller);
		SPI_freetuptable(SPI_tuptable);
	} while (SPI_processed > 0);
	SPI_cursor_close(reading.portal);
	pg_cryptohash_free(reading.md5);
	SPI_finish();
	values[0] = Int64GetDatum(rows);
	values[1] = HexText(sum);
	values[2] = HexText(xor);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc), values, nulls)));
}
