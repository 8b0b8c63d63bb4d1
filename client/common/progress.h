/*-------------------------------------------------------------------------
 *
 * progress.h
 *	  What the user sees: messages, and how far it is.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_PROGRESS_H
#define CLIENT_PROGRESS_H

#include <libpq-fe.h>

#include "common/util.h"

/* Each program defines it where its main() is. */
extern const char program_name[];

/* for "%d event%s" */
#define PLURAL(n) ((n) == 1 ? "" : "s")

extern void report_init(bool be_quiet, bool be_verbose, bool progress);
extern void progress_start(uint64_t total_bytes);
extern void progress_file(int number, int count, const char *name,
						  uint64_t bytes);
extern void progress_add(uint64_t bytes, uint64_t events);
extern void progress_end(void);
extern bool tell_finish(void);
extern void tell(const char *fmt,...) PRINTF_LIKE(1, 2);
extern void tell_more(const char *fmt,...) PRINTF_LIKE(1, 2);
extern void warn(const char *fmt,...) PRINTF_LIKE(1, 2);
extern void complain(const char *fmt,...) PRINTF_LIKE(1, 2);
extern void complain_problem(const char *name, const Problem *problem);
extern void server_notice(void *arg, const PGresult *result);

#endif							/* CLIENT_PROGRESS_H */
