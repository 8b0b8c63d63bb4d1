/*-------------------------------------------------------------------------
 *
 * parser.c
 *	  The text search parser amelia_saga.unicode61, and the dictionary
 *	  template of the same name.
 *
 *	  The parser cuts a text into words and what stands between them, as it
 *	  is written, so that ts_headline() can put it together again. The
 *	  dictionary folds a word. With the option filter it hands it on to the
 *	  next dictionary, as english_stem in the configuration english.
 *
 *-------------------------------------------------------------------------
 */
#include "base/amelia.h"

#include "commands/defrem.h"
#include "nodes/parsenodes.h"
#include "tsearch/ts_public.h"

#include "saga/unicode61.h"

PG_FUNCTION_INFO_V1(amelia_saga_parser_start);
PG_FUNCTION_INFO_V1(amelia_saga_parser_token);
PG_FUNCTION_INFO_V1(amelia_saga_parser_end);
PG_FUNCTION_INFO_V1(amelia_saga_parser_types);
PG_FUNCTION_INFO_V1(amelia_saga_dictionary_init);
PG_FUNCTION_INFO_V1(amelia_saga_dictionary_lexize);

/* Kinds of tokens; 0 is the end. */
#define WORD_TOKEN 1
#define BLANK_TOKEN 2

typedef struct ParserState
{
	Splitter	splitter;
	const char *done;			/* up to here tokens were handed out */
	bool		has_word;		/* the splitter's word comes next */
} ParserState;

typedef struct FoldingDictionary
{
	bool		filter;
} FoldingDictionary;

/*
 * saga_parser_start(internal, integer) returns internal
 */
Datum
amelia_saga_parser_start(PG_FUNCTION_ARGS)
{
	ParserState *state = palloc0(sizeof(ParserState));

	StartSplitting(&state->splitter, (char *) PG_GETARG_POINTER(0), PG_GETARG_INT32(1));
	state->done = state->splitter.next;
	PG_RETURN_POINTER(state);
}

/*
 * saga_parser_token(internal, internal, internal) returns internal
 */
Datum
amelia_saga_parser_token(PG_FUNCTION_ARGS)
{
	ParserState *state = (ParserState *) PG_GETARG_POINTER(0);
	const char **token = (const char **) PG_GETARG_POINTER(1);
	int		   *len = (int *) PG_GETARG_POINTER(2);
	const char *stop;
	int			type;

	if (!state->has_word)
		state->has_word = NextWord(&state->splitter);
	if (state->has_word && state->splitter.start == state->done)
	{
		type = WORD_TOKEN;
		stop = state->splitter.stop;
		state->has_word = false;
	}
	else
	{
		type = BLANK_TOKEN;
		stop = state->has_word ? state->splitter.start : state->splitter.end;
	}
	*token = state->done;
	*len = stop - state->done;
	state->done = stop;
	PG_RETURN_INT32(*len > 0 ? type : 0);
}

/*
 * saga_parser_end(internal) returns void
 */
Datum
amelia_saga_parser_end(PG_FUNCTION_ARGS)
{
	ParserState *state = (ParserState *) PG_GETARG_POINTER(0);

	pfree(state->splitter.word.data);
	pfree(state);
	PG_RETURN_VOID();
}

/*
 * saga_parser_types(internal) returns internal
 */
Datum
amelia_saga_parser_types(PG_FUNCTION_ARGS)
{
	LexDescr   *types = palloc0(3 * sizeof(LexDescr));

	types[0].lexid = WORD_TOKEN;
	types[0].alias = pstrdup("word");
	types[0].descr = pstrdup("Letters, digits and characters for private use");
	types[1].lexid = BLANK_TOKEN;
	types[1].alias = pstrdup("blank");
	types[1].descr = pstrdup("What stands between words");
	PG_RETURN_POINTER(types);
}

/*
 * saga_dictionary_init(internal) returns internal
 */
Datum
amelia_saga_dictionary_init(PG_FUNCTION_ARGS)
{
	List	   *options = (List *) PG_GETARG_POINTER(0);
	FoldingDictionary *dictionary = palloc0(sizeof(FoldingDictionary));
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, "filter") != 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("unrecognized unicode61 dictionary parameter: \"%s\"", option->defname)));
		dictionary->filter = defGetBoolean(option);
	}
	PG_RETURN_POINTER(dictionary);
}

/*
 * saga_dictionary_lexize(internal, internal, internal, internal) returns internal
 */
Datum
amelia_saga_dictionary_lexize(PG_FUNCTION_ARGS)
{
	FoldingDictionary *dictionary = (FoldingDictionary *) PG_GETARG_POINTER(0);
	TSLexeme   *lexemes = palloc0(2 * sizeof(TSLexeme));
	Splitter	splitter;

	StartSplitting(&splitter, (char *) PG_GETARG_POINTER(1), PG_GETARG_INT32(2));
	/* What holds no word is known, and is nothing that is indexed. */
	if (NextWord(&splitter))
	{
		lexemes[0].lexeme = splitter.word.data;
		lexemes[0].flags = dictionary->filter ? TSL_FILTER : 0;
	}
	PG_RETURN_POINTER(lexemes);
}
