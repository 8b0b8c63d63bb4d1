/*-------------------------------------------------------------------------
 *
 * traj_send.h
 *	  Recorded runs of SWE-agent: loading one.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_TRAJ_SEND_H
#define CLIENT_TRAJ_SEND_H

#include "common/db.h"
#include "common/input.h"
#include "load/options.h"
#include "load/outcome.h"

extern Outcome traj_load(Input *input, const Options *options, Db *db,
						 Problem *problem);

#endif							/* CLIENT_TRAJ_SEND_H */
