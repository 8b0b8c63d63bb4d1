/*-------------------------------------------------------------------------
 *
 * json.h
 *	  JSON text: parsed, and found again in the text.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_JSON_H
#define CLIENT_JSON_H

#include <jansson.h>

#include "common/sha256.h"

typedef struct Slice
{
	const char *start;
	size_t		len;
} Slice;

extern json_t *json_parse(const char *text, size_t len,
						  unsigned long first_line, Problem *problem);
extern Slice json_member(Slice object, const char *key);
extern Slice json_find(const char *text, size_t len, const char *path);
extern void json_element_lines(const char *text, size_t len, const char *path,
							   unsigned long *lines, size_t n);
extern unsigned long json_line_of(const char *text, size_t len,
								  const char *path);
extern void sha256_add_json(Sha256 *sha, const char *text, size_t len);
extern void buffer_json(Buffer *buf, const json_t *value);
extern const char *json_kind(const json_t *value);
extern size_t json_make_storable(Buffer *out, Slice text);

#endif							/* CLIENT_JSON_H */
