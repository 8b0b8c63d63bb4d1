/*-------------------------------------------------------------------------
 *
 * pool.c
 *	  Connections, each as the role that asks.
 *
 * There are as many as the operator allows, for all roles together. One that
 * is free serves any session with the same role and password. Another role's is closed where the room is needed. None is kept
 * longer than some minutes, so that whoever may not connect any more is out
 * after that time; and one that was idle is closed before.
 *
 * A connection counts as a person's only when the server has asked for the
 * password: where pg_hba.conf trusts the dashboard's address, everybody could
 * be anybody.
 *
 *-------------------------------------------------------------------------
 */
#define _DEFAULT_SOURCE			/* explicit_bzero() */
#include "dashboard/pool.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/progress.h"
#include "common/util.h"

#define IDLE_MS (60 * 1000)
#define AGE_MS (5 * 60 * 1000)
#define WAIT_SECONDS 10

typedef struct Slot
{
	PGconn	   *conn;			/* NULL: none, or it is being made */
	char	   *role;			/* NULL: the slot is free */
	char	   *password;		/* NULL: what libpq found */
	bool		busy;
	int64_t		made_at;
	int64_t		used_at;
} Slot;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t given = PTHREAD_COND_INITIALIZER;
static const Connection *server;
static Slot *slots;
static int	nslots;

void
pool_init(const Connection *connection, int size)
{
	server = connection;
	slots = allocate(sizeof(Slot) * (size_t) size);
	nslots = size;
}

static void
no_notice(void *arg, const PGresult *result)
{
	(void) arg;
	(void) result;
}

/* A connection outside of the pool; never NULL. */
PGconn *
pool_connect(const char *role, const char *password)
{
	PGconn	   *conn = connect_as(server, role, password);

	PQsetNoticeReceiver(conn, no_notice, NULL);
	return conn;
}

/* Under the lock. */
static void
empty_slot(Slot *slot)
{
	if (slot->conn != NULL)
		PQfinish(slot->conn);
	free(slot->role);
	if (slot->password != NULL)
		explicit_bzero(slot->password, strlen(slot->password));
	free(slot->password);
	memset(slot, 0, sizeof(*slot));
}

/* What an idle connection has to say is mostly that it is gone. */
static bool
is_usable(PGconn *conn)
{
	struct pollfd wanted = {.fd = PQsocket(conn),.events = POLLIN};

	return PQstatus(conn) == CONNECTION_OK && poll(&wanted, 1, 0) == 0;
}

/*
 * Under the lock: a slot for a session, with its connection or to be given one;
 * NULL while all are busy.
 */
static Slot *
choose_slot(const Session *session)
{
	Slot	   *chosen = NULL;
	int64_t		now = now_ms();

	for (int i = 0; i < nslots; i++)
	{
		Slot	   *slot = &slots[i];

		if (slot->busy || slot->conn == NULL)
			continue;
		if (now - slot->made_at > AGE_MS || !is_usable(slot->conn))
			empty_slot(slot);
		else if (strcmp(slot->role, session->role) == 0 && same_password(slot->password, session->password))
			return slot;
	}
	for (int i = 0; i < nslots; i++)
	{
		Slot	   *slot = &slots[i];

		if (slot->busy)
			continue;
		if (slot->role == NULL)
			return slot;
		if (chosen == NULL || slot->used_at < chosen->used_at)
			chosen = slot;
	}
	if (chosen != NULL)
		empty_slot(chosen);
	return chosen;
}

/* The reason why there is no connection; 28 is what the password is about. */
static void
refuse(Failure *failure, PGconn *conn)
{
	const char *message = PQerrorMessage(conn);

	/* What libpq fails at before an answer has no SQLSTATE, nor has its text. */
	if (strstr(message, "FATAL: ") != NULL &&
		(strstr(message, "authentication failed") != NULL || strstr(message, "pg_hba.conf") != NULL ||
		 strstr(message, "is not permitted to log in") != NULL || strstr(message, "does not exist") != NULL ||
		 strstr(message, "permission denied for database") != NULL))
		failure_set(failure, 401, "Log in again, or ask who administers the server.", "%s", strstr(message, "FATAL: ") + 8);
	else
		failure_of_connection(failure, conn);
}

/*
 * A connection as a session's role; give it back. NULL, with the reason, when
 * there is none.
 */
PGconn *
pool_take(const Session *session, Failure *failure)
{
	struct timespec until;
	Slot	   *slot;
	PGconn	   *conn;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_SECONDS;
	pthread_mutex_lock(&lock);
	while ((slot = choose_slot(session)) == NULL)
	{
		if (pthread_cond_timedwait(&given, &lock, &until) != 0)
		{
			pthread_mutex_unlock(&lock);
			failure_set(failure, 503, "Try again in a moment; --connections says how many there may be.",
						"all connections to the database are in use");
			return NULL;
		}
	}
	slot->busy = true;
	conn = slot->conn;
	if (conn == NULL)
	{
		slot->role = copy_string(session->role);
		if (session->password != NULL)
			slot->password = copy_string(session->password);
	}
	pthread_mutex_unlock(&lock);
	if (conn != NULL)
		return conn;

	conn = pool_connect(session->role, session->password);
	if (PQstatus(conn) != CONNECTION_OK)
		refuse(failure, conn);
	else if (!session->own && !PQconnectionUsedPassword(conn))
		failure_set(failure, 401, "Have pg_hba.conf ask for a password (scram-sha-256) where the dashboard connects from, or start it with --role.",
					"the server lets role \"%s\" in without asking for a password, so nobody can show who he is",
					session->role);
	else if (strcmp(PQparameterStatus(conn, "client_encoding"), "UTF8") != 0)
		failure_set(failure, 503, NULL, "the connection is not in UTF-8");

	pthread_mutex_lock(&lock);
	if (failure->status != 0)
	{
		PQfinish(conn);
		conn = NULL;
		empty_slot(slot);
		pthread_cond_signal(&given);
	}
	else
	{
		slot->conn = conn;
		slot->made_at = now_ms();
	}
	pthread_mutex_unlock(&lock);
	return conn;
}

void
pool_give(PGconn *conn)
{
	bool		clean = PQstatus(conn) == CONNECTION_OK && PQtransactionStatus(conn) == PQTRANS_IDLE;

	pthread_mutex_lock(&lock);
	for (int i = 0; i < nslots; i++)
	{
		if (slots[i].conn != conn)
			continue;
		slots[i].busy = false;
		slots[i].used_at = now_ms();
		if (!clean)
			empty_slot(&slots[i]);
	}
	pthread_cond_signal(&given);
	pthread_mutex_unlock(&lock);
}

/* Closes what nobody has used for a while. */
void
pool_tidy(void)
{
	int64_t		now = now_ms();

	pthread_mutex_lock(&lock);
	for (int i = 0; i < nslots; i++)
	{
		if (!slots[i].busy && slots[i].conn != NULL &&
			(now - slots[i].used_at > IDLE_MS || now - slots[i].made_at > AGE_MS))
			empty_slot(&slots[i]);
	}
	pthread_mutex_unlock(&lock);
}

void
pool_close(void)
{
	pthread_mutex_lock(&lock);
	for (int i = 0; i < nslots; i++)
		empty_slot(&slots[i]);
	pthread_mutex_unlock(&lock);
}
