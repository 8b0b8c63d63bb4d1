/*-------------------------------------------------------------------------
 *
 * db.c
 *	  One transaction at a time, in libpq's pipeline mode.
 *
 * Statements are queued without waiting for their answers; db_sync waits for
 * all of them. The connection does not block, because a server that waits to
 * send while we wait to send would wait for ever. At most MAX_PENDING
 * statements or MAX_PENDING_BYTES are on their way, so memory stays bounded
 * however long the file is.
 *
 * The server skips what follows an error up to the next sync. So after the
 * first error senders may go on or stop as they like; its reason, with the
 * line of its statement, is what db_sync reports.
 *
 * Nothing depends on the session beyond the transaction: settings are local,
 * the prepared statement is the unnamed one. A pooler that hands out
 * connections per transaction may stand between.
 *
 * SIGINT, SIGTERM and SIGHUP only set a flag and wake poll() through a pipe;
 * the statement is then cancelled and the connection closed, so the server
 * rolls back. A second signal ends the program at once.
 *
 *-------------------------------------------------------------------------
 */
#include "common/db.h"

#include <errno.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/connect.h"
#include "common/progress.h"
#include "common/util.h"

#define MAX_PENDING 1024
#define MAX_PENDING_BYTES ((size_t) 4 * 1024 * 1024)


struct Db
{
	PGconn	   *conn;
	AnswerFunction answer;
	void	   *answer_arg;
	Tag		   *pending;		/* a ring: what answers are awaited for */
	size_t		pending_first;
	size_t		pending_count;
	size_t		unflushed;		/* statements after the last flush request */
	size_t		bytes;			/* sent after the last time we waited */
	bool		failed;			/* this transaction has an error */
	bool		lost;			/* the connection is gone */
	bool		committing;
	bool		committed;
	Problem		problem;
};

volatile	sig_atomic_t db_interrupted = 0;

static int	wake_pipe[2] = {-1, -1};

static void
on_signal(int signo)
{
	int			saved = errno;
	ssize_t		ignored;

	db_interrupted = signo;
	ignored = write(wake_pipe[1], "", 1);
	(void) ignored;
	errno = saved;
}

/* From now on a signal ends the current transaction, a second one us. */
void
db_catch_signals(void)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action;

	if (pipe(wake_pipe) != 0)
	{
		complain("could not create a pipe: %s", strerror(errno));
		exit(EXIT_NO_CONNECTION);
	}
	for (int i = 0; i < 2; i++)
	{
		fcntl(wake_pipe[i], F_SETFL, O_NONBLOCK);
		fcntl(wake_pipe[i], F_SETFD, FD_CLOEXEC);
	}
	memset(&action, 0, sizeof(action));
	action.sa_handler = on_signal;
	action.sa_flags = (int) SA_RESETHAND;
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
}

Db *
db_open(PGconn *conn)
{
	Db		   *db = allocate(sizeof(*db));

	db->conn = conn;
	db->pending = allocate((MAX_PENDING + 1) * sizeof(*db->pending));
	if (PQsetnonblocking(conn, 1) != 0 || PQenterPipelineMode(conn) != 1)
	{
		complain("%s", PQerrorMessage(conn));
		db->lost = true;
	}
	return db;
}

void
db_close(Db *db)
{
	if (db == NULL)
		return;
	PQfinish(db->conn);
	problem_clear(&db->problem);
	free(db->pending);
	free(db);
}

bool
db_is_lost(const Db *db)
{
	return db->lost;
}

bool
db_failed(const Db *db)
{
	return db->failed;
}

/* The answer is not needed any more: say so to the server, and hang up. */
static void
give_up(Db *db)
{
	PGcancel   *cancel = PQgetCancel(db->conn);
	char		errbuf[256];

	if (cancel != NULL)
	{
		PQcancel(cancel, errbuf, sizeof(errbuf));
		PQfreeCancel(cancel);
	}
	db->lost = true;
	db->failed = true;
	problem_set(&db->problem, 0, "interrupted");
}

static void
connection_lost(Db *db)
{
	char	   *message = copy_string(PQerrorMessage(db->conn));
	size_t		len = strlen(message);

	while (len > 0 && message[len - 1] == '\n')
		message[--len] = '\0';
	db->lost = true;
	db->failed = true;
	problem_set(&db->problem, 0, "connection to the server lost%s%s",
				len > 0 ? ": " : "", message);
	if (db->committing)
		problem_hint(&db->problem,
					 "It was lost at COMMIT, so the file may be there or not. Load it again: nothing is stored twice.");
	free(message);
}

static void
keep_error(Db *db, const PGresult *result, unsigned long line)
{
	const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
	const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	db->failed = true;
	if (db->problem.reason != NULL)
		return;
	if (primary == NULL || state == NULL)
	{
		/* made by libpq, not by the server */
		problem_set(&db->problem, line, "%s", PQresultErrorMessage(result));
		return;
	}
	problem_set(&db->problem, line, "%s (SQLSTATE %s)", primary, state);
	snprintf(db->problem.sqlstate, sizeof(db->problem.sqlstate), "%s", state);
	if (detail != NULL)
		db->problem.detail = copy_string(detail);
	if (hint != NULL)
		db->problem.hint = copy_string(hint);
	problem_hint_grant(&db->problem, state, "grant_worker", PQuser(db->conn));
}

/* Take what has arrived. True when nothing is left to take for now. */
static bool
take_answers(Db *db, size_t until)
{
	while (db->pending_count > until && !PQisBusy(db->conn))
	{
		const Tag  *tag = &db->pending[db->pending_first];
		PGresult   *result = PQgetResult(db->conn);
		bool		sync;

		/* each statement's result is followed by NULL, a sync by none */
		if (result == NULL)
		{
			if (PQstatus(db->conn) == CONNECTION_BAD)
			{
				connection_lost(db);
				return true;
			}
			continue;
		}
		sync = PQresultStatus(result) == PGRES_PIPELINE_SYNC;
		switch (PQresultStatus(result))
		{
			case PGRES_TUPLES_OK:
			case PGRES_COMMAND_OK:
				if (tag->kind != 0 && !db->failed)
					db->answer(db->answer_arg, tag, result);
				if (db->committing &&
					strcmp(PQcmdStatus(result), "COMMIT") == 0)
					db->committed = true;
				break;
			case PGRES_PIPELINE_SYNC:
			case PGRES_PIPELINE_ABORTED:
				break;
			default:
				keep_error(db, result, tag->line);
				break;
		}
		PQclear(result);
		if (PQstatus(db->conn) == CONNECTION_BAD)
		{
			connection_lost(db);
			return true;
		}
		db->pending_first = (db->pending_first + 1) % (MAX_PENDING + 1);
		db->pending_count--;
		if (sync)
			db->unflushed = 0;
	}
	return db->pending_count <= until;
}

/* Send, and receive until no more than `until` statements are unanswered. */
static void
wait_for_answers(Db *db, size_t until)
{
	while (!db->lost && !take_answers(db, until))
	{
		struct pollfd fds[2];
		int			flushed;

		if (db_interrupted)
		{
			give_up(db);
			return;
		}
		flushed = PQflush(db->conn);
		if (flushed < 0)
		{
			connection_lost(db);
			return;
		}
		fds[0].fd = PQsocket(db->conn);
		fds[0].events = (short) (POLLIN | (flushed > 0 ? POLLOUT : 0));
		fds[0].revents = 0;
		fds[1].fd = wake_pipe[0];
		fds[1].events = POLLIN;
		fds[1].revents = 0;
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
		{
			connection_lost(db);
			return;
		}
		if (fds[0].revents != 0 && PQconsumeInput(db->conn) != 1)
		{
			connection_lost(db);
			return;
		}
	}
	if (!db->lost)
		db->bytes = 0;
}

/* Account for a statement that was queued; wait when too many are. */
static void
queued(Db *db, Tag tag, size_t bytes, int accepted)
{
	size_t		last;

	if (accepted != 1)
	{
		connection_lost(db);
		return;
	}
	last = (db->pending_first + db->pending_count) % (MAX_PENDING + 1);
	db->pending[last] = tag;
	db->pending_count++;
	db->unflushed++;
	db->bytes += bytes;
	if (db->pending_count >= MAX_PENDING || db->bytes >= MAX_PENDING_BYTES)
	{
		if (PQsendFlushRequest(db->conn) != 1)
		{
			connection_lost(db);
			return;
		}
		wait_for_answers(db, db->bytes >= MAX_PENDING_BYTES ? 0 :
						 MAX_PENDING / 2);
	}
	else if (db->unflushed >= MAX_PENDING / 8)
	{
		/* let answers flow while we read on */
		db->unflushed = 0;
		if (PQsendFlushRequest(db->conn) != 1 || PQflush(db->conn) < 0)
			connection_lost(db);
	}
}

static size_t
bytes_of(int nparams, const char *const *params)
{
	size_t		bytes = 64;

	for (int i = 0; i < nparams; i++)
	{
		if (params[i] != NULL)
			bytes += strlen(params[i]);
	}
	return bytes;
}

/* Queue a statement; parameters are text, their types stand in the SQL. */
void
db_query(Db *db, Tag tag, const char *sql, int nparams,
		 const char *const *params)
{
	if (db->lost || db->failed)
		return;
	queued(db, tag, bytes_of(nparams, params),
		   PQsendQueryParams(db->conn, sql, nparams, NULL, params, NULL, NULL,
							 0));
}

/* Queue the preparation of the unnamed statement; db_query forgets it. */
void
db_prepare(Db *db, const char *sql, int nparams)
{
	Tag			tag = {0};

	if (db->lost || db->failed)
		return;
	queued(db, tag, strlen(sql),
		   PQsendPrepare(db->conn, "", sql, nparams, NULL));
}

void
db_execute(Db *db, Tag tag, int nparams, const char *const *params)
{
	if (db->lost || db->failed)
		return;
	queued(db, tag, bytes_of(nparams, params),
		   PQsendQueryPrepared(db->conn, "", nparams, params, NULL, NULL, 0));
}

/*
 * Begin a transaction; `answer` gets the result of each statement whose tag
 * has a kind. The settings make a file mean the same in every session: no
 * object is looked up by search path, and a time without a zone is UTC.
 */
void
db_begin(Db *db, AnswerFunction answer, void *arg)
{
	Tag			tag = {0};

	problem_clear(&db->problem);
	db->failed = db->lost;
	db->committing = false;
	db->committed = false;
	db->answer = answer;
	db->answer_arg = arg;
	db_query(db, tag, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", 0,
			 NULL);
	db_query(db, tag,
			 "SELECT pg_catalog.set_config('search_path', '', true),"
			 " pg_catalog.set_config('TimeZone', 'UTC', true),"
			 " pg_catalog.set_config('DateStyle', 'ISO, YMD', true)",
			 0, NULL);
}

/*
 * Wait for all answers. False when anything failed in this transaction; the
 * reason is moved to `problem`.
 */
bool
db_sync(Db *db, Problem *problem)
{
	Tag			tag = {0};

	if (!db->lost)
		queued(db, tag, 0, PQpipelineSync(db->conn));
	wait_for_answers(db, 0);
	if (!db->failed)
		return true;
	if (problem->reason == NULL)
	{
		*problem = db->problem;
		memset(&db->problem, 0, sizeof(db->problem));
	}
	return false;
}

bool
db_commit(Db *db, Problem *problem)
{
	Tag			tag = {0};

	db->committing = !db->failed;
	db_query(db, tag, "COMMIT", 0, NULL);
	if (!db_sync(db, problem))
		return false;
	if (!db->committed)
		return problem_set(problem, 0,
						   "the server rolled the transaction back");
	return true;
}

/* After a failure; what the server says to it does not matter any more. */
void
db_rollback(Db *db)
{
	Problem		ignored = {0};
	Tag			tag = {0};

	if (db->lost)
		return;
	problem_clear(&db->problem);
	db->failed = false;
	db->committing = false;
	db_query(db, tag, "ROLLBACK", 0, NULL);
	db_sync(db, &ignored);
	problem_clear(&ignored);
}
