/*-------------------------------------------------------------------------
 *
 * traj_attempts.h
 *	  Runs that were tried more than once.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_TRAJ_ATTEMPTS_H
#define CLIENT_TRAJ_ATTEMPTS_H

#include "load/options.h"
#include "load/run.h"

extern char *traj_run_of_attempt(const char *path);
extern bool run_read_attempts(Run *run, const Options *options,
							  Problem *problem, bool *cut_off);

#endif							/* CLIENT_TRAJ_ATTEMPTS_H */
