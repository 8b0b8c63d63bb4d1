-- Agents, what they can do, how they are matched, and what is measured of them.
\getenv abs_srcdir PG_ABS_SRCDIR
\set helpers :abs_srcdir '/helpers.psql'
\set platform :abs_srcdir '/platform.psql'
\i :helpers
\i :platform
SET search_path = amelia_platform, public;

-- Registering: the result, the capabilities of both shapes, and sent again.
SELECT t.n(id) AS agent, name, agent_type, status, capabilities, system_prompt, model_provider, model_name, performance_metrics,
	last_heartbeat IS NOT NULL AS heard, created_at = updated_at AS new
FROM register_agent('chief', 'chief_of_staff', id => t.a(1));
SELECT t.n(id) AS agent FROM register_agent('op', 'master_operator', '["sql", {"name": "python", "level": 3}, {"no": "name"}, 7, "sql"]',
	'You work.', 'anthropic', 'm1', t.a(2));
SELECT t.n(id) AS agent FROM register_agent('op', 'master_operator', '["sql", {"name": "python", "level": 3}, {"no": "name"}, 7, "sql"]',
	'You work.', 'anthropic', 'm1', t.a(2));
SELECT t.n(agent_id) AS agent, capability_name, confidence_score, usage_count, last_used FROM agent_capabilities ORDER BY 1, 2;
SELECT t.digest() AS before \gset
SELECT * FROM t.errors(
	$$SELECT register_agent('op', 'master_operator', id => t.a(2))$$,
	$$SELECT register_agent(NULL, 'master_operator')$$,
	$$SELECT register_agent('', 'master_operator')$$,
	$$SELECT register_agent(repeat('x', 256), 'master_operator')$$,
	$$SELECT register_agent('a', 'master_operator', model_provider => repeat('x', 101))$$,
	$$SELECT register_agent('a', 'master_operator', model_name => repeat('x', 256))$$,
	$$SELECT register_agent('a', NULL)$$,
	$$SELECT register_agent('a', 'boss')$$,
	$$SELECT register_agent('a', 'master_operator', NULL)$$,
	$$SELECT register_agent('a', 'master_operator', '"sql"')$$,
	$$SELECT register_agent('a', 'master_operator', jsonb_build_array(repeat('x', 101)))$$,
	$$SELECT register_agent('a', 'master_operator', '[""]')$$);
SELECT t.digest() = :'before' AS nothing_stored;

-- Heartbeats.
SELECT status, performance_metrics FROM agent_heartbeat(t.a(2), 'busy', '{"done": 1, "load": 0.5}');
SELECT status, performance_metrics FROM agent_heartbeat(t.a(2), metrics => '{"done": 2}');
UPDATE agents SET status = 'offline' WHERE id = t.a(2);
SELECT status, performance_metrics FROM agent_heartbeat(t.a(2));
SELECT t.digest() AS before \gset
SELECT * FROM t.errors(
	$$SELECT agent_heartbeat(NULL)$$,
	$$SELECT agent_heartbeat(t.a(9))$$,
	$$SELECT agent_heartbeat(t.a(2), 'asleep')$$,
	$$SELECT agent_heartbeat(t.a(2), metrics => '5')$$);
SELECT t.digest() = :'before' AS nothing_stored;

-- Changes.
SELECT name, agent_type, status, capabilities, system_prompt, model_provider, model_name, performance_metrics
FROM update_agent(t.a(2), '{"name": "other", "status": "active", "system_prompt": null, "model_name": "m2", "capabilities": [], "performance_metrics": {}}');
SELECT name FROM update_agent(t.a(2), '{}');
SELECT t.digest() AS before \gset
SELECT * FROM t.errors(
	$$SELECT update_agent(NULL, '{}')$$,
	$$SELECT update_agent(t.a(9), '{}')$$,
	$$SELECT update_agent(t.a(2), NULL)$$,
	$$SELECT update_agent(t.a(2), '[]')$$,
	$$SELECT update_agent(t.a(2), '{"id": "x"}')$$,
	$$SELECT update_agent(t.a(2), '{"name": null}')$$,
	$$SELECT update_agent(t.a(2), '{"name": 5}')$$,
	$$SELECT update_agent(t.a(2), '{"name": ""}')$$,
	$$SELECT update_agent(t.a(2), '{"agent_type": "boss"}')$$,
	$$SELECT update_agent(t.a(2), '{"status": null}')$$,
	$$SELECT update_agent(t.a(2), '{"status": "gone"}')$$,
	$$SELECT update_agent(t.a(2), '{"capabilities": "sql"}')$$);
SELECT t.digest() = :'before' AS nothing_stored;

-- Lists.
SELECT name, status FROM list_agents();
SELECT name FROM list_agents('chief_of_staff');
SELECT name FROM list_agents(status => 'active', row_limit => 1);
SELECT name FROM list_agents(row_limit => 0);
SELECT * FROM t.errors(
	$$SELECT list_agents('boss')$$,
	$$SELECT list_agents(status => 'gone')$$,
	$$SELECT list_agents(row_limit => -1)$$,
	$$SELECT list_agents(row_limit => NULL)$$);

-- Capabilities.
SELECT capability_name, confidence_score FROM set_capability(t.a(2), 'sql', 0.907);
SELECT capability_name, confidence_score FROM set_capability(t.a(1), 'delegate');
SELECT t.digest() AS before \gset
SELECT * FROM t.errors(
	$$SELECT set_capability(NULL, 'sql')$$,
	$$SELECT set_capability(t.a(9), 'sql')$$,
	$$SELECT set_capability(t.a(1), NULL)$$,
	$$SELECT set_capability(t.a(1), '')$$,
	$$SELECT set_capability(t.a(1), repeat('x', 101))$$,
	$$SELECT set_capability(t.a(1), 'sql', NULL)$$,
	$$SELECT set_capability(t.a(1), 'sql', 1.01)$$,
	$$SELECT set_capability(t.a(1), 'sql', -0.1)$$,
	$$SELECT set_capability(t.a(1), 'sql', 'NaN')$$);
SELECT t.digest() = :'before' AS nothing_stored;

-- One that was not heard of for long comes back, marked or not: it is idle, unless it says what it is.
SELECT count(register_agent('back ' || n, 'master_operator', id => t.a(n))) FROM generate_series(21, 26) AS n;
CREATE FUNCTION t.gone() RETURNS void LANGUAGE sql AS $$UPDATE amelia_platform.agents SET status = CASE t.n(id) WHEN 24 THEN 'offline' ELSE 'busy' END,
	last_heartbeat = clock_timestamp() - CASE t.n(id) WHEN 23 THEN interval '200 seconds' ELSE '301 seconds' END WHERE t.n(id) BETWEEN 21 AND 26$$;
SELECT t.gone();
SELECT t.n(id) AS agent, status FROM agent_heartbeat(t.a(21)) UNION ALL SELECT t.n(id), status FROM agent_heartbeat(t.a(22), 'busy')
UNION ALL SELECT t.n(id), status FROM agent_heartbeat(t.a(23)) UNION ALL SELECT t.n(id), status FROM agent_heartbeat(t.a(24));
SELECT count(*) FROM claim_task(t.a(25));
SELECT t.n(id) AS agent, status FROM agents WHERE t.n(id) IN (25, 26) ORDER BY id;
SELECT t.gone();
UPDATE agents SET last_heartbeat = now() WHERE t.n(id) BETWEEN 21 AND 24 RETURNING t.n(id) AS agent, status;
UPDATE agents SET last_heartbeat = now(), status = 'busy' WHERE id = t.a(25) RETURNING status;
UPDATE agents SET last_heartbeat = now() - interval '400 seconds' WHERE id = t.a(26) RETURNING status;
DELETE FROM agents WHERE t.n(id) BETWEEN 21 AND 26;

-- Matching: all of them, sure enough, not offline, the surest first, then the least busy.
SELECT count(register_agent('m' || n, 'master_operator', '["a", "b"]', id => t.a(n))) FROM generate_series(11, 16) AS n;
SELECT count(set_capability(t.a(n), 'a', 0.9)) FROM unnest(ARRAY[12, 13, 14, 15]) AS n;
SELECT count(set_capability(t.a(14), 'b', 0.4));
UPDATE agents SET status = 'offline' WHERE id = t.a(15);
DELETE FROM agent_capabilities WHERE agent_id = t.a(16) AND capability_name = 'b';
SELECT count(create_task('busy', assigned_agent_id => t.a(12)));
SELECT t.n(agent_id) AS agent, name, status, confidence, load FROM match_agents('{a,b}');
SELECT t.n(agent_id) AS agent, confidence, load FROM match_agents('{b,a,b}', 0.4);
SELECT t.n(agent_id) AS agent, confidence, load FROM match_agents('{a}', 0.5, 2);
SELECT t.n(agent_id) AS agent, confidence, load FROM match_agents('{a,nobody}');
SELECT t.n(agent_id) AS agent, confidence, load FROM match_agents('{}', row_limit => 3);
-- One that was not heard of for long is offline, marked or not; one that sends no heartbeats is not.
UPDATE agents SET last_heartbeat = now() - interval '301 seconds' WHERE id = t.a(13);
UPDATE agents SET last_heartbeat = NULL, created_at = now() - interval '301 seconds' WHERE id = t.a(12);
SELECT t.n(agent_id) AS agent FROM match_agents('{a,b}');
SELECT * FROM t.errors(
	$$SELECT match_agents(NULL)$$,
	$$SELECT match_agents('{a,NULL}')$$,
	$$SELECT match_agents('{{a},{b}}')$$,
	$$SELECT match_agents(ARRAY[repeat('x', 2001)])$$,
	$$SELECT match_agents('{a}', NULL)$$,
	$$SELECT match_agents('{a}', row_limit => NULL)$$,
	$$SELECT match_agents('{a}', row_limit => -1)$$);

-- Metrics.
SELECT count(record_metric(t.a(1), 'latency', n, 'ms', recorded_at => '2026-01-01 00:00:00+00'::timestamptz + n * interval '90 min')) FROM generate_series(1, 40) AS n;
SELECT record_metric(t.a(1), 'quality', 0.123456, context => '{"of": "review"}') IS NOT NULL AS recorded;
SELECT * FROM agent_metrics(t.a(1), 'latency');
SELECT * FROM agent_metrics(t.a(1), 'latency', bucket => 'day');
SELECT * FROM agent_metrics(t.a(1), 'latency', '2026-01-03 00:00+00', 'month');
SELECT bucket_start, count, mean, min, max, p95 FROM agent_metrics(t.a(1), 'quality');
SELECT * FROM agent_metrics(t.a(1), 'nothing');
SELECT t.digest() AS before \gset
SELECT * FROM t.errors(
	$$SELECT record_metric(NULL, 'x', 1)$$,
	$$SELECT record_metric(t.a(9), 'x', 1)$$,
	$$SELECT record_metric(t.a(1), NULL, 1)$$,
	$$SELECT record_metric(t.a(1), '', 1)$$,
	$$SELECT record_metric(t.a(1), 'x', NULL)$$,
	$$SELECT record_metric(t.a(1), 'x', 'NaN')$$,
	$$SELECT record_metric(t.a(1), 'x', 'Infinity')$$,
	$$SELECT record_metric(t.a(1), 'x', 999999.99995)$$,
	$$SELECT record_metric(t.a(1), 'x', -1000000)$$,
	$$SELECT record_metric(t.a(1), 'x', 1, repeat('u', 51))$$,
	$$SELECT record_metric(t.a(1), 'x', 1, context => NULL)$$,
	$$SELECT record_metric(t.a(1), 'x', 1, context => '1')$$,
	$$INSERT INTO agent_performance (agent_id, metric_name, metric_value) VALUES (t.a(1), 'x', 'NaN')$$,
	$$SELECT agent_metrics(NULL, 'x')$$,
	$$SELECT agent_metrics(t.a(9), 'x')$$,
	$$SELECT agent_metrics(t.a(1), NULL)$$,
	$$SELECT agent_metrics(t.a(1), 'x', NULL)$$,
	$$SELECT agent_metrics(t.a(1), 'x', bucket => 'year')$$);
SELECT t.digest() = :'before' AS nothing_stored;
-- A heartbeat's metrics are merged: a list would grow with each.
SELECT * FROM t.errors($$SELECT agent_heartbeat(t.a(1), metrics => '[1]')$$);
