/*-------------------------------------------------------------------------
 *
 * wait.h
 *	  Sessions that wait for what others commit.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_WAIT_H
#define AMELIA_WAIT_H

#include "base/amelia.h"

#include "utils/timestamp.h"
#include "utils/uuid.h"

/*
 * Whether what is waited for is there: 0, or after how many milliseconds it
 * may be without anybody's signal.
 */
#define WAIT_LONG 1e9
typedef double (*WaitLook) (const pg_uuid_t *subject, void *arg);

extern void InitWait(void);
extern void WaitFor(FunctionCallInfo fcinfo, const char *procedure, Datum subject_value,
					const Interval *timeout, WaitLook look, void *arg);
extern void WakeWaiters(const pg_uuid_t *subject);
extern bool AnyoneWaits(void);

#endif							/* AMELIA_WAIT_H */
