CREATE OR REPLACE FUNCTION amelia.grant_reader(role name) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT amelia_internal.grant_privileges(ARRAY['reader'], grant_reader.role)
$$;
COMMENT ON FUNCTION amelia.grant_reader(name) IS
'Lets a role read everything, tool inputs and results included: for dashboards. Errors: 42704 no such role, 42501 not the owner, 22023 NULL.';

CREATE OR REPLACE FUNCTION amelia.grant_worker(role name) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT amelia_internal.grant_privileges(ARRAY['reader', 'worker'], grant_worker.role)
$$;
COMMENT ON FUNCTION amelia.grant_worker(name) IS
'Lets a role read everything and run workflows: create and move them, append events, book usage, hold chats; it can delete nothing and change no event. Errors: 42704 no such role, 42501 not the owner, 22023 NULL.';

CREATE OR REPLACE FUNCTION amelia.grant_admin(role name) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT amelia_internal.grant_privileges(ARRAY['reader', 'worker', 'admin'], grant_admin.role)
$$;
COMMENT ON FUNCTION amelia.grant_admin(name) IS
'Lets a role do everything but change the schema: for operators, and for an orchestrator that manages profiles, prompts and settings. Errors: 42704 no such role, 42501 not the owner, 22023 NULL.';

REVOKE ALL ON FUNCTION
	amelia.grant_reader(name),
	amelia.grant_worker(name),
	amelia.grant_admin(name)
FROM PUBLIC;
