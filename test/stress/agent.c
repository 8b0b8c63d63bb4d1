/*
 * An agent of the platform's stress test: sends messages, receives with a short
 * visibility, claims tasks with a short lease, starts executions and advances
 * them, dawdles now and then beyond what it has a right to and goes on all the
 * same. Who it is, is said by the number in its name: one that was killed is
 * followed by another process of the same agent.
 *
 *	sent MESSAGE					is stored
 *	got MESSAGE DELIVERED UNTIL		it has it until then (server's microseconds)
 *	failing MESSAGE					from now on it may be somebody else's
 *	acked MESSAGE
 *	claimed TASK TOKEN
 *	completed TASK TOKEN
 *	kept TASK TOKEN SQLSTATE		it was refused
 *	started EXECUTION
 *	advanced EXECUTION STEP
 *	odd WHAT SQLSTATE COMPLAINT		was refused with something unexpected
 */
#include "stress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AGENTS 16
#define MICROSECONDS(column) "(extract(epoch FROM " column ") * 1000000)::bigint"

static const char *
agent_id(int number)
{
	static char ids[4][40];
	static int	turn = 0;
	char	   *id = ids[turn++ % 4];

	snprintf(id, sizeof(ids[0]), "aaaaaaaa-0000-7000-8000-%012d", number);
	return id;
}

/* What is refused, and is not the others' doing, is nobody's plan. */
static void
expect(const char *what, const char *state)
{
	if (strcmp(sqlstate, state) != 0)
		note("odd\t%s\t%s\t%s", what, sqlstate, complaint());
}

/* Until it is known: who lost the connection sends it again, under the same id. */
static void
send_one(void)
{
	const char *id = new_id();
	const char *me = agent_id(1 + atoi(strrchr(my_name, '-') + 1) % AGENTS);
	const char *to = agent_id(1 + any_below(AGENTS));
	const char *priority = any_below(4) == 0 ? "urgent" : "normal";
	const char *expires = any_below(10) == 0 ? "0.5 s" : "1 day";
	Outcome		outcome;

	/* The time of expiry is no part of what must be the same. */
	do
		outcome = ask("SELECT FROM amelia_platform.send_message($1, $2, 'status_update', priority => $3,"
					  " expires_at => now() + $4::interval, max_retries => 5, message_id => $5)",
					  me, to, priority, expires, id, NULL);
	while (outcome == LOST);
	if (outcome == DONE)
		note("sent\t%s", id);
	else
		note("odd\tsend\t%s\t%s", sqlstate, complaint());
}

static void
deal_with(const char *message, int hold_ms)
{
	int			how = any_below(10);

	if (any_below(6) == 0)
		nap_ms(hold_ms + any_below(hold_ms));
	else
		nap_ms(any_below(10));
	if (how == 0)
		return;					/* it forgets it */
	if (how == 1)
	{
		note("failing\t%s", message);
		if (ask("SELECT FROM amelia_platform.fail_message($1, 'no')", message, NULL) == REFUSED)
			expect("fail", "55000");
		return;
	}
	switch (ask("SELECT FROM amelia_platform.ack_message($1)", message, NULL))
	{
		case DONE:
			note("acked\t%s", message);
			break;
		case REFUSED:
			expect("ack", "55000");
			break;
		case LOST:
			break;
	}
}

static void
receive(const char *me)
{
	char		messages[3][40];
	int			hold_ms = 100 + any_below(300);
	char		hold[24];
	int			count;

	snprintf(hold, sizeof(hold), "%d ms", hold_ms);
	if (any_below(4) == 0)
		(void) ask("CALL amelia_platform.wait_messages($1, '50 ms')", me, NULL);
	if (ask("SELECT m.id, " MICROSECONDS("m.delivered_at") ", " MICROSECONDS("m.visible_at")
			" FROM amelia_platform.receive_messages($1, 3, $2) AS m", me, hold, NULL) != DONE)
		return;
	count = PQntuples(rows);
	for (int i = 0; i < count; i++)
	{
		snprintf(messages[i], sizeof(messages[0]), "%s", cell(i, 0));
		note("got\t%s\t%s\t%s", cell(i, 0), cell(i, 1), cell(i, 2));
	}
	for (int i = 0; i < count; i++)
		deal_with(messages[i], hold_ms);
}

static void
do_task(const char *me)
{
	char		task[40];
	char		token[24];
	char		lease[24];
	int			lease_ms = 100 + any_below(300);
	Outcome		outcome;

	snprintf(lease, sizeof(lease), "%d ms", lease_ms);
	if (ask("SELECT c.id, c.lease_token FROM amelia_platform.claim_task($1, $2) AS c", me, lease, NULL) != DONE ||
		PQntuples(rows) == 0)
		return;
	snprintf(task, sizeof(task), "%s", cell(0, 0));
	snprintf(token, sizeof(token), "%s", cell(0, 1));
	note("claimed\t%s\t%s", task, token);
	if (any_below(5) == 0)
		nap_ms(lease_ms / 2 + any_below(lease_ms));
	if (any_below(3) == 0 &&
		ask("SELECT amelia_platform.heartbeat_task($1, $2, $3)", task, token, lease, NULL) == REFUSED)
		expect("heartbeat", "55000");
	if (any_below(5) == 0)
		nap_ms(lease_ms / 2 + any_below(lease_ms));
	if (any_below(12) == 0)
	{
		if (ask("SELECT FROM amelia_platform.fail_task($1, $2, 'no', '0.05 s')", task, token, NULL) == REFUSED)
			expect("fail_task", "55000");
		return;
	}
	outcome = ask("SELECT FROM amelia_platform.complete_task($1, $2, pg_catalog.jsonb_build_object('token', $2::bigint, 'go', $3::boolean))",
				  task, token, any_below(2) == 0 ? "true" : "false", NULL);
	if (outcome == DONE)
		note("completed\t%s\t%s", task, token);
	else if (outcome == REFUSED)
	{
		note("kept\t%s\t%s\t%s", task, token, sqlstate);
		expect("complete", "55000");
	}
}

static void
start_one(void)
{
	const char *id = new_id();
	Outcome		outcome;

	do
		outcome = ask("SELECT FROM amelia_platform.start_execution('dddddddd-0000-7000-8000-000000000001', id => $1)", id, NULL);
	while (outcome == LOST);
	if (outcome == DONE)
		note("started\t%s", id);
	else
		note("odd\tstart\t%s\t%s", sqlstate, complaint());
}

/* Somebody advances what others may be at: one of them does, and once. */
static void
advance_any(void)
{
	char		execution[40];
	char		step[40];

	if (ask("SELECT s.execution_id, s.step_id FROM amelia_platform.execution_steps AS s"
			" WHERE s.status = 'running' ORDER BY s.execution_id DESC LIMIT 1", NULL) != DONE || PQntuples(rows) == 0)
		return;
	snprintf(execution, sizeof(execution), "%s", cell(0, 0));
	snprintf(step, sizeof(step), "%s", cell(0, 1));
	switch (ask("SELECT FROM amelia_platform.advance_execution($1, $2, pg_catalog.jsonb_build_object('by', $3::text))",
				execution, step, new_id(), NULL))
	{
		case DONE:
			note("advanced\t%s\t%s", execution, step);
			break;
		case REFUSED:
			expect("advance", "55000");
			break;
		case LOST:
			break;
	}
}

/*
 * finishing: nothing new, until nothing is left to do.
 */
void
be_agent(bool finishing)
{
	const char *me = agent_id(1 + atoi(strrchr(my_name, '-') + 1) % AGENTS);
	char		id[40];

	snprintf(id, sizeof(id), "%s", me);
	while (!stop_asked)
	{
		int			what = any_below(10);

		if (!finishing && what == 0)
			start_one();
		else if (!finishing && what < 4)
			send_one();
		else if (what == 4)
			advance_any();
		else if (what == 5)
			(void) ask("SELECT FROM amelia_platform.agent_heartbeat($1)", id, NULL);
		else if (what < 8)
			receive(id);
		else
			do_task(id);
	}
}
