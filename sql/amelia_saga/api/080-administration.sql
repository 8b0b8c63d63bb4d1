-- Forgetting, privileges, and whether all is well.

CREATE OR REPLACE FUNCTION amelia_saga.forget_session(session_id text) RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	erased bigint;
BEGIN
	PERFORM amelia_internal.check_given('session_id'::text, forget_session.session_id);
	DELETE FROM amelia_saga.messages AS m WHERE m.session_id = forget_session.session_id;
	GET DIAGNOSTICS erased = ROW_COUNT;
	RETURN erased;
END
$$;
COMMENT ON FUNCTION amelia_saga.forget_session(text) IS
'Deletes all messages of a session, and returns how many there were: 0 if there is no such session. Errors: 22023 NULL.';

CREATE OR REPLACE FUNCTION amelia_saga.grant_reader(role name) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT amelia_internal.grant_privileges(ARRAY['reader'], grant_reader.role, 'amelia_saga')
$$;
COMMENT ON FUNCTION amelia_saga.grant_reader(name) IS
'Lets a role read and search all messages and files. Errors: 42704 no such role, 42501 not the owner, 22023 NULL.';

CREATE OR REPLACE FUNCTION amelia_saga.grant_writer(role name) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT amelia_internal.grant_privileges(ARRAY['reader', 'writer'], grant_writer.role, 'amelia_saga')
$$;
COMMENT ON FUNCTION amelia_saga.grant_writer(name) IS
'Lets a role read, search, save, change and delete messages and files: for the application. Errors: 42704 no such role, 42501 not the owner, 22023 NULL.';

CREATE OR REPLACE FUNCTION amelia_saga.health_check() RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	wrong record;
BEGIN
	SELECT v.problem, v.object, v.detail INTO wrong FROM amelia_internal.verify_schema('amelia_saga') AS v LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION USING ERRCODE = '55000',
			MESSAGE = format('%s: %s', wrong.problem, wrong.object),
			HINT = upper("left"(wrong.detail, 1)) || substr(wrong.detail, 2) || '.';
	END IF;
	PERFORM m.id, m.search FROM amelia_saga.messages AS m LIMIT 1;
	PERFORM f.id, f.search FROM amelia_saga.files AS f LIMIT 1;
	RETURN true;
END
$$;
COMMENT ON FUNCTION amelia_saga.health_check() IS
'True when messages and files can be read and the schema is the code''s. Errors: 55000 what is wrong with the schema, and whatever reading raises.';

REVOKE ALL ON FUNCTION
	amelia_saga.forget_session(text),
	amelia_saga.grant_reader(name),
	amelia_saga.grant_writer(name),
	amelia_saga.health_check()
FROM PUBLIC;
