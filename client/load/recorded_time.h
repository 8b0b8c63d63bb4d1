/*-------------------------------------------------------------------------
 *
 * recorded_time.h
 *	  Times as other programs write them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_RECORDED_TIME_H
#define CLIENT_RECORDED_TIME_H

#include <stdbool.h>
#include <stdint.h>

/* From 1970 to the end of 9999: what four digits of a year can say. */
#define MAX_RECORDED_TIME INT64_C(253402300799999999)
#define TIME_TEXT_SIZE 96

extern bool parse_recorded_time(const char *text, int64_t * time);
extern void format_recorded_time(char text[TIME_TEXT_SIZE], int64_t time);

#endif							/* CLIENT_RECORDED_TIME_H */
