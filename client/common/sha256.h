/*-------------------------------------------------------------------------
 *
 * sha256.h
 *	  SHA-256, and UUIDs made from it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_SHA256_H
#define CLIENT_SHA256_H

#include "common/util.h"

typedef struct Sha256
{
	uint32_t	state[8];
	uint64_t	length;
	unsigned char block[64];
} Sha256;

#define SHA256_BYTES 32

extern void sha256_start(Sha256 *sha);
extern void sha256_add(Sha256 *sha, const void *data, size_t len);
extern void sha256_end(Sha256 *sha, unsigned char digest[SHA256_BYTES]);
extern Uuid uuid_from_sha256(Sha256 *sha);

#endif							/* CLIENT_SHA256_H */
