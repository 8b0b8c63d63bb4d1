/*-------------------------------------------------------------------------
 *
 * traj_meta.h
 *	  What a recorded run says of itself.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_TRAJ_META_H
#define CLIENT_TRAJ_META_H

#include "load/options.h"
#include "load/run.h"

/* numeric(10,6) rounds to six digits, and what is left must be below this */
#define MAX_COST 9999.9999995

extern bool run_read_usage(Run *run, Problem *problem, const json_t *stats);
extern bool run_read_end(Run *run, Problem *problem, const json_t *info);
extern void run_read_names(Run *run, const Options *options,
						   const json_t *history);
extern void run_describe(Run *run, const json_t *info, const json_t *history);

#endif							/* CLIENT_TRAJ_META_H */
