/*-------------------------------------------------------------------------
 *
 * jsonl.h
 *	  JSON Lines: an event in each line.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_JSONL_H
#define CLIENT_JSONL_H

#include "common/db.h"
#include "common/input.h"
#include "load/options.h"
#include "load/outcome.h"

extern Outcome jsonl_load(Input *input, const Options *options, Db *db,
						  Problem *problem);

#endif							/* CLIENT_JSONL_H */
