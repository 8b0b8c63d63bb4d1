/*-------------------------------------------------------------------------
 *
 * assets.h
 *	  The files that pages need.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_ASSETS_H
#define CLIENT_ASSETS_H

#include <stddef.h>

typedef struct Asset
{
	const char *path;
	const char *type;
	const char *data;
	size_t		len;
} Asset;

/* Changes with what they hold. */
extern char assets_version[17];

extern void assets_init(void);
extern const Asset *asset_find(const char *path);

#endif							/* CLIENT_ASSETS_H */
