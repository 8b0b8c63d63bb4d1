/*-------------------------------------------------------------------------
 *
 * db.h
 *	  Statements in pipeline mode.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_DB_H
#define CLIENT_DB_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <libpq-fe.h>

#include "common/util.h"

/* What an answer of the server belongs to. */
typedef struct Tag
{
	int			kind;			/* the sender's own; 0 asks for no callback */
	unsigned long line;			/* blamed when the server refuses */
	size_t		number;
} Tag;

typedef void (*AnswerFunction) (void *arg, const Tag *tag,
								const PGresult *result);

typedef struct Db Db;

extern volatile sig_atomic_t db_interrupted;

extern Db  *db_open(PGconn *conn);
extern void db_close(Db *db);
extern bool db_is_lost(const Db *db);
extern void db_catch_signals(void);
extern void db_begin(Db *db, AnswerFunction answer, void *arg);
extern void db_query(Db *db, Tag tag, const char *sql, int nparams,
					 const char *const *params);
extern void db_prepare(Db *db, const char *sql, int nparams);
extern void db_execute(Db *db, Tag tag, int nparams,
					   const char *const *params);
extern bool db_sync(Db *db, Problem *problem);
extern bool db_commit(Db *db, Problem *problem);
extern void db_rollback(Db *db);
extern bool db_failed(const Db *db);

#endif							/* CLIENT_DB_H */
