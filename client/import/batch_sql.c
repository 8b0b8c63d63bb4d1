/*-------------------------------------------------------------------------
 *
 * batch_sql.c
 *	  The statements of a batch: the temporary table that its lines go into,
 *	  and the one statement that moves them, with ledger and progress.
 *
 *-------------------------------------------------------------------------
 */
#include "import/import.h"

typedef enum Which
{
	ALL_COLUMNS, KEY_COLUMNS, LATE_COLUMNS, OTHER_COLUMNS
} Which;

static bool
is_chosen(const Column *column, Which which)
{
	switch (which)
	{
		case KEY_COLUMNS:
			return column->is_key;
		case LATE_COLUMNS:
			return column->is_late;
		case OTHER_COLUMNS:
			return !column->is_key && !column->is_late;
		default:
			return true;
	}
}

/* `format` for each column, with the name in the place of each %; between them a separator. */
static void
add_columns(Buffer *sql, const Table *table, Which which, const char *format, const char *between)
{
	bool		first = true;

	for (int i = 0; i < table->ncolumns; i++)
	{
		if (!is_chosen(&table->columns[i], which))
			continue;
		if (!first)
			buffer_puts(sql, between);
		first = false;
		for (const char *p = format; *p != '\0'; p++)
		{
			if (*p == '%')
				add_identifier(sql, table->columns[i].name);
			else
				buffer_add(sql, p, 1);
		}
	}
}

static void
add_counted(Buffer *sql, const Table *table, int slot)
{
	buffer_printf(sql, ", counted AS (INSERT INTO amelia_import.progress (run_id, table_id, slot, rows)"
				  " SELECT %d, %d, %d, pg_catalog.count(*) FROM moved"
				  " ON CONFLICT (run_id, table_id, slot) DO UPDATE SET rows = progress.rows + EXCLUDED.rows)",
				  run_id, table->id, slot);
}

static void
make_insert(Buffer *sql, const Table *table, int slot)
{
	buffer_printf(sql, "WITH moved AS (INSERT INTO %s AS r (", table->target);
	add_columns(sql, table, ALL_COLUMNS, "%", ", ");
	buffer_puts(sql, ") OVERRIDING SYSTEM VALUE SELECT ");
	for (int i = 0; i < table->ncolumns; i++)
	{
		buffer_puts(sql, i > 0 ? ", " : "");
		if (table->columns[i].is_late)
			buffer_printf(sql, "NULL::%s", table->columns[i].type);
		else
		{
			buffer_puts(sql, "s.");
			add_identifier(sql, table->columns[i].name);
		}
	}
	buffer_puts(sql, " FROM pg_temp.import_rows AS s ORDER BY s.\"$n\" ON CONFLICT (");
	add_columns(sql, table, KEY_COLUMNS, "%", ", ");
	buffer_puts(sql, ") DO NOTHING RETURNING ");
	add_columns(sql, table, KEY_COLUMNS, "r.%", ", ");
	buffer_printf(sql, "), written AS (INSERT INTO amelia_import.ledger"
				  " (table_id, run_id, action, hash, source_key, target_key)"
				  " SELECT %d, %d, CASE WHEN m IS NULL THEN 'p' ELSE 'i' END, s.\"$hash\", s.\"$source\", s.\"$target\""
				  " FROM pg_temp.import_rows AS s LEFT JOIN moved AS m ON ", table->id, run_id);
	add_columns(sql, table, KEY_COLUMNS, "m.% = s.%", " AND ");
	buffer_puts(sql, " ORDER BY s.\"$n\")");
	add_counted(sql, table, slot);
}

static void
make_update(Buffer *sql, const Table *table, int slot)
{
	buffer_printf(sql, "WITH old AS (SELECT s.\"$n\" AS n, pg_catalog.to_jsonb(r) AS before"
				  " FROM pg_temp.import_rows AS s JOIN %s AS r ON ", table->target);
	add_columns(sql, table, KEY_COLUMNS, "r.% = s.%", " AND ");
	buffer_printf(sql, "), moved AS (UPDATE %s AS r SET ", table->target);
	add_columns(sql, table, OTHER_COLUMNS, "% = s.%", ", ");
	buffer_puts(sql, " FROM pg_temp.import_rows AS s WHERE ");
	add_columns(sql, table, KEY_COLUMNS, "r.% = s.%", " AND ");
	buffer_printf(sql, " RETURNING s.\"$n\" AS n), superseded AS (UPDATE amelia_import.ledger AS l SET is_current = false"
				  " FROM pg_temp.import_rows AS s JOIN moved AS m ON m.n = s.\"$n\" WHERE l.entry = s.\"$entry\"),"
				  " written AS (INSERT INTO amelia_import.ledger"
				  " (table_id, run_id, action, hash, source_key, target_key, replaces, before)"
				  " SELECT %d, %d, 'u', s.\"$hash\", s.\"$source\", s.\"$target\", s.\"$entry\", o.before"
				  " FROM pg_temp.import_rows AS s JOIN moved AS m ON m.n = s.\"$n\" JOIN old AS o ON o.n = s.\"$n\")",
				  table->id, run_id);
	add_counted(sql, table, slot);
}

/* Only of rows that were brought since a run was last completed: what became of others later stays. */
static void
make_late(Buffer *sql, const Table *table)
{
	buffer_printf(sql, "WITH moved AS (UPDATE %s AS r SET ", table->target);
	add_columns(sql, table, LATE_COLUMNS, "% = s.%", ", ");
	buffer_puts(sql, " FROM pg_temp.import_rows AS s WHERE ");
	add_columns(sql, table, KEY_COLUMNS, "r.% = s.%", " AND ");
	buffer_puts(sql, " AND (");
	add_columns(sql, table, LATE_COLUMNS, "r.% IS DISTINCT FROM s.%", " OR ");
	buffer_puts(sql, ")");
	buffer_printf(sql, " AND EXISTS (SELECT FROM amelia_import.ledger AS l WHERE l.table_id = %d AND l.run_id > %d"
				  " AND l.source_key = s.\"$source\" AND l.is_current AND l.action IN ('i', 'u') AND l.hash = s.\"$hash\")",
				  table->id, last_done);
	buffer_puts(sql, " RETURNING 1)");
}

/* The temporary table for a table's rows; it is empty again after each transaction. */
void
add_stage(Buffer *sql, const Table *table)
{
	buffer_puts(sql, "DROP TABLE IF EXISTS pg_temp.import_rows;"
				" CREATE TEMP TABLE import_rows ON COMMIT DELETE ROWS AS SELECT 0 AS \"$n\", 0::bigint AS \"$entry\","
				" ''::text AS \"$source\", ''::text AS \"$target\", NULL::uuid AS \"$hash\", ");
	add_columns(sql, table, ALL_COLUMNS, "r.%", ", ");
	buffer_printf(sql, " FROM %s AS r WITH NO DATA", table->target);
}

/* What moves the rows that are staged, and commits; slot is the connection's number. */
void
add_move(Buffer *sql, const Table *table, BatchKind kind, int slot)
{
	if (kind == BATCH_INSERT)
		make_insert(sql, table, slot);
	else if (kind == BATCH_UPDATE)
		make_update(sql, table, slot);
	else
		make_late(sql, table);
	buffer_puts(sql, " SELECT pg_catalog.count(*) FROM moved; COMMIT");
}
