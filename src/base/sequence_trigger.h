/*-------------------------------------------------------------------------
 *
 * sequence_trigger.h
 *	  What is refused of numbers that clients choose.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_SEQUENCE_TRIGGER_H
#define AMELIA_SEQUENCE_TRIGGER_H

#include "base/amelia.h"

pg_noreturn extern void RefuseHighSequence(int64 sequence);

#endif							/* AMELIA_SEQUENCE_TRIGGER_H */
