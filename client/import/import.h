/*-------------------------------------------------------------------------
 *
 * import.h
 *	  What more than one file of amelia-import needs.
 *
 * A mapping (map_*.c) says which table and column of a SQLite database goes
 * where; the engine knows no system by its name. From the ground up: digest,
 * json_text and values know nothing of tables; source owns the SQLite side,
 * target the connections; tables joins a mapping with what both sides really
 * have; row converts one row; ledger owns the schema amelia_import; batch
 * sends; load, delta, verify, rollback, retry and plan are what the program does.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_IMPORT_H
#define AMELIA_IMPORT_H

#include <sqlite3.h>

#include <jansson.h>
#include <libpq-fe.h>

#include "common/connect.h"
#include "common/db.h"
#include "common/progress.h"
#include "common/util.h"

/* Exit status; docs/import.md promises these numbers. */
#define STATUS_DONE 0
#define STATUS_USAGE 1
#define STATUS_REJECTS 2
#define STATUS_DIFFERENT 3
#define STATUS_STOPPED 4

#define HASH_BYTES 16
#define HASH_TEXT_SIZE 37

/* PostgreSQL's own limit of what one value may take in memory. */
#define MAX_ROW_BYTES ((size_t) 0x3fffffff)

/* And of what a string of jsonb holds. */
#define MAX_JSON_STRING_BYTES ((size_t) 256 * 1024 * 1024)

/* ---- map_*.c ---- */

typedef enum Conversion
{
	AS_TEXT,
	AS_UUID,					/* or a version-5 UUID of what is none */
	AS_TIME,
	AS_BOOLEAN,
	AS_MONEY,					/* six digits after the point */
	AS_NUMERIC,
	AS_INTEGER,
	AS_BIGINT,
	AS_JSON
} Conversion;

#define IS_KEY 1				/* part of what a row is known by */
#define IS_LATE 2				/* refers to rows that may come later: set
								 * when all are there */

typedef struct ColumnMap
{
	const char *source;			/* NULL: made by expr alone */
	const char *target;
	Conversion	conversion;
	int			flags;
	const char *refers;			/* the source's table whose id it holds */
	const char *expr;			/* SQL for its value, where that is not the
								 * column */
	const char *why;			/* what is said where expr gives another value */
} ColumnMap;

/* A column or a table that is known, and has no place any more. */
typedef struct LeftMap
{
	const char *name;
	const char *reason;
} LeftMap;

typedef struct TableMap
{
	const char *source;			/* the table that must be there */
	const char *from;			/* the FROM clause, where it is more; the
								 * table is t */
	const char *target;			/* without its schema */
	const ColumnMap *columns;	/* ends with a target of NULL */
	const LeftMap *left;		/* columns; ends with NULL; may be NULL */
	const char *forget;			/* SQL after keys ($1 text[]) were taken back */
} TableMap;

typedef struct SystemMap
{
	const char *name;
	const char *extension;
	const char *schema;
	const char *const *signs;	/* "table.column", all of them; ends with NULL */
	const char *refuse;			/* "table.column" of a generation that is too
								 * old */
	const char *refuse_hint;
	const TableMap *tables;		/* parents first; ends with a source of NULL */
	const LeftMap *left;		/* tables */
	const char *const *prepare; /* SQL on the private copy; errors do not
								 * matter */
	const char *hold;			/* keeps others from deleting what is being
								 * loaded */
	const char *const *proofs;	/* queries that return a line for each problem */
	const char *const *notices; /* queries that return lines worth saying */
} SystemMap;

extern const SystemMap amelia_system;
extern const SystemMap saga_system;
extern const SystemMap platform_system;

/* ---- options.c ---- */

typedef enum Action
{
	DO_LOAD,
	DO_PLAN,
	DO_VERIFY,
	DO_ROLLBACK,
	DO_STATUS
} Action;

typedef enum ProgressKind
{
	PROGRESS_AUTO,
	PROGRESS_TTY,
	PROGRESS_JSON,
	PROGRESS_NONE
} ProgressKind;

typedef struct Import
{
	Connection	connection;
	Action		action;
	const char *path;
	const char *system;
	const char *rejects_path;
	const char *report_path;
	const char *retry_path;
	const char *orphans;		/* NULL: as in the load before, else reject */
	const char *invalid_json;	/* the same */
	long		batch;
	long		jobs;
	long		max_rejects;
	long		run;			/* of --rollback; 0: the last one */
	long		stop_after;		/* tests: as if interrupted after so many
								 * batches */
	ProgressKind progress;
	bool		quiet;
	bool		delta;
	bool		delete_gone;
	bool		accept_unmapped;
	bool		force;
} Import;

extern Import import;
extern void import_options(int argc, char **argv);
extern bool option_is(const char *option, const char *word);

/* ---- digest.c ---- */

typedef struct Hash
{
	unsigned char bytes[HASH_BYTES];
} Hash;

/* What table_checksum() in the server returns, too. */
typedef struct Sums
{
	uint64_t	rows;
	unsigned	__int128 sum;
	unsigned char xor[HASH_BYTES];
} Sums;

typedef struct Digest Digest;

extern Digest *digest_new(const char *name);
extern void digest_start(Digest *digest);
extern void digest_add(Digest *digest, const void *data, size_t len);
extern size_t digest_end(Digest *digest, unsigned char *out);
extern void hash_format(const Hash *hash, char text[HASH_TEXT_SIZE]);
extern void sums_add(Sums *sums, const Hash *hash);
extern void sums_remove(Sums *sums, const Hash *hash);
extern void sums_format(const Sums *sums, char sum[48], char xor[48]);
extern void uuid_of_name(const char *system, const char *table, const char *id, size_t len, char text[UUID_TEXT_SIZE]);

/* ---- json_text.c ---- */

/* Why a value is refused. */
typedef struct Refusal
{
	const char *sqlstate;
	char		reason[256];
} Refusal;

extern bool refuse(Refusal *refusal, const char *sqlstate, const char *fmt,...) PRINTF_LIKE(3, 4);
extern bool json_canonical(const char *text, size_t len, Buffer *out, Refusal *refusal);
extern void quote_json(Buffer *out, const char *text, size_t len);

/* ---- values.c ---- */

/* How a value was changed on its way, for the plan and the report. */
typedef enum Change
{
	CHANGE_NONE = -1,
	CHANGE_TIME_ROUNDED,
	CHANGE_MONEY_ROUNDED,
	CHANGE_ID,
	CHANGE_DEFAULT,
	CHANGE_EMPTY_JSON,
	CHANGE_JSON_TEXT,
	CHANGE_ORPHAN,
	CHANGE_WHY,
	CHANGES
} Change;

extern const char *const change_names[CHANGES];

extern bool utf8_valid(const char *text, size_t len);
extern bool convert_time(sqlite3_value * value, Buffer *out, Change *change, Refusal *refusal);
extern bool convert_boolean(sqlite3_value * value, Buffer *out, Refusal *refusal);
extern bool convert_number(sqlite3_value * value, int digits, Buffer *out, Change *change, Refusal *refusal);
extern bool convert_integer(sqlite3_value * value, bool big, Buffer *out, Refusal *refusal);
extern bool convert_text(sqlite3_value * value, Buffer *out, Refusal *refusal);

/* ---- source.c ---- */

typedef struct Source
{
	sqlite3    *db;				/* the private copy */
	const SystemMap *system;
	char		sha256[65];
	uint64_t	bytes;
	long		user_version;
	char	   *path;			/* absolute */
} Source;

extern bool source_open(Source *source);
extern void source_close(Source *source);
extern bool source_has(Source *source, const char *table, const char *column);
extern sqlite3_stmt * source_query(Source *source, const char *fmt,...);
extern int64_t source_number(Source *source, const char *fmt,...);
extern int	source_unmapped(Source *source, bool say);
extern int	source_left(Source *source, bool say);

/* ---- target.c ---- */

typedef struct Loader
{
	PGconn	   *conn;
	struct Batch *batch;		/* in flight, or NULL */
	const struct Table *staged; /* what its temporary table is for */
	int			staged_kind;
	Buffer		sql;			/* moves what is staged */
} Loader;

extern Loader *connections;
extern int	nconnections;
extern PGconn *guard;			/* its transaction holds the locks, no row */
extern PGconn *db;				/* asks and keeps the books; carries no batch */

extern bool target_open(const SystemMap *system, bool writes);
extern void target_close(void);
extern bool sql_do(PGconn *conn, const char *sql);
extern PGresult *sql_ask(PGconn *conn, const char *sql, int nparams, const char *const *params);
extern char *sql_value(PGconn *conn, const char *sql, int nparams, const char *const *params);
extern void sql_failed(PGconn *conn, const PGresult *result);
extern void add_identifier(Buffer *buf, const char *name);
extern void add_literal(Buffer *buf, const char *text);
extern bool target_lost(void);

/* ---- tables.c ---- */

typedef struct Column
{
	const ColumnMap *map;		/* NULL: only another table of this target has
								 * it */
	char	   *name;
	char	   *type;			/* as format_type has it */
	char	   *default_text;	/* what stands for NULL, or NULL */
	bool		not_null;
	bool		is_key;
	bool		is_late;
	int			value;			/* its place in the query's result; -1: none */
	int			given;			/* of the column itself where expr makes the
								 * value */
	int			orphan;			/* of the flag that its parent is missing */
	uint64_t	changes[CHANGES];
} Column;

typedef struct Table
{
	const TableMap *map;
	int			id;				/* in amelia_import.tables */
	int			ncolumns;
	Column	   *columns;		/* in the order of their names, as the hash
								 * takes them */
	char	   *target;			/* quoted, with its schema */
	char	   *select;			/* the query for its rows */
	char	   *key_text;		/* SQL: the target's key of row r as text */
	char	   *key_match;		/* SQL: r is the row of text k.key */
	bool		has_rowid;
	bool		has_late;
	int			nkeys;
	int64_t		rows;			/* in the source */
	uint64_t	bytes;
	uint64_t	in_ledger;
	/* what became of them */
	uint64_t	loaded;
	uint64_t	present;
	uint64_t	updated;
	uint64_t	deleted;
	uint64_t	gone;
	uint64_t	changed;
	uint64_t	rejected;
	uint64_t	unchanged;
	uint64_t	different;
	Sums		source_sums;
	bool		verified;
	bool		is_stale;		/* its sums are to be made anew */
	__int128	money;			/* the sum of its amounts, in millionths */
} Table;

extern Table *tables;
extern int	ntables;

extern bool tables_open(Source *source, const char *default_time);
extern bool tables_refer(const Table *child, const Table *parent);

/* ---- row.c ---- */

typedef struct Field
{
	size_t		start;
	size_t		len;
	bool		is_null;
} Field;

typedef struct Row
{
	int64_t		number;			/* its place in the query's result, from 0 */
	int64_t		rowid;			/* 0: none */
	Buffer text;				/* what fields point into */
	Field	   *fields;			/* a field for each column */
	Buffer		source_key;
	Buffer		target_key;
	Hash		hash;
	/* of a row that is refused */
	Refusal		refusal;
	const Column *column;		/* that of the value, or NULL */
	Buffer		value;
} Row;

typedef struct Reader
{
	Source	   *source;
	Table	   *table;
	sqlite3_stmt *stmt;
	Row			row;
	bool		count_changes;
} Reader;

extern bool reader_open(Reader *reader, Source *source, Table *table, bool count_changes);
extern int	reader_step(Reader *reader);
extern int	reader_read(Reader *reader);
extern int	reader_next(Reader *reader);	/* 1 a row, 0 a refused one, -1
											 * the end, -2 failed */
extern void reader_close(Reader *reader);
extern int64_t money_value(const char *text, size_t len);
extern __int128 money_of(const Table *table, const Row *row);
extern char *money_text(__int128 millionths);
extern void mend(const char *table, const char *key, const char *column, const char *json_value);
extern void mend_forget(void);
extern bool mended_load(int source_id);
extern bool mended_store(int source_id);

/* ---- rejects.c ---- */

typedef struct RejectText
{
	const Table *table;
	int64_t		rowid;
	const char *key;
	const char *column;
	const char *value;
	const char *reason;
	const char *sqlstate;
} RejectText;

extern void reject_row(Reader *reader);
extern bool reject_store(PGconn *conn, const RejectText *reject);
extern bool rejects_write(int source_id);
extern bool rejects_read(void);
extern uint64_t rejects_of_run;

/* ---- ledger.c ---- */

extern int	run_id;
extern int	source_id;
extern int	last_done;			/* the last run of the source that was
								 * completed; 0: none */

extern bool ledger_look(bool *exists);
extern bool ledger_create(void);
extern bool ledger_find_source(Source *source, bool create);
extern bool ledger_default_time(char **text);
extern bool ledger_begin_run(Source *source, const char *mode);
extern bool ledger_tables(Source *source, bool create);
extern bool ledger_end_run(const char *state);
extern int	ledger_status(void);
extern bool ledger_progress(PGconn *conn, const Table *table);

/* ---- batch.c ---- */

typedef enum BatchKind
{
	BATCH_INSERT,
	BATCH_UPDATE,
	BATCH_LATE
} BatchKind;

typedef struct Batch
{
	Table	   *table;
	BatchKind	kind;
	int			attempts;
	int			nrows;
	int			capacity;
	size_t	   *offsets;
	int64_t    *rowids;
	Buffer		lines;
} Batch;

extern void add_stage(Buffer *sql, const Table *table);
extern void add_move(Buffer *sql, const Table *table, BatchKind kind, int slot);
extern void batch_add(Batch *batch, const Table *table, const Row *row, int64_t entry);
extern void batch_release(Batch *batch);
extern bool batch_is_full(const Batch *batch);
extern bool batch_send(Batch *batch);	/* takes its rows and leaves it empty */
extern bool batches_wait(const Table *table);	/* those of tables that it
												 * refers to; NULL: all */

/* Why no more batches are to be sent. */
typedef enum Stop
{
	STOP_NOT,
	STOP_REJECTS,				/* more than --max-rejects */
	STOP_SIGNAL,
	STOP_ERROR					/* it has been said */
} Stop;

extern Stop stopped;
extern void stop_if_needed(void);

/* ---- load.c, delta.c ---- */

/* What a comparison with the ledger found, by a row's place in the query's result. */
typedef struct Differences
{
	unsigned char *bits;		/* of the rows that are new, or refused */
	size_t		nbytes;
	struct
	{
		int64_t		number;
		int64_t		entry;
	}		   *changed;
	size_t		nchanged;
	size_t		capacity;
	size_t		next;
} Differences;

extern int	do_load(Source *source);
extern bool compare(Source *source, Table *table, Differences *differences);
extern bool differences_fresh(const Differences *differences, int64_t number);
extern int64_t differences_changed(Differences *differences, int64_t number);
extern void differences_free(Differences *differences);
extern bool delete_gone(Table *table);
extern void add_copy_text(Buffer *line, const Buffer *text);
extern bool begin_copy(PGconn *conn, const char *sql);
extern bool send_piece(PGconn *conn, Buffer *piece, bool all);
extern bool end_copy(PGconn *conn, bool quietly);

/* ---- verify.c ---- */

extern int	do_verify(Source *source);
extern bool verify_tables(Source *source, bool sums_known, bool *different);
extern bool verify_database(Source *source, bool *different);
extern void say_notices(Source *source);

/* ---- rollback.c ---- */

extern int	do_rollback(Source *source);
extern bool rollback_run(int run, bool force, bool *refused);

/* ---- plan.c ---- */

extern int	do_plan(Source *source);
extern void say_changes(const char *head);

/* ---- show.c ---- */

extern void show_begin(void);
extern void show_table(const Table *table, const char *phase, int64_t rows);
extern void show_rows(uint64_t rows);
extern void show_end(void);
extern double now_seconds(void);
extern void add_size(Buffer *buf, double bytes);
extern void add_count(Buffer *buf, uint64_t n);
extern bool write_report(const Source *source, const char *outcome, double seconds);

#endif							/* AMELIA_IMPORT_H */
