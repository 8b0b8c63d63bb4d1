/*-------------------------------------------------------------------------
 *
 * second_look.h
 *	  Rounds of retention that would delete most of what there is.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_SECOND_LOOK_H
#define AMELIA_SECOND_LOOK_H

#include "base/amelia.h"

#include "retention/rules.h"

/* What retention_runs.outcome says of a round that was held back. */
#define HELD_BACK "held back"

#define SECOND_LOOK_HINT \
	"If the clock is right, CALL amelia.run_retention(held_back => 'delete'); retention_preview() shows what goes."

extern char *NeedsSecondLook(const Horizons *horizons);

#endif							/* AMELIA_SECOND_LOOK_H */
