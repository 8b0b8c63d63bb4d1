/*-------------------------------------------------------------------------
 *
 * plan.c
 *	  --dry-run: what a load would do. Every row is converted and none is
 *	  sent, but for a sample into a temporary table, which tells how long the
 *	  whole will take and how much room it needs.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "import/import.h"

#define SAMPLE_ROWS 2000
#define SHOWN_REJECTS 10

/* Foreign keys, triggers, ledger and proof, beside the rows and their indexes. */
#define WORK_FACTOR 2.5
#define LEDGER_BYTES 150

/* How often values were changed, and why, below a head. */
void
say_changes(const char *head)
{
	bool		any = false;

	for (int t = 0; t < ntables; t++)
	{
		for (int i = 0; i < tables[t].ncolumns; i++)
		{
			const Column *column = &tables[t].columns[i];

			for (int change = 0; change < CHANGES; change++)
			{
				if (column->changes[change] == 0)
					continue;
				if (!any)
					tell("%s", head);
				any = true;
				tell("  %s.%s%s%s: %s, %llu time%s", tables[t].map->source,
					 column->map->source != NULL ? column->map->source : column->name,
					 tables[t].map->from != NULL ? " -> " : "", tables[t].map->from != NULL ? tables[t].map->target : "",
					 change == CHANGE_WHY ? column->map->why : change_names[change],
					 (unsigned long long) column->changes[change], PLURAL(column->changes[change]));
			}
		}
	}
}

/* Rows of a sample in a table like the target, with its indexes: seconds and bytes of a row. */
static bool
measure(Table *table, Batch *sample, double *seconds, double *bytes)
{
	Buffer		sql = {0};
	char	   *size;
	double		began;
	bool		done;

	buffer_printf(&sql, "DROP TABLE IF EXISTS pg_temp.import_sample; CREATE TEMP TABLE import_sample (LIKE %s INCLUDING ALL);"
				  " ALTER TABLE pg_temp.import_sample ADD \"$n\" integer, ADD \"$entry\" bigint, ADD \"$source\" text,"
				  " ADD \"$target\" text, ADD \"$hash\" uuid", table->target);
	done = sql_do(db, sql.data);
	buffer_reset(&sql);
	buffer_puts(&sql, "COPY pg_temp.import_sample (\"$n\", \"$entry\", \"$source\", \"$target\", \"$hash\"");
	for (int i = 0; i < table->ncolumns; i++)
	{
		buffer_puts(&sql, ", ");
		add_identifier(&sql, table->columns[i].name);
	}
	buffer_puts(&sql, ") FROM STDIN");
	began = now_seconds();
	if (done && begin_copy(db, sql.data))
	{
		PQputCopyData(db, sample->lines.data, (int) sample->lines.len);
		/* a row that the target refuses spoils the sample, not the plan */
		if (!end_copy(db, true))
			*seconds = *bytes = 0;
		else
		{
			*seconds = (now_seconds() - began) / sample->nrows;
			size = sql_value(db, "SELECT pg_catalog.pg_total_relation_size('pg_temp.import_sample')", 0, NULL);
			*bytes = size != NULL ? strtod(size, NULL) / sample->nrows + LEDGER_BYTES : 0;
			free(size);
		}
	}
	buffer_free(&sql);
	return done;
}

static bool
plan_table(Source *source, Table *table, double *seconds, double *room)
{
	Reader		reader;
	Batch		sample = {.table = table};
	Buffer		line = {0};
	int64_t		every = table->rows / SAMPLE_ROWS + 1;
	double		began = now_seconds();
	double		of_a_row = 0;
	double		bytes = 0;
	int			got;

	if (!reader_open(&reader, source, table, true))
		return false;
	show_table(table, "plan", table->rows);
	while ((got = reader_next(&reader)) >= 0 && !db_interrupted)
	{
		show_rows(1);
		if (got == 0)
		{
			table->rejected++;
			if (table->rejected <= SHOWN_REJECTS)
				warn("%s, rowid %lld, key %s, column %s: %s (SQLSTATE %s)", table->map->source, (long long) reader.row.rowid,
					 reader.row.source_key.data,
					 reader.row.column != NULL ? reader.row.column->name : "", reader.row.refusal.reason, reader.row.refusal.sqlstate);
			continue;
		}
		table->bytes += reader.row.text.len;
		if (reader.row.number % every == 0 && sample.lines.len < (size_t) 16 * 1024 * 1024)
			batch_add(&sample, table, &reader.row, 0);
	}
	reader_close(&reader);
	if (got == -2 || db_interrupted)
		return false;
	*seconds += now_seconds() - began;
	if (sample.nrows > 0 && !measure(table, &sample, &of_a_row, &bytes))
		return false;
	batch_release(&sample);
	*seconds += of_a_row * WORK_FACTOR * (double) table->rows;
	*room += bytes * (double) table->rows;
	show_end();
	buffer_printf(&line, "  %s -> %s: %lld rows, ", table->map->source, table->target, (long long) table->rows);
	add_size(&line, (double) table->bytes);
	if (table->rejected > 0)
		buffer_printf(&line, ", %llu to be rejected", (unsigned long long) table->rejected);
	buffer_puts(&line, "; columns");
	for (int i = 0; i < table->ncolumns; i++)
	{
		const Column *column = &table->columns[i];

		if (column->map == NULL)
			continue;
		buffer_printf(&line, " %s", column->map->source != NULL ? column->map->source : "(made)");
		if (column->map->source == NULL || strcmp(column->map->source, column->name) != 0)
			buffer_printf(&line, "->%s", column->name);
	}
	tell("%s", line.data);
	buffer_free(&line);
	return true;
}

int
do_plan(Source *source)
{
	Buffer		line = {0};
	char	   *default_time;
	bool		has_ledger;
	double		began = now_seconds();
	double		seconds = 0;
	double		room = 0;
	uint64_t	rejected = 0;

	if (!target_open(source->system, false) || !ledger_look(&has_ledger))
		return STATUS_USAGE;
	if (has_ledger && !ledger_find_source(source, false))
		return STATUS_USAGE;
	if (!ledger_default_time(&default_time) || !tables_open(source, default_time))
		return STATUS_USAGE;
	free(default_time);
	db_catch_signals();
	show_begin();
	buffer_printf(&line, "%s: a database of %s, ", import.path, source->system->name);
	add_size(&line, (double) source->bytes);
	tell("%s, user_version %ld, SHA-256 %s; it is whole", line.data, source->user_version, source->sha256);
	tell("To be loaded:");
	for (int i = 0; i < ntables; i++)
	{
		if (!plan_table(source, &tables[i], &seconds, &room))
			return db_interrupted ? STATUS_STOPPED : STATUS_USAGE;
		rejected += tables[i].rejected;
	}
	say_changes("To be changed on the way:");
	if (source_left(source, false) + source_unmapped(source, false) > 0)
		tell("Not to be loaded:");
	source_left(source, true);
	if (source_unmapped(source, true) > 0 && !import.accept_unmapped)
		tell("  (what is not mapped stops a load, unless --accept-unmapped is given)");
	buffer_reset(&line);
	add_size(&line, room);
	tell("About %.0f s, as a sample took, and %s of disk for the target. Nothing was written.",
		 seconds + 1, line.data);
	buffer_free(&line);
	if (!write_report(source, "planned", now_seconds() - began))
		return STATUS_USAGE;
	return rejected > 0 ? STATUS_REJECTS : STATUS_DONE;
}
