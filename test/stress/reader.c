/*
 * Readers of the stress test, who follow with a cursor, across a crash too:
 *
 *	begun
 *	status WORKFLOW STATUS			from the feed
 *	event WORKFLOW SEQUENCE ID		from the feed
 *	read WORKFLOW SEQUENCE ID		from events_after(), of those that it follows
 *	ended							there was nothing more
 */
#include "stress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FOLLOWED 200

/*
 * Now and then it forgets the second half of a page, and goes on after the
 * first: each row's cursor must do.
 */
void
read_feed(int row_limit)
{
	char		cursor[4096];
	bool		at_end = false;

	while (ask("SELECT next_cursor FROM amelia.feed_after()", NULL) != DONE)
		nap_ms(10);
	snprintf(cursor, sizeof(cursor), "%s", cell(0, 0));
	note("begun");
	for (;;)
	{
		bool		was_asked = stop_asked;
		int			used;
		bool		more;
		Outcome		outcome = ask("SELECT f.next_cursor, f.workflow_id, f.status, (f.event).sequence, (f.event).id"
								  " FROM amelia.feed_after($1, $2) AS f", cursor, text_of(row_limit), NULL);

		if (outcome == REFUSED)
		{
			note("odd\tfeed_after\t%s\t%s", sqlstate, complaint());
			return;
		}
		if (outcome == LOST)
			continue;
		used = PQntuples(rows);
		if (used > 1 && any_below(5) == 0)
			used = 1 + any_below(used - 1);
		for (int i = 0; i < used; i++)
		{
			snprintf(cursor, sizeof(cursor), "%s", cell(i, 0));
			if (PQgetlength(rows, i, 2) > 0)
				note("status\t%s\t%s", cell(i, 1), cell(i, 2));
			if (PQgetlength(rows, i, 3) > 0)
				note("event\t%s\t%s\t%s", cell(i, 1), cell(i, 3), cell(i, 4));
		}
		more = used < PQntuples(rows) || PQgetlength(rows, used - 1, 1) > 0;
		/* The first may have gone on to an end from before: the next is all. */
		if (was_asked && !more && at_end)
			break;
		at_end = was_asked && !more;
		if (!more)
			nap_ms(any_below(60));
	}
	note("ended");
}

typedef struct Followed
{
	char		workflow[40];
	char		cursor[16];
} Followed;

/* Read what follows the cursor; whether there was anything. */
static bool
read_on(Followed *followed)
{
	if (ask("SELECT e.sequence, e.id FROM amelia.events_after($1, $2, 5) AS e",
			followed->workflow, followed->cursor, NULL) != DONE)
		return true;
	for (int i = 0; i < PQntuples(rows); i++)
	{
		snprintf(followed->cursor, sizeof(followed->cursor), "%s", cell(i, 0));
		note("read\t%s\t%s\t%s", followed->workflow, cell(i, 0), cell(i, 1));
	}
	return PQntuples(rows) > 0;
}

/*
 * Takes up one workflow after the other, and waits for what comes next in the
 * one it took up last.
 */
void
read_events(void)
{
	static Followed all[MAX_FOLLOWED];
	int			count = 0;

	note("begun");
	while (!stop_asked)
	{
		if (count < MAX_FOLLOWED &&
			ask("SELECT w.id FROM amelia.workflows AS w WHERE w.status = 'in_progress'"
				" ORDER BY random() LIMIT 1", NULL) == DONE && PQntuples(rows) == 1)
		{
			bool		known = false;

			for (int i = 0; i < count; i++)
				known = known || strcmp(all[i].workflow, cell(0, 0)) == 0;
			if (!known)
			{
				snprintf(all[count].workflow, sizeof(all[0].workflow), "%s", cell(0, 0));
				strcpy(all[count++].cursor, "0");
			}
		}
		for (int i = 0; i < count; i++)
			(void) read_on(&all[i]);
		if (count > 0)
			(void) ask("CALL amelia.wait_events($1, $2, '100 ms')",
					   all[count - 1].workflow, all[count - 1].cursor, NULL);
		else
			nap_ms(10);
	}
	for (int i = 0; i < count; i++)
	{
		while (read_on(&all[i]))
			;
	}
	note("ended");
}
