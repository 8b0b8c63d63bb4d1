/*-------------------------------------------------------------------------
 *
 * recorded_time.c
 *	  Times as other programs write them: microseconds since 1970.
 *
 *-------------------------------------------------------------------------
 */
#include "load/recorded_time.h"

#include <ctype.h>
#include <stdio.h>
#include <time.h>

/* RFC 3339 with a zone, such as 2026-01-31T23:59:59.999Z. */
bool
parse_recorded_time(const char *text, int64_t * time)
{
	struct tm	utc = {0};
	struct tm	read;
	int			end = 0;
	int			zone_hours;
	int			zone_minutes;
	int64_t		fraction = 0;
	int64_t		unit = 100000;
	int64_t		offset = 0;
	int64_t		result;

	if (sscanf(text, "%4d-%2d-%2d%*1[Tt ]%2d:%2d:%2d%n", &utc.tm_year, &utc.tm_mon, &utc.tm_mday,
			   &utc.tm_hour, &utc.tm_min, &utc.tm_sec, &end) != 6 || end == 0)
		return false;
	text	  +=end;

	if (*text == '.')
	{
		for (text ++; isdigit((unsigned char) *text); text ++, unit /= 10)
			fraction += (*text -'0') *unit;
	}
	if ((*text == '+' || *text == '-') &&
		sscanf(text +1, "%2d:%2d%n", &zone_hours, &zone_minutes, &end) == 2)
	{
		offset = (zone_hours * 60 + zone_minutes) * 60 * (*text == '-' ? -1 : 1);
		text	  +=1 + end;
	}
	else if (*text == 'Z' || *text == 'z')
		text	  ++;

	else
		return false;
	utc.tm_year -= 1900;
	utc.tm_mon -= 1;
	read = utc;
	result = ((int64_t) timegm(&utc) - offset) * 1000000 + fraction;

	/* a 31st of February has become another day */
	if (*text !='\0' || utc.tm_mon != read.tm_mon || utc.tm_mday != read.tm_mday ||
		utc.tm_hour != read.tm_hour || result < 0 || result > MAX_RECORDED_TIME)
		return false;
	*time = result;
	return true;
}

void
format_recorded_time(char text[TIME_TEXT_SIZE], int64_t time)
{
	time_t		seconds = (time_t) (time / 1000000);
	struct tm	utc;

	gmtime_r(&seconds, &utc);
	snprintf(text, TIME_TEXT_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ",
			 utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour,
			 utc.tm_min, utc.tm_sec, (int) (time % 1000000));
}
