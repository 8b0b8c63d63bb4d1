/*
 * Those who hold no lease: people who create workflows, decide, send messages
 * and cancel; writers whose transactions stay open, are rolled back or commit
 * late; and an observer who looks all the time at what may never be.
 *
 *	created WORKFLOW		is there
 *	ask note ID WORKFLOW, ok, no	an event, as a worker does
 *	decided WORKFLOW APPROVED QUESTION
 *	sent MESSAGE WORKFLOW
 *	cancel WORKFLOW			is about to be asked for
 *	broken WHAT				what the observer saw and must not be
 *	most NUMBER				leases in force at the same time
 */
#include "stress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROFILES 4

static void
expect(const char *what, Outcome outcome, const char *state)
{
	if (outcome == REFUSED && strcmp(sqlstate, state) != 0)
		note("odd\t%s\t%s\t%s", what, sqlstate, complaint());
}

/* The id of any workflow in a status; false when there is none. */
static bool
any_workflow(const char *status, char *id)
{
	if (ask("SELECT w.id FROM amelia.workflows AS w WHERE w.status = $1 ORDER BY random() LIMIT 1",
			status, NULL) != DONE || PQntuples(rows) == 0)
		return false;
	snprintf(id, 40, "%s", cell(0, 0));
	return true;
}

static void
create(void)
{
	static const char *const profiles[PROFILES] = {NULL, "free", "two", "three"};
	const char *id = new_id();
	int			profile = any_below(PROFILES);
	Outcome		outcome;
	char		worktree[24];

	snprintf(worktree, sizeof(worktree), "/w/%d", any_below(40));
	/* Lost: sent again until it is known to be there. */
	do
		outcome = ask("SELECT amelia.create_workflow($1, $2, profile_id => NULLIF($3, ''), id => $4)",
					  id, worktree, profiles[profile] != NULL ? profiles[profile] : "", id, NULL);
	while (outcome == LOST);
	expect("create", outcome, "");
	if (outcome == DONE)
		note("created\t%s", id);
}

static void
decide(void)
{
	char		id[40];
	bool		approved = any_below(2) == 0;

	if (any_workflow("blocked", id))
	{
		Outcome		outcome = ask("SELECT max(e.sequence), amelia.decide($1, max(e.sequence), $2) FROM amelia.workflow_log AS e"
								  " WHERE e.workflow_id = $1 AND e.event_type = 'approval_required'",
								  id, approved ? "t" : "f", NULL);

		expect("decide", outcome, "55000");
		if (outcome == DONE)
			note("decided\t%s\t%s\t%s", id, approved ? "granted" : "rejected", cell(0, 0));
	}
}

static void
send_message(void)
{
	char		id[40];

	if (any_workflow("in_progress", id) &&
		ask("SELECT amelia.send_to_workflow($1, 'hint', '{}')", id, NULL) == DONE)
		note("sent\t%s\t%s", cell(0, 0), id);
}

static void
cancel(void)
{
	char		id[40];

	if (any_workflow("in_progress", id))
	{
		note("cancel\t%s", id);
		expect("cancel", ask("SELECT amelia.request_cancel($1)", id, NULL), "55000");
	}
}

static Outcome
insert_note(const char *event, const char *workflow)
{
	return ask("INSERT INTO amelia.workflow_log (id, workflow_id, event_type, message)"
			   " VALUES ($1, $2, 'note', 'from nobody')", event, workflow, NULL);
}

/*
 * Commit in two phases, with a pause between them in which the server may crash.
 */
static Outcome
commit_prepared(void)
{
	const char *id = new_id();
	char		prepare[80];
	char		commit[80];
	Outcome		outcome;

	snprintf(prepare, sizeof(prepare), "PREPARE TRANSACTION '%s'", id);
	snprintf(commit, sizeof(commit), "COMMIT PREPARED '%s'", id);
	outcome = ask(prepare, NULL);
	if (outcome == LOST)
	{
		while (ask("SELECT FROM pg_prepared_xacts WHERE gid = $1", id, NULL) != DONE)
			;
		outcome = PQntuples(rows) == 1 ? DONE : REFUSED;
	}
	if (outcome != DONE)
		return outcome;
	nap_ms(any_below(300));
	do
		outcome = ask(commit, NULL);
	while (outcome == LOST);
	/* Unknown now, it was committed the time before. */
	if (outcome == REFUSED)
		expect("commit", outcome, "42704");
	return DONE;
}

/*
 * A transaction that writes to two workflows, takes part of it back, and ends
 * late, one way or the other.
 */
static void
write_late(void)
{
	char		ids[2][40];
	char		events[2][40];
	Outcome		outcome;
	bool		commit = any_below(3) > 0;

	if (!any_workflow("in_progress", ids[0]) || !any_workflow("pending", ids[1]))
		return;
	if (strcmp(ids[0], ids[1]) > 0)
	{
		char		swapped[40];

		memcpy(swapped, ids[0], sizeof(swapped));
		memcpy(ids[0], ids[1], sizeof(swapped));
		memcpy(ids[1], swapped, sizeof(swapped));
	}
	for (int i = 0; i < 2; i++)
	{
		snprintf(events[i], sizeof(events[i]), "%s", new_id());
		note("ask\tevent\t%s\t%s\t", events[i], ids[i]);
	}
	outcome = ask("BEGIN", NULL);
	if (outcome == DONE)
		outcome = insert_note(events[0], ids[0]);
	if (outcome == DONE)
		outcome = ask("SAVEPOINT s", NULL);
	if (outcome == DONE)
		outcome = insert_note(new_id(), ids[1]);
	if (outcome == DONE)
		outcome = ask("ROLLBACK TO s", NULL);
	if (outcome == DONE)
		outcome = insert_note(events[1], ids[1]);
	if (outcome == DONE)
		nap_ms(any_below(300));
	expect("note", outcome, "");
	if (outcome != DONE || !commit)
	{
		if (outcome != LOST)
			(void) ask("ROLLBACK", NULL);
		for (int i = 0; i < 2; i++)
			note("no\tevent\t%s\t", events[i]);
		return;
	}
	outcome = any_below(3) == 0 ? commit_prepared() : ask("COMMIT", NULL);
	for (int i = 0; i < 2; i++)
	{
		if (outcome == DONE)
			note("ok\tevent\t%s", events[i]);
		else if (outcome == REFUSED)
			note("no\tevent\t%s\t", events[i]);
	}
}

void
be_people(void)
{
	/* Also where the workers do not get that far through the queue. */
	create();
	while (!stop_asked)
	{
		if (ask("SELECT count(*) FROM amelia.workflows AS w WHERE w.status = 'pending'", NULL) == DONE &&
			atoi(cell(0, 0)) < 60)
		{
			for (int i = 0; i < 10; i++)
				create();
		}
		decide();
		switch (any_below(10))
		{
			case 0:
			case 1:
				write_late();
				break;
			case 2:
			case 3:
				send_message();
				break;
			case 4:
				if (any_below(5) == 0)
					cancel();
				break;
			default:
				break;
		}
		nap_ms(any_below(30));
	}
}

/*
 * The clock is read after the snapshot is taken: a lease that the snapshot
 * shows and that has not run out by then was in force when it was taken. So
 * what is counted was in force at the same time.
 */
void
observe(void)
{
	int			most = 0;

	while (!stop_asked)
	{
		int			in_force;

		if (ask("WITH l AS MATERIALIZED (SELECT w.status, w.worktree_path, COALESCE(w.profile_id, '') AS profile"
				" FROM amelia.workflow_leases AS l JOIN amelia.workflows AS w ON w.id = l.workflow_id"
				" WHERE l.expires_at > clock_timestamp())"
				" SELECT (SELECT count(*) FROM l), (SELECT s.max_concurrent FROM amelia.settings() AS s),"
				" (SELECT string_agg(o.profile || ' ' || o.held, ', ')"
				"	FROM (SELECT l.profile, count(*) AS held FROM l GROUP BY l.profile) AS o"
				"	JOIN amelia.profiles AS p ON p.id = o.profile AND o.held > p.max_concurrent),"
				" (SELECT count(*) FROM l WHERE l.status <> 'in_progress'),"
				" (SELECT count(*) FROM (SELECT l.worktree_path FROM l GROUP BY 1 HAVING count(*) > 1) AS d)",
				NULL) != DONE)
			continue;
		in_force = atoi(cell(0, 0));
		if (in_force > atoi(cell(0, 1)))
			note("broken\t%d workflows held at the same time", in_force);
		if (PQgetlength(rows, 0, 2) > 0)
			note("broken\tprofiles above their limit: %s", cell(0, 2));
		if (strcmp(cell(0, 3), "0") != 0)
			note("broken\t%s leases in force of workflows that are not in progress", cell(0, 3));
		if (strcmp(cell(0, 4), "0") != 0)
			note("broken\t%s worktrees with two leases in force", cell(0, 4));
		if (in_force > most)
			note("most\t%d", most = in_force);
		nap_ms(2);
	}
}
