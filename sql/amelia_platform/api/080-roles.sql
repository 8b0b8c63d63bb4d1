-- Privileges for the operator's own roles, and whether all is well.

CREATE OR REPLACE FUNCTION amelia_platform.grant_reader(role name) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT amelia_internal.grant_privileges(ARRAY['reader'], grant_reader.role, 'amelia_platform')
$$;
COMMENT ON FUNCTION amelia_platform.grant_reader(name) IS
'Lets a role read everything, payloads and results included: for dashboards. Errors: 42704 no such role, 42501 not the owner, 22023 NULL.';

CREATE OR REPLACE FUNCTION amelia_platform.grant_agent(role name) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT amelia_internal.grant_privileges(ARRAY['reader', 'agent'], grant_agent.role, 'amelia_platform')
$$;
COMMENT ON FUNCTION amelia_platform.grant_agent(name) IS
'Lets a role read everything and do what agents do: register, claim and end tasks, send, receive and acknowledge messages, define and run workflows, record metrics; it can delete nothing. For the hosts that agents run on. Errors: 42704 no such role, 42501 not the owner, 22023 NULL.';

CREATE OR REPLACE FUNCTION amelia_platform.grant_admin(role name) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT amelia_internal.grant_privileges(ARRAY['reader', 'agent', 'admin'], grant_admin.role, 'amelia_platform')
$$;
COMMENT ON FUNCTION amelia_platform.grant_admin(name) IS
'Lets a role do everything but change the schema: delete, redrive, run maintenance, change settings. Errors: 42704 no such role, 42501 not the owner, 22023 NULL.';

CREATE OR REPLACE FUNCTION amelia_platform.verify()
RETURNS TABLE (problem text, object text, detail text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
-- of the api layer with the fingerprint @API_FINGERPRINT@
SELECT v.* FROM amelia_internal.verify_schema('amelia_platform') AS v
UNION ALL
SELECT v.* FROM amelia_internal.verify_references('amelia_platform') AS v
UNION ALL
SELECT v.* FROM amelia_internal.platform_verify_rows() AS v
$$;
COMMENT ON FUNCTION amelia_platform.verify() IS
'A row for each thing that is wrong: an older schema, missing or disabled triggers, orphans, executions that nothing takes on, tasks and leases that outlived their execution, tasks that nobody has, ends without a time. Nothing when all is well. Reads every table once.';

REVOKE ALL ON FUNCTION
	amelia_platform.grant_reader(name),
	amelia_platform.grant_agent(name),
	amelia_platform.grant_admin(name),
	amelia_platform.verify()
FROM PUBLIC;
