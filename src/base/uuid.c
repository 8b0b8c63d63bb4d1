/*-------------------------------------------------------------------------
 *
 * uuid.c
 *	  Version-7 UUIDs (RFC 9562, section 5.7), so that new rows land on the
 *	  index pages that are warm already.
 *
 *	  48 bits of milliseconds since 1970, then in rand_a the fraction of the
 *	  millisecond in 1/4096 (section 6.2, method 3), then 62 random bits.
 *	  A clock that stands still or goes back is pushed on by one step, so
 *	  the UUIDs of one session only grow.
 *
 *-------------------------------------------------------------------------
 */
#include "base/uuid.h"

#include "utils/builtins.h"
#include <time.h>

PG_FUNCTION_INFO_V1(amelia_uuid_v7);

/* steps of 1/4096 ms since 1970 */
#define STEPS_PER_MS 4096
#define NANOSECONDS_PER_MS 1000000

/* random bytes of a UUID, and of how many there are some at hand */
#define RANDOM_LEN 8
#define RANDOM_POOL 32

/*
 * The steps of now, above all that this session used before.
 */
static uint64
NextStep(void)
{
	static uint64 last = 0;
	struct timespec now;
	uint64		step;

	clock_gettime(CLOCK_REALTIME, &now);
	step = ((uint64) now.tv_sec * 1000 + now.tv_nsec / NANOSECONDS_PER_MS) * STEPS_PER_MS +
		(uint64) (now.tv_nsec % NANOSECONDS_PER_MS) * STEPS_PER_MS / NANOSECONDS_PER_MS;
	if (step <= last)
		step = last + 1;
	last = step;
	return step;
}

/*
 * Fill in random bytes. Asking for them takes longer than all the rest, so a
 * session asks for those of some UUIDs at once.
 */
static void
TakeRandom(unsigned char *bytes)
{
	static unsigned char pool[RANDOM_POOL][RANDOM_LEN];
	static int	left = 0;

	if (left == 0)
	{
		if (!pg_strong_random(pool, sizeof(pool)))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not generate random values")));
		left = RANDOM_POOL;
	}
	memcpy(bytes, pool[--left], RANDOM_LEN);
}

/*
 * Fill in a new version-7 UUID.
 */
void
MakeUuidV7(pg_uuid_t *uuid)
{
	uint64		step = NextStep();
	uint64		ms = step / STEPS_PER_MS;
	uint16		fraction = step % STEPS_PER_MS;

	TakeRandom(uuid->data + UUID_LEN - RANDOM_LEN);
	for (int i = 0; i < 6; i++)
		uuid->data[i] = (unsigned char) (ms >> (8 * (5 - i)));
	uuid->data[6] = 0x70 | (fraction >> 8);
	uuid->data[7] = fraction & 0xff;
	uuid->data[8] = (uuid->data[8] & 0x3f) | 0x80;
}

/*
 * The UUID as text, for messages.
 */
const char *
UuidText(const pg_uuid_t *uuid)
{
	return DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(uuid)));
}

/*
 * uuid_v7() returns uuid
 */
Datum
amelia_uuid_v7(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *uuid = palloc(sizeof(pg_uuid_t));

	MakeUuidV7(uuid);
	PG_RETURN_UUID_P(uuid);
}
