/*-------------------------------------------------------------------------
 *
 * sha256.c
 *	  SHA-256 (FIPS 180-4), and the UUIDs that are made of it.
 *
 * Ids that follow from the content are what makes a second load of the same
 * file add nothing. They need a hash that is the same on every machine, and
 * neither libpq nor jansson lends one.
 *
 *-------------------------------------------------------------------------
 */
#include "common/sha256.h"

#include <string.h>

#include "common/util.h"

static const uint32_t round_constants[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
	0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
	0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
	0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
	0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
	0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
	0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
	0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2
};

static uint32_t
rotate_right(uint32_t word, int bits)
{
	return (word >> bits) | (word << (32 - bits));
}

static void
sha256_block(uint32_t state[8], const unsigned char *block)
{
	uint32_t	w[64];
	uint32_t	s[8];

	for (int i = 0; i < 16; i++)
		w[i] = (uint32_t) block[i * 4] << 24 |
			(uint32_t) block[i * 4 + 1] << 16 |
			(uint32_t) block[i * 4 + 2] << 8 |
			(uint32_t) block[i * 4 + 3];
	for (int i = 16; i < 64; i++)
	{
		uint32_t	a = w[i - 15];
		uint32_t	b = w[i - 2];

		w[i] = w[i - 16] + w[i - 7] +
			(rotate_right(a, 7) ^ rotate_right(a, 18) ^ (a >> 3)) +
			(rotate_right(b, 17) ^ rotate_right(b, 19) ^ (b >> 10));
	}

	memcpy(s, state, sizeof(s));
	for (int i = 0; i < 64; i++)
	{
		uint32_t	choice = (s[4] & s[5]) ^ (~s[4] & s[6]);
		uint32_t	majority = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]);
		uint32_t	t1 = s[7] + choice + round_constants[i] + w[i] +
		(rotate_right(s[4], 6) ^ rotate_right(s[4], 11) ^
		 rotate_right(s[4], 25));
		uint32_t	t2 = majority +
		(rotate_right(s[0], 2) ^ rotate_right(s[0], 13) ^
		 rotate_right(s[0], 22));

		memmove(s + 1, s, 7 * sizeof(s[0]));
		s[4] += t1;
		s[0] = t1 + t2;
	}
	for (int i = 0; i < 8; i++)
		state[i] += s[i];
}

void
sha256_start(Sha256 *sha)
{
	static const uint32_t initial[8] = {
		0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
		0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19
	};

	memset(sha, 0, sizeof(*sha));
	memcpy(sha->state, initial, sizeof(initial));
}

void
sha256_add(Sha256 *sha, const void *data, size_t len)
{
	const unsigned char *in = data;
	size_t		filled = (size_t) (sha->length % 64);

	sha->length += len;
	if (filled > 0)
	{
		size_t		room = 64 - filled;

		if (len < room)
		{
			memcpy(sha->block + filled, in, len);
			return;
		}
		memcpy(sha->block + filled, in, room);
		sha256_block(sha->state, sha->block);
		in += room;
		len -= room;
	}
	for (; len >= 64; in += 64, len -= 64)
		sha256_block(sha->state, in);
	if (len > 0)
		memcpy(sha->block, in, len);
}

void
sha256_end(Sha256 *sha, unsigned char digest[SHA256_BYTES])
{
	static const unsigned char padding[64] = {0x80};
	uint64_t	bits = sha->length * 8;
	unsigned char tail[8];

	for (int i = 0; i < 8; i++)
		tail[i] = (unsigned char) (bits >> (56 - i * 8));
	/* up to 56 modulo 64, and at least the one byte that is not zero */
	sha256_add(sha, padding, (size_t) ((119 - sha->length % 64) % 64 + 1));
	sha256_add(sha, tail, 8);
	for (int i = 0; i < 32; i++)
		digest[i] = (unsigned char) (sha->state[i / 4] >> (24 - i % 4 * 8));
}

/* Version 8 of RFC 9562: the first 128 bits, six of them overwritten. */
Uuid
uuid_from_sha256(Sha256 *sha)
{
	unsigned char digest[SHA256_BYTES];
	Uuid		uuid;

	sha256_end(sha, digest);
	memcpy(uuid.bytes, digest, 16);
	uuid.bytes[6] = (uuid.bytes[6] & 0x0f) | 0x80;
	uuid.bytes[8] = (uuid.bytes[8] & 0x3f) | 0x80;
	return uuid;
}
