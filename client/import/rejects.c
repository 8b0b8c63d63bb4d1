/*-------------------------------------------------------------------------
 *
 * rejects.c
 *	  Rows that are refused: kept in amelia_import.rejects, written to a file
 *	  of one JSON object a line, and read back from it when they are mended.
 *
 * To mend a row, change the value of its line (it is that of the column), or
 * add an object "values" of column and value for several. The source stays
 * as it is; the given values take its place in every later run.
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/output.h"
#include "import/import.h"

uint64_t	rejects_of_run = 0;

/* Store one, with the connection that is free. */
bool
reject_store(PGconn *conn, const RejectText *reject)
{
	char		source[16];
	char		run[16];
	char		rowid[24];
	const char *params[] = {source, run, reject->table->map->source, reject->table->map->target,
	reject->rowid != 0 ? rowid : NULL, reject->key, reject->column, reject->value, reject->reason, reject->sqlstate};
	PGresult   *result;

	rejects_of_run++;
	if (import.action != DO_LOAD)
		return true;
	snprintf(source, sizeof(source), "%d", source_id);
	snprintf(run, sizeof(run), "%d", run_id);
	snprintf(rowid, sizeof(rowid), "%lld", (long long) reject->rowid);
	result = sql_ask(conn, "INSERT INTO amelia_import.rejects (source_id, run_id, source_table, target_table, rowid, source_key,"
					 " column_name, value, reason, sqlstate) VALUES ($1, $2, $3, $4, $5::bigint, $6, $7, $8, $9, $10)", 10, params);
	if (result == NULL)
		return false;
	PQclear(result);
	return true;
}

/* The row that a reader has just refused. */
void
reject_row(Reader *reader)
{
	Row		   *row = &reader->row;
	const char *column = row->column == NULL ? NULL :
	row->column->map->source != NULL ? row->column->map->source : row->column->name;
	RejectText	reject = {
		reader->table, row->rowid, row->source_key.data, column, row->value.data,
		row->refusal.reason, row->refusal.sqlstate
	};

	reader->table->rejected++;
	reject_store(db, &reject);
}

static const char *
rejects_path(void)
{
	static Buffer path = {0};

	if (import.rejects_path != NULL)
		return import.rejects_path;
	buffer_reset(&path);
	buffer_printf(&path, "%s.rejects.ndjson", import.path);
	return path.data;
}

/* Write the file anew from the server's table; none where there are no rejects. */
bool
rejects_write(int source)
{
	char		number[16];
	const char *params[] = {number};
	PGresult   *result;
	Output		output;
	bool		written;

	snprintf(number, sizeof(number), "%d", source);
	result = sql_ask(db, "SELECT pg_catalog.json_build_object('system', s.system, 'table', r.source_table, 'rowid', r.rowid,"
					 " 'key', r.source_key, 'column', r.column_name, 'value', r.value, 'reason', r.reason,"
					 " 'sqlstate', r.sqlstate) FROM amelia_import.rejects AS r"
					 " JOIN amelia_import.sources AS s ON s.id = r.source_id WHERE r.source_id = $1 ORDER BY r.id", 1, params);
	if (result == NULL)
		return false;
	if (PQntuples(result) == 0)
	{
		PQclear(result);
		return true;
	}

	/*
	 * Where nobody has named the file, a link of that name is somebody
	 * else's.
	 */
	written = output_open(&output, rejects_path(), import.rejects_path != NULL);
	for (int i = 0; i < PQntuples(result) && written; i++)
		written = fprintf(output.file, "%s\n", PQgetvalue(result, i, 0)) > 0;
	written = output_close(&output, written);
	if (written)
		tell("%d row%s rejected: see %s", PQntuples(result), PQntuples(result) == 1 ? " is" : "s are", rejects_path());
	else
		complain("%s: %s", rejects_path(), strerror(errno));
	PQclear(result);
	return written;
}

/* One line that was given back. */
static bool
read_mended(const char *line, int number)
{
	json_t	   *object = json_loads(line, 0, NULL);
	const char *table = json_string_value(json_object_get(object, "table"));
	const char *key = json_string_value(json_object_get(object, "key"));
	const char *column = json_string_value(json_object_get(object, "column"));
	json_t	   *value = json_object_get(object, "value");
	json_t	   *more = json_object_get(object, "values");
	const char *name;
	json_t	   *other;
	char	   *text;
	bool		valid = table != NULL && key != NULL && (more == NULL || json_is_object(more)) &&
	(column == NULL || value != NULL);

	if (!valid)
		complain("%s:%d: no reject: it must have table and key, and column with value or values", import.retry_path, number);
	else
	{
		if (column != NULL)
		{
			text = json_dumps(value, JSON_ENCODE_ANY);

			mend(table, key, column, text);
			free(text);
		}
		json_object_foreach(more, name, other)
		{
			text = json_dumps(other, JSON_ENCODE_ANY);

			mend(table, key, name, text);
			free(text);
		}
	}
	json_decref(object);
	return valid;
}

/* --retry-rejects: all of the file, or nothing. */
bool
rejects_read(void)
{
	FILE	   *file = fopen(import.retry_path, "r");
	char	   *line = NULL;
	size_t		capacity = 0;
	bool		valid = file != NULL;

	if (file == NULL)
	{
		complain("%s: %s", import.retry_path, strerror(errno));
		return false;
	}
	for (int number = 1; valid && getline(&line, &capacity, file) > 0; number++)
	{
		if (strspn(line, " \t\r\n") != strlen(line))
			valid = read_mended(line, number);
	}
	free(line);
	fclose(file);
	return valid;
}
