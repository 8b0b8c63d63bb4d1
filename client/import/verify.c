/*-------------------------------------------------------------------------
 *
 * verify.c
 *	  The proof: what the server has now against what the source says.
 *
 * For each target the rows' count, sum and exclusive or of their hashes are
 * compared at once with amelia.table_checksum(). Where they differ, because
 * others have rows there too or because a row is not what it should be, key
 * and hash of each row of the source go to the server, and those that are
 * missing or differ are named.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "import/import.h"

#define MAX_NAMED 20

/* The rows that were refused when the source was loaded: sorted "table\ttarget\tkey". */
static char **refused = NULL;
static int	nrefused = 0;

static int
compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

static bool
read_refused(void)
{
	char		number[16];
	const char *params[] = {number};
	PGresult   *result;

	nrefused = 0;
	if (source_id == 0)
		return true;
	snprintf(number, sizeof(number), "%d", source_id);
	result = sql_ask(db, "SELECT r.source_table || E'\\t' || r.target_table || E'\\t' || r.source_key FROM amelia_import.rejects AS r"
					 " WHERE r.source_id = $1 AND r.source_key IS NOT NULL", 1, params);
	if (result == NULL)
		return false;
	refused = reallocate(refused, (size_t) (PQntuples(result) + 1) * sizeof(char *));
	for (int i = 0; i < PQntuples(result); i++)
		refused[nrefused++] = copy_string(PQgetvalue(result, i, 0));
	PQclear(result);
	qsort(refused, (size_t) nrefused, sizeof(char *), compare_texts);
	return true;
}

static bool
is_refused(const Table *table, const Row *row)
{
	static Buffer text = {0};

	if (nrefused == 0)
		return false;
	buffer_reset(&text);
	buffer_printf(&text, "%s\t%s\t%s", table->map->source, table->map->target, row->source_key.data);
	return bsearch(&text.data, refused, (size_t) nrefused, sizeof(char *), compare_texts) != NULL;
}

/* The sums of a table's rows, for when they were not made while loading. */
static bool
read_sums(Source *source, Table *table)
{
	Reader		reader;
	int			got;

	memset(&table->source_sums, 0, sizeof(table->source_sums));
	table->rejected = 0;
	table->money = 0;
	if (!reader_open(&reader, source, table, true))
		return false;
	show_table(table, "read", table->rows);
	while ((got = reader_next(&reader)) >= 0 && !db_interrupted)
	{
		if (got == 0 || is_refused(table, &reader.row))
			table->rejected++;
		else
		{
			sums_add(&table->source_sums, &reader.row.hash);
			table->money += money_of(table, &reader.row);
		}
		show_rows(1);
	}
	reader_close(&reader);
	return got == -1 && !db_interrupted;
}

static void
add_array(Buffer *out, const Table *table, bool keys)
{
	bool		first = true;

	buffer_puts(out, "{");
	for (int i = 0; i < table->ncolumns; i++)
	{
		if (keys && !table->columns[i].is_key)
			continue;
		buffer_puts(out, first ? "" : ",");
		add_identifier(out, table->columns[i].name);
		first = false;
	}
	buffer_puts(out, "}");
}

/* What the server says of a whole table. */
static bool
same_sums(const Table *table, const Sums *sums, bool *same)
{
	Buffer		columns = {0};
	const char *params[3] = {table->target, NULL, NULL};
	char		sum[48];
	char		xor[48];
	PGresult   *result;

	add_array(&columns, table, false);
	params[2] = columns.data;
	for (int i = 0; i < table->ncolumns && params[1] == NULL; i++)
		params[1] = table->columns[i].is_key ? table->columns[i].name : NULL;
	result = sql_ask(db, "SELECT c.rows, pg_catalog.replace(c.sum::text, '-', ''), pg_catalog.replace(c.xor::text, '-', '')"
					 " FROM amelia.table_checksum($1::regclass, $2, $3::name[]) AS c", 3, params);
	buffer_free(&columns);
	if (result == NULL)
		return false;
	sums_format(sums, sum, xor);
	*same = strtoull(PQgetvalue(result, 0, 0), NULL, 10) == sums->rows &&
		strcmp(PQgetvalue(result, 0, 1), sum) == 0 && strcmp(PQgetvalue(result, 0, 2), xor) == 0;
	PQclear(result);
	return true;
}

static bool
send_hashes(Source *source, Table *table)
{
	Reader		reader;
	Buffer		piece = {0};
	int			got = 0;
	bool		sent = true;

	if (!sql_do(db, "DROP TABLE IF EXISTS pg_temp.import_seen; CREATE TEMP TABLE import_seen (key text, hash uuid)") ||
		!reader_open(&reader, source, table, false))
		return false;
	show_table(table, "verify", table->rows);
	sent = begin_copy(db, "COPY pg_temp.import_seen FROM STDIN");
	while (sent && (got = reader_next(&reader)) >= 0 && !db_interrupted)
	{
		char		hash[HASH_TEXT_SIZE];

		show_rows(1);
		if (got == 0 || is_refused(table, &reader.row))
			continue;
		add_copy_text(&piece, &reader.row.target_key);
		hash_format(&reader.row.hash, hash);
		buffer_printf(&piece, "\t%s\n", hash);
		sent = send_piece(db, &piece, false);
	}
	sent = send_piece(db, &piece, true) && sent;
	buffer_free(&piece);
	reader_close(&reader);
	return end_copy(db, false) && sent && got == -1 && sql_do(db, "ANALYZE pg_temp.import_seen");
}

/* Compare row by row, and name what differs. */
static bool
compare_rows(Source *source, Table *table, bool *different)
{
	Buffer		keys = {0};
	Buffer		columns = {0};
	const char *params[3] = {table->target, NULL, NULL};
	PGresult   *result;

	if (!send_hashes(source, table))
		return false;
	add_array(&keys, table, true);
	add_array(&columns, table, false);
	params[1] = keys.data;
	params[2] = columns.data;
	result = sql_ask(db, "SELECT d.key, d.missing, d.n FROM (SELECT s.key, r.hash IS NULL AS missing, pg_catalog.count(*) OVER () AS n"
					 " FROM pg_temp.import_seen AS s"
					 " LEFT JOIN amelia.row_checksums($1::regclass, $2::name[], $3::name[]) AS r ON r.key = s.key"
					 " WHERE r.hash IS DISTINCT FROM s.hash) AS d ORDER BY d.key COLLATE \"C\" LIMIT 20", 3, params);
	buffer_free(&keys);
	buffer_free(&columns);
	if (result == NULL)
		return false;
	if (PQntuples(result) > 0)
	{
		table->different = strtoull(PQgetvalue(result, 0, 2), NULL, 10);
		*different = true;
		complain("%s -> %s: %llu row%s", table->map->source, table->map->target, (unsigned long long) table->different,
				 table->different == 1 ? " differs" : "s differ");
		for (int i = 0; i < PQntuples(result) && i < MAX_NAMED; i++)
			complain("  %s %s", PQgetvalue(result, i, 0), PQgetvalue(result, i, 1)[0] == 't' ? "is missing" : "is not as the source has it");
	}
	PQclear(result);
	return true;
}

/* The sum of amounts in the target: of all its rows, or of those just compared. */
static bool
same_money(const Table *table, __int128 source, bool whole, bool *different)
{
	for (int i = 0; i < table->ncolumns; i++)
	{
		Buffer		sql = {0};
		char	   *there;
		char	   *ours;

		if (table->columns[i].map == NULL || table->columns[i].map->conversion != AS_MONEY)
			continue;
		buffer_puts(&sql, "SELECT COALESCE(pg_catalog.sum(r.");
		add_identifier(&sql, table->columns[i].name);
		buffer_printf(&sql, "), 0)::numeric(38,6) FROM %s AS r", table->target);
		if (!whole)
			buffer_printf(&sql, " JOIN pg_temp.import_seen AS k ON %s", table->key_match);
		there = sql_value(db, sql.data, 0, NULL);
		buffer_free(&sql);
		if (there == NULL)
			return false;
		ours = money_text(source);
		if (strcmp(there, ours) != 0)
		{
			complain("%s: the sum of %s is %s, and %s in the source", table->map->target, table->columns[i].name, there, ours);
			*different = true;
		}
		else
			tell("  %s: the sum of %s is %s on both sides", table->map->target, table->columns[i].name, ours);
		free(there);
		free(ours);
	}
	return true;
}

/* All tables of the source that go into one target. */
static bool
verify_target(Source *source, int first, bool *different)
{
	Sums		sums = {0};
	__int128	money = 0;
	bool		same;

	for (int i = first; i < ntables; i++)
	{
		if (strcmp(tables[i].target, tables[first].target) != 0)
			continue;
		sums.rows += tables[i].source_sums.rows;
		sums.sum += tables[i].source_sums.sum;
		for (int b = 0; b < HASH_BYTES; b++)
			sums.xor[b] ^= tables[i].source_sums.xor[b];
		money += tables[i].money;
	}
	show_table(&tables[first], "verify", 0);
	if (!same_sums(&tables[first], &sums, &same))
		return false;
	if (same && !same_money(&tables[first], money, true, different))
		return false;
	for (int i = first; i < ntables; i++)
	{
		if (strcmp(tables[i].target, tables[first].target) != 0)
			continue;
		tables[i].verified = true;
		if (!same && (!compare_rows(source, &tables[i], different) ||
					  !same_money(&tables[i], tables[i].money, false, different)))
			return false;
	}
	return true;
}

/* False when it could not be found out; what differs is named. */
bool
verify_tables(Source *source, bool sums_known, bool *different)
{
	if (!read_refused())
		return false;
	for (int i = 0; i < ntables; i++)
	{
		if ((!sums_known || tables[i].is_stale) && !read_sums(source, &tables[i]))
			return false;
	}
	for (int i = 0; i < ntables; i++)
	{
		Table	   *table = &tables[i];

		if (!table->verified && !verify_target(source, i, different))
			return false;
		if ((uint64_t) table->rows != table->source_sums.rows + table->rejected)
		{
			complain("%s: %lld rows in the source are not %llu there and %llu rejected", table->map->source,
					 (long long) table->rows, (unsigned long long) table->source_sums.rows,
					 (unsigned long long) table->rejected);
			*different = true;
		}
	}
	return true;
}

/* What the database says of itself. */
bool
verify_database(Source *source, bool *different)
{
	for (const char *const *sql = source->system->proofs; sql != NULL && *sql != NULL; sql++)
	{
		PGresult   *result = sql_ask(db, *sql, 0, NULL);

		if (result == NULL)
			return false;
		for (int i = 0; i < PQntuples(result); i++)
		{
			if (i < MAX_NAMED)
				complain("%s", PQgetvalue(result, i, 0));
			*different = true;
		}
		if (PQntuples(result) > MAX_NAMED)
			complain(ELLIPSIS " and %d more", PQntuples(result) - MAX_NAMED);
		PQclear(result);
	}
	return true;
}

void
say_notices(Source *source)
{
	for (const char *const *sql = source->system->notices; sql != NULL && *sql != NULL; sql++)
	{
		PGresult   *result = sql_ask(db, *sql, 0, NULL);

		for (int i = 0; result != NULL && i < PQntuples(result); i++)
			warn("%s", PQgetvalue(result, i, 0));
		PQclear(result);
	}
}

/* --verify: a command of its own, and it writes nothing. */
int
do_verify(Source *source)
{
	double		began = now_seconds();
	char	   *default_time;
	bool		has_ledger;
	bool		different = false;
	uint64_t	rejected = 0;

	if (!target_open(source->system, false) || !ledger_look(&has_ledger))
		return STATUS_USAGE;
	if (has_ledger && (!ledger_find_source(source, false) || (source_id != 0 && !mended_load(source_id))))
		return STATUS_USAGE;
	if (!ledger_default_time(&default_time) || !tables_open(source, default_time))
		return STATUS_USAGE;
	free(default_time);
	db_catch_signals();
	show_begin();
	if (!verify_tables(source, false, &different) || !verify_database(source, &different))
	{
		show_end();
		return db_interrupted ? STATUS_STOPPED : STATUS_USAGE;
	}
	show_end();
	for (int i = 0; i < ntables; i++)
	{
		Table	   *table = &tables[i];

		tell("  %s -> %s: %lld rows, %llu there, %llu different or missing, %llu rejected", table->map->source,
			 table->map->target, (long long) table->rows, (unsigned long long) (table->source_sums.rows - table->different),
			 (unsigned long long) table->different, (unsigned long long) table->rejected);
		rejected += table->rejected;
	}
	tell("verified in %.1f s: %s", now_seconds() - began,
		 different ? "there are differences" : "every row is there as the source has it");
	if (!write_report(source, different ? "different" : "verified", now_seconds() - began))
		return STATUS_USAGE;
	return different ? STATUS_DIFFERENT : rejected > 0 ? STATUS_REJECTS : STATUS_DONE;
}
