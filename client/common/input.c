/*-------------------------------------------------------------------------
 *
 * input.c
 *	  Opening and reading what is to be loaded.
 *
 * Every input is read more than once: it is checked before anything is sent,
 * and sent again when the server asks for another try. So what cannot be
 * rewound, a pipe, is copied to a temporary file that has no name any more.
 *
 *-------------------------------------------------------------------------
 */
#include "common/input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/db.h"
#include "common/json.h"
#include "common/util.h"

static bool
system_problem(Problem *problem, const char *what)
{
	if (db_interrupted)
		return problem_set(problem, 0, "interrupted");
	return problem_set(problem, 0, "%s: %s", what, strerror(errno));
}

/* Copy a pipe to a file; NULL with the problem set when that fails. */
static FILE *
spool(FILE *pipe, Problem *problem)
{
	const char *directory = getenv("TMPDIR");
	Buffer		name = {0};
	char		block[65536];
	FILE	   *copy;
	int			fd;

	if (directory == NULL || *directory == '\0')
		directory = "/tmp";
	buffer_printf(&name, "%s/amelia-load.XXXXXX", directory);
	fd = mkstemp(name.data);
	if (fd < 0)
	{
		system_problem(problem, "could not make a temporary file");
		buffer_free(&name);
		return NULL;
	}
	unlink(name.data);
	buffer_free(&name);
	copy = fdopen(fd, "w+");
	if (copy == NULL)
	{
		close(fd);
		system_problem(problem, "could not open a temporary file");
		return NULL;
	}
	for (;;)
	{
		ssize_t		got = read(fileno(pipe), block, sizeof(block));

		if (got == 0)
			break;
		if (got < 0)
		{
			if (errno == EINTR && !db_interrupted)
				continue;
			system_problem(problem, "could not read");
			fclose(copy);
			return NULL;
		}
		if (fwrite(block, 1, (size_t) got, copy) != (size_t) got)
		{
			system_problem(problem, "could not write a temporary file");
			fclose(copy);
			return NULL;
		}
	}
	if (fflush(copy) != 0)
	{
		system_problem(problem, "could not write a temporary file");
		fclose(copy);
		return NULL;
	}
	return copy;
}

/* "-" is standard input. */
bool
input_open(Input *input, const char *path, Problem *problem)
{
	bool		standard = (strcmp(path, "-") == 0);
	struct stat st;

	memset(input, 0, sizeof(*input));
	input->name = standard ? "standard input" : path;
	input->owned = !standard;
	input->file = standard ? stdin : fopen(path, "r");
	if (input->file == NULL)
		return system_problem(problem, "could not open");
	if (fstat(fileno(input->file), &st) != 0)
		return system_problem(problem, "could not read");
	if (S_ISDIR(st.st_mode))
		return problem_set(problem, 0, "is a directory");
	if (S_ISREG(st.st_mode))
	{
		/* `< file` may have been read in part by another program */
		input->start = ftello(input->file);
		if (input->start < 0)
			input->start = 0;
	}
	else
	{
		FILE	   *copy = spool(input->file, problem);

		if (copy == NULL)
			return false;
		if (input->owned)
			fclose(input->file);
		input->file = copy;
		input->owned = true;
		if (fstat(fileno(copy), &st) != 0)
			return system_problem(problem, "could not read");
	}
	if (st.st_size > input->start)
		input->size = (uint64_t) (st.st_size - input->start);
	return input_rewind(input, problem);
}

/* Back to the first byte that is not a byte order mark. */
bool
input_rewind(Input *input, Problem *problem)
{
	static const char mark[] = "\xef\xbb\xbf";
	char		first[3];

	input->line = 0;
	input->consumed = 0;
	clearerr(input->file);
	if (fseeko(input->file, input->start, SEEK_SET) != 0)
		return system_problem(problem, "could not read");
	if (fread(first, 1, 3, input->file) == 3 && memcmp(first, mark, 3) == 0)
		return true;
	clearerr(input->file);
	if (fseeko(input->file, input->start, SEEK_SET) != 0)
		return system_problem(problem, "could not read");
	return true;
}

bool
input_read_all(Input *input, Buffer *buf, Problem *problem)
{
	char		block[65536];
	size_t		got;

	buffer_reset(buf);
	if (input->size > MAX_DOCUMENT_BYTES)
		return problem_set(problem, 0,
						   "is too large for one recorded run: %llu bytes, and %zu are possible",
						   (unsigned long long) input->size,
						   MAX_DOCUMENT_BYTES);
	while ((got = fread(block, 1, sizeof(block), input->file)) > 0)
	{
		buffer_add(buf, block, got);
		if (buf->len > MAX_DOCUMENT_BYTES)
			return problem_set(problem, 0,
							   "is too large for one recorded run: more than %zu bytes",
							   MAX_DOCUMENT_BYTES);
	}
	if (ferror(input->file))
		return system_problem(problem, "could not read");
	return true;
}

/*
 * The next line, without its end: 1, or 0 at the end of the file or when
 * `limit` bytes have been read, or -1. The slice is good until the next call.
 */
int
input_next_line(Input *input, uint64_t limit, Slice *line, Problem *problem)
{
	size_t		len = 0;
	int			c = EOF;

	if (input->consumed >= limit)
		return 0;
	while (len <= MAX_LINE_BYTES && (c = getc_unlocked(input->file)) != EOF)
	{
		if (len + 1 >= input->text_capacity)
		{
			input->text_capacity = input->text_capacity * 2 + 4096;
			input->text = reallocate(input->text, input->text_capacity);
		}
		if (c == '\n')
			break;
		input->text[len++] = (char) c;
	}
	if (c == EOF && ferror(input->file))
	{
		system_problem(problem, "could not read");
		return -1;
	}
	if (c == EOF && len == 0)
		return 0;
	input->line++;
	input->consumed += len + 1;
	if (len > MAX_LINE_BYTES)
	{
		problem_set(problem, input->line, "line is longer than %zu bytes",
					MAX_LINE_BYTES);
		return -1;
	}
	line->start = input->text;
	line->len = len;
	return 1;
}

void
input_close(Input *input)
{
	if (input->file != NULL && input->owned)
		fclose(input->file);
	free(input->text);
	memset(input, 0, sizeof(*input));
}
