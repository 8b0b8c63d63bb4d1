/*-------------------------------------------------------------------------
 *
 * usage.h
 *	  What agents cost, as sections of a page.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_USAGE_H
#define CLIENT_USAGE_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "common/util.h"

#define USAGE_DEFAULT_DAYS "30"
#define USAGE_MAX_DAYS 366

typedef struct Usage
{
	Buffer	   *page;

	/*
	 * The rows of a query; NULL where there are none to be had, and then the
	 * sections end. Its session has pg_catalog for a path, and ISO dates.
	 */
	PGresult   *(*ask) (void *arg, const char *sql, int nparams, const char *const *params);
	void	   *arg;
	const char *until;			/* the last day; NULL: today */
	const char *days;			/* how many */
	const char *profile;		/* NULL: all */
	const char *workflow_address;	/* how links to a workflow begin; NULL:
									 * none */
} Usage;

extern bool usage_days_valid(const char *days);
extern bool usage_subtitle(const Usage *usage, Buffer *text);
extern bool usage_sections(const Usage *usage);

#endif							/* CLIENT_USAGE_H */
