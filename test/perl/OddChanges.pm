# What the tests share that do odd things to Amelia's tables, one after the other,
# and then call all that reads and writes there: what was found is kept, what was
# changed is not.
package OddChanges;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use PostgreSQL::Test::Utils;

our @EXPORT = qw(prepare_changes make_changes);

# A schema s in a database: the calls to try go into its table calls, what they
# raised is in outcome, without a call where the change itself was not possible.
sub prepare_changes
{
	my ($node, $database) = @_;

	$node->safe_psql($database, q{
		CREATE SCHEMA s;
		CREATE TABLE s.outcome (change text, call text, sqlstate text, message text);
		CREATE TABLE s.calls (call text);
		CREATE FUNCTION s.attempt(change text, call text) RETURNS void LANGUAGE plpgsql AS $$
		BEGIN
			EXECUTE call;
			RAISE EXCEPTION 'done' USING ERRCODE = 'TT000';
		EXCEPTION
			WHEN SQLSTATE 'TT000' THEN NULL;
			WHEN OTHERS THEN INSERT INTO s.outcome VALUES (change, call, SQLSTATE, SQLERRM);
		END$$;
		-- An extension's tables are for its own calls, and for the status.
		CREATE PROCEDURE s.change(statement text) LANGUAGE plpgsql AS $$
		DECLARE
			found s.outcome[];
		BEGIN
			BEGIN
				SET LOCAL client_min_messages = error;
				EXECUTE statement;
				PERFORM s.attempt(statement, c.call) FROM s.calls AS c
				WHERE strpos(statement, substring(c.call FROM 'amelia[a-z_]*\\.')) > 0 OR c.call LIKE '%status%';
				SELECT array_agg(o) INTO found FROM s.outcome AS o WHERE o.change = statement;
				RAISE EXCEPTION 'undo' USING ERRCODE = 'TT001';
			EXCEPTION
				WHEN SQLSTATE 'TT001' THEN NULL;
				WHEN OTHERS THEN INSERT INTO s.outcome VALUES (statement, NULL, SQLSTATE, SQLERRM);
			END;
			INSERT INTO s.outcome SELECT (f).* FROM unnest(found) AS f;
			COMMIT;
		END$$});
	return;
}

# In one session, for what it keeps in mind of a table has to follow. Returns what went to standard error.
sub make_changes
{
	my ($node, $database, @changes) = @_;
	my ($ret, $out, $err) = $node->psql($database, join("\n", map { "CALL s.change('" . s/'/''/gr . "');" } @changes),
		on_error_stop => 0, timeout => 1200);

	return $err;
}

1;
