/*-------------------------------------------------------------------------
 *
 * format.h
 *	  The formats of files that can be loaded, and how they are told apart.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_FORMAT_H
#define CLIENT_FORMAT_H

#include "common/input.h"
#include "common/util.h"

typedef enum Format
{
	FORMAT_UNKNOWN,
	FORMAT_TRAJ,
	FORMAT_JSONL,
	FORMAT_CLAUDE,
	FORMAT_OTLP
} Format;

extern Format format_called(const char *name);
extern bool format_of_input(Input *input, const char *path, Format *format, Problem *problem);
extern bool is_traj_name(const char *path);

#endif							/* CLIENT_FORMAT_H */
