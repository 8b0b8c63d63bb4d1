/*-------------------------------------------------------------------------
 *
 * recording_send.h
 *	  Storing what other programs recorded.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_RECORDING_SEND_H
#define CLIENT_RECORDING_SEND_H

#include "common/db.h"
#include "load/options.h"
#include "load/outcome.h"
#include "load/recording.h"

extern Outcome recording_load(Recording * recording, const Options *options, Db *db,
							  Problem *problem);

#endif							/* CLIENT_RECORDING_SEND_H */
