/*-------------------------------------------------------------------------
 *
 * outcome.h
 *	  What came of loading a file.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_OUTCOME_H
#define CLIENT_OUTCOME_H

/* Sending a byte of a file takes about so many times as long as checking it. */
#define SEND_WEIGHT 9

typedef enum Outcome
{
	OUTCOME_LOADED,
	OUTCOME_PRESENT,			/* all of it was there already */
	OUTCOME_PASSED_OVER,		/* another file has it */
	OUTCOME_FAILED,
	OUTCOME_RETRY				/* the server asks to try again */
} Outcome;

#endif							/* CLIENT_OUTCOME_H */
