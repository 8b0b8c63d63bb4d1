-- Agents, and what they can do.

CREATE OR REPLACE FUNCTION amelia_platform.register_agent(
	name text,
	agent_type text,
	capabilities jsonb DEFAULT '[]',
	system_prompt text DEFAULT NULL,
	model_provider text DEFAULT 'openrouter',
	model_name text DEFAULT 'auto',
	id uuid DEFAULT NULL)
RETURNS amelia_platform.agents
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	registered amelia_platform.agents;
BEGIN
	PERFORM amelia_internal.check_given('name', register_agent.name),
		amelia_internal.check_given('agent_type', register_agent.agent_type),
		amelia_internal.check_given('capabilities', register_agent.capabilities),
		amelia_internal.check_container('capabilities', register_agent.capabilities),
		amelia_internal.platform_check_text('name', register_agent.name, 255),
		amelia_internal.platform_check_text('model_provider', register_agent.model_provider, 100),
		amelia_internal.platform_check_text('model_name', register_agent.model_name, 255),
		amelia_internal.platform_check_value('agent_type', register_agent.agent_type);
	INSERT INTO amelia_platform.agents (id, name, agent_type, capabilities, system_prompt, model_provider, model_name, last_heartbeat)
	VALUES (COALESCE(register_agent.id, amelia_internal.new_uuid()), register_agent.name, register_agent.agent_type,
		register_agent.capabilities, register_agent.system_prompt, register_agent.model_provider, register_agent.model_name,
		clock_timestamp())
	ON CONFLICT (id) DO NOTHING
	RETURNING * INTO registered;
	IF FOUND THEN
		INSERT INTO amelia_platform.agent_capabilities (agent_id, capability_name)
		SELECT DISTINCT registered.id, amelia_internal.platform_check_text('a capability', n.name, 100)
		FROM jsonb_path_query(register_agent.capabilities, '$[*]') AS c (value),
			LATERAL (SELECT CASE jsonb_typeof(c.value) WHEN 'string' THEN c.value #>> '{}'
				WHEN 'object' THEN CASE jsonb_typeof(c.value -> 'name') WHEN 'string' THEN c.value ->> 'name' END END) AS n (name)
		WHERE n.name IS NOT NULL;
		RETURN registered;
	END IF;

	-- Sent again: the first result, if it is the same agent that is asked for.
	SELECT a.* INTO registered
	FROM amelia_platform.agents AS a
	WHERE a.id = register_agent.id AND a.name = register_agent.name AND a.agent_type = register_agent.agent_type
		AND a.capabilities = register_agent.capabilities
		AND a.system_prompt IS NOT DISTINCT FROM register_agent.system_prompt
		AND a.model_provider IS NOT DISTINCT FROM register_agent.model_provider
		AND a.model_name IS NOT DISTINCT FROM register_agent.model_name;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING ERRCODE = '23505',
			MESSAGE = format('agent %s exists already, with other content', register_agent.id),
			SCHEMA = 'amelia_platform', TABLE = 'agents', CONSTRAINT = 'agents_pkey';
	END IF;
	RETURN registered;
END
$$;
COMMENT ON FUNCTION amelia_platform.register_agent(text, text, jsonb, text, text, text, uuid) IS
'Makes a new idle agent, and returns it. capabilities: a list of names, or of objects with a name; each becomes a row of agent_capabilities with confidence 0.5. Sent again with the same id and content it returns that agent as it is now and stores nothing; with other content 23505. Errors: 22023 a NULL, an unknown agent_type, a text that is empty or too long, capabilities that are a JSON scalar.';

CREATE OR REPLACE FUNCTION amelia_platform.update_agent(id uuid, changes jsonb)
RETURNS amelia_platform.agents
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	known CONSTANT text[] := ARRAY['name', 'agent_type', 'status', 'capabilities', 'system_prompt', 'model_provider',
		'model_name', 'performance_metrics'];
	change record;
	updated amelia_platform.agents;
BEGIN
	PERFORM amelia_internal.platform_check_agent('id', update_agent.id),
		amelia_internal.check_given('changes', changes);
	IF jsonb_typeof(changes) <> 'object' THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = format('changes must be a JSON object, not %s', jsonb_typeof(changes));
	END IF;
	FOR change IN SELECT c.key, c.value, jsonb_typeof(c.value) AS type FROM jsonb_each(changes) AS c LOOP
		IF change.key <> ALL (known) THEN
			RAISE EXCEPTION USING ERRCODE = '22023',
				MESSAGE = format('"%s" of an agent cannot be changed', change.key),
				HINT = format('What can: %s.', array_to_string(known, ', '));
		ELSIF change.key IN ('capabilities', 'performance_metrics') THEN
			PERFORM amelia_internal.check_container(change.key, change.value);
		ELSIF change.type <> 'string' AND (change.type <> 'null' OR change.key IN ('name', 'agent_type', 'status')) THEN
			RAISE EXCEPTION USING ERRCODE = '22023',
				MESSAGE = format('"%s" must be a text, not %s', change.key, change.value);
		END IF;
	END LOOP;
	PERFORM amelia_internal.platform_check_text('name', changes ->> 'name', 255),
		amelia_internal.platform_check_text('model_provider', changes ->> 'model_provider', 100),
		amelia_internal.platform_check_text('model_name', changes ->> 'model_name', 255),
		amelia_internal.platform_check_value('agent_type', changes ->> 'agent_type'),
		amelia_internal.platform_check_value('agent status', changes ->> 'status');
	UPDATE amelia_platform.agents AS a
	SET name = CASE WHEN changes ? 'name' THEN changes ->> 'name' ELSE a.name END,
		agent_type = CASE WHEN changes ? 'agent_type' THEN changes ->> 'agent_type' ELSE a.agent_type END,
		status = CASE WHEN changes ? 'status' THEN changes ->> 'status' ELSE a.status END,
		capabilities = CASE WHEN changes ? 'capabilities' THEN changes -> 'capabilities' ELSE a.capabilities END,
		system_prompt = CASE WHEN changes ? 'system_prompt' THEN changes ->> 'system_prompt' ELSE a.system_prompt END,
		model_provider = CASE WHEN changes ? 'model_provider' THEN changes ->> 'model_provider' ELSE a.model_provider END,
		model_name = CASE WHEN changes ? 'model_name' THEN changes ->> 'model_name' ELSE a.model_name END,
		performance_metrics = CASE WHEN changes ? 'performance_metrics' THEN changes -> 'performance_metrics' ELSE a.performance_metrics END
	WHERE a.id = update_agent.id
	RETURNING a.* INTO updated;
	RETURN updated;
END
$$;
COMMENT ON FUNCTION amelia_platform.update_agent(uuid, jsonb) IS
'Changes what an object names of an agent: name, agent_type, status, capabilities, system_prompt, model_provider, model_name, performance_metrics; and returns it. Errors: P0002 no such agent, 22023 a NULL, anything else in changes, a value that cannot be.';

CREATE OR REPLACE FUNCTION amelia_platform.list_agents(agent_type text DEFAULT NULL, status text DEFAULT NULL, row_limit integer DEFAULT 100)
RETURNS SETOF amelia_platform.agents
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM amelia_internal.platform_check_value('agent_type', list_agents.agent_type),
		amelia_internal.platform_check_value('agent status', list_agents.status),
		amelia_internal.check_limit(row_limit);
	RETURN QUERY SELECT a.*
	FROM amelia_platform.agents AS a
	WHERE (list_agents.agent_type IS NULL OR a.agent_type = list_agents.agent_type)
		AND (list_agents.status IS NULL OR a.status = list_agents.status)
	ORDER BY a.name, a.id
	LIMIT row_limit;
END
$$;
COMMENT ON FUNCTION amelia_platform.list_agents(text, text, integer) IS
'Agents by name; agent_type and status NULL: any. Errors: 22023 an unknown type or status, a negative limit.';

CREATE OR REPLACE FUNCTION amelia_platform.agent_heartbeat(id uuid, status text DEFAULT NULL, metrics jsonb DEFAULT NULL)
RETURNS amelia_platform.agents
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	heard amelia_platform.agents;
BEGIN
	PERFORM amelia_internal.check_given('id', agent_heartbeat.id),
		amelia_internal.platform_check_value('agent status', agent_heartbeat.status),
		amelia_internal.check_container('metrics', metrics);
	IF jsonb_typeof(metrics) <> 'object' THEN
		RAISE EXCEPTION USING ERRCODE = '22023',
			MESSAGE = format('metrics must be a JSON object, not %s', jsonb_typeof(metrics));
	END IF;
	UPDATE amelia_platform.agents AS a
	SET last_heartbeat = clock_timestamp(),
		status = COALESCE(agent_heartbeat.status, CASE WHEN a.status = 'offline'
			OR a.last_heartbeat < clock_timestamp() - amelia_internal.platform_stale_after() THEN 'idle' ELSE a.status END),
		performance_metrics = CASE WHEN metrics IS NULL THEN a.performance_metrics ELSE a.performance_metrics || metrics END
	WHERE a.id = agent_heartbeat.id
	RETURNING a.* INTO heard;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING ERRCODE = 'P0002', MESSAGE = format('no agent %s', agent_heartbeat.id);
	END IF;
	RETURN heard;
END
$$;
COMMENT ON FUNCTION amelia_platform.agent_heartbeat(uuid, text, jsonb) IS
'Notes that an agent is there, and returns it. status NULL: as it was, but idle when it was offline, or had not been heard of for stale_after. metrics are merged into performance_metrics. Errors: P0002 no such agent, 22023 no id, an unknown status, metrics that are no object.';

CREATE OR REPLACE FUNCTION amelia_platform.set_capability(agent_id uuid, name text, confidence numeric DEFAULT 0.5)
RETURNS amelia_platform.agent_capabilities
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	capability amelia_platform.agent_capabilities;
BEGIN
	PERFORM amelia_internal.platform_check_agent('agent_id', set_capability.agent_id),
		amelia_internal.check_given('name', name),
		amelia_internal.platform_check_text('name', name, 100),
		amelia_internal.check_given('confidence', confidence);
	IF confidence NOT BETWEEN 0 AND 1 THEN
		RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format('confidence must be between 0 and 1, not %s', confidence);
	END IF;
	INSERT INTO amelia_platform.agent_capabilities (agent_id, capability_name, confidence_score)
	VALUES (set_capability.agent_id, name, confidence)
	ON CONFLICT (agent_id, capability_name) DO UPDATE SET confidence_score = EXCLUDED.confidence_score
	RETURNING * INTO capability;
	RETURN capability;
END
$$;
COMMENT ON FUNCTION amelia_platform.set_capability(uuid, text, numeric) IS
'Says that an agent can do something, and how surely, from 0 to 1, rounded to two digits; again: changes how surely. Errors: P0002 no such agent, 22023 a NULL, an empty or too long name, a confidence out of its range.';

CREATE OR REPLACE FUNCTION amelia_platform.match_agents(required text[], min_confidence numeric DEFAULT 0.5, row_limit integer DEFAULT 10)
RETURNS TABLE (agent_id uuid, name text, status text, confidence numeric, load bigint)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM amelia_internal.platform_check_needs(required),
		amelia_internal.check_given('min_confidence', min_confidence),
		amelia_internal.check_limit(row_limit);
	RETURN QUERY
	SELECT a.id, a.name::text, a.status::text, m.confidence, m.load
	FROM amelia_internal.platform_match(required, min_confidence, row_limit) AS m
	JOIN amelia_platform.agents AS a ON a.id = m.agent_id
	ORDER BY m.confidence DESC, m.load, a.id;
END
$$;
COMMENT ON FUNCTION amelia_platform.match_agents(text[], numeric, integer) IS
'Who has all of the capabilities, each with that confidence at least, and is not offline: the best mean confidence first, of those that are equal who has fewer tasks pending and in progress (load). Nothing required: everybody, by load. Errors: 22023 a NULL, a negative limit.';

REVOKE ALL ON FUNCTION
	amelia_platform.register_agent(text, text, jsonb, text, text, text, uuid),
	amelia_platform.update_agent(uuid, jsonb),
	amelia_platform.list_agents(text, text, integer),
	amelia_platform.agent_heartbeat(uuid, text, jsonb),
	amelia_platform.set_capability(uuid, text, numeric),
	amelia_platform.match_agents(text[], numeric, integer)
FROM PUBLIC;
