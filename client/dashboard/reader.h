/*-------------------------------------------------------------------------
 *
 * reader.h
 *	  The reader of the feed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_READER_H
#define CLIENT_READER_H

extern void reader_start(const char *role, const char *password);
extern void reader_stop(void);

#endif							/* CLIENT_READER_H */
