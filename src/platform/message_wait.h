/*-------------------------------------------------------------------------
 *
 * message_wait.h
 *	  Agents that wait for messages.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_MESSAGE_WAIT_H
#define AMELIA_MESSAGE_WAIT_H

#include "base/amelia.h"

#include "utils/uuid.h"

extern void NoteRecipient(const pg_uuid_t *recipient);
extern void InitMessageWait(void);

#endif							/* AMELIA_MESSAGE_WAIT_H */
