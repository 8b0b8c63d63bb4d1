/*-------------------------------------------------------------------------
 *
 * delta.c
 *	  What differs between a table of the source and its ledger: rows that
 *	  are new, rows whose hash is another, and rows that are gone.
 *
 * Keys and hashes of all rows go to the server, which joins them with the
 * ledger. No column with a time is needed, and nothing that happened is missed.
 * Each row is read and hashed this once: who loads passes over all others, and
 * what the rows of the source add up to is known already.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "import/import.h"

#define PIECE_BYTES ((size_t) 64 * 1024)

/* Mark a row as one to be read again. */
static void
set_fresh(Differences *differences, uint64_t number)
{
	if (number / 8 >= differences->nbytes)
	{
		size_t		nbytes = (size_t) (number / 8 + 1) * 2;

		differences->bits = reallocate(differences->bits, nbytes);
		memset(differences->bits + differences->nbytes, 0, nbytes - differences->nbytes);
		differences->nbytes = nbytes;
	}
	differences->bits[number / 8] |= (unsigned char) (1 << number % 8);
}

static void
add_changed(Differences *differences, int64_t number, int64_t entry)
{
	if (differences->nchanged == differences->capacity)
	{
		differences->capacity = differences->capacity == 0 ? 64 : differences->capacity * 2;
		differences->changed = reallocate(differences->changed, differences->capacity * sizeof(*differences->changed));
	}
	differences->changed[differences->nchanged].number = number;
	differences->changed[differences->nchanged++].entry = entry;
}

bool
differences_fresh(const Differences *differences, int64_t number)
{
	return (uint64_t) number / 8 < differences->nbytes &&
		(differences->bits[number / 8] & 1 << number % 8) != 0;
}

/* The ledger's entry of a row that changed, 0 for others; asked in the order of the rows. */
int64_t
differences_changed(Differences *differences, int64_t number)
{
	while (differences->next < differences->nchanged && differences->changed[differences->next].number < number)
		differences->next++;
	if (differences->next < differences->nchanged && differences->changed[differences->next].number == number)
		return differences->changed[differences->next].entry;
	return 0;
}

void
differences_free(Differences *differences)
{
	free(differences->bits);
	free(differences->changed);
}

/* A key that goes into a line of COPY. */
void
add_copy_text(Buffer *line, const Buffer *text)
{
	for (size_t i = 0; i < text->len; i++)
	{
		char		c = text->data[i];

		if (c == '\\' || c == '\t' || c == '\n' || c == '\r')
		{
			buffer_add(line, "\\", 1);
			c = c == '\t' ? 't' : c == '\n' ? 'n' : c == '\r' ? 'r' : c;
		}
		buffer_add(line, &c, 1);
	}
}

/* Send what was collected, when it is enough or all. */
bool
send_piece(PGconn *conn, Buffer *piece, bool all)
{
	if (piece->len < PIECE_BYTES && !all)
		return true;
	if (piece->len > 0 && PQputCopyData(conn, piece->data, (int) piece->len) != 1)
		return false;
	buffer_reset(piece);
	return true;
}

/* End a COPY; whether the server took it all. An error is said unless `quietly`. */
bool
end_copy(PGconn *conn, bool quietly)
{
	PGresult   *result;
	bool		done = PQputCopyEnd(conn, NULL) == 1;

	while ((result = PQgetResult(conn)) != NULL)
	{
		if (PQresultStatus(result) != PGRES_COMMAND_OK)
		{
			if (!quietly)
				sql_failed(conn, result);
			done = false;
		}
		PQclear(result);
		if (PQstatus(conn) == CONNECTION_BAD)
			break;
	}
	return done;
}

bool
begin_copy(PGconn *conn, const char *sql)
{
	PGresult   *result = PQexec(conn, sql);
	bool		begun = PQresultStatus(result) == PGRES_COPY_IN;

	if (!begun)
		sql_failed(conn, result);
	PQclear(result);
	return begun;
}

/*
 * Number, key and hash of all rows, and what they add up to; of refused ones
 * the key alone, so that they do not count as gone. They are rejected when they
 * are read again, for this connection is in the middle of a COPY.
 */
static bool
send_keys(Source *source, Table *table, Differences *differences)
{
	Reader		reader;
	Buffer		piece = {0};
	int			got;
	bool		sent = true;

	if (!sql_do(db, "DROP TABLE IF EXISTS pg_temp.import_seen;"
				" CREATE TEMP TABLE import_seen (number bigint, source_key text, hash uuid)") ||
		!reader_open(&reader, source, table, true))
		return false;
	memset(&table->source_sums, 0, sizeof(table->source_sums));
	show_table(table, "compare", table->rows);
	sent = begin_copy(db, "COPY pg_temp.import_seen FROM STDIN");
	if (!sent)
	{
		reader_close(&reader);
		return false;
	}
	while (sent && (got = reader_next(&reader)) >= 0 && !db_interrupted)
	{
		char		hash[HASH_TEXT_SIZE];

		show_rows(1);
		if (got == 0)
		{
			set_fresh(differences, (uint64_t) reader.row.number);
			if (reader.row.column != NULL && reader.row.column->is_key)
				continue;
			buffer_puts(&piece, "\\N\t");
		}
		else
		{
			sums_add(&table->source_sums, &reader.row.hash);
			table->money += money_of(table, &reader.row);
			buffer_printf(&piece, "%lld\t", (long long) reader.row.number);
		}
		add_copy_text(&piece, &reader.row.source_key);
		hash_format(&reader.row.hash, hash);
		buffer_printf(&piece, "\t%s\n", got == 1 ? hash : "\\N");
		sent = send_piece(db, &piece, false);
	}
	sent = send_piece(db, &piece, true) && sent;
	buffer_free(&piece);
	reader_close(&reader);
	stop_if_needed();
	return end_copy(db, false) && sent && stopped == STOP_NOT && sql_do(db, "ANALYZE pg_temp.import_seen");
}

/* The rows of a query of number and entry, one by one. */
static bool
take_differences(Differences *differences)
{
	PGresult   *result;
	bool		taken = true;

	PQsetSingleRowMode(db);
	while ((result = PQgetResult(db)) != NULL)
	{
		if (PQresultStatus(result) == PGRES_SINGLE_TUPLE)
		{
			int64_t		number = strtoll(PQgetvalue(result, 0, 0), NULL, 10);

			if (PQgetisnull(result, 0, 1))
				set_fresh(differences, (uint64_t) number);
			else
				add_changed(differences, number, strtoll(PQgetvalue(result, 0, 1), NULL, 10));
		}
		else if (PQresultStatus(result) != PGRES_TUPLES_OK)
		{
			sql_failed(db, result);
			taken = false;
		}
		PQclear(result);
	}
	return taken;
}

/*
 * What differs between a table's rows and the ledger. What was there before
 * and was not brought by us is never updated.
 */
bool
compare(Source *source, Table *table, Differences *differences)
{
	Buffer		sql = {0};
	bool		done;

	if (!send_keys(source, table, differences))
		return false;
	buffer_printf(&sql, "SELECT s.number, l.entry FROM pg_temp.import_seen AS s"
				  " LEFT JOIN amelia_import.ledger AS l ON l.table_id = %d AND l.is_current AND l.action <> 'd'"
				  " AND l.source_key = s.source_key WHERE s.number IS NOT NULL"
				  " AND (l.entry IS NULL OR (l.hash <> s.hash AND l.action <> 'p')) ORDER BY s.number", table->id);
	done = PQsendQuery(db, sql.data) == 1 && take_differences(differences);
	buffer_reset(&sql);
	if (done && import.delta)
	{
		char	   *gone;

		buffer_printf(&sql, "DROP TABLE IF EXISTS pg_temp.import_gone_%d; CREATE TEMP TABLE import_gone_%d AS"
					  " SELECT l.entry, l.source_key, l.target_key, COALESCE(l.target_key, l.source_key) AS key, l.hash"
					  " FROM amelia_import.ledger AS l WHERE l.table_id = %d AND l.is_current AND l.action IN ('i', 'u')"
					  " AND NOT EXISTS (SELECT FROM pg_temp.import_seen AS s WHERE s.source_key = l.source_key)",
					  table->id, table->id, table->id);
		done = sql_do(db, sql.data);
		buffer_reset(&sql);
		buffer_printf(&sql, "SELECT pg_catalog.count(*) FROM pg_temp.import_gone_%d", table->id);
		gone = done ? sql_value(db, sql.data, 0, NULL) : NULL;
		if (gone != NULL)
			table->gone = strtoull(gone, NULL, 10);
		free(gone);
	}
	buffer_free(&sql);
	return done;
}

/* Delete the rows that are gone from the source, where that was asked for. */
bool
delete_gone(Table *table)
{
	Buffer		sql = {0};
	char	   *deleted;

	if (table->gone == 0 || !import.delete_gone)
		return true;
	buffer_printf(&sql, "WITH old AS (SELECT k.entry, pg_catalog.to_jsonb(r) AS before FROM pg_temp.import_gone_%d AS k"
				  " JOIN %s AS r ON %s), moved AS (DELETE FROM %s AS r USING pg_temp.import_gone_%d AS k WHERE %s RETURNING k.entry),"
				  " superseded AS (UPDATE amelia_import.ledger AS l SET is_current = false FROM pg_temp.import_gone_%d AS k"
				  " WHERE l.entry = k.entry),"
				  " written AS (INSERT INTO amelia_import.ledger (table_id, run_id, action, hash, source_key, target_key, replaces, before)"
				  " SELECT %d, %d, 'd', k.hash, k.source_key, k.target_key, k.entry, o.before"
				  " FROM pg_temp.import_gone_%d AS k JOIN old AS o ON o.entry = k.entry)"
				  " SELECT pg_catalog.count(*) FROM moved", table->id, table->target, table->key_match, table->target, table->id,
				  table->key_match, table->id, table->id, run_id, table->id);
	deleted = sql_value(db, sql.data, 0, NULL);
	buffer_free(&sql);
	if (deleted == NULL)
	{
		stopped = STOP_ERROR;
		return false;
	}
	table->deleted = strtoull(deleted, NULL, 10);
	free(deleted);
	return true;
}
