/*-------------------------------------------------------------------------
 *
 * ranking.c
 *	  Whether a row matches a query, and how well: BM25 with k1 1.2 and
 *	  b 0.75, as FTS5's bm25() has it, with the sign turned.
 *
 *	  A phrase counts like a word. How rare it is comes from outside
 *	  (statistics.c), how often it stands in the row from where it was found,
 *	  how long the row is from its tsvector.
 *
 *-------------------------------------------------------------------------
 */
#include "saga/ranking.h"

#include "utils/builtins.h"
#include "utils/memutils.h"

#include "saga/vector.h"

PG_FUNCTION_INFO_V1(amelia_saga_rank);

#define BM25_K1 1.2
#define BM25_B 0.75

/* What a function keeps from one call to the next. */
typedef struct KeptQuery
{
	MemoryContext context;
	text	   *query;
	bool		stem;
	Matcher    *matcher;
} KeptQuery;

/*
 * The matcher for the query text, columns and stem that are the function's
 * first arguments, the one of the call before if it is the same. One call
 * of a statement always has the same columns.
 */
Matcher *
KeptMatcher(FunctionCallInfo fcinfo)
{
	KeptQuery  *kept = fcinfo->flinfo->fn_extra;
	text	   *query = PG_GETARG_TEXT_PP(0);
	bool		stem = PG_GETARG_BOOL(2);
	MemoryContext caller;
	QueryColumns *columns;

	if (kept != NULL && kept->stem == stem &&
		VARSIZE_ANY_EXHDR(kept->query) == VARSIZE_ANY_EXHDR(query) &&
		memcmp(VARDATA_ANY(kept->query), VARDATA_ANY(query), VARSIZE_ANY_EXHDR(query)) == 0)
		return kept->matcher;
	if (kept == NULL)
	{
		kept = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(KeptQuery));
		kept->context = AllocSetContextCreate(fcinfo->flinfo->fn_mcxt, "saga query", ALLOCSET_SMALL_SIZES);
	}
	/* If this fails, the next call begins anew. */
	fcinfo->flinfo->fn_extra = NULL;
	MemoryContextReset(kept->context);
	caller = MemoryContextSwitchTo(kept->context);
	columns = palloc(sizeof(QueryColumns));
	TakeQueryColumns(DatumGetArrayTypePCopy(PG_GETARG_DATUM(1)), columns);
	kept->query = cstring_to_text(text_to_cstring(query));
	kept->stem = stem;
	kept->matcher = MakeMatcher(ParseQuery(text_to_cstring(query), columns, stem));
	/* The lists of places grow in here, and are used again for each row. */
	MemoryContextSwitchTo(caller);
	fcinfo->flinfo->fn_extra = kept;
	return kept->matcher;
}

/*
 * The sum over the phrases of how rare each is, times how much of it there
 * is, which counts less the longer the row is.
 */
static float8
Bm25(const Matcher *matcher, const float8 *rareness, int count, float8 average, TSVector vector)
{
	float8		words = CountWords(vector);
	float8		length = average > 0 ? 1 - BM25_B + BM25_B * words / average : 1;
	float8		rank = 0;

	for (int i = 0; i < count && i < list_length(matcher->phrases); i++)
	{
		float8		times = matcher->phrase_places[i].count;

		rank += rareness[i] * times * (BM25_K1 + 1) / (times + BM25_K1 * length);
	}
	return rank;
}

/*
 * saga_rank(query text, columns text[], stem boolean, rareness float8[],
 * average float8, search tsvector, content text, tags jsonb, filename text)
 * returns float8
 */
Datum
amelia_saga_rank(PG_FUNCTION_ARGS)
{
	Matcher    *matcher;
	TSVector	vector;
	ArrayType  *rareness;
	bool		matches;
	bool		is_sure;

	for (int i = 0; i < 6; i++)
	{
		if (PG_ARGISNULL(i))
			PG_RETURN_NULL();
	}
	matcher = KeptMatcher(fcinfo);
	vector = PG_GETARG_TSVECTOR(5);
	matches = MatchVector(matcher, vector, &is_sure);
	if (!is_sure)
	{
		RowTexts	texts;

		TakeRowTexts(fcinfo, 6, &texts);
		matches = MatchTexts(matcher, &texts);
	}
	if (!matches)
		PG_RETURN_NULL();
	rareness = PG_GETARG_ARRAYTYPE_P(3);
	if (ARR_NDIM(rareness) > 1 || ARR_HASNULL(rareness))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("rareness must be a list of numbers")));
	PG_RETURN_FLOAT8(Bm25(matcher, (float8 *) ((char *) rareness + ARR_OVERHEAD_NONULLS(1)),
						  ArrayGetNItems(ARR_NDIM(rareness), ARR_DIMS(rareness)),
						  PG_GETARG_FLOAT8(4), vector));
}
