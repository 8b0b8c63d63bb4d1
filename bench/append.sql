-- What bench/append measures against: the same two tables without our
-- triggers, in a schema of their own. LIKE brings columns, defaults, CHECKs and
-- indexes; foreign keys it leaves out.
CREATE EXTENSION amelia;
CREATE SCHEMA twin;
CREATE TABLE twin.workflows (LIKE amelia.workflows INCLUDING ALL);
CREATE TABLE twin.workflow_log (LIKE amelia.workflow_log INCLUDING ALL,
	FOREIGN KEY (workflow_id) REFERENCES twin.workflows (id) ON DELETE CASCADE,
	FOREIGN KEY (parent_id) REFERENCES twin.workflow_log (id) ON DELETE SET NULL);
