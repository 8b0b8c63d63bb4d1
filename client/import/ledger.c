/*-------------------------------------------------------------------------
 *
 * ledger.c
 *	  The schema amelia_import: which sources were loaded in which runs, and
 *	  for each row of the source which row of the target it became.
 *
 * It belongs to whoever runs the program. A source is known again by its
 * rows, not by its file's name: the same rows in another file are a later
 * state of the same source.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "import/import.h"

int			run_id = 0;
int			source_id = 0;
int			last_done = 0;

static const char schema_sql[] =
"BEGIN;"
"CREATE SCHEMA amelia_import;"
"COMMENT ON SCHEMA amelia_import IS 'What amelia-import brought: needed by its --delta, --verify and --rollback.';"
"CREATE TABLE amelia_import.sources (id integer PRIMARY KEY, system text NOT NULL, file text NOT NULL,"
" default_time timestamptz NOT NULL DEFAULT now(), orphans text NOT NULL DEFAULT 'reject',"
" invalid_json text NOT NULL DEFAULT 'reject');"
"COMMENT ON TABLE amelia_import.sources IS 'The SQLite databases that were loaded here.';"
"COMMENT ON COLUMN amelia_import.sources.default_time IS 'What stands for NULL where the target''s default is now().';"
"COMMENT ON COLUMN amelia_import.sources.orphans IS '--orphans of the last load, which --delta and --verify go by; so with invalid_json.';"
"CREATE TABLE amelia_import.runs (id integer PRIMARY KEY, source_id integer NOT NULL REFERENCES amelia_import.sources,"
" mode text NOT NULL CHECK (mode IN ('load', 'delta')),"
" state text NOT NULL CHECK (state IN ('running', 'stopped', 'done', 'rolled back')),"
" started_at timestamptz NOT NULL DEFAULT now(), ended_at timestamptz, file text NOT NULL, sha256 text NOT NULL,"
" bytes bigint NOT NULL, user_version integer NOT NULL);"
"COMMENT ON TABLE amelia_import.runs IS 'A row for each time rows were loaded. running and not at work: it was killed.';"
"CREATE TABLE amelia_import.tables (id smallint PRIMARY KEY, source_id integer NOT NULL REFERENCES amelia_import.sources,"
" source_table text NOT NULL, target_schema text NOT NULL, target_table text NOT NULL, key_text text NOT NULL,"
" key_match text NOT NULL, columns text[] NOT NULL, forget text, UNIQUE (source_id, source_table, target_table));"
"COMMENT ON TABLE amelia_import.tables IS 'Which table of a source went where; ids in the order in which they are loaded.';"
"COMMENT ON COLUMN amelia_import.tables.columns IS 'The columns that were loaded, as table_checksum() takes them.';"
"CREATE TABLE amelia_import.ledger (entry bigint GENERATED ALWAYS AS IDENTITY (CACHE 1000) PRIMARY KEY,"
" table_id smallint NOT NULL, run_id integer NOT NULL, action \"char\" NOT NULL CHECK (action IN ('i', 'u', 'd', 'p')),"
" is_current boolean NOT NULL DEFAULT true, hash uuid NOT NULL, source_key text NOT NULL, target_key text,"
" replaces bigint, before jsonb);"
"COMMENT ON TABLE amelia_import.ledger IS 'A row for each row of the source that is there: i inserted, p there before,"
" u updated, d deleted by a delta.';"
"COMMENT ON COLUMN amelia_import.ledger.hash IS 'Of the row as the source said it, by the same rule as amelia.row_checksums().';"
"COMMENT ON COLUMN amelia_import.ledger.target_key IS 'NULL: the same text as source_key.';"
"COMMENT ON COLUMN amelia_import.ledger.replaces IS 'The entry of the same row before; before is the row as it was.';"
"CREATE TABLE amelia_import.progress (run_id integer NOT NULL REFERENCES amelia_import.runs, table_id smallint NOT NULL,"
" slot smallint NOT NULL, rows bigint NOT NULL, PRIMARY KEY (run_id, table_id, slot));"
"COMMENT ON TABLE amelia_import.progress IS 'How many rows each connection of a run has brought.';"
"CREATE TABLE amelia_import.rejects (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
" source_id integer NOT NULL REFERENCES amelia_import.sources, run_id integer NOT NULL, source_table text NOT NULL,"
" target_table text NOT NULL, rowid bigint, source_key text, column_name text, value text, reason text NOT NULL,"
" sqlstate text NOT NULL);"
"COMMENT ON TABLE amelia_import.rejects IS 'The rows of a source that its last run refused, and why.';"
"CREATE TABLE amelia_import.mended (source_id integer NOT NULL REFERENCES amelia_import.sources, source_table text NOT NULL,"
" source_key text NOT NULL, column_name text NOT NULL, value json NOT NULL,"
" PRIMARY KEY (source_id, source_table, source_key, column_name));"
"COMMENT ON TABLE amelia_import.mended IS 'Values that --retry-rejects gave for those of the source.';"
"COMMIT";

/*
 * The ledger's triggers and views, and the SQL that it keeps, run with the
 * rights of who runs this program, so it must be of somebody who has them:
 * anybody who may create schemas could have made one of its name before.
 */
static bool
is_of_ours(void)
{
	char	   *foreign = sql_value(db, "SELECT COALESCE(pg_catalog.min(pg_catalog.format('%s belongs to \"%s\"',"
									" o.what, pg_catalog.pg_get_userbyid(o.owner))), '')"
									" FROM (SELECT 'schema amelia_import' AS what, n.nspowner AS owner"
									"  FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'amelia_import'"
									" UNION ALL SELECT 'amelia_import.' || c.relname, c.relowner FROM pg_catalog.pg_class AS c"
									"  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
									"  WHERE n.nspname = 'amelia_import') AS o"
									" WHERE NOT pg_catalog.pg_has_role(o.owner, (SELECT r.oid FROM pg_catalog.pg_roles AS r"
									"  WHERE r.rolname = CURRENT_USER), 'USAGE')", 0, NULL);
	bool		ours = foreign != NULL && *foreign == '\0';

	if (foreign != NULL && !ours)
		complain("%s, who has not the rights of \"%s\": connect as the role that loaded, or drop what is not yours", foreign, PQuser(db));
	free(foreign);
	return ours;
}

/* Whether there is a ledger; false when it must not be touched. */
bool
ledger_look(bool *exists)
{
	char	   *there = sql_value(db, "SELECT pg_catalog.to_regclass('amelia_import.ledger')::text", 0, NULL);

	*exists = there != NULL;
	free(there);
	return is_of_ours();
}

/* Where somebody makes the schema in between, CREATE SCHEMA fails. */
bool
ledger_create(void)
{
	bool		exists;

	if (!ledger_look(&exists))
		return false;
	if (exists || sql_do(db, schema_sql))
		return true;
	sql_do(db, "ROLLBACK");
	return false;
}

/* How many of some keys of a table's ledger this file has. */
static int
known_keys(Source *source, const char *table_id, const TableMap *map, int *asked)
{
	const char *params[] = {table_id};
	PGresult   *result = sql_ask(db, "SELECT l.source_key FROM amelia_import.ledger AS l"
								 " WHERE l.table_id = $1::smallint AND l.action IN ('i', 'u') AND l.is_current LIMIT 50", 1, params);
	const char *key = NULL;
	sqlite3_stmt *stmt;
	int			known = 0;

	*asked = result != NULL ? PQntuples(result) : 0;
	for (const ColumnMap *column = map->columns; column->target != NULL && key == NULL; column++)
		key = column->flags & IS_KEY ? column->source : NULL;
	stmt = key != NULL ? source_query(source, "SELECT 1 FROM \"%w\" WHERE \"%w\" = ?1", map->source, key) : NULL;
	for (int i = 0; i < *asked && stmt != NULL; i++)
	{
		sqlite3_reset(stmt);
		sqlite3_bind_text(stmt, 1, PQgetvalue(result, i, 0), -1, SQLITE_STATIC);
		known += sqlite3_step(stmt) == SQLITE_ROW;
	}
	sqlite3_finalize(stmt);
	PQclear(result);
	return known;
}

/* Whether more than half of what a source brought is in this file: the ids of its tables that have UUIDs. */
static bool
is_same_source(Source *source, const char *id)
{
	const char *params[] = {id};
	PGresult   *result = sql_ask(db, "SELECT t.id, t.source_table FROM amelia_import.tables AS t WHERE t.source_id = $1", 1, params);
	int			asked = 0;
	int			known = 0;

	for (int i = 0; result != NULL && i < PQntuples(result); i++)
	{
		for (const TableMap *map = source->system->tables; map->source != NULL; map++)
		{
			int			n = 0;

			if (strcmp(map->source, PQgetvalue(result, i, 1)) != 0 || map->from != NULL ||
				!source_has(source, map->source, NULL) || map->columns[0].conversion != AS_UUID ||
				(map->columns[1].flags & IS_KEY))
				continue;
			known += known_keys(source, PQgetvalue(result, i, 0), map, &n);
			asked += n;
		}
	}
	PQclear(result);
	return asked > 0 && known * 2 >= asked;
}

/*
 * What is done with orphans and broken JSON where the command line does not
 * say: as in the load before, whose rows would be other ones else.
 */
static bool
settle_rules(bool keep)
{
	char		number[16];
	const char *params[] = {number, import.orphans, import.invalid_json};
	PGresult   *result;
	bool		settled;

	snprintf(number, sizeof(number), "%d", source_id);
	result = sql_ask(db, "SELECT COALESCE($2, CASE WHEN l.is_loaded THEN s.orphans ELSE 'reject' END),"
					 " COALESCE($3, CASE WHEN l.is_loaded THEN s.invalid_json ELSE 'reject' END)"
					 " FROM amelia_import.sources AS s, LATERAL (SELECT EXISTS (SELECT FROM amelia_import.runs AS r"
					 " WHERE r.source_id = s.id AND r.state <> 'rolled back')) AS l (is_loaded)"
					 " WHERE s.id = $1", 3, params);
	if (result == NULL)
		return false;
	import.orphans = copy_string(PQgetvalue(result, 0, 0));
	import.invalid_json = copy_string(PQgetvalue(result, 0, 1));
	PQclear(result);
	if (!keep)
		return true;
	params[1] = import.orphans;
	params[2] = import.invalid_json;
	result = sql_ask(db, "UPDATE amelia_import.sources SET orphans = $2, invalid_json = $3 WHERE id = $1", 3, params);
	settled = result != NULL;
	PQclear(result);
	return settled;
}

/* Sets source_id, to 0 when the source is not known here and is not to be made. */
bool
ledger_find_source(Source *source, bool create)
{
	const char *params[] = {source->system->name, source->path};
	PGresult   *result = sql_ask(db, "SELECT s.id, s.file = $2 FROM amelia_import.sources AS s WHERE s.system = $1"
								 " ORDER BY s.file = $2 DESC, s.id DESC", 2, params);
	char	   *id;

	if (result == NULL)
		return false;
	source_id = 0;
	for (int i = 0; i < PQntuples(result) && source_id == 0; i++)
	{
		if (is_same_source(source, PQgetvalue(result, i, 0)))
			source_id = atoi(PQgetvalue(result, i, 0));
	}
	/* too little in it to be known again: then by its name */
	if (source_id == 0 && PQntuples(result) > 0 && PQgetvalue(result, 0, 1)[0] == 't')
		source_id = atoi(PQgetvalue(result, 0, 0));
	PQclear(result);
	if (source_id != 0)
		return settle_rules(create);
	if (!create)
		return true;
	id = sql_value(db, "INSERT INTO amelia_import.sources (id, system, file)"
				   " SELECT COALESCE(pg_catalog.max(s.id), 0) + 1, $1, $2 FROM amelia_import.sources AS s RETURNING id", 2, params);
	if (id == NULL)
		return false;
	source_id = atoi(id);
	free(id);
	return settle_rules(true);
}

/* What stands for now() in this source's rows; that of this moment where it is not known. */
bool
ledger_default_time(char **text)
{
	char		number[16];
	const char *params[] = {number};

	snprintf(number, sizeof(number), "%d", source_id);
	if (source_id != 0)
		*text = sql_value(db, "SELECT s.default_time::text FROM amelia_import.sources AS s WHERE s.id = $1", 1, params);
	else
		*text = sql_value(db, "SELECT pg_catalog.now()::text", 0, NULL);
	return *text !=NULL;
}

/* A row for each table, in the order of loading; sets their ids and how much the ledger has of them. */
bool
ledger_tables(Source *source, bool create)
{
	char		number[16];
	char		run[16];

	snprintf(number, sizeof(number), "%d", source_id);
	for (int i = 0; i < ntables; i++)
	{
		Table	   *table = &tables[i];
		Buffer		columns = {0};
		const char *params[] = {number, table->map->source, source->system->schema, table->map->target,
		table->key_text, table->key_match, NULL, table->map->forget};
		PGresult   *result;

		buffer_puts(&columns, "{");
		for (int c = 0; c < table->ncolumns; c++)
		{
			buffer_puts(&columns, c > 0 ? "," : "");
			add_identifier(&columns, table->columns[c].name);
		}
		buffer_puts(&columns, "}");
		params[6] = columns.data;
		result = create ? sql_ask(db, "INSERT INTO amelia_import.tables"
								  " (id, source_id, source_table, target_schema, target_table, key_text, key_match, columns, forget)"
								  " SELECT COALESCE(pg_catalog.max(t.id), 0) + 1, $1, $2, $3, $4, $5, $6, $7::text[], $8"
								  " FROM amelia_import.tables AS t"
								  " ON CONFLICT (source_id, source_table, target_table) DO UPDATE SET key_text = EXCLUDED.key_text,"
								  " key_match = EXCLUDED.key_match, columns = EXCLUDED.columns, forget = EXCLUDED.forget", 8, params) : NULL;
		buffer_free(&columns);
		if (create && result == NULL)
			return false;
		PQclear(result);
		params[2] = params[3];
		result = sql_ask(db, "SELECT t.id, (SELECT pg_catalog.count(*) FROM amelia_import.ledger AS l"
						 " WHERE l.table_id = t.id AND l.is_current AND l.action <> 'd')"
						 " FROM amelia_import.tables AS t"
						 " WHERE t.source_id = $1 AND t.source_table = $2 AND t.target_table = $3", 3, params);
		if (result == NULL)
			return false;
		if (PQntuples(result) > 0)
		{
			table->id = atoi(PQgetvalue(result, 0, 0));
			table->in_ledger = strtoull(PQgetvalue(result, 0, 1), NULL, 10);
		}
		PQclear(result);
	}
	snprintf(run, sizeof(run), "%d", run_id);
	return true;
}

bool
ledger_begin_run(Source *source, const char *mode)
{
	char		number[16];
	char		bytes[24];
	char		version[24];
	const char *params[] = {number, mode, source->path, source->sha256, bytes, version};
	char	   *id;
	bool		begun;

	snprintf(number, sizeof(number), "%d", source_id);
	snprintf(bytes, sizeof(bytes), "%llu", (unsigned long long) source->bytes);
	snprintf(version, sizeof(version), "%ld", source->user_version);

	/*
	 * what ran before and ended without a word was killed; its rejects are
	 * met again
	 */
	PQclear(sql_ask(db, "UPDATE amelia_import.runs SET state = 'stopped' WHERE state = 'running' AND source_id = $1", 1, params));
	PQclear(sql_ask(db, "DELETE FROM amelia_import.rejects WHERE source_id = $1", 1, params));
	id = sql_value(db, "SELECT pg_catalog.max(r.id) FROM amelia_import.runs AS r WHERE r.source_id = $1 AND r.state = 'done'", 1, params);
	last_done = id != NULL ? atoi(id) : 0;
	free(id);
	id = sql_value(db, "INSERT INTO amelia_import.runs (id, source_id, mode, state, file, sha256, bytes, user_version)"
				   " SELECT COALESCE(pg_catalog.max(r.id), 0) + 1, $1, $2, 'running', $3, $4, $5::bigint, $6::integer"
				   " FROM amelia_import.runs AS r RETURNING id", 6, params);
	begun = id != NULL;
	run_id = begun ? atoi(id) : 0;
	free(id);
	return begun;
}

bool
ledger_end_run(const char *state)
{
	char		number[16];
	const char *params[] = {number, state};
	PGresult   *result;
	bool		done;

	snprintf(number, sizeof(number), "%d", run_id);
	/* this commit waits for the disk, and so for all before it */
	result = sql_do(db, "SET synchronous_commit = on") ?
		sql_ask(db, "UPDATE amelia_import.runs SET state = $2, ended_at = pg_catalog.now() WHERE id = $1", 2, params) : NULL;
	done = result != NULL;
	PQclear(result);
	return done;
}

/* --status: the runs, the last one's tables, and the rejects. */
int
ledger_status(void)
{
	PGresult   *result;
	bool		exists;

	if (!ledger_look(&exists))
		return STATUS_USAGE;
	if (!exists)
	{
		tell("nothing was loaded into database \"%s\"", PQdb(db));
		return STATUS_DONE;
	}
	result = sql_ask(db, "SELECT r.id, s.system, r.mode,"
					 " CASE WHEN r.state = 'running' AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity AS a"
					 " WHERE a.application_name = 'amelia-import' AND a.pid <> pg_catalog.pg_backend_pid()"
					 " AND a.datname = pg_catalog.current_database()) THEN 'killed' ELSE r.state END,"
					 " pg_catalog.to_char(r.started_at, 'YYYY-MM-DD HH24:MI:SS'),"
					 " COALESCE(pg_catalog.round(extract(epoch FROM r.ended_at - r.started_at), 1)::text || ' s', ''),"
					 " r.file, pg_catalog.left(r.sha256, 12),"
					 " COALESCE((SELECT pg_catalog.sum(p.rows) FROM amelia_import.progress AS p WHERE p.run_id = r.id), 0),"
					 " (SELECT pg_catalog.count(*) FROM amelia_import.rejects AS j WHERE j.run_id = r.id)"
					 " FROM amelia_import.runs AS r JOIN amelia_import.sources AS s ON s.id = r.source_id ORDER BY r.id", 0, NULL);
	if (result == NULL)
		return STATUS_USAGE;
	for (int i = 0; i < PQntuples(result); i++)
		tell("run %s: %s of %s, %s, at %s UTC%s%s, %s (SHA-256 %s" ELLIPSIS "), %s rows, %s rejects", PQgetvalue(result, i, 0),
			 PQgetvalue(result, i, 2), PQgetvalue(result, i, 1), PQgetvalue(result, i, 3), PQgetvalue(result, i, 4),
			 PQgetvalue(result, i, 5)[0] != '\0' ? ", " : "", PQgetvalue(result, i, 5), PQgetvalue(result, i, 6),
			 PQgetvalue(result, i, 7), PQgetvalue(result, i, 8), PQgetvalue(result, i, 9));
	PQclear(result);
	result = sql_ask(db, "SELECT t.source_table, t.target_schema || '.' || t.target_table,"
					 " pg_catalog.count(*) FILTER (WHERE l.action IN ('i', 'u')), pg_catalog.count(*) FILTER (WHERE l.action = 'p')"
					 " FROM amelia_import.tables AS t"
					 " LEFT JOIN amelia_import.ledger AS l ON l.table_id = t.id AND l.is_current GROUP BY t.id ORDER BY t.id", 0, NULL);
	if (result == NULL)
		return STATUS_USAGE;
	for (int i = 0; i < PQntuples(result); i++)
		tell("  %s -> %s: %s loaded, %s there before", PQgetvalue(result, i, 0), PQgetvalue(result, i, 1),
			 PQgetvalue(result, i, 2), PQgetvalue(result, i, 3));
	PQclear(result);
	return STATUS_DONE;
}
