/*-------------------------------------------------------------------------
 *
 * statistics.c
 *	  What a search begins with: its candidates, how rare the phrases of its
 *	  query are, and how long a row is on average, from what ANALYZE keeps.
 *
 *	  For the tsvector it keeps the most common words with the share of rows
 *	  that have each. A word that is not among them counts half as often as
 *	  the rarest that is. A prefix counts as often as all of them that begin
 *	  with it. The words of a phrase are neither independent nor always
 *	  together: it counts as the middle between the two, the share of the
 *	  rarest word times the square root of those of the others. How many
 *	  words a row has comes from the statistics object TABLE_words.
 *
 *	  The planner reads these numbers for everybody. Here they show in the
 *	  rank, so they are only read for who may read the whole column: for
 *	  somebody whom row security binds, and before the first ANALYZE, all
 *	  phrases are equally rare, and all rows equally long.
 *
 *-------------------------------------------------------------------------
 */
#include "base/amelia.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_statistic_ext_data.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/value.h"
#include "statistics/statistics.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/syscache.h"

#include "saga/candidates.h"

PG_FUNCTION_INFO_V1(amelia_saga_prepare);

/* As FTS5 has it for what more than half of the rows have. */
#define LEAST_RARENESS 1e-6

/* MCELEM: behind the shares of the words stand the least and the greatest. */
#define EXTRA_NUMBERS 2

/*
 * Whether the caller sees all rows of a column.
 */
static bool
MayReadAll(Oid table, AttrNumber column)
{
	return check_enable_rls(table, InvalidOid, true) != RLS_ENABLED &&
		(pg_class_aclcheck(table, GetUserId(), ACL_SELECT) == ACLCHECK_OK ||
		 pg_attribute_aclcheck(table, column, GetUserId(), ACL_SELECT) == ACLCHECK_OK);
}

/*
 * How many rows the table has, as the last VACUUM or ANALYZE found.
 */
static float8
CountedRows(Oid table)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
	float8		rows;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", table);
	rows = ((Form_pg_class) GETSTRUCT(tuple))->reltuples;
	ReleaseSysCache(tuple);
	return rows;
}

/*
 * The statistics of a column; those of a table with its children where it
 * has none alone.
 */
static HeapTuple
ColumnStatistics(Oid table, AttrNumber column)
{
	HeapTuple	tuple = SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(table), Int16GetDatum(column), BoolGetDatum(false));

	return HeapTupleIsValid(tuple) ? tuple :
		SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(table), Int16GetDatum(column), BoolGetDatum(true));
}

/*
 * The share of rows that have a word.
 */
static float8
ShareOfTerm(const QueryTerm *term, const AttStatsSlot *words)
{
	float8		least = words->numbers[words->nnumbers - EXTRA_NUMBERS] / 2;
	float8		share = 0;

	for (int i = 0; i < words->nvalues; i++)
	{
		text	   *word = DatumGetTextPP(words->values[i]);
		int			len = VARSIZE_ANY_EXHDR(word);

		if (len < term->indexed_len || (len > term->indexed_len && !term->is_prefix) ||
			memcmp(VARDATA_ANY(word), term->text, term->indexed_len) != 0)
			continue;
		share += words->numbers[i];
		if (!term->is_prefix)
			break;
	}
	return share > 0 ? Min(share, 1) : least;
}

/*
 * How rare a phrase is.
 */
static float8
RarenessOfPhrase(const QueryPhrase *phrase, const AttStatsSlot *words, float8 rows)
{
	float8		share = 1;
	float8		all = 1;
	float8		with_it;
	float8		rareness;
	ListCell   *cell;

	foreach(cell, phrase->terms)
	{
		float8		of_term = ShareOfTerm(lfirst(cell), words);

		share = Min(share, of_term);
		all *= of_term;
	}
	with_it = rows * share * sqrt(all / share);
	rareness = log((rows - with_it + 0.5) / (with_it + 0.5));
	return rareness > 0 ? rareness : LEAST_RARENESS;
}

/*
 * The mean of what a statistics tuple of an integer expression tells.
 */
static float8
MeanOfStatistics(HeapTuple tuple)
{
	AttStatsSlot slot;
	float8		sum = 0;
	float8		counted = 0;

	if (get_attstatsslot(&slot, tuple, STATISTIC_KIND_MCV, InvalidOid, ATTSTATSSLOT_VALUES | ATTSTATSSLOT_NUMBERS) &&
		slot.valuetype == INT4OID)
	{
		for (int i = 0; i < slot.nvalues; i++)
		{
			sum += slot.numbers[i] * DatumGetInt32(slot.values[i]);
			counted += slot.numbers[i];
		}
		free_attstatsslot(&slot);
	}
	if (get_attstatsslot(&slot, tuple, STATISTIC_KIND_HISTOGRAM, InvalidOid, ATTSTATSSLOT_VALUES) &&
		slot.valuetype == INT4OID)
	{
		float8		bounds = 0;

		/* Between two bounds there are equally many rows. */
		for (int i = 1; i < slot.nvalues; i++)
			bounds += (DatumGetInt32(slot.values[i - 1]) + DatumGetInt32(slot.values[i])) / 2.0;
		if (slot.nvalues > 1)
		{
			sum += Max(1 - counted, 0) * bounds / (slot.nvalues - 1);
			counted = 1;
		}
		free_attstatsslot(&slot);
	}
	return counted > 0 ? sum / counted : 0;
}

/*
 * How many words a row of the table has on average; 0 if nobody knows.
 */
static float8
AverageWords(Oid table)
{
	char	   *schema = get_namespace_name(get_rel_namespace(table));
	char	   *name = psprintf("%s_words", get_rel_name(table));
	Oid			object = get_statistics_object_oid(list_make2(makeString(schema), makeString(name)), true);
	float8		average = 0;

	for (int inherited = 0; inherited < 2 && OidIsValid(object) && average == 0; inherited++)
	{
		HeapTuple	data = SearchSysCache2(STATEXTDATASTXOID, ObjectIdGetDatum(object), BoolGetDatum(inherited == 1));
		bool		is_missing = true;

		if (HeapTupleIsValid(data))
		{
			SysCacheGetAttr(STATEXTDATASTXOID, data, Anum_pg_statistic_ext_data_stxdexpr, &is_missing);
			ReleaseSysCache(data);
		}
		if (!is_missing)
			average = MeanOfStatistics(statext_expressions_load(object, inherited == 1, 0));
	}
	return average;
}

/*
 * The column of tsvectors that a mode of search reads. Errors: 55000.
 */
static AttrNumber
SearchedAttribute(Oid table, bool stem)
{
	const char *name = stem ? "search_english" : "search";
	AttrNumber	column = get_attnum(table, name);

	if (column == InvalidAttrNumber || get_atttype(table, column) != TSVECTOROID)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" has no column \"%s\"", get_rel_name(table), name),
				 stem ? errhint("Run SELECT amelia_saga.index_english(true).") :
				 errhint("Run SELECT amelia_saga.migrate().")));
	return column;
}

/*
 * saga_prepare(query text, columns text[], stem boolean, searched regclass,
 * OUT candidates tsquery, OUT rareness float8[], OUT average float8)
 */
Datum
amelia_saga_prepare(PG_FUNCTION_ARGS)
{
	Oid			table = PG_GETARG_OID(3);
	AttrNumber	column = SearchedAttribute(table, PG_GETARG_BOOL(2));
	QueryColumns columns;
	SearchQuery *query;
	AttStatsSlot words;
	HeapTuple	statistics = NULL;
	bool		has_words = false;
	float8		rows;
	Datum	   *rareness;
	TupleDesc	tupdesc;
	Datum		values[3];
	bool		nulls[3] = {false, false, false};
	ListCell   *cell;

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "saga_prepare() must return a row");
	TakeQueryColumns(PG_GETARG_ARRAYTYPE_P(1), &columns);
	query = ParseQuery(text_to_cstring(PG_GETARG_TEXT_PP(0)), &columns, PG_GETARG_BOOL(2));
	rows = CountedRows(table);
	if (rows >= 1 && MayReadAll(table, column))
		statistics = ColumnStatistics(table, column);
	if (HeapTupleIsValid(statistics))
		has_words = get_attstatsslot(&words, statistics, STATISTIC_KIND_MCELEM, InvalidOid,
									 ATTSTATSSLOT_VALUES | ATTSTATSSLOT_NUMBERS) &&
			words.nnumbers == words.nvalues + EXTRA_NUMBERS;

	rareness = palloc(sizeof(Datum) * (list_length(query->phrases) + 1));
	foreach(cell, query->phrases)
		rareness[foreach_current_index(cell)] =
		Float8GetDatum(has_words ? RarenessOfPhrase(lfirst(cell), &words, rows) : 1);
	values[0] = TSQueryGetDatum(CandidatesOf(query, &columns));
	values[1] = PointerGetDatum(construct_array(rareness, list_length(query->phrases), FLOAT8OID,
												sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	values[2] = Float8GetDatum(has_words ? AverageWords(table) : 0);
	if (HeapTupleIsValid(statistics))
		ReleaseSysCache(statistics);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc), values, nulls)));
}
