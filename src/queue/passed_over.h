/*-------------------------------------------------------------------------
 *
 * passed_over.h
 *	  Workflows that cannot be moved.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_PASSED_OVER_H
#define AMELIA_PASSED_OVER_H

#include "base/amelia.h"

#include "datatype/timestamp.h"
#include "utils/uuid.h"

extern ErrorData *TryWork(void (*work) (void *state), void *state);
extern bool IsCallersFault(const ErrorData *fault);
extern bool MayBePassedOver(void);
extern bool IsPassedOver(const pg_uuid_t *workflow, TimestampTz now, bool *is_kept);
extern void PassOver(const pg_uuid_t *workflow, const ErrorData *fault);
extern void ForgetFault(const pg_uuid_t *workflow);

#endif							/* AMELIA_PASSED_OVER_H */
