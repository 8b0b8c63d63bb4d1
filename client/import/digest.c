/*-------------------------------------------------------------------------
 *
 * digest.c
 *	  MD5, SHA-1 and SHA-256 by OpenSSL, which libpq brings along; sums of
 *	  hashes; and version-5 UUIDs (RFC 9562, section 5.5).
 *
 * MD5 finds what differs by accident. It is what every PostgreSQL has.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "import/import.h"

struct Digest
{
	EVP_MD_CTX *context;
	const		EVP_MD *method;
};

/* e1072260-2305-592e-8f5b-c8856ad556e7 */
static const unsigned char namespace[16] = {
	0xe1, 0x07, 0x22, 0x60, 0x23, 0x05, 0x59, 0x2e,
	0x8f, 0x5b, 0xc8, 0x85, 0x6a, 0xd5, 0x56, 0xe7
};

Digest *
digest_new(const char *name)
{
	Digest	   *digest = allocate(sizeof(*digest));

	digest->method = EVP_get_digestbyname(name);
	digest->context = EVP_MD_CTX_new();
	if (digest->method == NULL || digest->context == NULL ||
		EVP_DigestInit_ex(digest->context, digest->method, NULL) != 1)
	{
		complain("OpenSSL has no %s here", name);
		exit(STATUS_USAGE);
	}
	return digest;
}

void
digest_start(Digest *digest)
{
	EVP_DigestInit_ex(digest->context, digest->method, NULL);
}

void
digest_add(Digest *digest, const void *data, size_t len)
{
	EVP_DigestUpdate(digest->context, data, len);
}

size_t
digest_end(Digest *digest, unsigned char *out)
{
	unsigned int len = 0;

	EVP_DigestFinal_ex(digest->context, out, &len);
	return len;
}

/* As PostgreSQL's type uuid prints it: 16 bytes, and an index knows them. */
void
hash_format(const Hash *hash, char text[HASH_TEXT_SIZE])
{
	Uuid		uuid;

	memcpy(uuid.bytes, hash->bytes, HASH_BYTES);
	uuid_format(&uuid, text);
}

static unsigned __int128
number_of(Sums *sums, const Hash *hash)
{
	unsigned	__int128 number = 0;

	for (int i = 0; i < HASH_BYTES; i++)
	{
		number = number << 8 | hash->bytes[i];
		sums->xor[i] ^= hash->bytes[i];
	}
	return number;
}

/* Count, sum modulo 2^128 and exclusive or. */
void
sums_add(Sums *sums, const Hash *hash)
{
	sums->sum += number_of(sums, hash);
	sums->rows++;
}

/* Of a row that was refused in the end. */
void
sums_remove(Sums *sums, const Hash *hash)
{
	sums->sum -= number_of(sums, hash);
	sums->rows--;
}

/* Both in hexadecimal digits, as the server writes them. */
void
sums_format(const Sums *sums, char sum[48], char xor[48])
{
	for (int i = 0; i < HASH_BYTES; i++)
	{
		snprintf(sum + i * 2, 3, "%02x", (unsigned int) (sums->sum >> (120 - i * 8)) & 0xff);
		snprintf(xor + i * 2, 3, "%02x", sums->xor[i]);
	}
}

/* The UUID of what is none: the same id gives the same, wherever it stands. */
void
uuid_of_name(const char *system, const char *table, const char *id, size_t len, char text[UUID_TEXT_SIZE])
{
	static Digest *sha1 = NULL;
	unsigned char out[EVP_MAX_MD_SIZE];
	Uuid		uuid;

	if (sha1 == NULL)
		sha1 = digest_new("SHA1");
	digest_start(sha1);
	digest_add(sha1, namespace, sizeof(namespace));
	digest_add(sha1, system, strlen(system));
	digest_add(sha1, "/", 1);
	digest_add(sha1, table, strlen(table));
	digest_add(sha1, "/", 1);
	digest_add(sha1, id, len);
	digest_end(sha1, out);
	memcpy(uuid.bytes, out, sizeof(uuid.bytes));
	uuid.bytes[6] = (uuid.bytes[6] & 0x0f) | 0x50;
	uuid.bytes[8] = (uuid.bytes[8] & 0x3f) | 0x80;
	uuid_format(&uuid, text);
}
