/*-------------------------------------------------------------------------
 *
 * batch.c
 *	  Rows on their way: a COPY into a temporary table, then one statement
 *	  that moves them, with their ledger and progress, in one transaction.
 *
 * The statement is sent and not waited for: meanwhile the next rows are read.
 * Each connection carries one batch. A batch that fails is tried again in
 * halves until the row is found, which is rejected; an error that is not a
 * row's own (a full disk, a lost connection) ends the run instead.
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "import/import.h"

#define MAX_ATTEMPTS 5
#define MAX_BATCH_BYTES ((size_t) 8 * 1024 * 1024)

/* The fields of a line before those of the columns. */
enum
{
	LINE_NUMBER, LINE_ENTRY, LINE_SOURCE, LINE_TARGET, LINE_HASH, LINE_COLUMNS
};

Stop		stopped = STOP_NOT;

static long batches_sent = 0;

void
stop_if_needed(void)
{
	if (stopped != STOP_NOT)
		return;
	if (import.max_rejects >= 0 && rejects_of_run > (uint64_t) import.max_rejects)
		stopped = STOP_REJECTS;
	else if (db_interrupted || (import.stop_after > 0 && batches_sent >= import.stop_after))
		stopped = STOP_SIGNAL;
}

/* ---- lines ---- */

static void
add_field(Buffer *out, const char *text, size_t len)
{
	size_t		from = 0;

	for (size_t i = 0; i < len; i++)
	{
		const char *escape;

		switch (text[i])
		{
			case '\\':
				escape = "\\\\";
				break;
			case '\t':
				escape = "\\t";
				break;
			case '\n':
				escape = "\\n";
				break;
			case '\r':
				escape = "\\r";
				break;
			default:
				continue;
		}
		buffer_add(out, text +from, i - from);
		buffer_add(out, escape, 2);
		from = i + 1;
	}
	buffer_add(out, text +from, len - from);
}

/* entry: that of the ledger which the row replaces; 0: none. */
void
batch_add(Batch *batch, const Table *table, const Row *row, int64_t entry)
{
	char		hash[HASH_TEXT_SIZE];

	if (batch->nrows + 1 >= batch->capacity)
	{
		batch->capacity = batch->capacity == 0 ? 1024 : batch->capacity * 2;
		batch->offsets = reallocate(batch->offsets, (size_t) (batch->capacity + 1) * sizeof(size_t));
		batch->rowids = reallocate(batch->rowids, (size_t) batch->capacity * sizeof(int64_t));
	}
	batch->offsets[batch->nrows] = batch->lines.len;
	batch->rowids[batch->nrows] = row->rowid;
	buffer_printf(&batch->lines, "%d\t", batch->nrows);
	if (entry != 0)
		buffer_printf(&batch->lines, "%lld\t", (long long) entry);
	else
		buffer_puts(&batch->lines, "\\N\t");
	add_field(&batch->lines, row->source_key.data, row->source_key.len);
	if (row->target_key.len == row->source_key.len &&
		memcmp(row->target_key.data, row->source_key.data, row->source_key.len) == 0)
		buffer_puts(&batch->lines, "\t\\N\t");
	else
	{
		buffer_puts(&batch->lines, "\t");
		add_field(&batch->lines, row->target_key.data, row->target_key.len);
		buffer_puts(&batch->lines, "\t");
	}
	hash_format(&row->hash, hash);
	buffer_puts(&batch->lines, hash);
	for (int i = 0; i < table->ncolumns; i++)
	{
		const Field *field = &row->fields[i];

		buffer_puts(&batch->lines, "\t");
		if (field->is_null)
			buffer_puts(&batch->lines, "\\N");
		else
			add_field(&batch->lines, row->text.data + field->start, field->len);
	}
	buffer_puts(&batch->lines, "\n");
	batch->offsets[++batch->nrows] = batch->lines.len;
}

bool
batch_is_full(const Batch *batch)
{
	return batch->nrows >= import.batch || batch->lines.len >= MAX_BATCH_BYTES;
}

/* Free what a batch holds. */
void
batch_release(Batch *batch)
{
	buffer_free(&batch->lines);
	free(batch->offsets);
	free(batch->rowids);
}

/* One field of a row's line without escapes; false for NULL. */
static bool
line_field(const Batch *batch, int row, int field, Buffer *out)
{
	const char *p = batch->lines.data + batch->offsets[row];
	const char *end = batch->lines.data + batch->offsets[row + 1] - 1;

	for (; field > 0; p++)
		field -= *p == '\t';
	buffer_reset(out);
	if (p + 1 < end && p[0] == '\\' && p[1] == 'N')
		return false;
	for (; p < end && *p != '\t'; p++)
	{
		char		c = *p;

		if (c == '\\')
		{
			c = *++p;
			c = c == 't' ? '\t' : c == 'n' ? '\n' : c == 'r' ? '\r' : c;
		}
		buffer_add(out, &c, 1);
	}
	return true;
}

/* ---- sending ---- */

/* The temporary table and the statement for a kind of batch, made when the kind changes. */
static bool
stage(Loader *connection, const Batch *batch)
{
	const Table *table = batch->table;
	Buffer		sql = {0};
	bool		done;

	if (connection->staged == table && connection->staged_kind == (int) batch->kind)
		return true;
	add_stage(&sql, table);
	done = sql_do(connection->conn, sql.data);
	buffer_free(&sql);
	buffer_reset(&connection->sql);
	add_move(&connection->sql, table, batch->kind, (int) (connection - connections));
	connection->staged = done ? table : NULL;
	connection->staged_kind = (int) batch->kind;
	return done;
}

/* The last result that is an error, or NULL; all others are taken and cleared. */
static PGresult *
take_results(PGconn *conn, uint64_t * moved)
{
	PGresult   *result;
	PGresult   *error = NULL;

	while ((result = PQgetResult(conn)) != NULL)
	{
		ExecStatusType status = PQresultStatus(result);

		if (status == PGRES_TUPLES_OK && moved != NULL)
			*moved = strtoull(PQgetvalue(result, 0, 0), NULL, 10);
		if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK && error == NULL)
			error = result;
		else
			PQclear(result);
		if (PQstatus(conn) == CONNECTION_BAD)
			break;
	}
	return error;
}

/* Send some of a batch's rows; NULL when the statement that moves them is on its way. */
static PGresult *
start(Loader *connection, const Batch *batch, int from, int to)
{
	PGconn	   *conn = connection->conn;
	PGresult   *result = PQexec(conn, "BEGIN; COPY pg_temp.import_rows FROM STDIN");
	PGresult   *error;

	if (PQresultStatus(result) != PGRES_COPY_IN)
		return result;
	PQclear(result);
	for (size_t at = batch->offsets[from]; at < batch->offsets[to];)
	{
		size_t		piece = batch->offsets[to] - at;

		if (piece > 1 << 20)
			piece = 1 << 20;
		PQputCopyData(conn, batch->lines.data + at, (int) piece);
		at += piece;
	}
	PQputCopyEnd(conn, NULL);
	error = take_results(conn, NULL);
	if (error == NULL && PQsendQuery(conn, connection->sql.data) != 1)
		error = PQmakeEmptyPGresult(conn, PGRES_FATAL_ERROR);
	return error;
}

/* Is it an error of the row, so that others may pass? */
static bool
is_of_a_row(const PGresult *error)
{
	const char *state = PQresultErrorField(error, PG_DIAG_SQLSTATE);

	return state != NULL &&
		(strncmp(state, "22", 2) == 0 || strncmp(state, "23", 2) == 0 || strncmp(state, "54", 2) == 0 ||
		 strncmp(state, "P0", 2) == 0 || strcmp(state, "55000") == 0 || strcmp(state, "44000") == 0);
}

static bool
is_transient(const PGresult *error)
{
	const char *state = PQresultErrorField(error, PG_DIAG_SQLSTATE);

	return state != NULL && (strcmp(state, "40001") == 0 || strcmp(state, "40P01") == 0 || strcmp(state, "55P03") == 0);
}

/* The target's column that an error is about: said by it, by its constraint or by COPY's context; -1: unknown. */
static int
column_of(const Table *table, const PGresult *error)
{
	const char *name = PQresultErrorField(error, PG_DIAG_COLUMN_NAME);
	const char *constraint = PQresultErrorField(error, PG_DIAG_CONSTRAINT_NAME);
	const char *context = PQresultErrorField(error, PG_DIAG_CONTEXT);
	char	   *found = NULL;
	int			column = -1;

	if (name != NULL)
		found = copy_string(name);
	else if (constraint != NULL)
	{
		const char *params[] = {table->target, constraint};

		found = sql_value(db, "SELECT a.attname FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = $1::regclass"
						  " AND a.attnum = COALESCE((SELECT c.conkey[pg_catalog.cardinality(c.conkey)]"
						  " FROM pg_catalog.pg_constraint AS c WHERE c.conrelid = a.attrelid AND c.conname = $2),"
						  " (SELECT i.indkey[i.indnkeyatts - 1] FROM pg_catalog.pg_index AS i"
						  " JOIN pg_catalog.pg_class AS n ON n.oid = i.indexrelid"
						  " WHERE i.indrelid = a.attrelid AND n.relname = $2))", 2, params);
	}
	else if (context != NULL && strstr(context, ", column ") != NULL)
	{
		found = copy_string(strstr(context, ", column ") + strlen(", column "));
		found[strcspn(found, ":\n")] = '\0';
	}
	for (int i = 0; found != NULL && i < table->ncolumns; i++)
	{
		if (strcmp(table->columns[i].name, found) == 0)
			column = i;
	}
	free(found);
	return column;
}

static void
reject_line(const Batch *batch, int row, const PGresult *error)
{
	Table	   *table = batch->table;
	const char *detail = PQresultErrorField(error, PG_DIAG_MESSAGE_DETAIL);
	int			column = column_of(table, error);
	const ColumnMap *map = column >= 0 ? table->columns[column].map : NULL;
	Buffer		reason = {0};
	Buffer		key = {0};
	Buffer		value = {0};
	Buffer text = {0};
	Uuid		hash;
	bool		has_value = column >= 0 && line_field(batch, row, LINE_COLUMNS + column, &value);
	RejectText	reject = {table, batch->rowids[row], NULL, NULL, NULL, NULL, PQresultErrorField(error, PG_DIAG_SQLSTATE)};

	buffer_puts(&reason, PQresultErrorField(error, PG_DIAG_MESSAGE_PRIMARY));
	if (detail != NULL && strlen(detail) < 1000)
		buffer_printf(&reason, ": %s", detail);
	line_field(batch, row, LINE_SOURCE, &key);
	reject.key = key.data;
	reject.reason = reason.data;
	reject.column = map == NULL ? NULL : map->source != NULL ? map->source : map->target;
	if (has_value && value.len <= 1000)
		reject.value = value.data;
	reject_store(db, &reject);
	table->rejected++;
	if (batch->kind == BATCH_INSERT && line_field(batch, row, LINE_HASH, &text) && uuid_parse(text.data, &hash))
		sums_remove(&table->source_sums, (const Hash *) &hash);
	for (int i = 0; i < table->ncolumns && batch->kind == BATCH_INSERT; i++)
	{
		if (table->columns[i].map != NULL && table->columns[i].map->conversion == AS_MONEY &&
			line_field(batch, row, LINE_COLUMNS + i, &text))
			table->money -= money_value(text.data, text.len);
	}
	buffer_free(&reason);
	buffer_free(&key);
	buffer_free(&value);
	buffer_free(&text);
}

static void
count_moved(Batch *batch, int nrows, uint64_t moved)
{
	if (batch->kind == BATCH_INSERT)
	{
		batch->table->loaded += moved;
		batch->table->present += (uint64_t) nrows - moved;
	}
	else if (batch->kind == BATCH_UPDATE)
		batch->table->updated += moved;
	batches_sent++;
	show_rows((uint64_t) nrows);
}

/* Rows from one number to another, waited for; called for what failed once. */
static void
send_again(Loader *connection, Batch *batch, int from, int to)
{
	PGresult   *error = NULL;
	uint64_t	moved = 0;

	if (stopped != STOP_NOT)
		return;
	for (int attempt = 0; attempt < MAX_ATTEMPTS; attempt++)
	{
		PQclear(error);
		error = start(connection, batch, from, to);
		if (error == NULL)
			error = take_results(connection->conn, &moved);
		if (error == NULL)
		{
			count_moved(batch, to - from, moved);
			return;
		}
		PQclear(PQexec(connection->conn, "ROLLBACK"));
		if (!is_transient(error))
			break;
	}
	if (PQstatus(connection->conn) == CONNECTION_BAD || !is_of_a_row(error))
	{
		sql_failed(connection->conn, error);
		stopped = STOP_ERROR;
	}
	else if (to - from == 1)
	{
		reject_line(batch, from, error);
		stop_if_needed();
	}
	else
	{
		int			middle = from + (to - from) / 2;

		send_again(connection, batch, from, middle);
		send_again(connection, batch, middle, to);
	}
	PQclear(error);
}

/* Take a connection's answer, which is there or is waited for. */
static void
finish(Loader *connection)
{
	Batch	   *batch = connection->batch;
	uint64_t	moved = 0;
	PGresult   *error = take_results(connection->conn, &moved);

	connection->batch = NULL;
	if (error == NULL)
		count_moved(batch, batch->nrows, moved);
	else
	{
		bool		is_lost = PQstatus(connection->conn) == CONNECTION_BAD;

		if (is_lost)
		{
			sql_failed(connection->conn, error);
			stopped = STOP_ERROR;
		}
		PQclear(error);
		if (!is_lost)
		{
			PQclear(PQexec(connection->conn, "ROLLBACK"));
			send_again(connection, batch, 0, batch->nrows);
		}
	}
	batch_release(batch);
	free(batch);
}

/* A connection that carries nothing: waits until there is one. */
static Loader *
free_connection(void)
{
	for (;;)
	{
		struct pollfd fds[64];

		for (int i = 0; i < nconnections; i++)
		{
			if (connections[i].batch == NULL)
				return &connections[i];
			fds[i].fd = PQsocket(connections[i].conn);
			fds[i].events = POLLIN;
			fds[i].revents = 0;
		}
		if (poll(fds, (nfds_t) nconnections, -1) < 0 && errno != EINTR)
		{
			finish(&connections[0]);
			return &connections[0];
		}
		for (int i = 0; i < nconnections; i++)
		{
			if (fds[i].revents == 0)
				continue;
			if (PQconsumeInput(connections[i].conn) != 1 || !PQisBusy(connections[i].conn))
				finish(&connections[i]);
		}
	}
}

/* Take the rows of a batch, and leave it empty for the next ones. */
bool
batch_send(Batch *batch)
{
	Loader	   *connection;
	Batch	   *sent;
	PGresult   *error;

	if (batch->nrows == 0)
		return stopped == STOP_NOT;
	connection = free_connection();
	stop_if_needed();
	if (stopped != STOP_NOT)
		return false;
	if (!stage(connection, batch))
	{
		stopped = STOP_ERROR;
		return false;
	}
	sent = allocate(sizeof(*sent));
	*sent = *batch;
	memset(batch, 0, sizeof(*batch));
	batch->table = sent->table;
	batch->kind = sent->kind;
	error = start(connection, sent, 0, sent->nrows);
	if (error == NULL)
		connection->batch = sent;
	else
	{
		PQclear(error);
		PQclear(PQexec(connection->conn, "ROLLBACK"));
		send_again(connection, sent, 0, sent->nrows);
		batch_release(sent);
		free(sent);
	}
	return stopped == STOP_NOT;
}

/* Wait for the batches of tables that a table refers to; NULL: for all. */
bool
batches_wait(const Table *table)
{
	for (int i = 0; i < nconnections; i++)
	{
		if (connections[i].batch != NULL && (table == NULL || tables_refer(table, connections[i].batch->table)))
			finish(&connections[i]);
	}
	return stopped == STOP_NOT;
}
