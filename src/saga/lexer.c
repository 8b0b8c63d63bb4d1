/*-------------------------------------------------------------------------
 *
 * lexer.c
 *	  The tokens of a query in the language of FTS5: strings, bare words,
 *	  AND, OR, NOT, and signs.
 *
 *	  A bare word consists of letters and digits of ASCII, underscores, and
 *	  whatever is not ASCII. All else that stands outside of quotes is an
 *	  error, as it is in FTS5: a path or a date wants quotes.
 *
 *-------------------------------------------------------------------------
 */
#include "saga/lexer.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"

/* SQLite's own substitute character is part of a bare word. */
#define SUBSTITUTE 0x1a

static bool
IsBare(unsigned char c)
{
	return c >= 0x80 || c == '_' || c == SUBSTITUTE ||
		(c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
IsBlank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/*
 * Raise 42601 for the token that is looked at. problem says what is wrong,
 * and may be NULL.
 */
void
RefuseToken(const QueryLexer *lexer, const char *problem, const char *hint)
{
	int			place = pg_mbstrlen_with_len(lexer->query, lexer->start - lexer->query) + 1;
	char	   *token = pnstrdup(lexer->start, lexer->len);

	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("syntax error in search query: %s", problem),
				 errdetail("At character %d of the query.", place),
				 hint == NULL ? 0 : errhint("%s", hint)));
	if (lexer->kind == TOKEN_END && *lexer->start == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("syntax error at end of search query"),
				 errdetail("At character %d of the query.", place),
				 hint == NULL ? 0 : errhint("%s", hint)));
	ereport(ERROR,
			(errcode(ERRCODE_SYNTAX_ERROR),
			 errmsg("syntax error in search query at or near \"%s\"", token),
			 errdetail("At character %d of the query.", place),
			 hint == NULL ? 0 : errhint("%s", hint)));
}

/*
 * Find the end of a "string", in which two quotes stand for one.
 */
static const char *
EndOfString(QueryLexer *lexer)
{
	for (const char *place = lexer->start + 1; *place != '\0'; place++)
	{
		if (*place == '"' && *++place != '"')
			return place;
	}
	lexer->len = 1;
	RefuseToken(lexer, "unterminated string", "A quote within a string is written twice.");
}

/*
 * Go on to the next token.
 */
void
NextToken(QueryLexer *lexer)
{
	const char *end;

	while (IsBlank(*lexer->next))
		lexer->next++;
	lexer->start = lexer->next;
	lexer->len = 0;
	if (*lexer->start == '\0')
	{
		lexer->kind = TOKEN_END;
		return;
	}
	if (strchr("(){}:,+*-^", *lexer->start) != NULL)
	{
		lexer->kind = TOKEN_SIGN;
		end = lexer->start + 1;
	}
	else if (*lexer->start == '"')
	{
		lexer->kind = TOKEN_STRING;
		end = EndOfString(lexer);
	}
	else
	{
		for (end = lexer->start; IsBare((unsigned char) *end);)
			end++;
		lexer->len = end - lexer->start;
		if (lexer->len == 0)
		{
			lexer->kind = TOKEN_SIGN;
			lexer->len = 1;
			RefuseToken(lexer, NULL, "Put what is more than letters, digits and underscores in double quotes.");
		}
		lexer->kind = TOKEN_STRING;
		if (lexer->len == 3 && memcmp(lexer->start, "AND", 3) == 0)
			lexer->kind = TOKEN_AND;
		else if (lexer->len == 2 && memcmp(lexer->start, "OR", 2) == 0)
			lexer->kind = TOKEN_OR;
		else if (lexer->len == 3 && memcmp(lexer->start, "NOT", 3) == 0)
			lexer->kind = TOKEN_NOT;
	}
	lexer->len = end - lexer->start;
	lexer->next = end;
}

/*
 * Begin with the first token of a query.
 */
void
StartQuery(QueryLexer *lexer, const char *query)
{
	lexer->query = lexer->next = query;
	NextToken(lexer);
}

/*
 * Whether the token is that sign.
 */
bool
AtSign(const QueryLexer *lexer, char sign)
{
	return lexer->kind == TOKEN_SIGN && *lexer->start == sign;
}

/*
 * Go past that sign, if it is the token.
 */
bool
TakeSign(QueryLexer *lexer, char sign)
{
	bool		is_there = AtSign(lexer, sign);

	if (is_there)
		NextToken(lexer);
	return is_there;
}

/*
 * The token's text, without the quotes of a string.
 */
char *
TokenText(const QueryLexer *lexer)
{
	StringInfoData text;
	const char *end = lexer->start + lexer->len;

	if (*lexer->start != '"')
		return pnstrdup(lexer->start, lexer->len);
	initStringInfo(&text);
	for (const char *place = lexer->start + 1; place < end - 1; place++)
	{
		appendStringInfoCharMacro(&text, *place);
		if (*place == '"')
			place++;
	}
	return text.data;
}
