# Deleting checkpoints by hand: whose rights the caller's deferred triggers
# have, and whose threads stay.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('rights');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION amelia');
$node->safe_psql('postgres', q{
	CREATE ROLE eve LOGIN;
	CREATE SCHEMA app AUTHORIZATION eve;
	SELECT amelia.grant_admin('eve');
	SET ROLE eve;
	CREATE TABLE app.checkpoints (thread_id text NOT NULL, checkpoint_ns text NOT NULL DEFAULT '',
		checkpoint_id text NOT NULL, parent_checkpoint_id text, type text, checkpoint jsonb NOT NULL,
		metadata jsonb NOT NULL DEFAULT '{}', PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id));
	CREATE TABLE app.checkpoint_blobs (thread_id text NOT NULL, checkpoint_ns text NOT NULL DEFAULT '',
		channel text NOT NULL, version text NOT NULL, type text NOT NULL, blob bytea,
		PRIMARY KEY (thread_id, checkpoint_ns, channel, version));
	CREATE TABLE app.checkpoint_writes (thread_id text NOT NULL, checkpoint_ns text NOT NULL DEFAULT '',
		checkpoint_id text NOT NULL, task_id text NOT NULL, idx integer NOT NULL, channel text NOT NULL,
		type text, blob bytea NOT NULL, PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id, task_id, idx));
	SELECT amelia.register_checkpoints('app');
	CREATE TABLE app.seen (who name);
	CREATE FUNCTION app.see() RETURNS trigger LANGUAGE plpgsql AS
		$$BEGIN INSERT INTO app.seen VALUES (current_user); RETURN NULL; END$$;
	CREATE CONSTRAINT TRIGGER later AFTER INSERT ON app.checkpoints
		DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.see();
});

$node->safe_psql('postgres', q{
	SET ROLE eve;
	BEGIN;
	INSERT INTO app.checkpoints (thread_id, checkpoint_id, checkpoint) VALUES ('x', '1', '{}');
	SELECT amelia.delete_thread('nothing');
	COMMIT;
});
is($node->safe_psql('postgres', 'SELECT string_agg(DISTINCT who::text, $$,$$) FROM app.seen'), 'eve',
	"delete_thread(): the caller's deferred triggers run as the caller");

my ($one, $other) = map { sprintf '%08d-0000-7000-8000-000000000000', $_ } 1, 2;
$node->safe_psql('postgres', qq{
	SELECT amelia.create_workflow('i', '/one', id => '$one'), amelia.create_workflow('i', '/other', id => '$other');
	SELECT amelia.link_thread('$one', '$other'), amelia.link_thread('$one', 'mine');
	INSERT INTO app.checkpoints (thread_id, checkpoint_id, checkpoint)
		VALUES ('$one', '1', '{}'), ('$other', '1', '{}'), ('mine', '1', '{}');
	SELECT amelia.forget_workflow('$one');
});
is($node->safe_psql('postgres', q{SELECT string_agg(thread_id, ',') FROM app.checkpoints WHERE thread_id <> 'x'}), $other,
	"forget_workflow(): another workflow's thread stays");

$node->safe_psql('postgres', 'ALTER TABLE app.checkpoint_blobs RENAME COLUMN version TO v');
my ($status, undef, $error) = $node->psql('postgres', qq{SELECT amelia.forget_workflow('$other')}, on_error_stop => 0);
like($error, qr/may be where they cannot be deleted/, 'forget_workflow(): refused while checkpoints cannot be deleted');
is($node->safe_psql('postgres', qq{SELECT count(*) FROM amelia.get_workflow('$other')}), '1', '… and the workflow is there');

# Who owns Amelia's tables, without being a superuser, gets no right on somebody else's by it:
# retention acts as the owner of the checkpoints, so that one has to agree.
$node->safe_psql('postgres', q{
	ALTER TABLE app.checkpoint_blobs RENAME COLUMN v TO version;
	CREATE ROLE landlord LOGIN;
	GRANT CREATE ON SCHEMA amelia TO landlord;
	DO $$
	DECLARE
		statement text;
	BEGIN
		FOR statement IN
			SELECT format('ALTER TABLE %s OWNER TO landlord', c.oid::regclass)
			FROM pg_class AS c WHERE c.relnamespace = 'amelia'::regnamespace AND c.relkind IN ('r', 'v')
			UNION ALL
			SELECT format('ALTER ROUTINE %s OWNER TO landlord', p.oid::regprocedure)
			FROM pg_proc AS p WHERE p.pronamespace = 'amelia'::regnamespace
				AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
			UNION ALL
			SELECT 'ALTER SCHEMA amelia OWNER TO landlord'
		LOOP
			EXECUTE statement;
		END LOOP;
	END
	$$;
	SELECT amelia.migrate();
	SELECT amelia.grant_admin('landlord')});
my $thread = $node->safe_psql('postgres', 'SELECT count(*) FROM app.checkpoints');
is($node->safe_psql('postgres', 'SELECT problem FROM amelia.checkpoint_sources()'),
	q{landlord, who owns Amelia's tables, may not SELECT and DELETE from checkpoint_blobs, whose owner has to GRANT that},
	"another owner of Amelia's tables: checkpoint_sources() says what is missing");
($status, undef, $error) = $node->psql('postgres', qq{SET SESSION AUTHORIZATION landlord; SELECT amelia.delete_thread('$other')});
is($node->safe_psql('postgres', 'SELECT count(*) FROM app.checkpoints'), $thread, 'delete_thread() deletes nothing there');
$node->safe_psql('postgres', 'GRANT SELECT, DELETE ON app.checkpoints, app.checkpoint_blobs, app.checkpoint_writes TO landlord');
is($node->safe_psql('postgres', 'SELECT problem FROM amelia.checkpoint_sources()'), '', 'their owner agrees');
is($node->safe_psql('postgres', qq{SET SESSION AUTHORIZATION landlord; SELECT amelia.delete_thread('$other')}), 1, 'and it does');

$node->stop;
done_testing();
