/*-------------------------------------------------------------------------
 *
 * answer.h
 *	  What is answered at which address.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_ANSWER_H
#define CLIENT_ANSWER_H

#include "dashboard/http.h"

extern HttpResult answer_get(Request *request);
extern HttpResult answer_post(Request *request);
extern HttpResult answer_live(Request *request);
extern HttpResult answer_metrics(Request *request);

#endif							/* CLIENT_ANSWER_H */
