/*-------------------------------------------------------------------------
 *
 * main.c
 *	  amelia-load: recorded agent runs into a database with Amelia.
 *
 * Files are loaded one after the other, each in a transaction of its own. One
 * that cannot be loaded is named and passed over; only a lost connection or a
 * signal ends the whole, and then it is said which files are missing.
 *
 *-------------------------------------------------------------------------
 */
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/connect.h"
#include "common/db.h"
#include "common/progress.h"
#include "common/util.h"
#include "common/input.h"
#include "load/claude.h"
#include "load/format.h"
#include "load/jsonl.h"
#include "load/options.h"
#include "load/otlp.h"
#include "load/outcome.h"
#include "load/recording.h"
#include "load/recording_send.h"
#include "load/traj_attempts.h"
#include "load/traj_send.h"

#define MAX_ATTEMPTS 5

const char	program_name[] = "amelia-load";

typedef struct Totals
{
	int			loaded;
	int			present;
	int			failed;
	int			passed_over;
} Totals;

/* What another program recorded, with its times. */
static Outcome
load_recording(Input *input, Format format, const Options *options, Db *db,
			   Problem *problem)
{
	Recording	recording = {.input = input};
	Outcome		outcome = OUTCOME_FAILED;

	if (format == FORMAT_CLAUDE ? claude_read(&recording, problem) :
		otlp_read(&recording, options->model, problem))
		outcome = recording_load(&recording, options, db, problem);
	recording_free(&recording);
	return outcome;
}

static Outcome
load_input(Input *input, Format format, const Options *options, Db *db,
		   Problem *problem)
{
	Outcome		outcome = OUTCOME_RETRY;

	for (int attempt = 1; outcome == OUTCOME_RETRY; attempt++)
	{
		problem_clear(problem);
		if (!input_rewind(input, problem))
			return OUTCOME_FAILED;
		if (format == FORMAT_TRAJ)
			outcome = traj_load(input, options, db, problem);
		else if (format == FORMAT_JSONL)
			outcome = jsonl_load(input, options, db, problem);
		else
			outcome = load_recording(input, format, options, db, problem);
		if (outcome == OUTCOME_RETRY && attempt == MAX_ATTEMPTS)
			outcome = OUTCOME_FAILED;
		if (outcome == OUTCOME_RETRY)
			tell_more("%s: %s; trying again", input->name, problem->reason);
	}
	return outcome;
}

static Outcome
load_file(const char *path, const Options *options, Db *db)
{
	Problem		problem = {0};
	Input		input = {0};
	Format		format = options->format;
	Outcome		outcome = OUTCOME_FAILED;

	if (format == FORMAT_TRAJ || (format == FORMAT_UNKNOWN && is_traj_name(path)))
	{
		char	   *run = traj_run_of_attempt(path);

		if (run != NULL)
		{
			tell("%s: passed over, as an attempt of %s, which has its cost", path, run);
			free(run);
			return OUTCOME_PASSED_OVER;
		}
	}
	if (input_open(&input, path, &problem) &&
		(format != FORMAT_UNKNOWN || format_of_input(&input, path, &format, &problem)))
		outcome = load_input(&input, format, options, db, &problem);
	if (outcome == OUTCOME_FAILED)
		complain_problem(input.name, &problem);
	problem_clear(&problem);
	input_close(&input);
	return outcome;
}

/* What a file adds to the work: it is checked, and then sent. */
static uint64_t
work_of(const char *path, const Options *options)
{
	struct stat st;
	int			found = strcmp(path, "-") == 0 ? fstat(STDIN_FILENO, &st) :
	stat(path, &st);

	if (found != 0 || !S_ISREG(st.st_mode) || st.st_size < 0)
		return 0;
	return (uint64_t) st.st_size * (options->dry_run ? 1 : 1 + SEND_WEIGHT);
}

static void
summarize(const Totals *totals, const Options *options)
{
	char		passed_over[40] = "";

	if (options->nfiles == 1)
		return;
	if (totals->passed_over > 0)
		snprintf(passed_over, sizeof(passed_over), ", %d passed over", totals->passed_over);
	if (options->dry_run)
		tell("%d files: %d good, %d bad%s", options->nfiles, totals->loaded,
			 totals->failed, passed_over);
	else
		tell("%d files: %d loaded, %d there already, %d failed%s",
			 options->nfiles, totals->loaded, totals->present,
			 options->nfiles - totals->loaded - totals->present - totals->passed_over,
			 passed_over);
}

/* What the end of the connection, or a signal, kept from being loaded. */
static void
name_unloaded(const Options *options, const Totals *totals)
{
	int			tried = totals->loaded + totals->present + totals->failed + totals->passed_over;

	if (!db_interrupted)
		complain("connection to the server lost; %d of %d files are loaded",
				 totals->loaded + totals->present, options->nfiles);
	for (int i = tried; i < options->nfiles; i++)
		complain("%s: not loaded", options->files[i]);
}

int
main(int argc, char **argv)
{
	Options		options;
	Totals		totals = {0};
	Db		   *db = NULL;
	uint64_t	work = 0;
	bool		ended = false;
	int			signal_seen;

	options_read(&options, argc, argv);
	report_init(options.quiet, options.verbose, options.progress);
	if (!options.dry_run)
	{
		PGconn	   *conn = connect_to_server(&options.connection);

		if (conn == NULL)
			return EXIT_NO_CONNECTION;
		db_catch_signals();
		db = db_open(conn);
	}

	for (int i = 0; i < options.nfiles; i++)
		work += work_of(options.files[i], &options);
	progress_start(work);
	for (int i = 0; i < options.nfiles && !ended; i++)
	{
		const char *path = options.files[i];

		progress_file(i + 1, options.nfiles, path, work_of(path, &options));
		switch (load_file(path, &options, db))
		{
			case OUTCOME_LOADED:
				totals.loaded++;
				break;
			case OUTCOME_PRESENT:
				totals.present++;
				break;
			case OUTCOME_PASSED_OVER:
				totals.passed_over++;
				break;
			default:
				totals.failed++;
				break;
		}
		ended = db_interrupted || (db != NULL && db_is_lost(db));
		if (ended)
			name_unloaded(&options, &totals);
	}
	progress_end();
	summarize(&totals, &options);
	signal_seen = db_interrupted;
	db_close(db);

	/* die of the signal, so that a shell's loop ends too */
	if (signal_seen != 0)
	{
		signal(signal_seen, SIG_DFL);
		raise(signal_seen);
	}
	if (ended)
		return EXIT_NO_CONNECTION;
	if (!tell_finish() || totals.failed > 0)
		return EXIT_SOME_FAILED;
	return EXIT_SUCCESS;
}
