/*-------------------------------------------------------------------------
 *
 * lexer.h
 *	  The tokens of a query in the language of FTS5.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_LEXER_H
#define AMELIA_LEXER_H

#include "base/amelia.h"

typedef enum TokenKind
{
	TOKEN_END,
	TOKEN_STRING,				/* bareword or "string" */
	TOKEN_AND,
	TOKEN_OR,
	TOKEN_NOT,
	TOKEN_SIGN					/* one of (){}:,+*-^ */
} TokenKind;

typedef struct QueryLexer
{
	const char *query;
	const char *next;
	/* the token that is looked at */
	TokenKind	kind;
	const char *start;
	int			len;
} QueryLexer;

extern void StartQuery(QueryLexer *lexer, const char *query);
extern void NextToken(QueryLexer *lexer);
extern bool AtSign(const QueryLexer *lexer, char sign);
extern bool TakeSign(QueryLexer *lexer, char sign);
extern char *TokenText(const QueryLexer *lexer);
pg_noreturn extern void RefuseToken(const QueryLexer *lexer, const char *problem, const char *hint);

#endif							/* AMELIA_LEXER_H */
