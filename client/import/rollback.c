/*-------------------------------------------------------------------------
 *
 * rollback.c
 *	  Taking back what a run brought, by the ledger, in one transaction.
 *
 * What the run deleted comes back, what it updated becomes what it was, and
 * what it inserted goes, children first. A row that is not as the run left
 * it, or to which somebody else's row refers by now, stops all of it and is
 * named; --force takes those too.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "import/import.h"

#define MAX_NAMED 20

/* A table of the run, from amelia_import.tables. */
typedef struct Back
{
	const char *id;
	const char *name;
	char	   *target;
	const char *key_text;
	const char *key_match;
	const char *columns;		/* as an array */
	const char *forget;
	char	   *list;			/* quoted, with commas */
	char	   *every;			/* the same, of all that can be inserted */
	char	   *keys;			/* an array of the key's columns */
} Back;

static char run_text[16];

static char *
one_value(const char *sql, const char *param)
{
	const char *params[] = {param};

	return sql_value(db, sql, 1, params);
}

static uint64_t
count_of(const char *sql, bool *done)
{
	char	   *value = sql_value(db, sql, 0, NULL);
	uint64_t	n = value != NULL ? strtoull(value, NULL, 10) : 0;

	*done = *done && value != NULL;
	free(value);
	return n;
}

/* Name the rows that are not as the run left them. */
static bool
find_changed(const Back *back, uint64_t * changed)
{
	const char *params[] = {back->target, back->keys, back->columns, back->id, run_text};
	PGresult   *result = sql_ask(db, "SELECT r.key FROM amelia_import.ledger AS l"
								 " JOIN amelia.row_checksums($1::regclass, $2::name[], $3::name[]) AS r"
								 " ON r.key = COALESCE(l.target_key, l.source_key)"
								 " WHERE l.table_id = $4::smallint AND l.run_id = $5::integer AND l.is_current"
								 " AND l.action IN ('i', 'u') AND r.hash <> l.hash ORDER BY 1", 5, params);

	if (result == NULL)
		return false;
	for (int i = 0; i < PQntuples(result) && i < MAX_NAMED; i++)
		complain("%s %s has changed since it was loaded", back->name, PQgetvalue(result, i, 0));
	*changed += (uint64_t) PQntuples(result);
	PQclear(result);
	return true;
}

/* Rows of others that refer to those that are about to go: what was loaded with them is gone already. */
static bool
find_referring(const Back *back, uint64_t * referring)
{
	const char *params[] = {back->target};
	PGresult   *keys = sql_ask(db, "SELECT c.conrelid::regclass::text, pg_catalog.string_agg(pg_catalog.format("
							   "'c.%I = r.%I', a.attname, p.attname), ' AND ')"
							   " FROM pg_catalog.pg_constraint AS c, LATERAL unnest(c.conkey, c.confkey) AS k (child, parent),"
							   " pg_catalog.pg_attribute AS a, pg_catalog.pg_attribute AS p"
							   " WHERE c.contype = 'f' AND c.confrelid = $1::regclass AND c.conrelid <> c.confrelid"
							   " AND NOT c.condeferred"
							   " AND a.attrelid = c.conrelid AND a.attnum = k.child AND p.attrelid = c.confrelid AND p.attnum = k.parent"
							   " GROUP BY c.oid, c.conrelid ORDER BY 1", 1, params);
	bool		done = keys != NULL;

	for (int i = 0; done && i < PQntuples(keys); i++)
	{
		Buffer		sql = {0};
		uint64_t	n;

		buffer_printf(&sql, "SELECT pg_catalog.count(*) FROM pg_temp.import_back AS k JOIN %s AS r ON %s JOIN %s AS c ON %s",
					  back->target, back->key_match, PQgetvalue(keys, i, 0), PQgetvalue(keys, i, 1));
		n = count_of(sql.data, &done);
		if (n > 0)
			complain("%llu row%s of %s that the run did not bring refer%s to rows of %s that it did", (unsigned long long) n,
					 PLURAL(n), PQgetvalue(keys, i, 0), n == 1 ? "s" : "", back->name);
		*referring += n;
		buffer_free(&sql);
	}
	PQclear(keys);
	return done;
}

/* What a system keeps of rows that are gone, of the keys that a query gives. */
static bool
forget(const Back *back, const char *query)
{
	char	   *keys;
	const char *params[1];
	PGresult   *result;

	if (back->forget == NULL)
		return true;
	keys = sql_value(db, query, 0, NULL);
	if (keys == NULL)
		return !target_lost();
	params[0] = keys;
	result = sql_ask(db, back->forget, 1, params);
	PQclear(result);
	free(keys);
	return result != NULL;
}

static bool
bring_back(const Back *back)
{
	Buffer		sql = {0};
	bool		done;

	buffer_printf(&sql, "INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM amelia_import.ledger AS l,"
				  " LATERAL pg_catalog.jsonb_populate_record(NULL::%s, l.before) AS b"
				  " WHERE l.table_id = %s AND l.run_id = %s AND l.action = 'd' ON CONFLICT DO NOTHING",
				  back->target, back->every, back->every, back->target, back->id, run_text);
	done = sql_do(db, sql.data);
	buffer_reset(&sql);
	buffer_printf(&sql, "SELECT pg_catalog.array_agg(COALESCE(l.target_key, l.source_key)) FROM amelia_import.ledger AS l"
				  " WHERE l.table_id = %s AND l.run_id = %s AND l.action = 'd'", back->id, run_text);
	done = done && forget(back, sql.data);
	buffer_free(&sql);
	return done;
}

static bool
undo_updates(const Back *back)
{
	Buffer		sql = {0};
	bool		done;

	buffer_printf(&sql, "UPDATE %s AS r SET (%s) = ROW (", back->target, back->list);
	for (const char *p = back->list; *p != '\0';)
	{
		size_t		len = strcspn(p, ",");

		buffer_puts(&sql, p == back->list ? "b." : ", b.");
		buffer_add(&sql, p, len);
		p += len + (p[len] == ',' ? 2 : 0);
	}
	buffer_printf(&sql, ") FROM (SELECT COALESCE(l.target_key, l.source_key) AS key, l.before FROM amelia_import.ledger AS l"
				  " WHERE l.table_id = %s AND l.run_id = %s AND l.action = 'u' AND l.is_current) AS k,"
				  " LATERAL pg_catalog.jsonb_populate_record(NULL::%s, k.before) AS b WHERE %s",
				  back->id, run_text, back->target, back->key_match);
	done = sql_do(db, sql.data);
	buffer_free(&sql);
	return done;
}

static bool
take_back(const Back *back, bool force, uint64_t * stays, uint64_t * taken)
{
	Buffer		sql = {0};
	bool		done;

	buffer_printf(&sql, "DROP TABLE IF EXISTS pg_temp.import_back; CREATE TEMP TABLE import_back AS"
				  " SELECT COALESCE(l.target_key, l.source_key) AS key FROM amelia_import.ledger AS l"
				  " WHERE l.table_id = %s AND l.run_id = %s AND l.action = 'i' AND l.is_current; ANALYZE pg_temp.import_back",
				  back->id, run_text);
	done = sql_do(db, sql.data) && (force || find_referring(back, stays));
	buffer_reset(&sql);
	buffer_printf(&sql, "WITH gone AS (DELETE FROM %s AS r USING pg_temp.import_back AS k WHERE %s RETURNING 1)"
				  " SELECT pg_catalog.count(*) FROM gone", back->target, back->key_match);
	if (done && *stays == 0)
		*taken += count_of(sql.data, &done);
	buffer_free(&sql);
	if (done && *stays == 0)
		done = forget(back, "SELECT pg_catalog.array_agg(k.key) FROM pg_temp.import_back AS k");
	return done;
}

static bool
close_books(void)
{
	static const char *const statements[] = {
		"UPDATE amelia_import.ledger AS l SET is_current = true FROM amelia_import.ledger AS n"
		" WHERE n.run_id = $1::integer AND n.replaces = l.entry",
		"DELETE FROM amelia_import.ledger WHERE run_id = $1::integer",
		"DELETE FROM amelia_import.progress WHERE run_id = $1::integer",
		"UPDATE amelia_import.runs SET state = 'rolled back', ended_at = pg_catalog.now() WHERE id = $1::integer"
	};
	const char *params[] = {run_text};

	for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++)
	{
		PGresult   *result = sql_ask(db, statements[i], 1, params);

		if (result == NULL)
			return false;
		PQclear(result);
	}
	return true;
}

static Back *
find_tables(PGresult **result, int *n)
{
	const char *params[] = {run_text};
	Back	   *backs;

	*result = sql_ask(db, "SELECT t.id, t.target_table, pg_catalog.format('%I.%I', t.target_schema, t.target_table),"
					  " t.key_text, t.key_match, t.columns, t.forget,"
					  " (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(c), ', ') FROM pg_catalog.unnest(t.columns) AS c)"
					  " FROM amelia_import.tables AS t WHERE EXISTS (SELECT FROM amelia_import.ledger AS l"
					  " WHERE l.table_id = t.id AND l.run_id = $1::integer) ORDER BY t.id", 1, params);
	*n = *result != NULL ? PQntuples(*result) : 0;
	backs = allocate((size_t) (*n + 1) * sizeof(Back));
	for (int i = 0; i < *n; i++)
	{
		backs[i].id = PQgetvalue(*result, i, 0);
		backs[i].name = PQgetvalue(*result, i, 1);
		backs[i].target = PQgetvalue(*result, i, 2);
		backs[i].key_text = PQgetvalue(*result, i, 3);
		backs[i].key_match = PQgetvalue(*result, i, 4);
		backs[i].columns = PQgetvalue(*result, i, 5);
		backs[i].forget = PQgetisnull(*result, i, 6) ? NULL : PQgetvalue(*result, i, 6);
		backs[i].list = PQgetvalue(*result, i, 7);
		backs[i].every = one_value("SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY a.attnum)"
								   " FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = $1::regclass AND a.attnum > 0"
								   " AND NOT a.attisdropped AND a.attgenerated = ''", backs[i].target);
		backs[i].keys = one_value("SELECT pg_catalog.array_agg(a.attname ORDER BY a.attname COLLATE \"C\")"
								  " FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid"
								  " AND a.attnum = ANY (i.indkey::smallint[])"
								  " WHERE i.indrelid = $1::regclass AND i.indisprimary", backs[i].target);
	}
	return backs;
}

/* All of a run or nothing; *refused when a row stood against it. */
bool
rollback_run(int run, bool force, bool *refused)
{
	PGresult   *result;
	int			n;
	Back	   *backs;
	uint64_t	stays = 0;
	uint64_t	taken = 0;
	bool		done;

	snprintf(run_text, sizeof(run_text), "%d", run);
	backs = find_tables(&result, &n);
	done = result != NULL && sql_do(db, "BEGIN");
	for (int i = 0; i < n && done && !force; i++)
		done = find_changed(&backs[i], &stays);
	for (int i = 0; i < n && done && stays == 0; i++)
		done = bring_back(&backs[i]);
	for (int i = 0; i < n && done && stays == 0; i++)
		done = undo_updates(&backs[i]);
	for (int i = n - 1; i >= 0 && done && stays == 0; i--)
		done = take_back(&backs[i], force, &stays, &taken);
	done = done && (stays > 0 || close_books());
	*refused = done && stays > 0;
	if (done && stays == 0)
		done = sql_do(db, "SET synchronous_commit = on; COMMIT");
	else if (!target_lost())
		sql_do(db, "ROLLBACK");
	if (done && stays == 0)
		tell("run %d is taken back: %llu rows deleted", run, (unsigned long long) taken);
	for (int i = 0; i < n; i++)
	{
		free(backs[i].every);
		free(backs[i].keys);
	}
	free(backs);
	PQclear(result);
	return done && stays == 0;
}

/* The run to take back: that of --run, or the last one that brought something. */
static int
choose_run(void)
{
	char		source[16];
	char		run[24];
	const char *params[] = {source, run};
	char	   *id;
	int			chosen;

	snprintf(source, sizeof(source), "%d", source_id);
	snprintf(run, sizeof(run), "%ld", import.run);
	id = sql_value(db, "SELECT pg_catalog.max(r.id) FROM amelia_import.runs AS r WHERE r.source_id = $1::integer"
				   " AND r.state <> 'rolled back' AND ($2::integer = 0 OR r.id = $2::integer)", 2, params);
	chosen = id != NULL ? atoi(id) : 0;
	free(id);
	id = sql_value(db, "SELECT pg_catalog.max(r.id) FROM amelia_import.runs AS r WHERE r.source_id = $1::integer"
				   " AND r.state <> 'rolled back' AND EXISTS (SELECT FROM amelia_import.progress AS p WHERE p.run_id = r.id)"
				   " AND r.id > $2::integer", 2, params);
	if (chosen == 0 && import.run != 0)
		complain("there is no run %ld of this source to take back", import.run);
	else if (chosen == 0)
		complain("there is no run of this source to take back");
	else if (import.run != 0 && id != NULL)
	{
		complain("run %s came after run %d; take that back first", id, chosen);
		chosen = 0;
	}
	free(id);
	return chosen;
}

int
do_rollback(Source *source)
{
	bool		refused = false;
	bool		has_ledger;
	int			run;
	char	   *left;
	char		number[16];
	const char *params[] = {number};

	if (!target_open(source->system, true) || !ledger_look(&has_ledger))
		return STATUS_USAGE;
	if (!has_ledger || !ledger_find_source(source, false))
	{
		complain("nothing was loaded into database \"%s\"", PQdb(db));
		return STATUS_USAGE;
	}
	run = choose_run();
	if (run == 0)
		return STATUS_USAGE;
	if (!rollback_run(run, import.force, &refused))
	{
		if (refused)
			complain("run %d is not taken back, and nothing is changed; --force takes it back all the same", run);
		return refused ? STATUS_DIFFERENT : STATUS_STOPPED;
	}
	snprintf(number, sizeof(number), "%d", source_id);
	left = sql_value(db, "SELECT pg_catalog.string_agg(r.id::text, ', ' ORDER BY r.id) FROM amelia_import.runs AS r"
					 " WHERE r.source_id = $1::integer AND r.state <> 'rolled back'", 1, params);
	if (left != NULL)
		tell("What run %s brought is still there; --rollback again takes the last of them back.", left);
	free(left);
	return STATUS_DONE;
}
