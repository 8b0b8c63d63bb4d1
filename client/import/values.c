/*-------------------------------------------------------------------------
 *
 * values.c
 *	  One value of SQLite as PostgreSQL prints it.
 *
 * What is made here is sent, and is hashed as what the server must hold
 * afterwards: so each value has exactly the text that the server gives with
 * TimeZone UTC and DateStyle ISO. What has no such value is refused with a
 * SQLSTATE, and nothing is guessed.
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "import/import.h"

const char *const change_names[CHANGES] = {
	"time rounded to microseconds",
	"amount rounded to six digits",
	"id that is no UUID replaced",
	"NULL became the default",
	"empty text became NULL",
	"invalid JSON kept as a string",
	"reference to nothing became NULL",
	""
};

/* Well formed, shortest forms, no surrogates, nothing above U+10FFFF. */
bool
utf8_valid(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *) text;
	const unsigned char *end = p + len;

	while (p < end)
	{
		int			more;

		if (end - p >= 8)
		{
			uint64_t	eight;

			memcpy(&eight, p, 8);
			if ((eight & UINT64_C(0x8080808080808080)) == 0)
			{
				p += 8;
				continue;
			}
		}
		if (*p < 0x80)
		{
			p++;
			continue;
		}
		if (*p >= 0xc2 && *p <= 0xdf)
			more = 1;
		else if (*p >= 0xe0 && *p <= 0xef)
			more = 2;
		else if (*p >= 0xf0 && *p <= 0xf4)
			more = 3;
		else
			return false;
		if (end - p <= more)
			return false;
		if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) ||
			(*p == 0xf0 && p[1] < 0x90) || (*p == 0xf4 && p[1] > 0x8f))
			return false;
		for (int i = 1; i <= more; i++)
		{
			if ((p[i] & 0xc0) != 0x80)
				return false;
		}
		p += more + 1;
	}
	return true;
}

/* The bytes of a text or of a number that stands where text should. */
bool
convert_text(sqlite3_value * value, Buffer *out, Refusal *refusal)
{
	const char *text;
	size_t		len;

	if (sqlite3_value_type(value) == SQLITE_BLOB)
		return refuse(refusal, "22P02", "bytes (a BLOB) where text should be");
	if (sqlite3_value_type(value) == SQLITE_FLOAT)
	{
		Change		ignored = CHANGE_NONE;

		return convert_number(value, -1, out, &ignored, refusal);
	}
	text = (const char *) sqlite3_value_text(value);

	len = (size_t) sqlite3_value_bytes(value);
	if (len > MAX_ROW_BYTES)
		return refuse(refusal, "54000", "longer than PostgreSQL holds");
	if (memchr(text, '\0', len) != NULL)
		return refuse(refusal, "22021", "a NUL character, which PostgreSQL cannot store");
	if (!utf8_valid(text, len))
		return refuse(refusal, "22021", "not valid UTF-8");
	buffer_add(out, text, len);
	return true;
}

/* ---- times ---- */

/* Days since 1970-01-01, and back; the proleptic Gregorian calendar. */
static int64_t
days_of(int64_t year, int month, int day)
{
	int64_t		era;
	int64_t		of_era;

	year -= month <= 2;
	era = (year >= 0 ? year : year - 399) / 400;
	of_era = year - era * 400;
	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 +
		(153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1 - 719468;
}

static void
date_of(int64_t days, int64_t * year, int *month, int *day)
{
	int64_t		era;
	int64_t		of_era;
	int64_t		of_year;
	int64_t		y;
	int			m;

	days += 719468;
	era = (days >= 0 ? days : days - 146096) / 146097;
	of_era = days - era * 146097;
	y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	of_year = of_era - (365 * y + y / 4 - y / 100);
	m = (int) ((5 * of_year + 2) / 153);
	*day = (int) (of_year - (153 * m + 2) / 5) + 1;
	*month = m < 10 ? m + 3 : m - 9;
	*year = y + era * 400 + (*month <= 2);
}

static bool
add_time(int64_t seconds, long microseconds, Buffer *out, Refusal *refusal)
{
	int64_t		days = seconds >= 0 ? seconds / 86400 : -((86399 - seconds) / 86400);
	int			of_day = (int) (seconds - days * 86400);
	int64_t		year;
	int			month;
	int			day;

	date_of(days, &year, &month, &day);
	if (year < 1 || year > 9999)
		return refuse(refusal, "22008", "a time outside the years 1 to 9999");
	buffer_printf(out, "%04d-%02d-%02d %02d:%02d:%02d", (int) year, month, day,
				  of_day / 3600, of_day / 60 % 60, of_day % 60);
	if (microseconds > 0)
	{
		buffer_printf(out, ".%06ld", microseconds);
		while (out->data[out->len - 1] == '0')
			out->data[--out->len] = '\0';
	}
	buffer_puts(out, "+00");
	return true;
}

static bool
two_digits(const char **p, int *number)
{
	if ((*p)[0] < '0' || (*p)[0] > '9' || (*p)[1] < '0' || (*p)[1] > '9')
		return false;
	*number = ((*p)[0] - '0') * 10 + (*p)[1] - '0';
	*p += 2;
	return true;
}

/* Z, +HH:MM, +HHMM, +HH, or nothing, which is UTC. */
static bool
parse_offset(const char *p, int *offset)
{
	int			hours;
	int			minutes = 0;
	int			sign;

	*offset = 0;
	if (*p == '\0' || strcmp(p, "Z") == 0)
		return true;
	if (*p != '+' && *p != '-')
		return false;
	sign = *p++ == '-' ? -1 : 1;
	if (!two_digits(&p, &hours))
		return false;
	if (*p == ':' ? (p++, !two_digits(&p, &minutes)) : *p != '\0' && !two_digits(&p, &minutes))
		return false;
	*offset = sign * (hours * 60 + minutes) * 60;
	return *p == '\0' && hours <= 15 && minutes <= 59;
}

static bool
parse_time(const char *p, int64_t * seconds, long *microseconds, bool *rounded)
{
	static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int			century;
	int			year;
	int			month;
	int			day;
	int			hour;
	int			minute;
	int			second;
	int			offset;
	int			length;

	if (!two_digits(&p, &century) || !two_digits(&p, &year) || *p++ != '-' ||
		!two_digits(&p, &month) || *p++ != '-' || !two_digits(&p, &day) ||
		(*p != ' ' && *p != 'T'))
		return false;
	p++;
	if (!two_digits(&p, &hour) || *p++ != ':' || !two_digits(&p, &minute) || *p++ != ':' ||
		!two_digits(&p, &second))
		return false;
	year += century * 100;
	if (month < 1 || month > 12 || hour > 23 || minute > 59 || second > 59)
		return false;
	length = lengths[month - 1];
	if (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))
		length = 29;
	if (day < 1 || day > length)
		return false;
	*microseconds = 0;
	*rounded = false;
	if (*p == '.')
	{
		int			digits = 0;
		long		nanoseconds = 0;

		for (p++; *p >= '0' && *p <= '9' && digits < 9; p++, digits++)
			nanoseconds = nanoseconds * 10 + (*p - '0');
		if (digits == 0)
			return false;
		for (; digits < 9; digits++)
			nanoseconds *= 10;
		*microseconds = (nanoseconds + 500) / 1000;
		*rounded = nanoseconds % 1000 != 0;
	}
	if (!parse_offset(p, &offset))
		return false;
	*seconds = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset;
	if (*microseconds == 1000000)
	{
		*microseconds = 0;
		(*seconds)++;
	}
	return true;
}

bool
convert_time(sqlite3_value * value, Buffer *out, Change *change, Refusal *refusal)
{
	int64_t		seconds;
	long		microseconds;
	bool		rounded;

	if (sqlite3_value_type(value) == SQLITE_INTEGER)
	{
		seconds = sqlite3_value_int64(value);
		if (seconds < INT64_C(-62135596800) || seconds > INT64_C(253402300799))
			return refuse(refusal, "22008", "a time outside the years 1 to 9999");
		return add_time(seconds, 0, out, refusal);
	}
	if (sqlite3_value_type(value) != SQLITE_TEXT ||
		strlen((const char *) sqlite3_value_text(value)) != (size_t) sqlite3_value_bytes(value) ||
		!parse_time((const char *) sqlite3_value_text(value), &seconds, &microseconds, &rounded))
		return refuse(refusal, "22007", "not a time");
	if (rounded)
		*change = CHANGE_TIME_ROUNDED;
	return add_time(seconds, microseconds, out, refusal);
}

bool
convert_boolean(sqlite3_value * value, Buffer *out, Refusal *refusal)
{
	if (sqlite3_value_type(value) == SQLITE_INTEGER)
	{
		int64_t		number = sqlite3_value_int64(value);

		if (number == 0 || number == 1)
		{
			buffer_puts(out, number == 1 ? "t" : "f");
			return true;
		}
	}
	else if (sqlite3_value_type(value) == SQLITE_TEXT)
	{
		const char *text = (const char *) sqlite3_value_text(value);

		if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
		{
			buffer_puts(out, *text == 't' ? "t" : "f");
			return true;
		}
	}
	return refuse(refusal, "22P02", "neither 0, 1, 'true' nor 'false'");
}

/* ---- numbers ---- */

bool
convert_integer(sqlite3_value * value, bool big, Buffer *out, Refusal *refusal)
{
	int64_t		number;

	if (sqlite3_value_type(value) != SQLITE_INTEGER)
		return refuse(refusal, "22P02", "not an integer");
	number = sqlite3_value_int64(value);
	if (!big && (number < INT32_MIN || number > INT32_MAX))
		return refuse(refusal, "22003", "out of range for an integer");
	buffer_printf(out, "%lld", (long long) number);
	return true;
}

/* The shortest digits that give a double back, as digits and an exponent: 0.DIGITS * 10^exponent. */
static void
shortest(double number, char digits[32], int *exponent)
{
	char text[	40];
	int			n = 0;
	char	   *e;

	for (int precision = 0; precision < 17; precision++)
	{
		snprintf(text, sizeof(text), "%.*e", precision, number);
		if (strtod(text, NULL) == number)
			break;
	}
	e = strchr(text, 'e');
	*exponent = atoi(e + 1) + 1;
	for (char *p = text; p < e; p++)
	{
		if (*p >= '0' && *p <= '9')
			digits[n++] = *p;
	}
	while (n > 1 && digits[n - 1] == '0')
		n--;
	digits[n] = '\0';
}

/* A decimal of text: the same form. */
static bool
parse_decimal(const char *p, bool *negative, char digits[32], int *exponent)
{
	int			n = 0;
	bool		point = false;
	bool		any = false;

	*negative = *p == '-';
	p += *p == '-';
	*exponent = 0;
	for (; *p != '\0'; p++)
	{
		if (*p == '.' && !point && any)
		{
			point = true;
			continue;
		}
		if (*p < '0' || *p > '9' || n >= 30)
			return false;
		any = true;
		if (n == 0 && *p == '0')
		{
			*exponent -= point;
			continue;
		}
		digits[n++] = *p;
		*exponent += !point;
	}
	if (n == 0)
		digits[n++] = '0';
	digits[n] = '\0';
	return any;
}

/* Keep so many digits after the point, half away from zero; true when that changed it. */
static bool
round_digits(char digits[32], int *exponent, int scale)
{
	int			keep = *exponent + scale;
	int			n = (int) strlen(digits);
	bool		up;

	if (keep >= n)
		return false;
	up = keep >= 0 && digits[keep] >= '5';
	if (keep <= 0)
	{
		strcpy(digits, up && keep == 0 ? "1" : "0");
		*exponent = up && keep == 0 ? *exponent + 1 : 1;
		return true;
	}
	digits[keep] = '\0';
	while (up && keep > 0)
	{
		if (digits[keep - 1] == '9')
			digits[--keep] = '\0';
		else
		{
			digits[keep - 1]++;
			up = false;
		}
	}
	if (up)
	{
		strcpy(digits, "1");
		(*exponent)++;
	}
	return true;
}

/*
 * A decimal number: with so many digits after the point, or (-1) with as many
 * as it has.
 */
bool
convert_number(sqlite3_value * value, int scale, Buffer *out, Change *change, Refusal *refusal)
{
	char		digits[32];
	int			exponent;
	bool		negative = false;
	int			n;
	int			after;

	switch (sqlite3_value_type(value))
	{
		case SQLITE_INTEGER:
		case SQLITE_TEXT:
			if (!parse_decimal((const char *) sqlite3_value_text(value), &negative, digits, &exponent))
				return refuse(refusal, "22P02", "not a number");
			break;
		case SQLITE_FLOAT:
			{
				double		number = sqlite3_value_double(value);

				if (!isfinite(number))
					return refuse(refusal, "22003", "not a finite number");
				negative = number < 0;
				shortest(fabs(number), digits, &exponent);
				if (exponent > 300 || exponent < -300)
					return refuse(refusal, "22003", "out of range");
				break;
			}
		default:
			return refuse(refusal, "22P02", "not a number");
	}
	if (scale >= 0 && round_digits(digits, &exponent, scale))
		*change = CHANGE_MONEY_ROUNDED;
	if (strcmp(digits, "0") == 0)
	{
		negative = false;
		exponent = 1;
	}
	/* numeric(10,6) */
	if (scale == 6 && exponent > 4)
		return refuse(refusal, "22003", "10000 or more, which does not fit");
	n = (int) strlen(digits);
	after = scale >= 0 ? scale : n > exponent ? n - exponent : 0;
	if (negative)
		buffer_add(out, "-", 1);
	if (exponent <= 0)
		buffer_add(out, "0", 1);
	for (int i = 0; i < exponent; i++)
		buffer_add(out, i < n ? &digits[i] : "0", 1);
	if (after > 0)
	{
		buffer_add(out, ".", 1);
		for (int i = exponent; i < exponent + after; i++)
			buffer_add(out, i >= 0 && i < n ? &digits[i] : "0", 1);
	}
	return true;
}
