-- Claims, leases and fencing. claim_workflow() sets the search_path itself where
-- it runs SQL, as append_event() does.

CREATE FUNCTION amelia.claim_workflow(
	worker text,
	lease interval DEFAULT '60 seconds',
	profile_id text DEFAULT NULL,
	workflow_types text[] DEFAULT NULL)
RETURNS TABLE (
	id uuid,
	issue_id text,
	worktree_path text,
	status text,
	workflow_type text,
	profile_id text,
	plan_cache jsonb,
	issue_cache jsonb,
	failure_reason text,
	created_at timestamptz,
	started_at timestamptz,
	completed_at timestamptz,
	updated_at timestamptz,
	sequence_floor integer,
	events_removed bigint,
	priority smallint,
	available_at timestamptz,
	failures integer,
	max_failures integer,
	retry_at timestamptz,
	cancel_requested boolean,
	parked boolean,
	lease_token bigint,
	expires_at timestamptz)
LANGUAGE c VOLATILE ROWS 1
AS 'MODULE_PATHNAME', 'amelia_claim_workflow';
COMMENT ON FUNCTION amelia.claim_workflow(text, interval, text, text[]) IS
'Gives a worker a lease on the claimable workflow with the highest priority, then the earliest available_at, moves it to in_progress with its workflow_started event, and returns it with lease_token and expires_at; no row when there is none, or the limits of server_settings and profiles leave no room. At once: it waits for nobody. Until the worker is seen by a heartbeat or a write under the token, expires_at is no later than workflow_start_timeout_seconds allows. NULL for profile_id and workflow_types: any. Passes over the workflows of a profile, or those, whose block budget is spent. Errors: 53400 a block budget of everything, or of the profile that was asked for, is spent, 22023 no worker, a lease that is not longer than nothing or longer than max_lease_hours, a NULL among the types.';

CREATE FUNCTION amelia.heartbeat(
	workflow_id uuid,
	lease_token bigint,
	lease interval DEFAULT '60 seconds',
	OUT expires_at timestamptz,
	OUT cancel_requested boolean,
	OUT budget_spent boolean,
	OUT budget_message text)
RETURNS record
LANGUAGE c VOLATILE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_heartbeat';
COMMENT ON FUNCTION amelia.heartbeat(uuid, bigint, interval) IS
'Prolongs a lease: from now on it lasts that long. Returns its new end, whether somebody asked for the workflow''s, and whether a block budget is spent under which the workflow comes, and which: the work may go on, it is the worker''s to end it. Waits for no append. Errors: 55000 the lease is lost, P0002 no such workflow, 22023 a NULL, a lease that is not longer than nothing or longer than max_lease_hours of server_settings.';

CREATE FUNCTION amelia_internal.check_lease(workflow_id uuid, lease_token bigint) RETURNS void
LANGUAGE c VOLATILE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_check_lease';
COMMENT ON FUNCTION amelia_internal.check_lease(uuid, bigint) IS
'Locks the workflow''s row and raises 55000 unless the lease is in force, which then holds to the end of the transaction; what that writes to the workflow is fenced. P0002 no such workflow.';

CREATE FUNCTION amelia_internal.give_back(workflow_id uuid, lease_token bigint) RETURNS void
LANGUAGE c VOLATILE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_give_back';
COMMENT ON FUNCTION amelia_internal.give_back(uuid, bigint) IS
'What release_workflow() without a status does: the workflow stays in_progress and can be claimed at once, and that counts as no failure. Errors as check_lease().';

-- Sets the search_path itself where it runs SQL.
CREATE FUNCTION amelia_internal.complete_workflow(workflow_id uuid, lease_token bigint) RETURNS record
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'amelia_complete_workflow';
COMMENT ON FUNCTION amelia_internal.complete_workflow(uuid, bigint) IS
'What release_workflow() with status completed does. Returns the row of workflows. Errors as set_workflow_status() with a lease_token.';

-- Without a search_path of its own, which would undo the limit on idle time
-- when it returns. It resolves no name by it.
CREATE FUNCTION amelia.set_worker(workflow_id uuid, lease_token bigint) RETURNS void
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'amelia_set_worker';
COMMENT ON FUNCTION amelia.set_worker(uuid, bigint) IS
'Says for this transaction that what it writes to the workflow is the work of that lease: locks the workflow''s row, and raises 55000 when the lease is lost, now and at each later write. The transaction may idle no longer than the lease lasts (idle_in_transaction_session_timeout). Errors: 55000 the lease is lost, P0002 no such workflow, 22023 a NULL.';

CREATE FUNCTION amelia_internal.end_lease() RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'amelia_end_lease';
COMMENT ON FUNCTION amelia_internal.end_lease() IS
'AFTER UPDATE row trigger of workflows, for those that leave in_progress: ends the lease and frees its slots.';

CREATE FUNCTION amelia_internal.unpark_next() RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'amelia_unpark_next';
COMMENT ON FUNCTION amelia_internal.unpark_next() IS
'AFTER UPDATE or DELETE row trigger of workflows, for those that make room in their worktree: lets claims see the first workflow that is parked there.';

CREATE FUNCTION amelia_internal.fence_workflow() RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'amelia_fence_workflow';
COMMENT ON FUNCTION amelia_internal.fence_workflow() IS
'Row trigger of tables with a workflow_id: raises 55000 when the transaction said that it works under a lease on that workflow which is lost, or said nothing and amelia.require_lease asks for one.';

CREATE FUNCTION amelia_internal.fence_thread() RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'amelia_fence_thread';
COMMENT ON FUNCTION amelia_internal.fence_thread() IS
'The same for LangGraph''s tables, whose thread_id is the workflow''s id or one that workflow_threads links to it; also raises 55000 for a checkpoint whose parent is gone, and for writes to a checkpoint that is gone and older than an hour, while newer ones of the namespace are there, and shares the thread''s lock with other writers, so that nobody prunes it meanwhile. fence_checkpoints() puts it there.';

CREATE FUNCTION amelia_internal.note_event() RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'amelia_note_event';
COMMENT ON FUNCTION amelia_internal.note_event() IS
'AFTER INSERT row trigger of workflow_log: the fence, and the note of the event for the feed and for those who wait.';

CREATE FUNCTION amelia_internal.note_status() RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'amelia_note_status';
COMMENT ON FUNCTION amelia_internal.note_status() IS
'AFTER INSERT or UPDATE row trigger of workflows: notes the status for the feed.';

CREATE FUNCTION amelia_internal.feed_now(
	OUT origin bigint,
	OUT timeline bigint,
	OUT snapshot pg_snapshot,
	OUT low pg_lsn,
	OUT high pg_lsn)
LANGUAGE c VOLATILE
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'amelia_feed_now';
COMMENT ON FUNCTION amelia_internal.feed_now() IS
'What a cursor of feed_after() is made of: the cluster and database, the timeline, a snapshot, and the place in the write-ahead log behind which all is that the snapshot does not name; and a place behind all that it shows.';

CREATE PROCEDURE amelia.wait_events(
	workflow_id uuid,
	after_sequence integer DEFAULT 0,
	timeout interval DEFAULT '30 seconds')
LANGUAGE c
AS 'MODULE_PATHNAME', 'amelia_wait_events';
COMMENT ON PROCEDURE amelia.wait_events(uuid, integer, interval) IS
'Returns as soon as a workflow has an event behind after_sequence, at the latest when the time is over; then read events_after(). It holds the connection, but no snapshot. Errors: 25001 inside a transaction block, 53400 more sessions wait than amelia.max_waiters allows, 22023 a NULL.';
REVOKE ALL ON PROCEDURE amelia.wait_events(uuid, integer, interval) FROM PUBLIC;

REVOKE ALL ON FUNCTION
	amelia_internal.note_event(),
	amelia_internal.note_status(),
	amelia_internal.feed_now(),
	amelia.claim_workflow(text, interval, text, text[]),
	amelia.heartbeat(uuid, bigint, interval),
	amelia_internal.check_lease(uuid, bigint),
	amelia_internal.give_back(uuid, bigint),
	amelia_internal.complete_workflow(uuid, bigint),
	amelia.set_worker(uuid, bigint),
	amelia_internal.end_lease(),
	amelia_internal.unpark_next(),
	amelia_internal.fence_workflow(),
	amelia_internal.fence_thread()
FROM PUBLIC;
