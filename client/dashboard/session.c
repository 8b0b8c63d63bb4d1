/*-------------------------------------------------------------------------
 *
 * session.c
 *	  Who is logged in, and how often somebody may try.
 *
 * A session is known by a random number that the browser keeps in a cookie.
 * It holds the role's password, in memory only, because connections are made
 * while it lasts; the memory is wiped when it ends. A request holds its
 * session, so that it stays until the last of them is done.
 *
 * Failed attempts are counted by address and role, and by address: who has
 * failed too often within some minutes waits for their end. Of IPv6 the network
 * is what counts.
 *
 *-------------------------------------------------------------------------
 */
#define _DEFAULT_SOURCE			/* explicit_bzero() */
#include "dashboard/session.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "common/connect.h"
#include "common/progress.h"
#include "common/util.h"

#define MAX_SESSIONS 1000

#define ATTEMPTS_MS (5 * 60 * 1000)
#define ATTEMPTS_OF_ROLE 5
#define ATTEMPTS_OF_ADDRESS 20
/* Two of each connection that there may be, and as many that were. */
#define MAX_COUNTERS (4 * MAX_CONNECTIONS)

typedef struct Counter
{
	uint64_t	key;			/* 0: unused */
	int			failures;
	int			under_way;
	int64_t		began_at;
} Counter;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t attempted = PTHREAD_COND_INITIALIZER;
static Session *sessions;
static int	nsessions;
static Counter counters[MAX_COUNTERS];

int64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void
make_secret(char text[SECRET_SIZE])
{
	unsigned char bytes[(SECRET_SIZE - 1) / 2];

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t) sizeof(bytes))
	{
		complain("no random numbers are to be had");
		exit(EXIT_SOME_FAILED);
	}
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(text +2 * i, 3, "%02x", bytes[i]);
}

/* Takes as long whatever is different. */
bool
same_secret(const char *a, const char *b)
{
	size_t		len = strlen(a);
	unsigned char difference = strlen(b) != len;

	if (difference)
		return false;
	for (size_t i = 0; i < len; i++)
		difference |= (unsigned char) (a[i] ^ b[i]);
	return difference == 0;
}

/* NULL: what libpq finds. */
bool
same_password(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && same_secret(a, b));
}

static void
session_free(Session *session)
{
	free(session->role);
	if (session->password != NULL)
		explicit_bzero(session->password, strlen(session->password));
	free(session->password);
	explicit_bzero(session, sizeof(*session));
	free(session);
}

/* Out of the list, under the lock; it goes with its last holder. */
static void
unlink_session(Session *session)
{
	for (Session **at = &sessions; *at != NULL; at = &(*at)->next)
	{
		if (*at == session)
		{
			*at = session->next;
			nsessions--;
			break;
		}
	}
	session->ended = true;
	if (session->holders == 0)
		session_free(session);
}

/* A new one, held. Where there are too many, the one that was idle longest ends. */
Session *
session_begin(const char *role, const char *password, bool own)
{
	Session    *session = allocate(sizeof(*session));

	make_secret(session->id);
	make_secret(session->token);
	session->role = copy_string(role);
	session->password = password != NULL ? copy_string(password) : NULL;
	session->own = own;
	session->holders = 1;
	session->used_at = now_ms();
	if (own)
		return session;

	pthread_mutex_lock(&lock);
	if (nsessions >= MAX_SESSIONS)
	{
		Session    *oldest = sessions;

		for (Session *at = sessions; at != NULL; at = at->next)
		{
			if (at->used_at < oldest->used_at)
				oldest = at;
		}
		unlink_session(oldest);
	}
	session->next = sessions;
	sessions = session;
	nsessions++;
	pthread_mutex_unlock(&lock);
	return session;
}

/* The session of a cookie, held, or NULL. A page that lives is no person. */
Session *
session_find(const char *id, bool by_person)
{
	Session    *found = NULL;

	pthread_mutex_lock(&lock);
	for (Session *at = sessions; at != NULL && found == NULL; at = at->next)
	{
		if (same_secret(at->id, id))
			found = at;
	}
	if (found != NULL)
	{
		found->holders++;
		if (by_person)
			found->used_at = now_ms();
	}
	pthread_mutex_unlock(&lock);
	return found;
}

Session *
session_hold(Session *session)
{
	pthread_mutex_lock(&lock);
	session->holders++;
	pthread_mutex_unlock(&lock);
	return session;
}

bool
session_alive(Session *session)
{
	bool		alive;

	pthread_mutex_lock(&lock);
	alive = !session->ended;
	pthread_mutex_unlock(&lock);
	return alive;
}

void
session_release(Session *session)
{
	if (session == NULL)
		return;
	pthread_mutex_lock(&lock);
	if (--session->holders == 0 && session->ended)
		session_free(session);
	pthread_mutex_unlock(&lock);
}

void
session_end(Session *session)
{
	pthread_mutex_lock(&lock);
	if (!session->ended && !session->own)
		unlink_session(session);
	pthread_mutex_unlock(&lock);
}

/* Ends what no person has used for so long. */
void
sessions_tidy(int64_t idle_ms)
{
	int64_t		now = now_ms();

	pthread_mutex_lock(&lock);
	for (Session *at = sessions, *next; at != NULL; at = next)
	{
		next = at->next;
		if (now - at->used_at > idle_ms)
			unlink_session(at);
	}
	pthread_mutex_unlock(&lock);
}

/* Whom attempts count for: of IPv6 the network, in which one machine may have any address. */
static void
network_of(const char *address, char network[INET6_ADDRSTRLEN])
{
	struct in6_addr parsed;

	if (inet_pton(AF_INET6, address, &parsed) == 1 && !IN6_IS_ADDR_V4MAPPED(&parsed))
	{
		memset(parsed.s6_addr + 8, 0, 8);
		inet_ntop(AF_INET6, &parsed, network, INET6_ADDRSTRLEN);
	}
	else
		snprintf(network, INET6_ADDRSTRLEN, "%s", address);
}

/* A counter's key: FNV-1a over its parts. */
static uint64_t
counter_key(const char *address, const char *role)
{
	char		network[INET6_ADDRSTRLEN];
	uint64_t	hash = UINT64_C(0xcbf29ce484222325);

	network_of(address, network);
	for (const char *c = network; *c != '\0'; c++)
		hash = (hash ^ (unsigned char) *c) * UINT64_C(0x100000001b3);
	hash = (hash ^ 10) * UINT64_C(0x100000001b3);
	for (const char *c = role; *c != '\0'; c++)
		hash = (hash ^ (unsigned char) *c) * UINT64_C(0x100000001b3);
	return hash | 1;
}

/*
 * The counter of a key, under the lock. A new one takes the place of the one
 * that began first, but for those whose attempts are under way.
 */
static Counter *
find_counter(uint64_t key)
{
	int64_t		now = now_ms();
	Counter    *oldest = NULL;

	for (int i = 0; i < MAX_COUNTERS; i++)
	{
		Counter    *counter = &counters[i];

		if (counter->under_way == 0 && now - counter->began_at > ATTEMPTS_MS)
			counter->key = 0;
		if (counter->key == key)
			return counter;
		if (counter->under_way == 0 &&
			(oldest == NULL || (oldest->key != 0 && (counter->key == 0 || counter->began_at < oldest->began_at))))
			oldest = counter;
	}
	*oldest = (Counter)
	{
		.key = key,.began_at = now
	};
	return oldest;
}

/*
 * Whether somebody may try; then attempt_end() follows. Attempts that are under
 * way count as if they had failed, lest a thousand begin before the first one
 * has: where they are too many, this waits for what becomes of them.
 */
bool
attempt_begin(const char *address, const char *role)
{
	Counter    *of_role;
	Counter    *of_address;
	bool		allowed;

	pthread_mutex_lock(&lock);
	for (;;)
	{
		of_role = find_counter(counter_key(address, role));
		of_role->under_way++;
		of_address = find_counter(counter_key(address, ""));
		of_role->under_way--;
		allowed = of_role->failures < ATTEMPTS_OF_ROLE && of_address->failures < ATTEMPTS_OF_ADDRESS;
		if (!allowed || (of_role->failures + of_role->under_way < ATTEMPTS_OF_ROLE &&
						 of_address->failures + of_address->under_way < ATTEMPTS_OF_ADDRESS))
			break;
		pthread_cond_wait(&attempted, &lock);
	}
	if (allowed)
	{
		of_role->under_way++;
		of_address->under_way++;
	}
	pthread_mutex_unlock(&lock);
	return allowed;
}

void
attempt_end(const char *address, const char *role, bool failed)
{
	Counter    *of[2];

	pthread_mutex_lock(&lock);
	of[0] = find_counter(counter_key(address, role));
	of[1] = find_counter(counter_key(address, ""));
	for (int i = 0; i < 2; i++)
	{
		of[i]->under_way--;
		/* The first failure begins the time. */
		if (failed && of[i]->failures++ == 0)
			of[i]->began_at = now_ms();
	}
	pthread_cond_broadcast(&attempted);
	pthread_mutex_unlock(&lock);
}
