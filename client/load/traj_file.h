/*-------------------------------------------------------------------------
 *
 * traj_file.h
 *	  A file that holds a recorded run.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_TRAJ_FILE_H
#define CLIENT_TRAJ_FILE_H

#include "common/input.h"
#include "load/options.h"
#include "load/run.h"

extern bool run_read(Run *run, Input *input, const Options *options,
					 Problem *problem);
extern void run_free(Run *run);

#endif							/* CLIENT_TRAJ_FILE_H */
