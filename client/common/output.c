/*-------------------------------------------------------------------------
 *
 * output.c
 *	  A file that takes another's place when it is complete.
 *
 *	  What was there stays until then. The new one is written beside it under
 *	  a name of its own, so that nothing is written through a name that
 *	  somebody else has made there.
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/output.h"
#include "common/util.h"

/*
 * A file beside the one that is meant, with the rights that that one has or
 * would get; NULL, with errno, when there can be none.
 */
static FILE *
open_beside(Output *output, const struct stat *old)
{
	Buffer text = {0};
	mode_t		mask = umask(0);
	int			fd;

	umask(mask);
	buffer_printf(&text, "%s.XXXXXX", output->target);
	output->beside = text.data;

	fd = mkstemp(output->beside);
	if (fd >= 0 && fchmod(fd, old != NULL ? old->st_mode & 0777 : 0666 & ~mask) == 0)
		return fdopen(fd, "w");
	return NULL;
}

/*
 * Begin to write a file; false, with errno, when it cannot be. What is no file,
 * as a pipe, is written to as it is. follows_link: a symbolic link stays one,
 * and the file that it leads to is meant; else the link itself gives way, and
 * so does whatever is no file.
 */
bool
output_open(Output *output, const char *path, bool follows_link)
{
	struct stat old;
	bool		exists = (follows_link ? stat(path, &old) : lstat(path, &old)) == 0;
	bool		is_file = exists && S_ISREG(old.st_mode);

	output->file = NULL;
	output->beside = NULL;
	output->target = exists && follows_link ? realpath(path, NULL) : copy_string(path);
	if (output->target == NULL)
		return false;
	output->file = exists && follows_link && !is_file ? fopen(path, "w") :
		open_beside(output, is_file ? &old : NULL);
	return output->file != NULL;
}

/*
 * End it; false, with errno, when not all of it has arrived. is_whole: all was
 * written; else what was there before stays.
 */
bool
output_close(Output *output, bool is_whole)
{
	bool		is_done = is_whole && output->file != NULL && fflush(output->file) == 0 &&
	(output->beside == NULL || fsync(fileno(output->file)) == 0);
	int			problem = errno;

	if (output->file != NULL && fclose(output->file) != 0 && is_done)
	{
		is_done = false;
		problem = errno;
	}
	if (is_done && output->beside != NULL && rename(output->beside, output->target) != 0)
	{
		is_done = false;
		problem = errno;
	}
	if (!is_done && output->beside != NULL)
		unlink(output->beside);
	free(output->beside);
	free(output->target);
	errno = problem;
	return is_done;
}
