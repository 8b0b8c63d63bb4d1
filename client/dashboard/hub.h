/*-------------------------------------------------------------------------
 *
 * hub.h
 *	  What open pages are told.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_HUB_H
#define CLIENT_HUB_H

#include <stdbool.h>
#include <stdint.h>

#include "common/util.h"
#include "dashboard/session.h"

/* An open page. */
typedef struct Listener
{
	struct Topic *topic;
	Session    *session;
	uint64_t	part_seen;
	uint64_t	state_seen;
	int			last;			/* the last event that it has; -1: it wants
								 * none */
	int			since;			/* what was begun to be asked for later is
								 * newer than what it has */
	bool		over;
} Listener;

extern void hub_init(void);
extern bool hub_join(Listener *listener, Session *session, const char *address, int last);
extern bool hub_next(Listener *listener, Buffer *out);
extern void hub_leave(Listener *listener);
extern void hub_touch(const char *workflow_id);
extern bool hub_wait_for_listeners(void);
extern void hub_pause(int milliseconds);
extern void hub_stop(void);

#endif							/* CLIENT_HUB_H */
