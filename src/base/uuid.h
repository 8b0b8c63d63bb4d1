/*-------------------------------------------------------------------------
 *
 * uuid.h
 *	  UUIDs: new ones, and as text.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_UUID_H
#define AMELIA_UUID_H

#include "base/amelia.h"

#include "utils/uuid.h"

/* the longest text of a UUID, with its end */
#define UUID_TEXT_SIZE 37

extern void MakeUuidV7(pg_uuid_t *uuid);
extern const char *UuidText(const pg_uuid_t *uuid);

#endif							/* AMELIA_UUID_H */
