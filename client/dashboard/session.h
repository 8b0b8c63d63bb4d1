/*-------------------------------------------------------------------------
 *
 * session.h
 *	  Who is logged in.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_SESSION_H
#define CLIENT_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A random number as text. */
#define SECRET_SIZE 65

/* Of browsers; each has a thread. */
#define MAX_CONNECTIONS 1000

typedef struct Session
{
	char		id[SECRET_SIZE];	/* the cookie */
	char		token[SECRET_SIZE]; /* what its forms send back */
	char	   *role;
	char	   *password;		/* NULL: what libpq finds */
	bool		own;			/* the operator's: --role */
	bool		ended;
	int64_t		used_at;		/* milliseconds */
	int			holders;
	struct Session *next;
} Session;

extern int64_t now_ms(void);
extern bool same_secret(const char *a, const char *b);
extern bool same_password(const char *a, const char *b);
extern Session *session_begin(const char *role, const char *password, bool own);
extern Session *session_find(const char *id, bool by_person);
extern Session *session_hold(Session *session);
extern bool session_alive(Session *session);
extern void session_release(Session *session);
extern void session_end(Session *session);
extern void sessions_tidy(int64_t idle_ms);
extern bool attempt_begin(const char *address, const char *role);
extern void attempt_end(const char *address, const char *role, bool failed);

#endif							/* CLIENT_SESSION_H */
