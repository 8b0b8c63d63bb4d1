/*-------------------------------------------------------------------------
 *
 * show.c
 *	  Progress while it runs, and the report at the end.
 *
 * On a terminal one line that is written over, with rate and estimate; for
 * programs (--progress=json) a line of JSON on standard error now and then;
 * nothing where standard error is a file.
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "import/import.h"

#define SHOW_EVERY 0.5			/* seconds */

static ProgressKind kind;
static const Table *shown_table = NULL;
static const char *shown_phase;
static int64_t shown_total;
static uint64_t shown_done;
static double table_began;
static double last_shown;
static bool line_there = false;

double
now_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}

void
add_size(Buffer *buf, double bytes)
{
	static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
	int			unit = 0;

	for (; bytes >= 1024 && unit < 4; unit++)
		bytes /= 1024;
	buffer_printf(buf, unit == 0 || bytes >= 100 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
}

void
add_count(Buffer *buf, uint64_t n)
{
	buffer_printf(buf, "%llu", (unsigned long long) n);
}

void
show_begin(void)
{
	kind = import.progress;
	if (kind == PROGRESS_AUTO)
		kind = isatty(STDERR_FILENO) && !import.quiet ? PROGRESS_TTY : PROGRESS_NONE;
}

static void
clear_line(void)
{
	if (line_there)
		fputs("\r\033[K", stderr);
	line_there = false;
}

static void
show(bool at_end)
{
	double		now = now_seconds();
	double		elapsed = now - table_began;
	double		rate = elapsed > 0 ? (double) shown_done / elapsed : 0;
	long		left = rate > 0 && shown_total > 0 ? (long) (((double) shown_total - (double) shown_done) / rate) : 0;

	last_shown = now;
	if (shown_table == NULL || kind == PROGRESS_NONE)
		return;
	if (kind == PROGRESS_JSON)
		fprintf(stderr, "{\"phase\": \"%s\", \"table\": \"%s\", \"rows\": %llu, \"total\": %lld, \"rows_per_second\": %.0f,"
				" \"seconds\": %.1f, \"rejected\": %llu, \"done\": %s}\n", shown_phase, shown_table->map->source,
				(unsigned long long) shown_done, (long long) shown_total, rate, elapsed,
				(unsigned long long) rejects_of_run, at_end ? "true" : "false");
	else
	{
		clear_line();
		fprintf(stderr, "%s %s: %llu of %lld rows, %.0f/s, %ld:%02ld left", shown_phase, shown_table->map->source,
				(unsigned long long) shown_done, (long long) shown_total, rate, left / 60, left % 60);
		line_there = true;
	}
	fflush(stderr);
}

/* A table's turn begins, and ends that of the one before. */
void
show_table(const Table *table, const char *phase, int64_t rows)
{
	if (shown_table != NULL)
		show(true);
	shown_table = table;
	shown_phase = phase;
	shown_total = rows;
	shown_done = 0;
	table_began = last_shown = now_seconds();
}

void
show_rows(uint64_t rows)
{
	static unsigned int calls = 0;

	shown_done += rows;
	if (kind == PROGRESS_NONE || (rows == 1 && ++calls % 256 != 0))
		return;
	if (now_seconds() - last_shown >= SHOW_EVERY)
		show(false);
}

void
show_end(void)
{
	if (shown_table != NULL)
		show(true);
	shown_table = NULL;
	clear_line();
}

static json_t *
changes_of(const Table *table)
{
	json_t	   *list = json_array();

	for (int i = 0; i < table->ncolumns; i++)
	{
		for (int change = 0; change < CHANGES; change++)
		{
			const Column *column = &table->columns[i];

			if (column->changes[change] == 0)
				continue;
			json_array_append_new(list, json_pack("{s:s, s:s, s:I}", "column", column->name, "change",
												  change == CHANGE_WHY ? column->map->why : change_names[change],
												  "rows", (json_int_t) column->changes[change]));
		}
	}
	return list;
}

/* --report: what was said, for programs. */
bool
write_report(const Source *source, const char *outcome, double seconds)
{
	json_t	   *report;
	json_t	   *list;
	bool		written;

	if (import.report_path == NULL)
		return true;
	list = json_array();
	for (int i = 0; i < ntables; i++)
	{
		const Table *table = &tables[i];
		char		sum[48];
		char		xor[48];

		sums_format(&table->source_sums, sum, xor);
		json_array_append_new(list, json_pack(
											  "{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:o}",
											  "source", table->map->source, "target", table->target, "rows", (json_int_t) table->rows,
											  "loaded", (json_int_t) table->loaded, "from_earlier_runs", (json_int_t) table->unchanged,
											  "there_before", (json_int_t) table->present, "updated", (json_int_t) table->updated,
											  "changed", (json_int_t) table->changed, "gone", (json_int_t) table->gone,
											  "deleted", (json_int_t) table->deleted, "rejected", (json_int_t) table->rejected,
											  "different", (json_int_t) table->different, "sum", sum, "xor", xor, "changes", changes_of(table)));
	}
	report = json_pack("{s:s, s:s, s:s, s:I, s:i, s:i, s:s, s:f, s:o}", "system", source->system->name,
					   "file", source->path, "sha256", source->sha256, "bytes", (json_int_t) source->bytes,
					   "user_version", (int) source->user_version, "run", run_id, "outcome", outcome,
					   "seconds", seconds, "tables", list);
	written = json_dump_file(report, import.report_path, JSON_INDENT(2)) == 0;
	if (!written)
		complain("%s: %s", import.report_path, strerror(errno));
	json_decref(report);
	return written;
}
