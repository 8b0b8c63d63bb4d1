/*-------------------------------------------------------------------------
 *
 * claude.h
 *	  Sessions of Claude Code.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_CLAUDE_H
#define CLIENT_CLAUDE_H

#include "load/recording.h"

extern bool claude_read(Recording * recording, Problem *problem);

#endif							/* CLIENT_CLAUDE_H */
