-- Tokens and cost.

-- What is counted comes as bigint and as double precision, because those are
-- what clients in other languages make of their numbers, and neither becomes
-- an integer or a numeric by itself. The columns of token_usage are these.
CREATE OR REPLACE FUNCTION amelia.record_usage(
	workflow_id uuid,
	agent text,
	model text,
	input_tokens bigint,
	output_tokens bigint,
	cache_read_tokens bigint DEFAULT 0,
	cache_creation_tokens bigint DEFAULT 0,
	cost_usd double precision DEFAULT NULL,
	duration_ms bigint DEFAULT 0,
	num_turns bigint DEFAULT 1,
	"timestamp" timestamptz DEFAULT NULL,
	id uuid DEFAULT NULL,
	lease_token bigint DEFAULT NULL,
	cache_creation_1h_tokens bigint DEFAULT 0,
	reasoning_tokens bigint DEFAULT 0,
	input_audio_tokens bigint DEFAULT 0,
	output_audio_tokens bigint DEFAULT 0,
	service_tier text DEFAULT NULL,
	context_tokens bigint DEFAULT NULL,
	input_includes_cached boolean DEFAULT NULL)
RETURNS uuid
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	recorded uuid;
	cost numeric := amelia_internal.check_cost('cost_usd', record_usage.cost_usd::numeric);
	is_unpriced boolean := false;
BEGIN
	PERFORM amelia_internal.check_given('workflow_id', record_usage.workflow_id),
		amelia_internal.check_given('agent', record_usage.agent),
		amelia_internal.check_given('model', record_usage.model),
		amelia_internal.check_given('input_tokens', record_usage.input_tokens),
		amelia_internal.check_given('output_tokens', record_usage.output_tokens),
		amelia_internal.check_given('duration_ms', record_usage.duration_ms),
		amelia_internal.check_given('num_turns', record_usage.num_turns),
		amelia_internal.check_count('duration_ms', record_usage.duration_ms),
		amelia_internal.check_count('num_turns', record_usage.num_turns),
		amelia_internal.check_usage(record_usage.input_tokens, record_usage.output_tokens,
			record_usage.cache_read_tokens, record_usage.cache_creation_tokens,
			COALESCE(record_usage.cache_creation_1h_tokens, 0), COALESCE(record_usage.reasoning_tokens, 0),
			COALESCE(record_usage.input_audio_tokens, 0), COALESCE(record_usage.output_audio_tokens, 0),
			record_usage.context_tokens),
		amelia_internal.check_service_tier(record_usage.service_tier),
		amelia_internal.check_integers(
			ARRAY['input_tokens', 'output_tokens', 'cache_read_tokens', 'cache_creation_tokens', 'duration_ms', 'num_turns'],
			ARRAY[record_usage.input_tokens, record_usage.output_tokens, record_usage.cache_read_tokens,
				record_usage.cache_creation_tokens, record_usage.duration_ms, record_usage.num_turns]);
	IF octet_length(record_usage.agent) > 1000 OR octet_length(record_usage.model) > 1000 THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = format('the name of an agent or a model must not be longer than 1000 bytes: %s bytes',
				GREATEST(octet_length(record_usage.agent), octet_length(record_usage.model)));
	END IF;
	PERFORM amelia_internal.hold_workflow(record_usage.workflow_id);
	IF lease_token IS NOT NULL THEN
		PERFORM amelia_internal.check_lease(record_usage.workflow_id, lease_token);
	END IF;
	IF cost IS NULL THEN
		cost := amelia_internal.check_cost('cost_usd', amelia_internal.usage_price(record_usage.model,
			record_usage.input_tokens, record_usage.output_tokens, record_usage.cache_read_tokens,
			record_usage.cache_creation_tokens, COALESCE(record_usage."timestamp", now()),
			record_usage.cache_creation_1h_tokens, record_usage.reasoning_tokens, record_usage.input_audio_tokens,
			record_usage.output_audio_tokens, record_usage.service_tier, record_usage.context_tokens,
			record_usage.num_turns, record_usage.input_includes_cached));
		is_unpriced := cost IS NULL;
		IF is_unpriced AND NOT (amelia_internal.current_settings() -> 'record_unpriced_usage')::boolean
			AND NOT EXISTS (SELECT FROM amelia.token_usage AS u WHERE u.id = record_usage.id) THEN
			RAISE EXCEPTION USING ERRCODE = 'P0002',
				MESSAGE = format('no price for model "%s"%s at %s', record_usage.model,
					concat(' in service tier ' || amelia_internal.check_service_tier(record_usage.service_tier),
						CASE WHEN record_usage.cache_creation_1h_tokens > 0 THEN ' with one-hour cache writes' END),
					COALESCE(record_usage."timestamp", now())),
				HINT = 'Give cost_usd, or enter a price: load_prices(), model_prices.';
		END IF;
		cost := COALESCE(cost, 0);
	END IF;

	INSERT INTO amelia.token_usage (id, workflow_id, agent, model, input_tokens, output_tokens,
		cache_read_tokens, cache_creation_tokens, cost_usd, duration_ms, num_turns, "timestamp")
	VALUES (COALESCE(record_usage.id, amelia_internal.new_uuid()), record_usage.workflow_id,
		record_usage.agent, record_usage.model, record_usage.input_tokens,
		record_usage.output_tokens, record_usage.cache_read_tokens,
		record_usage.cache_creation_tokens, cost, record_usage.duration_ms,
		record_usage.num_turns, COALESCE(record_usage."timestamp", now()))
	ON CONFLICT (id) DO NOTHING
	RETURNING token_usage.id INTO recorded;
	IF FOUND THEN
		IF is_unpriced THEN
			INSERT INTO amelia.unpriced_usage (usage_id, workflow_id, model)
			VALUES (recorded, record_usage.workflow_id, record_usage.model);
		END IF;
		RETURN recorded;
	END IF;

	-- Sent again: the same content is the first result, anything else a clash.
	-- A cost that was computed may be another by now.
	PERFORM FROM amelia.token_usage AS u
	WHERE u.id = record_usage.id
		AND (u.workflow_id, u.agent, u.model, u.input_tokens, u.output_tokens,
			u.duration_ms, u.num_turns)
		= (record_usage.workflow_id, record_usage.agent, record_usage.model,
			record_usage.input_tokens, record_usage.output_tokens,
			record_usage.duration_ms, record_usage.num_turns)
		AND (record_usage.cost_usd IS NULL OR u.cost_usd = cost)
		AND u.cache_read_tokens IS NOT DISTINCT FROM record_usage.cache_read_tokens
		AND u.cache_creation_tokens IS NOT DISTINCT FROM record_usage.cache_creation_tokens
		AND u."timestamp" = COALESCE(record_usage."timestamp", u."timestamp");
	IF NOT FOUND THEN
		RAISE EXCEPTION USING ERRCODE = '23505',
			MESSAGE = format('usage %s exists already, with other content', record_usage.id),
			SCHEMA = 'amelia', TABLE = 'token_usage', CONSTRAINT = 'token_usage_pkey';
	END IF;
	RETURN record_usage.id;
END
$$;
COMMENT ON FUNCTION amelia.record_usage(uuid, text, text, bigint, bigint, bigint, bigint, double precision, bigint, bigint, timestamptz, uuid, bigint, bigint, bigint, bigint, bigint, text, bigint, boolean) IS
'Books what an agent used, and returns the row''s id. cost_usd in US dollars, rounded to six decimals, NULL: by the price of the model at the timestamp, as price_usage() reckons it; only for that are the arguments after lease_token. duration_ms in milliseconds; timestamp NULL: now. Sent again with the same id and content it stores nothing; with other content 23505. Errors: P0002 no such workflow, no price for the model, the tier of service or one-hour cache writes (unless the setting record_unpriced_usage books it with cost 0), 22023 a required argument is NULL, a name of more than 1000 bytes, a negative number or NaN, a part of the tokens that is larger than the whole, an unknown tier, 22003 a number above 2147483647, a cost of 10000 or more, 55000 the lease of lease_token is lost.';

CREATE OR REPLACE FUNCTION amelia.token_summaries(workflow_ids uuid[])
RETURNS TABLE (
	workflow_id uuid,
	total_input_tokens bigint,
	total_output_tokens bigint,
	total_cache_read_tokens bigint,
	total_cache_creation_tokens bigint,
	total_cost_usd numeric,
	total_duration_ms bigint,
	total_turns bigint)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT s.* FROM amelia_internal.token_sums(token_summaries.workflow_ids) AS s
$$;
COMMENT ON FUNCTION amelia.token_summaries(uuid[]) IS
'The totals of several workflows, a row for each id that is asked for, by id; NULLs where nothing was used. Costs in US dollars, durations in milliseconds.';

CREATE OR REPLACE FUNCTION amelia.token_summary(
	workflow_id uuid,
	OUT total_input_tokens bigint,
	OUT total_output_tokens bigint,
	OUT total_cache_read_tokens bigint,
	OUT total_cache_creation_tokens bigint,
	OUT total_cost_usd numeric,
	OUT total_duration_ms bigint,
	OUT total_turns bigint)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT s.total_input_tokens, s.total_output_tokens, s.total_cache_read_tokens,
	s.total_cache_creation_tokens, s.total_cost_usd, s.total_duration_ms, s.total_turns
FROM amelia_internal.token_sums(ARRAY[token_summary.workflow_id]) AS s
$$;
COMMENT ON FUNCTION amelia.token_summary(uuid) IS
'The totals of one workflow; NULLs when it used nothing. Cost in US dollars, duration in milliseconds.';

REVOKE ALL ON FUNCTION
	amelia.record_usage(uuid, text, text, bigint, bigint, bigint, bigint, double precision, bigint, bigint, timestamptz, uuid, bigint, bigint, bigint, bigint, bigint, text, bigint, boolean),
	amelia.token_summaries(uuid[]),
	amelia.token_summary(uuid)
FROM PUBLIC;
