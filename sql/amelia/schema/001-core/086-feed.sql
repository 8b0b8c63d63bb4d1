-- What happened, over all workflows, for readers of the live feed.

CREATE TABLE amelia.workflow_feed (
	origin bigint NOT NULL,
	lsn pg_lsn NOT NULL,
	xid xid8 NOT NULL,
	number integer NOT NULL,
	written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	workflow_id uuid NOT NULL,
	first_sequence integer,
	last_sequence integer,
	moved_to text,
	PRIMARY KEY (origin, lsn, xid, number)
);
COMMENT ON TABLE amelia.workflow_feed IS
'A row for each run of events, and for each change of a status, that a transaction brought to a workflow: written as the last thing before its commit. The library writes it; read it with feed_after().';
COMMENT ON COLUMN amelia.workflow_feed.origin IS
'The cluster and database in which it was written: lsn and xid are of that one. After a restore elsewhere the row is of no use, and prune_feed() deletes it.';
COMMENT ON COLUMN amelia.workflow_feed.lsn IS
'Where the write-ahead log was then. The workflow was locked, so for each workflow this is the order of its events.';
COMMENT ON COLUMN amelia.workflow_feed.xid IS
'The transaction. feed_after() finds by it what a reader could not see before.';
COMMENT ON COLUMN amelia.workflow_feed.number IS '1, 2, 3, … within the transaction.';
COMMENT ON COLUMN amelia.workflow_feed.moved_to IS
'The workflow''s new status; NULL: the row is of events, from first_sequence to last_sequence.';
CREATE INDEX idx_workflow_feed_xid ON amelia.workflow_feed (xid);

CREATE TABLE amelia.feed_snapshots (
	origin bigint NOT NULL,
	taken_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	snapshot pg_snapshot NOT NULL,
	high pg_lsn NOT NULL,
	pruned boolean NOT NULL DEFAULT false,
	PRIMARY KEY (origin, taken_at)
);
COMMENT ON TABLE amelia.feed_snapshots IS
'Snapshots that prune_feed() takes, to know later what was in the feed then: what one of them shows has been there for as long as it is old, however long its transaction took.';
COMMENT ON COLUMN amelia.feed_snapshots.high IS 'A place in the write-ahead log behind all that the snapshot shows.';
COMMENT ON COLUMN amelia.feed_snapshots.pruned IS
'What the snapshot shows has been deleted, or is about to be: a cursor from before it is refused.';
