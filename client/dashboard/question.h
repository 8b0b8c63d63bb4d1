/*-------------------------------------------------------------------------
 *
 * question.h
 *	  What a workflow asks a person.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_QUESTION_H
#define CLIENT_QUESTION_H

#include "dashboard/view.h"

extern bool question_put(View *view, const char *workflow_id, const char *back);

#endif							/* CLIENT_QUESTION_H */
