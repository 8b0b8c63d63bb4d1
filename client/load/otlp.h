/*-------------------------------------------------------------------------
 *
 * otlp.h
 *	  Traces of OpenTelemetry.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_OTLP_H
#define CLIENT_OTLP_H

#include "load/recording.h"

extern bool otlp_read(Recording * recording, const char *default_model, Problem *problem);

#endif							/* CLIENT_OTLP_H */
