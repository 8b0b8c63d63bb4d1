/*-------------------------------------------------------------------------
 *
 * util.h
 *	  Memory, growing strings, problems to be told, UUIDs, and a set.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_UTIL_H
#define CLIENT_UTIL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define PRINTF_LIKE(fmt, args)
#endif

/* A growing string; data always ends in a NUL that len does not count. */
typedef struct Buffer
{
	char	   *data;
	size_t		len;
	size_t		capacity;
} Buffer;

/* In octal: pg_bsd_indent takes bytes beyond ASCII for its own. */
#define ELLIPSIS "\342\200\246"

extern void *allocate(size_t size);
extern void *reallocate(void *old, size_t size);
extern char *copy_string(const char *s);
extern void buffer_reset(Buffer *buf);
extern void buffer_free(Buffer *buf);
extern void buffer_add(Buffer *buf, const char *data, size_t len);
extern void buffer_puts(Buffer *buf, const char *s);
extern void buffer_printf(Buffer *buf, const char *fmt,...)
			PRINTF_LIKE(2, 3);
extern void buffer_vprintf(Buffer *buf, const char *fmt, va_list args)
			PRINTF_LIKE(2, 0);

/* Why a file cannot be loaded, and where it says so; line 0 is unknown. */
typedef struct Problem
{
	unsigned long line;
	char	   *reason;
	char	   *detail;
	char	   *hint;
	char		sqlstate[6];
} Problem;

extern bool problem_set(Problem *problem, unsigned long line,
						const char *fmt,...) PRINTF_LIKE(3, 4);
extern void problem_hint(Problem *problem, const char *hint);
extern void problem_hint_grant(Problem *problem, const char *sqlstate,
							   const char *function, const char *user);
extern void problem_clear(Problem *problem);
extern bool problem_is_transient(const Problem *problem);

typedef struct Uuid
{
	unsigned char bytes[16];
} Uuid;

#define UUID_TEXT_SIZE 37

extern bool uuid_parse(const char *text, Uuid *uuid);
extern void uuid_format(const Uuid *uuid, char text[UUID_TEXT_SIZE]);

/* From 16 bytes to a number that starts at 0: a set, or a count. */
typedef struct Map
{
	struct MapSlot *slots;
	size_t		capacity;
	size_t		used;
} Map;

extern uint32_t * map_find_or_add(Map *map, const unsigned char key[16],
								  bool *found);
extern bool map_contains(const Map *map, const unsigned char key[16]);
extern void map_free(Map *map);

#endif							/* CLIENT_UTIL_H */
