/*-------------------------------------------------------------------------
 *
 * input.h
 *	  A file to load.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_INPUT_H
#define CLIENT_INPUT_H

#include <stdio.h>
#include <sys/types.h>

#include "common/json.h"

/*
 * A jsonb string holds less than 256 MB, and a message to the server less
 * than 1 GB: what is longer cannot arrive and is refused before it is read.
 */
#define MAX_LINE_BYTES ((size_t) 256 * 1024 * 1024)
#define MAX_DOCUMENT_BYTES ((size_t) 1024 * 1024 * 1024)

/* One file to load. It can be read more than once, standard input too. */
typedef struct Input
{
	const char *name;			/* for messages */
	FILE	   *file;
	off_t		start;
	uint64_t	size;
	unsigned long line;			/* number of the line read last */
	uint64_t	consumed;		/* bytes that input_next_line has read */
	bool		owned;
	char	   *text;			/* the line read last */
	size_t		text_capacity;
} Input;

extern bool input_open(Input *input, const char *path, Problem *problem);
extern bool input_rewind(Input *input, Problem *problem);
extern bool input_read_all(Input *input, Buffer *buf, Problem *problem);
extern int	input_next_line(Input *input, uint64_t limit, Slice *line,
							Problem *problem);
extern void input_close(Input *input);

#endif							/* CLIENT_INPUT_H */
