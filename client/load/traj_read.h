/*-------------------------------------------------------------------------
 *
 * traj_read.h
 *	  Reading a recorded run of SWE-agent, or one attempt of it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_TRAJ_READ_H
#define CLIENT_TRAJ_READ_H

#include "load/options.h"
#include "load/run.h"

extern bool run_read_part(Run *run, const Options *options,
						  const json_t *part, Problem *problem);

#endif							/* CLIENT_TRAJ_READ_H */
