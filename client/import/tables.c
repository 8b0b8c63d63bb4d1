/*-------------------------------------------------------------------------
 *
 * tables.c
 *	  A mapping joined with what is really there: the columns that the source
 *	  has, their types and defaults in the target, and the query for the rows.
 *
 * Two tables may go into one. Then the rows of both are hashed by the columns
 * of both, so that the target's sums can be compared at once.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "import/import.h"

Table	   *tables = NULL;
int			ntables = 0;

static const SystemMap *system_map;

static bool
column_present(Source *source, const TableMap *map, const ColumnMap *column)
{
	return column->source == NULL || source_has(source, map->source, column->source);
}

/* Whether a column of a target is loaded from any table of this source. */
static bool
target_column_used(Source *source, const char *target, const char *name)
{
	for (int i = 0; i < ntables; i++)
	{
		if (strcmp(tables[i].map->target, target) != 0)
			continue;
		for (const ColumnMap *column = tables[i].map->columns; column->target != NULL; column++)
		{
			if (strcmp(column->target, name) == 0 && column_present(source, tables[i].map, column))
				return true;
		}
	}
	return false;
}

static const ColumnMap *
find_map(Source *source, const TableMap *map, const char *name)
{
	for (const ColumnMap *column = map->columns; column->target != NULL; column++)
	{
		if (strcmp(column->target, name) == 0 && column_present(source, map, column))
			return column;
	}
	return NULL;
}

/* What stands where the source has NULL: as the server prints it. */
static bool
find_default(Column *column, const char *expression, const char *default_time)
{
	Buffer		sql = {0};

	if (strstr(expression, "now()") != NULL || strstr(expression, "clock_timestamp()") != NULL ||
		strstr(expression, "CURRENT_TIMESTAMP") != NULL)
	{
		column->default_text = copy_string(default_time);
		return true;
	}
	/* a function that gives another value each time cannot be foretold */
	if (strstr(expression, "uuid") != NULL || strstr(expression, "nextval") != NULL)
		return true;
	buffer_printf(&sql, "SELECT (%s)::%s", expression, column->type);
	column->default_text = sql_value(db, sql.data, 0, NULL);
	buffer_free(&sql);
	return column->default_text != NULL;
}

static bool
open_columns(Source *source, Table *table, const char *default_time)
{
	static const char query[] =
	"SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull,"
	" CASE WHEN a.attgenerated = '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END"
	" FROM pg_catalog.pg_attribute AS a"
	" LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum"
	" WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped"
	" ORDER BY a.attname COLLATE \"C\"";
	const char *params[] = {table->target};
	PGresult   *result = sql_ask(db, query, 1, params);
	bool		valid = result != NULL;

	table->columns = allocate((size_t) PQntuples(result) * sizeof(Column));
	for (int i = 0; valid && i < PQntuples(result); i++)
	{
		Column	   *column = &table->columns[table->ncolumns];
		const char *name = PQgetvalue(result, i, 0);

		if (!target_column_used(source, table->map->target, name))
			continue;
		column->map = find_map(source, table->map, name);
		column->name = copy_string(name);
		column->type = copy_string(PQgetvalue(result, i, 1));
		column->not_null = PQgetvalue(result, i, 2)[0] == 't';
		column->value = column->given = column->orphan = -1;
		if (column->map != NULL)
		{
			column->is_key = (column->map->flags & IS_KEY) != 0;
			column->is_late = (column->map->flags & IS_LATE) != 0;
			table->nkeys += column->is_key;
			table->has_late = table->has_late || column->is_late;
		}
		if (!PQgetisnull(result, i, 3) && !column->is_key)
			valid = find_default(column, PQgetvalue(result, i, 3), default_time);
		table->ncolumns++;
	}
	PQclear(result);
	for (const ColumnMap *column = table->map->columns; valid && column->target != NULL; column++)
	{
		bool		found = !column_present(source, table->map, column);

		for (int i = 0; i < table->ncolumns && !found; i++)
			found = strcmp(table->columns[i].name, column->target) == 0;
		if (!found)
		{
			complain("table %s has no column \"%s\"; run SELECT %s.migrate()", table->target, column->target,
					 system_map->schema);
			valid = false;
		}
	}
	if (valid && table->nkeys == 0)
	{
		complain("%s: table %s has no key column", source->path, table->map->source);
		valid = false;
	}
	return valid;
}

/* The key of a table of the source that others refer to; NULL when there is none. */
static const char *
key_of(Source *source, const char *name)
{
	for (const TableMap *map = source->system->tables; map->source != NULL; map++)
	{
		if (strcmp(map->source, name) != 0 || map->from != NULL)
			continue;
		for (const ColumnMap *column = map->columns; column->target != NULL; column++)
		{
			if ((column->flags & IS_KEY) && column_present(source, map, column))
				return column->source;
		}
	}
	return NULL;
}

static void
add_column_name(Buffer *sql, const char *name)
{
	buffer_puts(sql, "t.");
	add_identifier(sql, name);
}

static void
make_select(Source *source, Table *table)
{
	Buffer		sql = {0};
	int			n = 1;

	/* without a rowid, the query for it fails */
	if (table->map->from == NULL)
	{
		sqlite3_stmt *stmt = source_query(source, "SELECT rowid FROM \"%w\" LIMIT 0", table->map->source);

		table->has_rowid = stmt != NULL;
		sqlite3_finalize(stmt);
	}
	buffer_puts(&sql, table->has_rowid ? "SELECT t.rowid" : "SELECT 0");
	for (int i = 0; i < table->ncolumns; i++)
	{
		Column	   *column = &table->columns[i];
		const ColumnMap *map = column->map;

		if (map == NULL)
			continue;
		column->value = n++;
		buffer_puts(&sql, ", ");
		if (map->expr != NULL)
			buffer_puts(&sql, map->expr);
		else
			add_column_name(&sql, map->source);
		if (map->expr != NULL && map->source != NULL)
		{
			column->given = n++;
			buffer_puts(&sql, ", ");
			add_column_name(&sql, map->source);
		}
		if (map->refers != NULL && map->expr == NULL && source_has(source, map->refers, NULL) &&
			!(strcmp(map->refers, table->map->source) == 0 && column->is_key) && key_of(source, map->refers) != NULL)
		{
			column->orphan = n++;
			buffer_puts(&sql, ", NOT EXISTS (SELECT 1 FROM ");
			add_identifier(&sql, map->refers);
			buffer_puts(&sql, " AS p WHERE p.");
			add_identifier(&sql, key_of(source, map->refers));
			buffer_puts(&sql, " = ");
			add_column_name(&sql, map->source);
			buffer_puts(&sql, ")");
		}
	}
	buffer_puts(&sql, " FROM ");
	if (table->map->from != NULL)
		buffer_puts(&sql, table->map->from);
	else
	{
		add_identifier(&sql, table->map->source);
		buffer_puts(&sql, " AS t");
	}
	table->select = sql.data;
}

/* SQL about the key of a row r of the target: as text, and found by the text k.key. */
static void
make_keys(Table *table)
{
	Buffer text = {0};
	Buffer		match = {0};
	int			n = 0;

	if (table->nkeys > 1)
		buffer_puts(&text, "pg_catalog.jsonb_build_array(");
	for (int i = 0; i < table->ncolumns; i++)
	{
		Column	   *column = &table->columns[i];

		if (!column->is_key)
			continue;
		buffer_puts(&text, n > 0 ? ", r." : "r.");
		add_identifier(&text, column->name);
		buffer_puts(&text, "::text");
		buffer_puts(&match, n > 0 ? " AND r." : "r.");
		add_identifier(&match, column->name);
		if (table->nkeys > 1)
			buffer_printf(&match, " = (k.key::jsonb ->> %d)::%s", n, column->type);
		else
			buffer_printf(&match, " = k.key::%s", column->type);
		n++;
	}
	if (table->nkeys > 1)
		buffer_puts(&text, ")::text");
	table->key_text = text.data;

	table->key_match = match.data;
}

/* A view that cannot be read, such as one that calls what it may not, is not one that is missing. */
static bool
check_missing(Source *source, const char *table)
{
	sqlite3_stmt *stmt;
	bool		missing = source_number(source, "SELECT count(*) FROM sqlite_master"
										" WHERE type IN ('table', 'view') AND lower(name) = lower(%Q)", table) == 0;

	if (missing)
		return true;
	stmt = source_query(source, "SELECT * FROM \"%w\"", table);
	complain("%s: table %s: %s", source->path, table, stmt != NULL ? "cannot be read" : sqlite3_errmsg(source->db));
	sqlite3_finalize(stmt);
	return false;
}

/* Join the mapping with both sides. default_time is what stands for now(). */
bool
tables_open(Source *source, const char *default_time)
{
	int			n = 0;

	system_map = source->system;
	for (const TableMap *map = system_map->tables; map->source != NULL; map++)
		n++;
	tables = allocate((size_t) n * sizeof(Table));
	for (const TableMap *map = system_map->tables; map->source != NULL; map++)
	{
		if (source_has(source, map->source, NULL))
			tables[ntables++].map = map;
		else if (!check_missing(source, map->source))
			return false;
	}
	for (int i = 0; i < ntables; i++)
	{
		Table	   *table = &tables[i];
		Buffer		name = {0};
		sqlite3_stmt *stmt;

		add_identifier(&name, system_map->schema);
		buffer_puts(&name, ".");
		add_identifier(&name, table->map->target);
		table->target = name.data;
		if (!open_columns(source, table, default_time))
			return false;
		make_select(source, table);
		make_keys(table);
		stmt = source_query(source, "SELECT count(*) FROM (%s)", table->select);
		if (stmt == NULL || sqlite3_step(stmt) != SQLITE_ROW)
		{
			complain("%s: table %s: %s", source->path, table->map->source, sqlite3_errmsg(source->db));
			sqlite3_finalize(stmt);
			return false;
		}
		table->rows = sqlite3_column_int64(stmt, 0);
		sqlite3_finalize(stmt);
	}
	return true;
}

/* Whether rows of one may refer to rows of the other, by the mapping. */
bool
tables_refer(const Table *child, const Table *parent)
{
	for (int i = 0; i < child->ncolumns; i++)
	{
		const ColumnMap *map = child->columns[i].map;

		if (map != NULL && map->refers != NULL && strcmp(map->refers, parent->map->source) == 0 &&
			!child->columns[i].is_late)
			return true;
	}
	return false;
}
