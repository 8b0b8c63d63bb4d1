/*-------------------------------------------------------------------------
 *
 * amelia_load.h
 *	  What more than one file of amelia-load needs.
 *
 * From the ground up: util and sha256 know nothing of the others; json and
 * input stand on util; progress owns what the user sees; connect and db own
 * the connection; jsonl and traj each own a format; main walks the files.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_LOAD_H
#define AMELIA_LOAD_H

#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>
#include <libpq-fe.h>

#if defined(__GNUC__)
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define PRINTF_LIKE(fmt, args)
#endif

/* Exit status; docs/amelia-load.md promises these numbers. */
#define EXIT_SOME_FAILED 1
#define EXIT_NO_CONNECTION 2
#define EXIT_USAGE 3

/*
 * A jsonb string holds less than 256 MB, and a message to the server less
 * than 1 GB: what is longer cannot arrive and is refused before it is read.
 */
#define MAX_LINE_BYTES ((size_t) 256 * 1024 * 1024)
#define MAX_DOCUMENT_BYTES ((size_t) 1024 * 1024 * 1024)

/* for "%d event%s" */
#define PLURAL(n) ((n) == 1 ? "" : "s")

/* Sending a byte of a file takes about so many times as long as checking it. */
#define SEND_WEIGHT 9

/* amelia-load or amelia-report; each defines it where its main() is. */
extern const char program_name[];

/* ---- util.c ---- */

/* A growing string; data always ends in a NUL that len does not count. */
typedef struct Buffer
{
	char	   *data;
	size_t		len;
	size_t		capacity;
} Buffer;

extern void *allocate(size_t size);
extern void *reallocate(void *old, size_t size);
extern char *copy_string(const char *s);
extern void buffer_reset(Buffer *buf);
extern void buffer_free(Buffer *buf);
extern void buffer_add(Buffer *buf, const char *data, size_t len);
extern void buffer_puts(Buffer *buf, const char *s);
extern void buffer_printf(Buffer *buf, const char *fmt, ...)
	PRINTF_LIKE(2, 3);
extern void buffer_vprintf(Buffer *buf, const char *fmt, va_list args)
	PRINTF_LIKE(2, 0);

/* Why a file cannot be loaded, and where it says so; line 0 is unknown. */
typedef struct Problem
{
	unsigned long line;
	char	   *reason;
	char	   *detail;
	char	   *hint;
	char		sqlstate[6];
} Problem;

extern bool problem_set(Problem *problem, unsigned long line,
						const char *fmt, ...) PRINTF_LIKE(3, 4);
extern void problem_hint(Problem *problem, const char *hint);
extern void problem_clear(Problem *problem);

typedef struct Uuid
{
	unsigned char bytes[16];
} Uuid;

#define UUID_TEXT_SIZE 37

extern bool uuid_parse(const char *text, Uuid *uuid);
extern void uuid_format(const Uuid *uuid, char text[UUID_TEXT_SIZE]);

/* From 16 bytes to a number that starts at 0: a set, or a count. */
typedef struct Map
{
	struct MapSlot *slots;
	size_t		capacity;
	size_t		used;
} Map;

extern uint32_t *map_find_or_add(Map *map, const unsigned char key[16],
								 bool *found);
extern void map_free(Map *map);

/* ---- sha256.c ---- */

typedef struct Sha256
{
	uint32_t	state[8];
	uint64_t	length;
	unsigned char block[64];
} Sha256;

#define SHA256_BYTES 32

extern void sha256_start(Sha256 *sha);
extern void sha256_add(Sha256 *sha, const void *data, size_t len);
extern void sha256_end(Sha256 *sha, unsigned char digest[SHA256_BYTES]);
extern Uuid uuid_from_sha256(Sha256 *sha);

/* ---- json.c ---- */

typedef struct Slice
{
	const char *start;
	size_t		len;
} Slice;

extern json_t *json_parse(const char *text, size_t len,
						  unsigned long first_line, Problem *problem);
extern Slice json_member(Slice object, const char *key);
extern void json_element_lines(const char *text, size_t len, const char *key,
							   unsigned long *lines, size_t n);
extern unsigned long json_line_of(const char *text, size_t len,
								  const char *path);
extern void sha256_add_json(Sha256 *sha, const char *text, size_t len);
extern void buffer_json(Buffer *buf, const json_t *value);
extern const char *json_kind(const json_t *value);

/* ---- input.c ---- */

/* One file to load. It can be read more than once, standard input too. */
typedef struct Input
{
	const char *name;			/* for messages */
	FILE	   *file;
	off_t		start;
	uint64_t	size;
	unsigned long line;			/* number of the line read last */
	uint64_t	consumed;		/* bytes that input_next_line has read */
	bool		owned;
	char	   *text;			/* the line read last */
	size_t		text_capacity;
} Input;

extern bool input_open(Input *input, const char *path, Problem *problem);
extern bool input_rewind(Input *input, Problem *problem);
extern bool input_read_all(Input *input, Buffer *buf, Problem *problem);
extern int	input_next_line(Input *input, uint64_t limit, Slice *line,
							Problem *problem);
extern void input_close(Input *input);

/* ---- options.c ---- */

typedef enum Format
{
	FORMAT_UNKNOWN,
	FORMAT_TRAJ,
	FORMAT_JSONL
} Format;

typedef struct Options
{
	const char *dbname;
	const char *host;
	const char *port;
	const char *user;
	const char *model;			/* of runs that do not name theirs */
	Format		format;
	bool		never_password;
	bool		force_password;
	bool		create_workflows;
	bool		dry_run;
	bool		quiet;
	bool		verbose;
	bool		progress;
	char	  **files;
	int			nfiles;
} Options;

extern void options_read(Options *options, int argc, char **argv);
extern Format format_of_name(const char *path);

/* ---- progress.c ---- */

extern void report_init(const Options *options);
extern void progress_start(uint64_t total_bytes);
extern void progress_file(int number, int count, const char *name,
						  uint64_t bytes);
extern void progress_add(uint64_t bytes, uint64_t events);
extern void progress_end(void);
extern bool tell_finish(void);
extern void tell(const char *fmt, ...) PRINTF_LIKE(1, 2);
extern void tell_more(const char *fmt, ...) PRINTF_LIKE(1, 2);
extern void warn(const char *fmt, ...) PRINTF_LIKE(1, 2);
extern void complain(const char *fmt, ...) PRINTF_LIKE(1, 2);
extern void complain_problem(const char *name, const Problem *problem);
extern void server_notice(void *arg, const PGresult *result);

/* ---- connect.c ---- */

extern PGconn *connect_to_server(const Options *options);

/* ---- db.c ---- */

/* What an answer of the server belongs to. */
typedef struct Tag
{
	int			kind;			/* the sender's own; 0 asks for no callback */
	unsigned long line;			/* blamed when the server refuses */
	size_t		number;
} Tag;

typedef void (*AnswerFunction) (void *arg, const Tag *tag,
								const PGresult *result);

typedef struct Db Db;

extern volatile sig_atomic_t db_interrupted;

extern Db  *db_open(PGconn *conn);
extern void db_close(Db *db);
extern bool db_is_lost(const Db *db);
extern void db_catch_signals(void);
extern void db_begin(Db *db, AnswerFunction answer, void *arg);
extern void db_query(Db *db, Tag tag, const char *sql, int nparams,
					 const char *const *params);
extern void db_prepare(Db *db, const char *sql, int nparams);
extern void db_execute(Db *db, Tag tag, int nparams,
					   const char *const *params);
extern bool db_sync(Db *db, Problem *problem);
extern bool db_commit(Db *db, Problem *problem);
extern void db_rollback(Db *db);
extern bool db_failed(const Db *db);

/* The one statement that both formats send most of. */
#define APPEND_EVENT_PARAMS 14
extern const char append_event_sql[];

/* ---- jsonl.c, traj.c ---- */

typedef enum Outcome
{
	OUTCOME_LOADED,
	OUTCOME_PRESENT,			/* all of it was there already */
	OUTCOME_FAILED,
	OUTCOME_RETRY				/* the server asks to try again */
} Outcome;

extern Outcome jsonl_load(Input *input, const Options *options, Db *db,
						  Problem *problem);
extern Outcome traj_load(Input *input, const Options *options, Db *db,
						 Problem *problem);
extern bool problem_is_transient(const Problem *problem);

#endif							/* AMELIA_LOAD_H */
