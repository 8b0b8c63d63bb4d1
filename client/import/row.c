/*-------------------------------------------------------------------------
 *
 * row.c
 *	  One row after the other of a table of the source, as the target is to
 *	  hold it, with its keys on both sides and its hash; or why it cannot be.
 *
 * A row is known by its key, not by its rowid, which a VACUUM changes. Values
 * that somebody has mended (--retry-rejects) take the place of the source's.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "import/import.h"

typedef struct Mended
{
	char	   *table;
	char	   *key;
	char	   *column;
	json_t	   *value;
} Mended;

static Mended *mended = NULL;
static int	nmended = 0;

/* From now on this is the value of a column of the source's row. */
void
mend(const char *table, const char *key, const char *column, const char *json_value)
{
	Mended	   *new;

	mended = reallocate(mended, (size_t) (nmended + 1) * sizeof(Mended));
	new = &mended[nmended++];
	new->table = copy_string(table);
	new->key = copy_string(key);
	new->column = copy_string(column);
	new->value = json_loads(json_value, JSON_DECODE_ANY, NULL);
}

/* Load what earlier runs mended, and keep what this one does. */
bool
mended_load(int source)
{
	char		number[16];
	const char *params[] = {number};
	PGresult   *result;

	snprintf(number, sizeof(number), "%d", source);
	result = sql_ask(db, "SELECT m.source_table, m.source_key, m.column_name, m.value FROM amelia_import.mended AS m"
					 " WHERE m.source_id = $1", 1, params);
	for (int i = 0; result != NULL && i < PQntuples(result); i++)
		mend(PQgetvalue(result, i, 0), PQgetvalue(result, i, 1), PQgetvalue(result, i, 2), PQgetvalue(result, i, 3));
	PQclear(result);
	return result != NULL;
}

bool
mended_store(int source)
{
	bool		stored = true;

	for (int i = 0; i < nmended && stored; i++)
	{
		char		number[16];
		char	   *value = json_dumps(mended[i].value, JSON_ENCODE_ANY);
		const char *params[] = {number, mended[i].table, mended[i].key, mended[i].column, value};
		PGresult   *result;

		snprintf(number, sizeof(number), "%d", source);
		result = sql_ask(db, "INSERT INTO amelia_import.mended (source_id, source_table, source_key, column_name, value)"
						 " VALUES ($1, $2, $3, $4, $5)"
						 " ON CONFLICT (source_id, source_table, source_key, column_name)"
						 " DO UPDATE SET value = EXCLUDED.value", 5, params);
		stored = result != NULL;
		PQclear(result);
		free(value);
	}
	return stored;
}

/* The mended value of a column as SQLite would hold it, the last one given; NULL for none. */
static sqlite3_value *
mended_value(Reader *reader, const Column *column)
{
	static sqlite3_stmt * stmt = NULL;
	const char *name = column->map->source != NULL ? column->map->source : column->name;

	for (int i = nmended - 1; i >= 0; i--)
	{
		const Mended *m = &mended[i];

		if (strcmp(m->table, reader->table->map->source) != 0 || strcmp(m->column, name) != 0 ||
			strcmp(m->key, reader->row.source_key.data) != 0)
			continue;
		if (stmt == NULL)
			sqlite3_prepare_v2(reader->source->db, "SELECT ?1", -1, &stmt, NULL);
		sqlite3_reset(stmt);
		if (json_is_integer(m->value))
			sqlite3_bind_int64(stmt, 1, json_integer_value(m->value));
		else if (json_is_real(m->value))
			sqlite3_bind_double(stmt, 1, json_real_value(m->value));
		else if (json_is_boolean(m->value))
			sqlite3_bind_int(stmt, 1, json_is_true(m->value));
		else if (json_is_string(m->value))
			sqlite3_bind_text(stmt, 1, json_string_value(m->value), (int) json_string_length(m->value), SQLITE_STATIC);
		else if (json_is_null(m->value))
			sqlite3_bind_null(stmt, 1);
		else
			sqlite3_bind_text(stmt, 1, json_dumps(m->value, 0), -1, free);
		sqlite3_step(stmt);
		return sqlite3_column_value(stmt, 0);
	}
	return NULL;
}

/* An id: a UUID in lower case, or one made of its name. */
static bool
convert_id(Reader *reader, const Column *column, sqlite3_value * value, Change *change)
{
	Row		   *row = &reader->row;
	size_t		start = row->text.len;
	char text[	UUID_TEXT_SIZE];
	Uuid		uuid;

	if (!convert_text(value, &row->text, &row->refusal))
		return false;
	if (uuid_parse(row->text.data + start, &uuid))
		uuid_format(&uuid, text);
	else
	{
		uuid_of_name(reader->source->system->name, column->map->refers, row->text.data + start,
					 row->text.len - start, text);
		*change = CHANGE_ID;
	}
	row->text.len = start;
	buffer_add(&row->text, text, UUID_TEXT_SIZE - 1);
	return true;
}

static bool
convert_json(Row *row, sqlite3_value * value, Buffer *canonical, Change *change)
{
	size_t		start = row->text.len;

	if (!convert_text(value, &row->text, &row->refusal))
		return false;
	buffer_reset(canonical);
	if (json_canonical(row->text.data + start, row->text.len - start, canonical, &row->refusal))
		return true;
	if (!option_is(import.invalid_json, "text") || strcmp(row->refusal.sqlstate, "22P02") != 0)
		return false;
	buffer_reset(canonical);
	quote_json(canonical, row->text.data + start, row->text.len - start);
	row->text.len = start;
	buffer_add(&row->text, canonical->data, canonical->len);
	*change = CHANGE_JSON_TEXT;
	return true;
}

static bool
convert_value(Reader *reader, const Column *column, sqlite3_value * value, Buffer *canonical, Change *change)
{
	Row		   *row = &reader->row;

	switch (column->map->conversion)
	{
		case AS_TEXT:
			return convert_text(value, &row->text, &row->refusal);
		case AS_UUID:
			return convert_id(reader, column, value, change);
		case AS_TIME:
			return convert_time(value, &row->text, change, &row->refusal);
		case AS_BOOLEAN:
			return convert_boolean(value, &row->text, &row->refusal);
		case AS_MONEY:
			return convert_number(value, 6, &row->text, change, &row->refusal);
		case AS_NUMERIC:
			return convert_number(value, -1, &row->text, change, &row->refusal);
		case AS_INTEGER:
			return convert_integer(value, false, &row->text, &row->refusal);
		case AS_BIGINT:
			return convert_integer(value, true, &row->text, &row->refusal);
		case AS_JSON:
			return convert_json(row, value, canonical, change);
	}
	return false;
}

/* The hash takes each value with its length: no two rows look alike to it. */
static void
hash_value(Digest *digest, const char *text, size_t len, bool is_null)
{
	char		head[24];

	if (is_null)
		digest_add(digest, "-", 1);
	else
	{
		digest_add(digest, head, (size_t) snprintf(head, sizeof(head), "%zu:", len));
		digest_add(digest, text, len);
	}
}

static void
set_null(Row *row, Field *field)
{
	field->is_null = true;
	field->start = row->text.len;
	field->len = 0;
}

static void
set_default(Row *row, Field *field, const Column *column)
{
	set_null(row, field);
	if (column->default_text == NULL)
		return;
	field->is_null = false;
	field->len = strlen(column->default_text);
	buffer_add(&row->text, column->default_text, field->len);
}

static bool
same_value(sqlite3_value * a, sqlite3_value * b)
{
	int			type = sqlite3_value_type(a);

	if (type != sqlite3_value_type(b))
		return false;
	return type == SQLITE_NULL ||
		(sqlite3_value_bytes(a) == sqlite3_value_bytes(b) &&
		 memcmp(sqlite3_value_text(a), sqlite3_value_text(b), (size_t) sqlite3_value_bytes(a)) == 0);
}

/* One column; the JSON that is hashed is not the one that is sent. */
static bool
read_column(Reader *reader, Column *column, Field *field, Digest *digest, Buffer *canonical)
{
	Row		   *row = &reader->row;
	Change		change = CHANGE_NONE;
	sqlite3_value *value;
	sqlite3_value *given;
	bool		is_json = false;

	if (column->map == NULL)
	{
		set_default(row, field, column);
		hash_value(digest, row->text.data + field->start, field->len, field->is_null);
		return true;
	}
	row->column = column;
	value = sqlite3_column_value(reader->stmt, column->value);
	given = nmended > 0 ? mended_value(reader, column) : NULL;
	if (given != NULL)
		value = given;
	field->start = row->text.len;
	field->is_null = false;
	if (sqlite3_value_type(value) != SQLITE_NULL && column->map->conversion == AS_JSON &&
		sqlite3_value_type(value) == SQLITE_TEXT && sqlite3_value_bytes(value) == 0)
		change = CHANGE_EMPTY_JSON;
	if (given == NULL && column->orphan >= 0 && sqlite3_value_type(value) != SQLITE_NULL &&
		sqlite3_column_int(reader->stmt, column->orphan) != 0)
	{
		if (!option_is(import.orphans, "null") || column->not_null)
			return refuse(&row->refusal, "23503", "refers to no row of %s", column->map->refers);
		change = CHANGE_ORPHAN;
	}
	if (sqlite3_value_type(value) == SQLITE_NULL || change != CHANGE_NONE)
	{
		if (change == CHANGE_ORPHAN)
			set_null(row, field);
		else
			set_default(row, field, column);
		if (change != CHANGE_EMPTY_JSON && change != CHANGE_ORPHAN && !field->is_null)
			change = CHANGE_DEFAULT;
	}
	else
	{
		if (!convert_value(reader, column, value, canonical, &change))
			return false;
		field->len = row->text.len - field->start;
		is_json = column->map->conversion == AS_JSON;
	}
	if (field->is_null && column->not_null)
		return refuse(&row->refusal, "23502", "NULL, where the target has NOT NULL");
	if (column->given >= 0 && column->map->why != NULL &&
		!same_value(value, sqlite3_column_value(reader->stmt, column->given)))
		change = CHANGE_WHY;
	if (change != CHANGE_NONE && reader->count_changes)
		column->changes[change]++;
	if (is_json)
		hash_value(digest, canonical->data, canonical->len, false);
	else
		hash_value(digest, row->text.data + field->start, field->len, field->is_null);
	return true;
}

/* The source's own key: one value as it is, several as a JSON array. */
static bool
read_source_key(Reader *reader)
{
	Row		   *row = &reader->row;
	Table	   *table = reader->table;
	int			n = 0;

	buffer_reset(&row->source_key);
	if (table->nkeys > 1)
		buffer_puts(&row->source_key, "[");
	for (int i = 0; i < table->ncolumns; i++)
	{
		const Column *column = &table->columns[i];
		const char *text;
		size_t		len;

		if (!column->is_key)
			continue;
		row->column = column;
		text = (const char *) sqlite3_column_text(reader->stmt, column->value);

		len = (size_t) sqlite3_column_bytes(reader->stmt, column->value);
		if (text == NULL)
			return refuse(&row->refusal, "23502", "NULL in the key");
		if (memchr(text, '\0', len) != NULL || !utf8_valid(text, len))
			return refuse(&row->refusal, "22021", "NUL or invalid UTF-8 in the key");
		if (n++ > 0)
			buffer_puts(&row->source_key, ", ");
		if (table->nkeys > 1)
			quote_json(&row->source_key, text, len);
		else
			buffer_add(&row->source_key, text, len);
	}
	if (table->nkeys > 1)
		buffer_puts(&row->source_key, "]");
	return true;
}

static void
make_target_key(Reader *reader)
{
	Row		   *row = &reader->row;
	Table	   *table = reader->table;
	int			n = 0;

	buffer_reset(&row->target_key);
	if (table->nkeys > 1)
		buffer_puts(&row->target_key, "[");
	for (int i = 0; i < table->ncolumns; i++)
	{
		const Field *field = &row->fields[i];

		if (!table->columns[i].is_key)
			continue;
		if (n++ > 0)
			buffer_puts(&row->target_key, ", ");
		if (table->nkeys > 1)
			quote_json(&row->target_key, row->text.data + field->start, field->len);
		else
			buffer_add(&row->target_key, row->text.data + field->start, field->len);
	}
	if (table->nkeys > 1)
		buffer_puts(&row->target_key, "]");
}

bool
reader_open(Reader *reader, Source *source, Table *table, bool count_changes)
{
	memset(reader, 0, sizeof(*reader));
	reader->source = source;
	reader->table = table;
	reader->count_changes = count_changes;
	reader->row.fields = allocate((size_t) table->ncolumns * sizeof(Field));
	reader->row.number = -1;
	if (count_changes)
	{
		for (int i = 0; i < table->ncolumns; i++)
			memset(table->columns[i].changes, 0, sizeof(table->columns[i].changes));
	}
	if (sqlite3_prepare_v2(source->db, table->select, -1, &reader->stmt, NULL) == SQLITE_OK)
		return true;
	complain("table %s: %s", table->map->source, sqlite3_errmsg(source->db));
	return false;
}

/* The text of the value that is refused, for whoever mends it; bytes that are no text in hexadecimal. */
static void
keep_value(Reader *reader)
{
	Row		   *row = &reader->row;
	int			number = row->column != NULL ? row->column->value : -1;
	const char *bytes;
	size_t		len;

	buffer_reset(&row->value);
	if (number < 0 || sqlite3_column_type(reader->stmt, number) == SQLITE_NULL)
		return;
	bytes = sqlite3_column_type(reader->stmt, number) == SQLITE_BLOB ?
		sqlite3_column_blob(reader->stmt, number) : (const char *) sqlite3_column_text(reader->stmt, number);
	len = (size_t) sqlite3_column_bytes(reader->stmt, number);
	if (len > 1000)
		len = 1000;
	while (len > 0 && len == 1000 && (bytes[len] & 0xc0) == 0x80)
		len--;
	if (sqlite3_column_type(reader->stmt, number) != SQLITE_BLOB && memchr(bytes, '\0', len) == NULL &&
		utf8_valid(bytes, len))
		buffer_add(&row->value, bytes, len);
	else
	{
		buffer_puts(&row->value, "\\x");
		for (size_t i = 0; i < len; i++)
			buffer_printf(&row->value, "%02x", (unsigned char) bytes[i]);
	}
}

static bool
read_row(Reader *reader)
{
	static Digest *md5 = NULL;
	static Buffer canonical = {0};
	Row		   *row = &reader->row;
	Table	   *table = reader->table;

	if (md5 == NULL)
		md5 = digest_new("MD5");
	digest_start(md5);
	buffer_reset(&row->text);
	row->column = NULL;
	if (!read_source_key(reader))
		return false;
	for (int i = 0; i < table->ncolumns; i++)
	{
		if (!read_column(reader, &table->columns[i], &row->fields[i], md5, &canonical))
			return false;
	}
	row->column = NULL;
	if (row->text.len > MAX_ROW_BYTES)
		return refuse(&row->refusal, "54000", "a row that is longer than PostgreSQL takes");
	digest_end(md5, row->hash.bytes);
	make_target_key(reader);
	return true;
}

/* The next row, not yet read: 1, at the end -1, -2 when it failed. */
int
reader_step(Reader *reader)
{
	Row		   *row = &reader->row;
	int			code = sqlite3_step(reader->stmt);

	if (code == SQLITE_DONE)
		return -1;
	if (code != SQLITE_ROW)
	{
		complain("table %s: %s", reader->table->map->source, sqlite3_errmsg(reader->source->db));
		return -2;
	}
	row->number++;
	row->rowid = reader->table->has_rowid ? sqlite3_column_int64(reader->stmt, 0) : 0;
	return 1;
}

/* The row that reader_step() has found: 1, or 0 when it is refused. */
int
reader_read(Reader *reader)
{
	if (read_row(reader))
		return 1;
	keep_value(reader);
	return 0;
}

int
reader_next(Reader *reader)
{
	int			found = reader_step(reader);

	return found == 1 ? reader_read(reader) : found;
}

void
reader_close(Reader *reader)
{
	sqlite3_finalize(reader->stmt);
	buffer_free(&reader->row.text);
	buffer_free(&reader->row.source_key);
	buffer_free(&reader->row.target_key);
	buffer_free(&reader->row.value);
	free(reader->row.fields);
}

/* An amount in millionths, of a text that has six digits after the point. */
int64_t
money_value(const char *text, size_t len)
{
	int64_t		amount = 0;

	for (size_t i = 0; i < len; i++)
	{
		if (text[i] >= '0' && text[i] <= '9')
			amount = amount * 10 + (text[i] - '0');
	}
	return len > 0 && *text == '-' ? -amount : amount;
}

/* The amounts of a row. */
__int128
money_of(const Table *table, const Row *row)
{
	__int128	sum = 0;

	for (int i = 0; i < table->ncolumns; i++)
	{
		if (table->columns[i].map != NULL && table->columns[i].map->conversion == AS_MONEY)
			sum += money_value(row->text.data + row->fields[i].start, row->fields[i].len);
	}
	return sum;
}

char *
money_text(__int128 millionths)
{
	Buffer text = {0};
	unsigned	__int128 amount = (unsigned __int128) (millionths < 0 ? -millionths : millionths);

	buffer_printf(&text, "%s%llu.%06u", millionths < 0 ? "-" : "", (unsigned long long) (amount / 1000000),
				  (unsigned int) (amount % 1000000));
	return text.data;
}
