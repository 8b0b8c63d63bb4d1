/*-------------------------------------------------------------------------
 *
 * source.c
 *	  The SQLite side: a private copy, and what is in it.
 *
 * The source is read through SQLite's online backup, which sees rows that
 * are still in the write-ahead log and never writes. The copy is a file in
 * TMPDIR that has no name any more once it is open, so that nothing is left
 * behind, whatever ends us. The copy goes piece by piece, so that the
 * application can write meanwhile; a source that changes too often for that is
 * copied in one piece, for which its writers wait.
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "import/import.h"

#define PIECE_PAGES 4096
#define MAX_RESTARTS 20
#define LOCK_WAIT_MS 5000

static const SystemMap *const systems[] = {&amelia_system, &saga_system, &platform_system};

#define LENGTH(array) ((int) (sizeof(array) / sizeof((array)[0])))

static bool
is_interrupted(void)
{
	return db_interrupted != 0;
}

/* The first bytes say whether it is one at all: clearer than SQLite's own words. */
static bool
check_file(const char *path)
{
	struct stat st;
	char		head[16];
	FILE	   *file;
	size_t		len;

	if (stat(path, &st) != 0)
	{
		complain("%s: %s", path, strerror(errno));
		return false;
	}
	if (!S_ISREG(st.st_mode))
	{
		complain("%s: %s", path, S_ISDIR(st.st_mode) ? "is a directory" : "is no regular file");
		return false;
	}
	file = fopen(path, "rb");
	if (file == NULL)
	{
		complain("%s: %s", path, strerror(errno));
		return false;
	}
	len = fread(head, 1, sizeof(head), file);
	fclose(file);
	if (len == 0)
		complain("%s: is empty", path);
	else if (len < sizeof(head) || memcmp(head, "SQLite format 3", sizeof(head)) != 0)
		complain("%s: is no SQLite 3 database", path);
	else
		return true;
	return false;
}

static const char *
reason_of(int code, sqlite3 * db)
{
	switch (code & 0xff)
	{
		case SQLITE_BUSY:
		case SQLITE_LOCKED:
			return "is locked by another process";
		case SQLITE_CORRUPT:
		case SQLITE_NOTADB:
			return "is damaged";
		case SQLITE_FULL:
			return "there is no room for a copy of it; TMPDIR says where that goes";
		case SQLITE_READONLY:
			return "a transaction in it was cut off: open it once with its application";
		case SQLITE_CANTOPEN:
			return "cannot be opened: it or its write-ahead log cannot be read here";
		default:
			return db != NULL ? sqlite3_errmsg(db) : sqlite3_errstr(code);
	}
}

/* Page by page. How often SQLite began anew is seen by what is left to do. */
static int
copy_pages(sqlite3_backup * backup)
{
	int			restarts = 0;
	int			left = 0;
	int			waited = 0;
	int			code;

	do
	{
		code = sqlite3_backup_step(backup, restarts < MAX_RESTARTS ? PIECE_PAGES : -1);
		if (left != 0 && sqlite3_backup_remaining(backup) > left)
			restarts++;
		left = sqlite3_backup_remaining(backup);
		if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
		{
			if (waited >= LOCK_WAIT_MS)
				return code;
			waited += sqlite3_sleep(50);
		}
		else
			waited = 0;
		if (is_interrupted())
			return SQLITE_INTERRUPT;
	} while (code == SQLITE_OK || code == SQLITE_BUSY || code == SQLITE_LOCKED);
	return code;
}

/* An open database in a file without a name, or NULL. */
static sqlite3 *
private_file(void)
{
	const char *directory = getenv("TMPDIR");
	Buffer		path = {0};
	sqlite3    *db = NULL;
	int			fd;

	buffer_printf(&path, "%s/amelia-import.XXXXXX", directory != NULL && *directory != '\0' ? directory : "/tmp");
	fd = mkstemp(path.data);
	if (fd < 0)
		complain("%s: %s", path.data, strerror(errno));
	else
	{
		close(fd);
		if (sqlite3_open_v2(path.data, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK ||
			sqlite3_exec(db, "PRAGMA locking_mode = exclusive; PRAGMA journal_mode = off;"
						 " PRAGMA synchronous = off; PRAGMA temp_store = file;"
						 " PRAGMA trusted_schema = off", NULL, NULL, NULL) != SQLITE_OK)
		{
			complain("%s: %s", path.data, sqlite3_errmsg(db));
			sqlite3_close(db);
			db = NULL;
		}
		unlink(path.data);
	}
	buffer_free(&path);
	return db;
}

/*
 * A copy of a database with a write-ahead log says that it has one, too. It
 * has none, and no name to have one beside.
 */
static int
leave_wal_mode(sqlite3 * db)
{
	sqlite3_file *file = NULL;
	int			code = sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file);

	if (code == SQLITE_OK)
		code = file->pMethods->xWrite(file, "\001\001", 2, 18);
	if (code == SQLITE_OK)
		code = sqlite3_file_control(db, "main", SQLITE_FCNTL_RESET_CACHE, NULL);
	return code;
}

/*
 * What a file's own schema says, in views, generated columns, CHECKs and
 * indexes of expressions, calls no function that could do harm. A SQLite that
 * is too old for that passes the pragma by.
 */
static bool
distrust_schema(sqlite3 * db)
{
	return sqlite3_exec(db, "PRAGMA trusted_schema = off", NULL, NULL, NULL) == SQLITE_OK;
}

static bool
copy_source(Source *source, const char *path)
{
	sqlite3    *from = NULL;
	sqlite3_backup *backup = NULL;
	int			code = sqlite3_open_v2(path, &from, SQLITE_OPEN_READONLY, NULL);

	if (code == SQLITE_OK && !distrust_schema(from))
		code = sqlite3_errcode(from);
	if (code == SQLITE_OK)
	{
		sqlite3_busy_timeout(from, LOCK_WAIT_MS);
		code = sqlite3_exec(from, "SELECT count(*) FROM sqlite_master", NULL, NULL, NULL);
	}
	if (code == SQLITE_OK)
	{
		source->db = private_file();
		if (source->db == NULL)
		{
			sqlite3_close(from);
			return false;
		}
		backup = sqlite3_backup_init(source->db, "main", from, "main");
		code = backup == NULL ? sqlite3_errcode(source->db) : copy_pages(backup);
		if (backup != NULL)
		{
			int			last = sqlite3_backup_finish(backup);

			if (code == SQLITE_DONE)
				code = last == SQLITE_OK ? leave_wal_mode(source->db) : last;
		}
	}
	if (code != SQLITE_OK && !is_interrupted())
		complain("%s: %s", path, reason_of(code, backup == NULL ? from : NULL));
	sqlite3_close(from);
	return code == SQLITE_OK;
}

/* What is read is what was there: its hash, and whether SQLite finds it whole. */
static bool
examine_copy(Source *source, const char *path)
{
	sqlite3_file *file = NULL;
	sqlite3_int64 size = 0;
	sqlite3_stmt *stmt;
	Digest	   *digest = digest_new("SHA256");
	unsigned char out[64];
	char	   *piece = allocate(1 << 20);
	bool		whole = false;

	sqlite3_file_control(source->db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
	file->pMethods->xFileSize(file, &size);
	source->bytes = (uint64_t) size;
	digest_start(digest);
	for (sqlite3_int64 at = 0; at < size; at += 1 << 20)
	{
		int			len = size - at < 1 << 20 ? (int) (size - at) : 1 << 20;

		if (file->pMethods->xRead(file, piece, len, at) != SQLITE_OK)
			break;
		digest_add(digest, piece, (size_t) len);
	}
	free(piece);
	digest_end(digest, out);
	for (int i = 0; i < 32; i++)
		snprintf(source->sha256 + i * 2, 3, "%02x", out[i]);
	source->user_version = (long) source_number(source, "PRAGMA user_version");

	stmt = source_query(source, "PRAGMA integrity_check(3)");
	if (stmt != NULL && sqlite3_step(stmt) == SQLITE_ROW)
	{
		const char *answer = (const char *) sqlite3_column_text(stmt, 0);

		whole = strcmp(answer, "ok") == 0;
		if (!whole && !is_interrupted())
			complain("%s: is damaged: %s", path, answer);
	}
	else if (!is_interrupted())
		complain("%s: is damaged: %s", path, sqlite3_errmsg(source->db));
	sqlite3_finalize(stmt);
	return whole;
}

/* A statement on the copy; NULL, and nothing said, when it does not fit. */
sqlite3_stmt *
source_query(Source *source, const char *fmt,...)
{
	va_list		args;
	char	   *sql;
	sqlite3_stmt *stmt = NULL;

	va_start(args, fmt);
	sql = sqlite3_vmprintf(fmt, args);
	va_end(args);
	if (sqlite3_prepare_v2(source->db, sql, -1, &stmt, NULL) != SQLITE_OK)
		stmt = NULL;
	sqlite3_free(sql);
	return stmt;
}

int64_t
source_number(Source *source, const char *fmt,...)
{
	va_list		args;
	char	   *sql;
	sqlite3_stmt *stmt = NULL;
	int64_t		number = 0;

	va_start(args, fmt);
	sql = sqlite3_vmprintf(fmt, args);
	va_end(args);
	if (sqlite3_prepare_v2(source->db, sql, -1, &stmt, NULL) == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW)
		number = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	sqlite3_free(sql);
	return number;
}

/* Whether a table, or a column of it, is there; names in any case, as SQLite has it. */
bool
source_has(Source *source, const char *table, const char *column)
{
	return source_number(source, "SELECT count(*) FROM pragma_table_info(%Q) WHERE %Q IS NULL OR lower(name) = lower(%Q)",
						 table, column, column) > 0;
}

static bool
has_sign(Source *source, const char *sign)
{
	const char *dot = strchr(sign, '.');
	char	   *table = copy_string(sign);
	bool		found;

	table[dot - sign] = '\0';
	found = source_has(source, table, dot + 1);
	free(table);
	return found;
}

static bool
has_signs(Source *source, const SystemMap *system)
{
	for (const char *const *sign = system->signs; *sign != NULL; sign++)
	{
		if (!has_sign(source, *sign))
			return false;
	}
	return true;
}

static bool
recognise(Source *source, const char *path)
{
	for (int i = 0; i < LENGTH(systems); i++)
	{
		if (import.system != NULL ? strcmp(systems[i]->name, import.system) != 0 : !has_signs(source, systems[i]))
			continue;
		if (source->system != NULL)
		{
			complain("%s: could be of %s or of %s; --system says which", path, source->system->name, systems[i]->name);
			return false;
		}
		source->system = systems[i];
	}
	if (source->system == NULL)
	{
		complain(import.system != NULL ? "--system: there is no \"%s\"; there are amelia, saga and platform" :
				 "%s: has the tables of no system that is known here", import.system != NULL ? import.system : path);
		return false;
	}
	if (!has_signs(source, source->system))
	{
		complain("%s: has not the tables of %s", path, source->system->name);
		return false;
	}
	if (source->system->refuse != NULL && has_sign(source, source->system->refuse))
	{
		complain("%s: has %s, so it is of too old a generation; %s", path, source->system->refuse,
				 source->system->refuse_hint);
		return false;
	}
	for (const char *const *sql = source->system->prepare; sql != NULL && *sql != NULL; sql++)
		sqlite3_exec(source->db, *sql, NULL, NULL, NULL);
	return true;
}

bool
source_open(Source *source)
{
	memset(source, 0, sizeof(*source));
	source->path = realpath(import.path, NULL);
	if (!check_file(import.path) || !copy_source(source, import.path) || !examine_copy(source, import.path))
		return false;
	return recognise(source, import.path);
}

void
source_close(Source *source)
{
	sqlite3_close(source->db);
	free(source->path);
}

static bool
in_left(const LeftMap *left, const char *name)
{
	for (; left != NULL && left->name != NULL; left++)
	{
		if (sqlite3_stricmp(left->name, name) == 0)
			return true;
	}
	return false;
}

/* A full-text index, or one of the tables that it keeps. */
static bool
is_full_text(Source *source, const char *table)
{
	return source_number(source, "SELECT count(*) FROM sqlite_master WHERE sql LIKE 'CREATE VIRTUAL TABLE%%USING fts%%'"
						 " AND (name = %Q OR %Q LIKE replace(name, '_', '\\_') || '\\_%%' ESCAPE '\\')", table, table) > 0;
}

/* How many columns of a table no mapping knows, each named when `say`. */
static int
unmapped_columns(Source *source, const char *table, bool say)
{
	sqlite3_stmt *stmt = source_query(source, "SELECT name FROM pragma_table_info(%Q)", table);
	int			unmapped = 0;

	while (sqlite3_step(stmt) == SQLITE_ROW)
	{
		const char *name = (const char *) sqlite3_column_text(stmt, 0);
		bool		known = false;

		for (const TableMap *map = source->system->tables; map->source != NULL && !known; map++)
		{
			if (sqlite3_stricmp(map->source, table) != 0)
				continue;
			known = in_left(map->left, name);
			for (const ColumnMap *column = map->columns; column->target != NULL && !known; column++)
				known = column->source != NULL && sqlite3_stricmp(column->source, name) == 0;
		}
		if (known)
			continue;
		unmapped++;
		if (say)
			tell("  column %s.%s is not mapped", table, name);
	}
	sqlite3_finalize(stmt);
	return unmapped;
}

int
source_unmapped(Source *source, bool say)
{
	sqlite3_stmt *stmt = source_query(source, "SELECT name FROM sqlite_master WHERE type = 'table'"
									  " AND name NOT LIKE 'sqlite\\_%%' ESCAPE '\\' ORDER BY name");
	int			unmapped = 0;

	while (sqlite3_step(stmt) == SQLITE_ROW)
	{
		const char *name = (const char *) sqlite3_column_text(stmt, 0);
		bool		known = false;

		for (const TableMap *map = source->system->tables; map->source != NULL; map++)
			known = known || sqlite3_stricmp(map->source, name) == 0;
		if (known)
			unmapped += unmapped_columns(source, name, say);
		else if (!in_left(source->system->left, name) && !is_full_text(source, name))
		{
			unmapped++;
			if (say)
				tell("  table %s is not mapped (%lld rows)", name,
					 (long long) source_number(source, "SELECT count(*) FROM \"%w\"", name));
		}
	}
	sqlite3_finalize(stmt);
	return unmapped;
}

/* How much is known and left where it is, each named when `say`. */
int
source_left(Source *source, bool say)
{
	sqlite3_stmt *stmt;
	int			n = 0;

	for (const TableMap *map = source->system->tables; map->source != NULL; map++)
	{
		for (const LeftMap *left = map->left; left != NULL && left->name != NULL; left++)
		{
			if (!source_has(source, map->source, left->name))
				continue;
			n++;
			if (say)
				tell("  column %s.%s is left: %s", map->source, left->name, left->reason);
		}
	}
	for (const LeftMap *left = source->system->left; left != NULL && left->name != NULL; left++)
	{
		if (!source_has(source, left->name, NULL))
			continue;
		n++;
		if (say)
			tell("  table %s is left: %s", left->name, left->reason);
	}
	stmt = source_query(source, "SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE VIRTUAL TABLE%%USING fts%%'");
	while (sqlite3_step(stmt) == SQLITE_ROW)
	{
		n++;
		if (say)
			tell("  table %s is left: a full-text index, which the target has of its own",
				 (const char *) sqlite3_column_text(stmt, 0));
	}
	sqlite3_finalize(stmt);
	return n;
}
