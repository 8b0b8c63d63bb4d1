/*-------------------------------------------------------------------------
 *
 * progress.c
 *	  What the user sees: results on standard output, errors and warnings on
 *	  standard error, and there, on a terminal, one line of progress.
 *
 * File names, file contents and messages of the server can hold anything, so
 * control characters are replaced before they reach a terminal.
 *
 *-------------------------------------------------------------------------
 */
#include "common/progress.h"

#include <errno.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "common/util.h"

#define PROGRESS_EVERY 0.2		/* seconds */

static bool quiet;
static bool verbose;
static bool progress_wanted;
static bool progress_shown;
static int	progress_width;
static uint64_t bytes_total;
static uint64_t bytes_done;
static uint64_t file_end;		/* bytes_done when the current file is done */
static uint64_t events_done;
static double started;
static double last_shown;
static char *file_label;

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}

void
report_init(bool be_quiet, bool be_verbose, bool progress)
{
	quiet = be_quiet;
	verbose = be_verbose;
	progress_wanted = progress || (!be_quiet && isatty(STDERR_FILENO));
}

/* What a line to the user begins with; until the next call. */
static const char *
prefixed(const char *kind)
{
	static char prefix[64];

	snprintf(prefix, sizeof(prefix), "%s: %s: ", program_name, kind);
	return prefix;
}

/* Without C0, DEL and, in UTF-8, C1; without line breaks when `one_line`. */
static void
add_safely(Buffer *out, const char *text, bool one_line)
{
	const unsigned char *p = (const unsigned char *) text;

	for (; *p != '\0'; p++)
	{
		bool		control = *p < 0x20 || *p == 0x7f;
		char		c = (char) *p;

		if ((*p == '\n' || *p == '\t') && !one_line)
			control = false;
		if (*p == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f)
		{
			control = true;
			p++;
		}
		buffer_add(out, control ? "?" : &c, 1);
	}
}

static void
clear_progress(void)
{
	if (progress_shown)
		fprintf(stderr, "\r%*s\r", progress_width, "");
	progress_shown = false;
}

static int
terminal_width(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20)
		return size.ws_col;
	return 80;
}

static void
show_progress(double at)
{
	Buffer		line = {0};
	Buffer		safe = {0};
	double		elapsed = at - started;
	int			width = terminal_width() - 1;

	buffer_puts(&line, program_name);
	buffer_puts(&line, ": ");
	if (bytes_total > 0)
		buffer_printf(&line, "%3.0f %%, ",
					  100.0 * (double) bytes_done / (double) bytes_total);
	buffer_printf(&line, "%llu events", (unsigned long long) events_done);
	if (elapsed > 0)
		buffer_printf(&line, ", %.0f/s", (double) events_done / elapsed);
	if (bytes_total > 0 && bytes_done > 0)
	{
		double		left = elapsed * ((double) bytes_total - (double) bytes_done) /
		(double) bytes_done;

		buffer_printf(&line, ", %d:%02d left", (int) (left / 60),
					  (int) left % 60);
	}
	if (file_label != NULL)
		buffer_printf(&line, ", %s", file_label);

	if (line.len > (size_t) width)
	{
		/* not in the middle of a UTF-8 character */
		while (width > 0 && (line.data[width] & 0xc0) == 0x80)
			width--;
		line.data[width] = '\0';
		line.len = (size_t) width;
	}
	clear_progress();
	buffer_puts(&safe, "\r");
	add_safely(&safe, line.data, true);
	fwrite(safe.data, 1, safe.len, stderr);
	progress_width = (int) line.len;
	progress_shown = true;
	last_shown = at;
	buffer_free(&line);
	buffer_free(&safe);
}

/* Before the first file; total 0: unknown, so no estimate. */
void
progress_start(uint64_t total_bytes)
{
	bytes_total = total_bytes;
	bytes_done = 0;
	events_done = 0;
	file_end = 0;
	started = last_shown = now();
}

/* A file that ended early counts as done, or the estimate would lag. */
void
progress_file(int number, int count, const char *name, uint64_t bytes)
{
	Buffer		label = {0};

	bytes_done = file_end;
	file_end += bytes;

	buffer_printf(&label, "file %d of %d: %s", number, count, name);
	free(file_label);
	file_label = label.data;
	if (progress_wanted)
		show_progress(now());
}

/* So much more has been read and sent. Called often, shows seldom. */
void
progress_add(uint64_t bytes, uint64_t events)
{
	double		at;

	bytes_done += bytes;
	events_done += events;
	if (bytes_done > file_end)
		bytes_done = file_end;
	if (!progress_wanted)
		return;
	at = now();
	if (at - last_shown >= PROGRESS_EVERY)
		show_progress(at);
}

void
progress_end(void)
{
	clear_progress();
	free(file_label);
	file_label = NULL;
}

/* In one piece, so that lines of two streams or programs do not mix. */
static void
print_line(FILE *out, const char *prefix, const char *fmt, va_list args)
{
	Buffer text = {0};
	Buffer		safe = {0};

	buffer_vprintf(&text, fmt, args);
	buffer_puts(&safe, prefix);
	add_safely(&safe, text.data, false);
	buffer_puts(&safe, "\n");
	clear_progress();
	fwrite(safe.data, 1, safe.len, out);
	fflush(out);
	buffer_free(&text);
	buffer_free(&safe);
}

/* A result; not with --quiet. */
void
tell(const char *fmt,...)
{
	va_list		args;

	if (quiet)
		return;
	va_start(args, fmt);
	print_line(stdout, "", fmt, args);
	va_end(args);
}

/* More about it; only with --verbose. */
void
tell_more(const char *fmt,...)
{
	va_list		args;

	if (!verbose)
		return;
	va_start(args, fmt);
	print_line(stdout, "", fmt, args);
	va_end(args);
}

void
warn(const char *fmt,...)
{
	va_list		args;

	va_start(args, fmt);
	print_line(stderr, prefixed("warning"), fmt, args);
	va_end(args);
}

void
complain(const char *fmt,...)
{
	va_list		args;

	va_start(args, fmt);
	print_line(stderr, prefixed("error"), fmt, args);
	va_end(args);
}

static void
PRINTF_LIKE(2, 3)
explain(const char *prefix, const char *fmt,...)
{
	va_list		args;

	va_start(args, fmt);
	print_line(stderr, prefix, fmt, args);
	va_end(args);
}

/* FILE:LINE: reason, as compilers say it, so that editors find the place. */
void
complain_problem(const char *name, const Problem *problem)
{
	const char *reason = problem->reason ? problem->reason : "unknown error";

	if (problem->line > 0)
		complain("%s:%lu: %s", name, problem->line, reason);
	else
		complain("%s: %s", name, reason);
	if (problem->detail != NULL)
		explain(prefixed("detail"), "%s", problem->detail);
	if (problem->hint != NULL)
		explain(prefixed("hint"), "%s", problem->hint);
}

/* libpq calls this for a NOTICE or WARNING of the server. */
void
server_notice(void *arg, const PGresult *result)
{
	const char *severity = PQresultErrorField(result,
											  PG_DIAG_SEVERITY_NONLOCALIZED);
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

	(void) arg;
	if (severity == NULL || message == NULL)
		return;
	if (strcmp(severity, "WARNING") == 0)
		warn("%s", message);
	else
		tell_more("%s: %s", severity, message);
}

/* Was everything written that was told? A full disk is an error too. */
bool
tell_finish(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return true;
	complain("could not write to standard output: %s", strerror(errno));
	return false;
}
