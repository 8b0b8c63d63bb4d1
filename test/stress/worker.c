/*
 * A worker of the stress test: claims with a short lease, writes under its
 * token in every way that there is, dawdles now and then beyond the lease and
 * goes on all the same. What it may write is the server's to say.
 *
 * What it asks is written down before it asks, and what it is told after:
 *
 *	claimed WORKFLOW TOKEN PROFILE LEASE-END
 *	beat WORKFLOW TOKEN LEASE-END
 *	ask KIND ID WORKFLOW TOKEN		an event or usage with that id
 *	ok KIND ID						is stored
 *	no KIND ID SQLSTATE				is not stored
 *	ending WORKFLOW TOKEN HOW		from now on it may be over
 *	ended WORKFLOW TOKEN HOW
 *	kept WORKFLOW TOKEN HOW SQLSTATE	it was refused
 *	took WORKFLOW TOKEN MESSAGE
 *	odd WHAT SQLSTATE				was refused with something unexpected
 */
#include "stress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What it holds, or held. */
static char workflow[40];
static char token[24];
static int	lease_ms;

/* How long the last claim took; a crash of the server does not count. */
#define MAX_CLAIM_MS 500
static int	claim_ms = 0;
static char lease[24];

/* Once in so many times beyond the lease. */
static void
dawdle(int seldom)
{
	if (any_below(seldom) == 0)
		nap_ms(lease_ms / 2 + any_below(2 * lease_ms));
	else
		nap_ms(any_below(12));
}

/* A late worker is told 55000; anything else is nobody's plan. */
static void
expect_lost(const char *what)
{
	if (strcmp(sqlstate, "55000") != 0)
		note("odd\t%s\t%s\t%s", what, sqlstate, complaint());
}

static void
say_result(const char *kind, const char *id, Outcome outcome)
{
	if (outcome == DONE)
		note("ok\t%s\t%s", kind, id);
	else if (outcome == REFUSED)
	{
		note("no\t%s\t%s\t%s", kind, id, sqlstate);
		expect_lost(kind);
	}
}

/* Data that tell under which token an event was written. */
static const char *
token_data(void)
{
	static char data[64];

	snprintf(data, sizeof(data), "{\"token\": %s}", token);
	return data;
}

/* Who lost the connection sends it again, under the same id. */
static void
append_one(void)
{
	const char *id = new_id();
	Outcome		outcome;
	bool		again = false;

	note("ask\tevent\t%s\t%s\t%s", id, workflow, token);
	do
	{
		outcome = ask("SELECT amelia.append_event($1, 'work', 'one', data => $2, id => $3, lease_token => $4)",
					  workflow, token_data(), id, token, NULL);
		/* Refused the second time, it may be there from the first. */
		if (!again || outcome == DONE)
			say_result("event", id, outcome);
		again = true;
	} while (outcome == LOST && any_below(4) > 0);
}

static void
append_several(void)
{
	char		events[1024];
	char		ids[3][40];
	int			length = 0;
	Outcome		outcome;

	for (int i = 0; i < 3; i++)
	{
		snprintf(ids[i], sizeof(ids[i]), "%s", new_id());
		length += snprintf(events + length, sizeof(events) - length,
						   "%c{\"event_type\": \"work\", \"message\": \"several\", \"id\": \"%s\", \"data\": %s}",
						   i == 0 ? '[' : ',', ids[i], token_data());
		note("ask\tevent\t%s\t%s\t%s", ids[i], workflow, token);
	}
	snprintf(events + length, sizeof(events) - length, "]");
	outcome = ask("SELECT amelia.append_events($1, $2, $3)", workflow, events, token, NULL);
	for (int i = 0; i < 3; i++)
		say_result("event", ids[i], outcome);
}

static void
record_usage(void)
{
	const char *id = new_id();

	note("ask\tusage\t%s\t%s\t%s", id, workflow, token);
	say_result("usage", id,
			   ask("SELECT amelia.record_usage($1, $2, 'm', 10, 1, cost_usd => 0.000001, id => $3, lease_token => $4)",
				   workflow, token, id, token, NULL));
}

#define INSERT_EVENT \
	"INSERT INTO amelia.workflow_log (id, workflow_id, event_type, message, data) VALUES ($1, $2, 'work', 'plain', $3)"
#define INSERT_USAGE \
	"INSERT INTO amelia.token_usage (id, workflow_id, agent, model, input_tokens, output_tokens, cost_usd)" \
	" VALUES ($1, $2, $3, 'm', 10, 1, 0.000001)"

/*
 * A transaction of plain statements under set_worker(), with pauses. The
 * workflow may be completed in it, by a plain UPDATE.
 */
static void
plain_transaction(bool complete)
{
	const char *event = new_id();
	const char *usage = new_id();
	Outcome		outcome;

	note("ask\tevent\t%s\t%s\t%s", event, workflow, token);
	note("ask\tusage\t%s\t%s\t%s", usage, workflow, token);
	outcome = ask("BEGIN", NULL);
	if (outcome == DONE)
		outcome = ask("SELECT amelia.set_worker($1, $2)", workflow, token, NULL);
	if (outcome == DONE)
	{
		dawdle(30);
		outcome = ask(INSERT_EVENT, event, workflow, token_data(), NULL);
	}
	if (outcome == DONE)
		outcome = ask(INSERT_USAGE, usage, workflow, token, NULL);
	if (outcome == DONE && complete)
	{
		outcome = ask("SELECT amelia.append_event($1, 'workflow_completed', 'plainly')", workflow, NULL);
		if (outcome == DONE)
			outcome = ask("UPDATE amelia.workflows SET status = 'completed' WHERE id = $1", workflow, NULL);
	}
	if (outcome == DONE)
		dawdle(30);
	if (outcome != DONE)
	{
		/* Lost before its COMMIT: it is not stored either. */
		if (outcome == REFUSED)
			expect_lost("transaction");
		note("no\tevent\t%s\t%s", event, sqlstate);
		note("no\tusage\t%s\t%s", usage, sqlstate);
		if (complete)
			note("kept\t%s\t%s\tcompleted\t%s", workflow, token, sqlstate);
		if (outcome == REFUSED)
			(void) ask("ROLLBACK", NULL);
		return;
	}
	outcome = ask("COMMIT", NULL);
	say_result("event", event, outcome);
	say_result("usage", usage, outcome);
	if (complete && outcome == DONE)
		note("ended\t%s\t%s\tcompleted", workflow, token);
}

/*
 * As a client does who says the lease once for the session: an event that is
 * committed by itself, or usage in a transaction that stays open for a while.
 */
static void
plain_session(void)
{
	const char *id = new_id();
	bool		is_usage = any_below(2) == 0;
	const char *kind = is_usage ? "usage" : "event";
	char		setting[72];
	Outcome		outcome;

	note("ask\t%s\t%s\t%s\t%s", kind, id, workflow, token);
	snprintf(setting, sizeof(setting), "%s %s", workflow, token);
	outcome = ask("SELECT set_config('amelia.lease', $1, false)", setting, NULL);
	if (outcome == DONE && is_usage)
		outcome = ask("BEGIN", NULL);
	if (outcome == DONE && is_usage)
	{
		outcome = ask(INSERT_USAGE, id, workflow, token, NULL);
		dawdle(5);
	}
	if (outcome == DONE)
		say_result(kind, id, is_usage ? ask("COMMIT", NULL) :
				   ask(INSERT_EVENT, id, workflow, token_data(), NULL));
	else
	{
		if (outcome == REFUSED)
			expect_lost("session");
		note("no\t%s\t%s\t%s", kind, id, sqlstate);
		if (outcome == REFUSED)
			(void) ask("ROLLBACK", NULL);
	}
	(void) ask("RESET amelia.lease", NULL);
}

static void
beat(void)
{
	Outcome		outcome = ask("SELECT (extract(epoch FROM h.expires_at) * 1000000)::bigint, h.cancel_requested"
							  " FROM amelia.heartbeat($1, $2, $3) AS h", workflow, token, lease, NULL);

	if (outcome == DONE)
		note("beat\t%s\t%s\t%s", workflow, token, cell(0, 0));
	else if (outcome == REFUSED)
		expect_lost("heartbeat");
}

static void
take_inbox(void)
{
	Outcome		outcome = ask("SELECT i.id FROM amelia.take_inbox($1, $2) AS i", workflow, token, NULL);

	for (int i = 0; outcome == DONE && i < PQntuples(rows); i++)
		note("took\t%s\t%s\t%s", workflow, token, cell(i, 0));
	if (outcome == REFUSED)
		expect_lost("take_inbox");
}

static void
end_with(const char *how, Outcome outcome)
{
	if (outcome == DONE)
		note("ended\t%s\t%s\t%s", workflow, token, how);
	else if (outcome == REFUSED)
	{
		note("kept\t%s\t%s\t%s\t%s", workflow, token, how, sqlstate);
		expect_lost(how);
	}
}

static void
end_attempt(void)
{
	int			chance = any_below(100);
	const char *how = chance < 50 ? "completed" : chance < 60 ? "plainly" : chance < 70 ? "failed" :
	chance < 80 ? "given back" : chance < 90 ? "blocked" : chance < 93 ? "cancelled" : "left alone";

	/* Then its lease has to run out. */
	if (strcmp(how, "left alone") == 0)
		return;
	note("ending\t%s\t%s\t%s", workflow, token, strcmp(how, "plainly") == 0 ? "completed" : how);
	if (strcmp(how, "plainly") == 0)
		plain_transaction(true);
	else if (strcmp(how, "given back") == 0)
		end_with(how, ask("SELECT amelia.release_workflow($1, $2)", workflow, token, NULL));
	else if (strcmp(how, "blocked") == 0)
		end_with(how, ask("SELECT amelia.request_approval($1, $2, 'go on?')", workflow, token, NULL));
	else if (strcmp(how, "failed") == 0)
		end_with(how, ask("SELECT amelia.release_workflow($1, $2, 'failed', 'bad luck', $3)", workflow, token,
						  any_below(2) == 0 ? "0" : "0.2 s", NULL));
	else
		end_with(how, ask("SELECT amelia.release_workflow($1, $2, $3)", workflow, token, how, NULL));
	/* A zombie: it does not know that it is over. */
	if (any_below(8) == 0)
		append_one();
}

/* Whether there was anything to claim. */
static bool
claim(void)
{
	Outcome		outcome;

	snprintf(lease, sizeof(lease), "%d ms", lease_ms);
	outcome = ask("SELECT c.id, c.lease_token, (extract(epoch FROM c.expires_at) * 1000000)::bigint, c.profile_id"
				  " FROM amelia.claim_workflow($1, $2) AS c", my_name, lease, NULL);
	if (outcome == REFUSED)
		note("odd\tclaim\t%s\t%s", sqlstate, complaint());
	if (outcome != DONE || PQntuples(rows) == 0)
		return false;
	snprintf(workflow, sizeof(workflow), "%s", cell(0, 0));
	snprintf(token, sizeof(token), "%s", cell(0, 1));
	note("claimed\t%s\t%s\t%s\t%s", workflow, token, cell(0, 3), cell(0, 2));
	return true;
}

static void
take_step(void)
{
	dawdle(30);
	switch (any_below(8))
	{
		case 0:
			plain_transaction(false);
			break;
		case 1:
			plain_session();
			break;
		case 2:
			append_several();
			break;
		case 3:
			record_usage();
			break;
		case 4:
			take_inbox();
			break;
		case 5:
			beat();
			break;
		default:
			append_one();
	}
}

void
work(void)
{
	for (;;)
	{
		int64_t		asked_at = now_us();
		bool		claimed;

		/* On a slow machine as many steps fit in as on a fast one. */
		lease_ms = 200 + any_below(1000) + 10 * claim_ms;
		claimed = claim();
		claim_ms = (now_us() - asked_at) / 1000;
		if (claim_ms > MAX_CLAIM_MS)
			claim_ms = MAX_CLAIM_MS;
		if (!claimed)
		{
			nap_ms(5 + any_below(30));
			continue;
		}
		for (int steps = any_below(6); steps > 0; steps--)
			take_step();
		end_attempt();
	}
}

/*
 * The last one: decides, and completes what is left, until nothing is.
 */
void
finish(void)
{
	lease_ms = 600000;
	for (;;)
	{
		if (claim())
		{
			note("ending\t%s\t%s\tcompleted", workflow, token);
			end_with("completed", ask("SELECT amelia.release_workflow($1, $2, 'completed')", workflow, token, NULL));
			continue;
		}
		if (ask("SELECT amelia.decide(w.id, (SELECT max(e.sequence) FROM amelia.workflow_log AS e"
				" WHERE e.workflow_id = w.id AND e.event_type = 'approval_required'), true)"
				" FROM amelia.workflows AS w WHERE w.status = 'blocked'", NULL) == REFUSED)
			note("odd\tdecide\t%s\t%s", sqlstate, complaint());
		/* One whose last lease ran out before has died since. */
		(void) ask("SELECT amelia.requeue_workflow(d.id) FROM amelia.dead_workflows() AS d", NULL);
		if (ask("SELECT FROM amelia.workflows AS w WHERE w.status IN ('pending', 'in_progress', 'blocked')"
				" OR (w.status = 'failed' AND NOT w.cancel_requested) LIMIT 1", NULL) == DONE && PQntuples(rows) == 0)
			break;
		nap_ms(20);
	}
	note("ended");
}
