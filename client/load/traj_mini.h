/*-------------------------------------------------------------------------
 *
 * traj_mini.h
 *	  Reading a recorded run of mini-swe-agent.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_TRAJ_MINI_H
#define CLIENT_TRAJ_MINI_H

#include "load/options.h"
#include "load/run.h"

extern bool run_is_mini(const Run *run, Problem *problem);
extern bool run_read_mini(Run *run, const Options *options,
						  Problem *problem);

#endif							/* CLIENT_TRAJ_MINI_H */
