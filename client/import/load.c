/*-------------------------------------------------------------------------
 *
 * load.c
 *	  Loading: each table from its first row to its last, parents first.
 *
 * Where the ledger knows rows of a table already, whoever brought them, the
 * source is compared with it first (delta.c), and only what is new is sent:
 * that is how a load that was killed goes on, and how a later one adds.
 * References to rows that may come later are set when all rows are there.
 *
 *-------------------------------------------------------------------------
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "import/import.h"

#define MANY_LATE 10000

static double began;

/*
 * The next row that is to be sent or rejected, as reader_next() has it, with
 * the ledger's entry that it replaces, or 0: of a table that was compared, what
 * differs, and all rows of any other.
 */
static int
next_row(Reader *reader, Differences *differences, int64_t * entry)
{
	Table	   *table = reader->table;
	int			found;

	*entry = 0;
	if (differences == NULL)
	{
		found = reader_next(reader);
		if (found == 1)
		{
			sums_add(&table->source_sums, &reader->row.hash);
			table->money += money_of(table, &reader->row);
		}
		return found;
	}
	while ((found = reader_step(reader)) == 1)
	{
		if (differences_fresh(differences, reader->row.number))
			return reader_read(reader);
		*entry = differences_changed(differences, reader->row.number);
		if (*entry != 0 && import.delta)
			return reader_read(reader);
		if (*entry != 0)
			table->changed++;
		else
			table->unchanged++;
		show_rows(1);
		stop_if_needed();
		if (stopped != STOP_NOT)
			break;
	}
	return found;
}

/* Which rows of a table are to be sent: all, or what a comparison found. */
static bool
load_table(Source *source, Table *table)
{
	Differences differences = {0};
	bool		compares = table->in_ledger > 0;
	Reader		reader;
	Batch		inserts = {.table = table,.kind = BATCH_INSERT};
	Batch		updates = {.table = table,.kind = BATCH_UPDATE};
	int64_t		entry;
	int			got = 0;
	bool		sent = true;

	if (compares && !compare(source, table, &differences))
		return false;
	if (!batches_wait(table) || !reader_open(&reader, source, table, !compares))
		return false;
	if (!compares)
		memset(&table->source_sums, 0, sizeof(table->source_sums));
	show_table(table, "load", table->rows);
	while (sent && (got = next_row(&reader, compares ? &differences : NULL, &entry)) >= 0)
	{
		stop_if_needed();
		if (stopped != STOP_NOT)
			break;
		if (got == 0)
			reject_row(&reader);
		else
			batch_add(entry != 0 ? &updates : &inserts, table, &reader.row, entry);
		if (batch_is_full(&inserts))
			sent = batch_send(&inserts);
		if (batch_is_full(&updates))
			sent = batch_send(&updates) && sent;
	}
	sent = sent && stopped == STOP_NOT && got != -2 && batch_send(&inserts) && batch_send(&updates);
	if (got == -2)
		stopped = STOP_ERROR;
	reader_close(&reader);
	differences_free(&differences);
	batch_release(&inserts);
	batch_release(&updates);
	return sent;
}

/* In how many rows something refers to rows that may come later. */
static int64_t
count_late(Source *source, const Table *table)
{
	int64_t		rows = 0;

	for (int i = 0; i < table->ncolumns; i++)
	{
		const Column *column = &table->columns[i];

		if (column->is_late)
			rows += source_number(source, "SELECT count(\"%w\") FROM \"%w\"", column->map->source, table->map->source);
	}
	return rows;
}

/* Set what refers to rows that came later, where it is not set yet. */
static bool
load_late(Source *source, Table *table)
{
	Reader		reader;
	Batch		batch = {.table = table,.kind = BATCH_LATE};
	int64_t		late = count_late(source, table);
	int			got;
	bool		sent = true;

	if (late == 0)
		return true;
	/* the ledger is asked for each batch */
	if (late > MANY_LATE && !sql_do(db, "CREATE INDEX IF NOT EXISTS ledger_key ON amelia_import.ledger (source_key, table_id)"))
		return false;
	if (!reader_open(&reader, source, table, false))
		return false;
	show_table(table, "references", table->rows);
	while (sent && (got = reader_next(&reader)) >= 0)
	{
		bool		has_value = false;

		for (int i = 0; got == 1 && i < table->ncolumns; i++)
			has_value = has_value || (table->columns[i].is_late && !reader.row.fields[i].is_null);
		if (has_value)
			batch_add(&batch, table, &reader.row, 0);
		else
			show_rows(1);
		if (batch_is_full(&batch))
			sent = batch_send(&batch);
	}
	sent = sent && batch_send(&batch);
	reader_close(&reader);
	batch_release(&batch);
	return sent;
}

/*
 * Two rows of the source may have become one id, such as a UUID in upper and
 * in lower case: then the first is there, and the others are rejected.
 */
static bool
settle_duplicates(Table *table)
{
	static const char query[] =
	"WITH l AS (SELECT e.entry, e.source_key, e.hash, COALESCE(e.target_key, e.source_key) AS key,"
	" pg_catalog.row_number() OVER (PARTITION BY COALESCE(e.target_key, e.source_key) ORDER BY e.entry) AS nth"
	" FROM amelia_import.ledger AS e WHERE e.table_id = $1 AND e.is_current AND e.action <> 'd')"
	" DELETE FROM amelia_import.ledger AS d USING l WHERE l.nth > 1 AND d.entry = l.entry"
	" RETURNING d.source_key, l.key";
	char		number[16];
	const char *params[] = {number};
	PGresult   *result;

	if (table->present == 0)
		return true;
	snprintf(number, sizeof(number), "%d", table->id);
	result = sql_ask(db, query, 1, params);
	for (int i = 0; result != NULL && i < PQntuples(result); i++)
	{
		RejectText	reject = {
			table, 0, PQgetvalue(result, i, 0), NULL, PQgetvalue(result, i, 1),
			"another row of the source has this id already", "23505"
		};

		reject_store(db, &reject);
		table->rejected++;
		table->present -= table->present > 0;
		table->is_stale = true;
	}
	stop_if_needed();
	PQclear(result);
	return result != NULL && stopped == STOP_NOT;
}

static bool
analyze(void)
{
	for (int i = 0; i < ntables; i++)
	{
		Buffer		sql = {0};
		bool		done;

		if (tables[i].loaded + tables[i].updated < 1000)
			continue;
		buffer_printf(&sql, "ANALYZE %s", tables[i].target);
		done = sql_do(db, sql.data);
		buffer_free(&sql);
		if (!done)
			return false;
	}
	return sql_do(db, "ANALYZE amelia_import.ledger");
}

/* All rows of all tables; false when it was stopped. */
static bool
load_all(Source *source)
{
	bool		done = true;

	for (int i = 0; i < ntables && done; i++)
		done = load_table(source, &tables[i]);
	done = batches_wait(NULL) && done;
	for (int i = 0; i < ntables && done; i++)
	{
		if (tables[i].has_late)
			done = load_late(source, &tables[i]);
	}
	done = batches_wait(NULL) && done;
	for (int i = 0; i < ntables && done; i++)
		done = settle_duplicates(&tables[i]);
	for (int i = ntables - 1; i >= 0 && done && import.delta; i--)
		done = delete_gone(&tables[i]);
	stop_if_needed();
	return done && stopped == STOP_NOT;
}

static void
say_table(const Table *table)
{
	Buffer		line = {0};

	buffer_printf(&line, "  %s -> %s: ", table->map->source, table->map->target);
	add_count(&line, table->loaded);
	buffer_puts(&line, " loaded");
	if (table->unchanged > 0)
		buffer_printf(&line, ", %llu from earlier runs", (unsigned long long) table->unchanged);
	if (table->present > 0)
		buffer_printf(&line, ", %llu there before", (unsigned long long) table->present);
	if (table->updated > 0)
		buffer_printf(&line, ", %llu updated", (unsigned long long) table->updated);
	if (table->changed > 0)
		buffer_printf(&line, ", %llu changed in the source since (--delta brings them)", (unsigned long long) table->changed);
	if (table->gone > 0)
		buffer_printf(&line, ", %llu gone from the source%s", (unsigned long long) table->gone,
					  import.delete_gone ? ", deleted" : " (--delete-gone deletes them)");
	if (table->rejected > 0)
		buffer_printf(&line, ", %llu rejected", (unsigned long long) table->rejected);
	tell("%s", line.data);
	buffer_free(&line);
}

/* What is said when the run ends early; nothing is lost, and how it goes on. */
static int
say_stopped(Source *source, bool is_fresh)
{
	bool		refused = false;

	rejects_write(source_id);
	if (stopped == STOP_REJECTS && is_fresh && !target_lost())
	{
		complain("more than %ld row%s rejected; what this run loaded is taken back", import.max_rejects,
				 import.max_rejects == 1 ? " is" : "s are");
		if (rollback_run(run_id, true, &refused))
			tell("Mend the rows and give them back with --retry-rejects, or allow some with --max-rejects.");
		return STATUS_STOPPED;
	}
	if (!target_lost())
		ledger_end_run("stopped");
	if (stopped == STOP_REJECTS)
		complain("more than %ld row%s rejected; the run is stopped", import.max_rejects,
				 import.max_rejects == 1 ? " is" : "s are");
	tell("Stopped. What is loaded stays; the same command goes on, --rollback takes it back.");
	write_report(source, "stopped", now_seconds() - began);
	return STATUS_STOPPED;
}

static bool
open_books(Source *source, bool *is_fresh)
{
	char	   *default_time;

	if (import.retry_path != NULL && !rejects_read())
		return false;
	if (!ledger_create() || !ledger_find_source(source, true) || !ledger_default_time(&default_time))
		return false;
	if (!mended_load(source_id) || !mended_store(source_id) || !tables_open(source, default_time))
		return false;
	free(default_time);
	if (!ledger_tables(source, true) || !ledger_begin_run(source, import.delta ? "delta" : "load"))
		return false;
	*is_fresh = true;
	for (int i = 0; i < ntables; i++)
		*is_fresh = *is_fresh && tables[i].in_ledger == 0;
	return true;
}

int
do_load(Source *source)
{
	bool		is_fresh;
	bool		different = false;
	double		loaded;

	began = now_seconds();
	if (source_unmapped(source, false) > 0 && !import.accept_unmapped)
	{
		complain("%s: holds what is not mapped; --accept-unmapped goes on without it:", import.path);
		source_unmapped(source, true);
		return STATUS_USAGE;
	}
	if (!target_open(source->system, true) || !open_books(source, &is_fresh))
		return STATUS_USAGE;
	db_catch_signals();
	show_begin();
	if (!load_all(source))
	{
		show_end();
		return say_stopped(source, is_fresh);
	}
	show_end();
	for (int i = 0; i < ntables; i++)
		say_table(&tables[i]);
	say_changes("Changed on the way:");
	analyze();
	loaded = now_seconds() - began;
	if (!verify_tables(source, true, &different) || !verify_database(source, &different))
	{
		show_end();
		return say_stopped(source, false);
	}
	show_end();
	if (!ledger_end_run("done") || !rejects_write(source_id))
		return STATUS_STOPPED;
	say_notices(source);
	tell("run %d: loaded in %.1f s, verified in %.1f s: %s", run_id, loaded, now_seconds() - began - loaded,
		 different ? "there are differences" : "every row is there as the source has it");
	if (!write_report(source, different ? "different" : "done", now_seconds() - began))
		return STATUS_USAGE;
	if (different)
		return STATUS_DIFFERENT;
	return rejects_of_run > 0 ? STATUS_REJECTS : STATUS_DONE;
}
