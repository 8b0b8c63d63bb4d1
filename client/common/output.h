/*-------------------------------------------------------------------------
 *
 * output.h
 *	  A file that takes another's place when it is complete.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_OUTPUT_H
#define CLIENT_OUTPUT_H

#include <stdbool.h>
#include <stdio.h>

/* What is written, and where: beside is NULL where that is no file. */
typedef struct Output
{
	FILE	   *file;
	char	   *target;
	char	   *beside;
} Output;

extern bool output_open(Output *output, const char *path, bool follows_link);
extern bool output_close(Output *output, bool is_whole);

#endif							/* CLIENT_OUTPUT_H */
