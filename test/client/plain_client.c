/*-------------------------------------------------------------------------
 *
 * plain_client.c
 *	  A client that binds typed parameters in binary, as asyncpg and its
 *	  kind do: the statements of an orchestrator's repository layer, with
 *	  "search_path = amelia, public", and then the functions.
 *
 *	  plain_client CONNINFO
 *
 *	  Prints a line for each check, and ends with "done".
 *
 *-------------------------------------------------------------------------
 */
#include "binary.h"

#include <stdio.h>
#include <string.h>

static const char *const workflow_id = "aaaaaaaa-0000-4000-8000-000000000001";
static const char *const other_id = "aaaaaaaa-0000-4000-8000-000000000002";
static const char *const event_id = "eeeeeeee-0000-4000-8000-000000000001";
static const char *const usage_id = "dddddddd-0000-4000-8000-000000000001";

/* 2020-02-03 04:05:06.789 UTC, in microseconds since 2000 */
static const int64_t some_time = INT64_C(634017906789000);

/* The statements of a repository layer */

static const char *const insert_workflow =
	"INSERT INTO workflows (id, issue_id, worktree_path, status, profile_id, issue_cache, created_at, started_at)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
static const char *const insert_event =
	"INSERT INTO workflow_log (id, workflow_id, sequence, timestamp, level, event_type, message, data, is_error)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING sequence";
static const char *const insert_usage =
	"INSERT INTO token_usage (id, workflow_id, agent, model, input_tokens, output_tokens, cache_read_tokens, cost_usd, timestamp)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

static Params
workflow_params(const char *id, const char *path)
{
	Params		params = {0};

	add_uuid(&params, id);
	add_text(&params, "I-1");
	add_text(&params, path);
	add_text(&params, "pending");
	add_null(&params, TEXTOID);
	add_jsonb(&params, "{\"title\": \"täst\"}");
	add_timestamptz(&params, some_time);
	add_null(&params, TIMESTAMPTZOID);
	return params;
}

static void
test_workflows(void)
{
	static const Oid types[] = {UUIDOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	Params		params = workflow_params(workflow_id, "/w1");
	Params		key = {0};
	Params		update = {0};
	Params		expected = {0};

	check_types(insert_workflow, types, 8, "the server infers uuid, text, jsonb and timestamptz");
	check_rows(insert_workflow, &params, "1", "INSERT of a workflow");
	check_error(insert_workflow, &params, "23505", "the same id again");
	params = workflow_params(other_id, "/w2");
	check_rows(insert_workflow, &params, "1", "INSERT of another workflow");

	add_uuid(&key, workflow_id);
	params = workflow_params(workflow_id, "/w1");
	check_bytes("SELECT id, issue_id, worktree_path, status, profile_id, issue_cache, created_at, started_at"
				" FROM workflows WHERE id = $1",
				&key, &params, "what was bound comes back, byte by byte");

	add_text(&update, "in_progress");
	add_timestamptz(&update, some_time);
	add_uuid(&update, workflow_id);
	check_rows("UPDATE workflows SET status = $1, started_at = $2 WHERE id = $3", &update, "1",
			   "UPDATE of the status");
	add_text(&expected, "in_progress");
	add_timestamptz(&expected, some_time);
	check_bytes("SELECT status, started_at FROM workflows WHERE id = $1", &key, &expected,
				"the client's started_at stays");
	update.count = 0;
	add_text(&update, "pending");
	add_uuid(&update, workflow_id);
	check_error("UPDATE workflows SET status = $1 WHERE id = $2", &update, "55000",
				"a move that is no transition");
	update.count = 0;
	add_jsonb(&update, "[]");
	add_uuid(&update, usage_id);
	check_rows("UPDATE workflows SET plan_cache = $1 WHERE id = $2", &update, "0", "UPDATE of no row");
}

static Params
event_params(const char *id, int sequence)
{
	Params		params = {0};

	if (id != NULL)
		add_uuid(&params, id);
	else
		add_uuid(&params, "eeeeeeee-0000-4000-8000-0000000000ff");
	add_uuid(&params, workflow_id);
	if (sequence > 0)
		add_int4(&params, sequence);
	else
		add_null(&params, INT4OID);
	add_timestamptz(&params, some_time);
	add_text(&params, "info");
	add_text(&params, "stage_started");
	add_text(&params, "plan");
	add_jsonb(&params, "{\"n\": 1}");
	add_bool(&params, false);
	return params;
}

static void
test_events(void)
{
	static const Oid types[] = {UUIDOID, UUIDOID, INT4OID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID, BOOLOID};
	Params		params = event_params(event_id, 0);
	Params		key = {0};
	Params		expected = {0};
	PGresult   *result;

	check_types(insert_event, types, 9, "the server infers int4 and bool");
	check_integer(insert_event, &params, INT4OID, 1, "INSERT of an event without a sequence");
	params = event_params("eeeeeeee-0000-4000-8000-000000000002", 5);
	check_integer(insert_event, &params, INT4OID, 5, "INSERT with one");
	params = event_params("eeeeeeee-0000-4000-8000-000000000003", 0);
	check_integer(insert_event, &params, INT4OID, 6, "and without, which follows the highest");
	check_error(insert_event, &params, "23505", "the same event again");
	params = event_params(NULL, 5);
	check_error(insert_event, &params, "23505", "the same sequence again");

	add_uuid(&key, event_id);
	add_bool(&expected, false);
	add_jsonb(&expected, "{\"n\": 1}");
	add_timestamptz(&expected, some_time);
	check_bytes("SELECT is_error, data, timestamp FROM workflow_log WHERE id = $1", &key, &expected,
				"bool, jsonb and timestamptz come back");

	/* Many times through one prepared statement, whose plan becomes generic. */
	PQclear(PQprepare(conn, "insert_event", insert_event, 0, NULL));
	for (int i = 0; i < 20; i++)
	{
		char		id[37];
		char		why[64] = "no row";

		snprintf(id, sizeof(id), "eeeeeeee-0000-4000-8000-0000000001%02d", i);
		params = event_params(id, 0);
		result = PQexecPrepared(conn, "insert_event", params.count, params.values, params.lengths, params.formats, 1);
		if (PQntuples(result) == 1)
			snprintf(why, sizeof(why), "%lld", (long long) get_integer(result, 0, 0));
		if (PQntuples(result) != 1 || get_integer(result, 0, 0) != 7 + i)
		{
			check(false, "a prepared INSERT", why);
			PQclear(result);
			return;
		}
		PQclear(result);
	}
	check(true, "a prepared INSERT, 20 times", NULL);

	key.count = 0;
	add_uuid(&key, workflow_id);
	check_integer("SELECT COALESCE(MAX(sequence), 0) FROM workflow_log WHERE workflow_id = $1", &key, INT4OID, 26,
				  "the highest sequence");
	add_int4(&key, 7);
	check_rows("DELETE FROM workflow_log WHERE workflow_id = $1 AND sequence >= $2", &key, "20", "DELETE of events");
	key.count = 1;
	check_integer("INSERT INTO workflow_log (workflow_id, event_type, message) VALUES ($1, 'x', 'm') RETURNING sequence",
				  &key, INT4OID, 27, "no number is given twice");
}

/* COPY in binary, as drivers send many records. */
static void
test_copy(void)
{
	static const char header[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0";
	char		buffer[512];
	char	   *at = buffer;
	PGresult   *result = PQexec(conn, "COPY workflow_log (workflow_id, event_type, message, data) FROM STDIN (FORMAT binary)");
	Params		key = {0};

	PQclear(result);
	memcpy(at, header, 19);
	at += 19;
	for (int i = 0; i < 3; i++)
	{
		put_int16(&at, 4);
		put_int32(&at, 16);
		put_uuid(&at, i == 1 ? other_id : workflow_id);
		put_int32(&at, 1);
		*at++ = 'x';
		put_int32(&at, 4);
		memcpy(at, "copy", 4);
		at += 4;
		put_int32(&at, 3);
		memcpy(at, "\1{}", 3);
		at += 3;
	}
	put_int16(&at, -1);
	PQputCopyData(conn, buffer, (int) (at - buffer));
	PQputCopyEnd(conn, NULL);
	result = PQgetResult(conn);
	check(PQresultStatus(result) == PGRES_COMMAND_OK && strcmp(PQcmdTuples(result), "3") == 0,
		  "COPY in binary", PQresultErrorMessage(result));
	PQclear(result);
	while ((result = PQgetResult(conn)) != NULL)
		PQclear(result);

	add_uuid(&key, workflow_id);
	check_integer("SELECT max(sequence) FROM workflow_log WHERE workflow_id = $1 AND message = 'copy' HAVING count(*) = 2",
				  &key, INT4OID, 29, "its rows are numbered");
	key.count = 0;
	add_uuid(&key, other_id);
	check_integer("SELECT max(sequence) FROM workflow_log WHERE workflow_id = $1", &key, INT4OID, 1,
				  "those of another workflow too");
}

static Params
usage_params(const char *cost)
{
	Params		params = {0};

	add_uuid(&params, usage_id);
	add_uuid(&params, workflow_id);
	add_text(&params, "architect");
	add_text(&params, "opus");
	add_int4(&params, 100);
	add_int4(&params, 50);
	add_null(&params, INT4OID);
	if (cost != NULL)
		add_numeric(&params, cost);
	else
		add_numeric_nan(&params);
	add_timestamptz(&params, some_time);
	return params;
}

static void
test_usage(void)
{
	static const Oid types[] = {UUIDOID, UUIDOID, TEXTOID, TEXTOID, INT4OID, INT4OID, INT4OID, NUMERICOID, TIMESTAMPTZOID};
	Params		params = usage_params(NULL);
	Params		key = {0};
	Params		expected = {0};

	check_types(insert_usage, types, 9, "the server infers numeric");
	check_error(insert_usage, &params, "23514", "NaN is no cost");
	params = usage_params("10000");
	check_error(insert_usage, &params, "22003", "nor is one that does not fit");
	params = usage_params("12.1000000000000000055511151231257827");
	check_rows(insert_usage, &params, "1", "INSERT of usage with a long decimal");

	add_uuid(&key, workflow_id);
	add_numeric(&expected, "12.100000");
	/* the server leaves trailing zero digits away */
	expected.data[0][1] = 2;
	expected.lengths[0] = 8 + 2 * 2;
	check_bytes("SELECT sum(cost_usd) FROM token_usage WHERE workflow_id = $1", &key, &expected, "it is rounded");
	check_integer("SELECT sum(input_tokens) FROM token_usage WHERE workflow_id = $1", &key, INT8OID, 100, "tokens are summed");
}

static void
test_others(void)
{
	Params		params = {0};

	add_text(&params, "work");
	add_text(&params, "/home/dev");
	add_jsonb(&params, "{\"architect\": {\"driver\": \"api\"}}");
	add_bool(&params, true);
	check_rows("INSERT INTO profiles (id, working_dir, agents, is_active) VALUES ($1, $2, $3, $4)"
			   " ON CONFLICT (id) DO UPDATE SET agents = EXCLUDED.agents",
			   &params, "1", "upsert of a profile");
	check_rows("INSERT INTO profiles (id, working_dir, agents, is_active) VALUES ($1, $2, $3, $4)"
			   " ON CONFLICT (id) DO UPDATE SET agents = EXCLUDED.agents",
			   &params, "1", "and again");
	params.count = 2;
	add_jsonb(&params, "\"{}\"");
	add_bool(&params, false);
	check_error("INSERT INTO profiles (id, working_dir, agents, is_active) VALUES ($1, $2, $3, $4)", &params, "23514",
				"agents that were encoded twice");

	params.count = 0;
	add_int4(&params, 1);
	add_numeric(&params, "90.5");
	add_int4(&params, 8);
	check_rows("INSERT INTO server_settings (id, websocket_idle_timeout_seconds, max_concurrent) VALUES ($1, $2, $3)"
			   " ON CONFLICT (id) DO UPDATE SET max_concurrent = EXCLUDED.max_concurrent",
			   &params, "1", "upsert of the settings");

	params.count = 0;
	add_text(&params, "s-1");
	add_text(&params, "work");
	check_rows("INSERT INTO brainstorm_sessions (id, profile_id) VALUES ($1, $2)", &params, "1", "INSERT of a chat");
	params.count = 0;
	add_text(&params, "m-1");
	add_text(&params, "s-1");
	add_jsonb(&params, "[]");
	add_numeric(&params, "0.00000149");
	check_integer("INSERT INTO brainstorm_messages (id, session_id, role, content, parts, cost_usd)"
				  " VALUES ($1, $2, 'user', 'hello', $3, $4) RETURNING sequence",
				  &params, INT4OID, 1, "INSERT of a message");
}

/* The functions, called by a client that names its types */

static void
test_functions(void)
{
	static const char *const append =
		"SELECT amelia.append_event($1, $2, $3, data => $4, is_error => $5, \"timestamp\" => $6, id => $7)";
	static const char *const list =
		"SELECT id, started_at FROM amelia.list_workflows(row_limit => $1, after_started_at => $2, after_id => $3)";
	Params		params = {0};
	PGresult   *result;

	add_uuid(&params, workflow_id);
	add_text(&params, "stage_completed");
	add_text(&params, "done");
	add_jsonb(&params, "{\"n\": 2}");
	add_bool(&params, true);
	add_timestamptz(&params, some_time);
	add_uuid(&params, "eeeeeeee-0000-4000-8000-000000000004");
	check_integer(append, &params, INT4OID, 30, "append_event");
	check_integer(append, &params, INT4OID, 30, "sent again it gives the first sequence");
	params.data[4][0] = 0;
	result = run(append, &params);
	check(PQresultErrorField(result, PG_DIAG_SQLSTATE) != NULL &&
		  strcmp(PQresultErrorField(result, PG_DIAG_SQLSTATE), "23505") == 0 &&
		  PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME) != NULL &&
		  strcmp(PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME), "workflow_log_pkey") == 0,
		  "with other content it is a unique violation of the key", PQresultErrorMessage(result));
	PQclear(result);
	params.count = 0;
	add_uuid(&params, usage_id);
	add_text(&params, "x");
	add_text(&params, "m");
	check_error("SELECT amelia.append_event($1, $2, $3)", &params, "P0002", "append_event to no workflow");

	params.count = 0;
	add_uuid(&params, workflow_id);
	add_jsonb(&params, "[{\"event_type\": \"x\", \"message\": \"a\"}, {\"event_type\": \"x\", \"message\": \"b\"}]");
	check_integer("SELECT upper(amelia.append_events($1, $2)) - 1", &params, INT4OID, 32, "append_events");
	params.count = 1;
	add_jsonb(&params, "{}");
	check_error("SELECT amelia.append_events($1, $2)", &params, "22023", "append_events of an object");

	params.count = 1;
	add_int4(&params, 29);
	add_int4(&params, 2);
	check_rows("SELECT * FROM amelia.events_after($1, $2, $3)", &params, "2", "events_after");
	params.count = 2;
	add_int4(&params, -1);
	check_error("SELECT * FROM amelia.events_after($1, $2, $3)", &params, "22023", "with a negative limit");
	params.count = 1;
	check_integer("SELECT amelia.last_sequence($1)", &params, INT4OID, 32, "last_sequence");

	params.count = 1;
	add_text(&params, "a");
	add_text(&params, "m");
	add_int4(&params, 1);
	add_int4(&params, 2);
	add_numeric(&params, "0.5");
	check_rows("SELECT amelia.record_usage($1, $2, $3, $4, $5, cost_usd => $6)", &params, "1", "record_usage");
	params.count = 5;
	add_numeric_nan(&params);
	check_error("SELECT amelia.record_usage($1, $2, $3, $4, $5, cost_usd => $6)", &params, "22023", "record_usage of NaN");
	params.count = 0;
	add_uuid_array(&params, workflow_id, other_id);
	check_rows("SELECT * FROM amelia.token_summaries($1)", &params, "2", "token_summaries");
	params.count = 0;
	add_uuid(&params, workflow_id);
	check_integer("SELECT total_input_tokens FROM amelia.token_summary($1)", &params, INT8OID, 101, "token_summary");

	params.count = 0;
	add_text(&params, "pending");
	check_integer("SELECT amelia.count_workflows($1)", &params, INT8OID, 1, "count_workflows");

	/* The cursor of one page is bound for the next as it came. */
	params.count = 0;
	add_int4(&params, 1);
	add_null(&params, TIMESTAMPTZOID);
	add_null(&params, UUIDOID);
	for (int page = 0; page < 3; page++)
	{
		char		name[64];

		result = run(list, &params);
		snprintf(name, sizeof(name), "page %d of list_workflows", page + 1);
		check(PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == (page < 2 ? 1 : 0), name,
			  PQresultErrorMessage(result));
		if (PQntuples(result) == 1)
		{
			params.count = 1;
			if (PQgetisnull(result, 0, 1))
				add_null(&params, TIMESTAMPTZOID);
			else
				add_timestamptz(&params, get_integer(result, 0, 1));
			memcpy(add(&params, UUIDOID, 16), PQgetvalue(result, 0, 0), 16);
		}
		PQclear(result);
	}
	params.count = 0;
	add_uuid(&params, workflow_id);
	add_text(&params, "completed");
	check_rows("SELECT * FROM amelia.set_workflow_status($1, $2)", &params, "1", "set_workflow_status");
	check_error("SELECT * FROM amelia.set_workflow_status($1, $2)", &params, "55000", "to the status that is there");
	params.count = 1;
	check_rows("DELETE FROM workflows WHERE id = $1", &params, "1", "DELETE of a workflow");
	check_rows("SELECT * FROM amelia.verify()", &(Params){0}, "0", "verify finds nothing");
}

int
main(int argc, char **argv)
{
	if (argc != 2)
	{
		fprintf(stderr, "usage: plain_client CONNINFO\n");
		return 1;
	}
	conn = PQconnectdb(argv[1]);
	if (PQstatus(conn) != CONNECTION_OK)
	{
		fprintf(stderr, "%s", PQerrorMessage(conn));
		return 1;
	}
	PQclear(PQexec(conn, "SET search_path = amelia, public"));
	test_workflows();
	test_events();
	test_copy();
	test_usage();
	test_others();
	test_functions();
	PQfinish(conn);
	puts("done");
	return 0;
}
