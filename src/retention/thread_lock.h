/*-------------------------------------------------------------------------
 *
 * thread_lock.h
 *	  Locks on LangGraph's threads: shared by who writes, alone by who prunes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_THREAD_LOCK_H
#define AMELIA_THREAD_LOCK_H

#include "base/amelia.h"

extern void ShareThread(Oid schema, const char *thread);
extern void TrustRows(bool trust);
extern bool AreRowsTrusted(void);
extern bool TryHoldThread(Oid schema, const char *thread);
extern bool CanHoldThread(void);
extern void NoteHeldThread(void);

#endif							/* AMELIA_THREAD_LOCK_H */
