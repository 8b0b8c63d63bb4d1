# Whoever owns one table of ours, or their schema, gets no rights of the others' owner by what
# the library does by itself: there it stops, and says why.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use AmeliaTest qw(say_each);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('owners');
$node->init;
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION amelia;
	CREATE EXTENSION amelia_platform;
	CREATE EXTENSION amelia_saga;
	CREATE ROLE eve;
	CREATE SCHEMA eve AUTHORIZATION eve;
	GRANT USAGE ON SCHEMA amelia, amelia_platform TO eve;
});

# By what the library acts on the tables, and the one whose owner it acts as.
my @acts = (
	['amelia', q{SELECT amelia.delete_thread('none')}, 'checkpoint_schemas'],
	['amelia', 'SELECT amelia.migrate()', 'schema_versions'],
	['amelia_platform', 'CALL amelia_platform.run_maintenance()', 'maintenance_runs'],
	['amelia_platform', 'SELECT amelia_platform.migrate()', 'schema_versions'],
	['amelia_saga', 'SELECT amelia_saga.migrate()', 'schema_versions'],
);

foreach my $case (@acts)
{
	my ($schema, $act, $own) = @$case;
	my @relations = split /\n/, $node->safe_psql('postgres', qq{
		SELECT c.relname FROM pg_class AS c
		WHERE c.relnamespace = '$schema'::regnamespace AND c.relkind IN ('r', 'v')
			AND ('$schema', c.relname) <> ('amelia', 'schema_migrations')
		ORDER BY 1});
	my @trusted;

	my @said = say_each($node, 'postgres',
		map { "ALTER TABLE $schema.$_ OWNER TO eve; $act; ALTER TABLE $schema.$_ OWNER TO CURRENT_USER" } @relations);
	foreach my $relation (@relations)
	{
		push @trusted, $relation unless (shift @said)->[1] =~ /"\Q$schema.\E\w+" belongs to "\w+", and others there to/;
	}
	is("@trusted", $own, "$act: nothing is done where one table is somebody else's than that whose owner it is done as");
	my (undef, undef, $error) = $node->psql('postgres',
		"ALTER SCHEMA $schema OWNER TO eve; $act; ALTER SCHEMA $schema OWNER TO CURRENT_USER", on_error_stop => 0);
	like($error, qr/schema "$schema" belongs to "eve", and others there to/, '… nor where the schema is');
	(undef, undef, $error) = $node->psql('postgres', $act);
	is($error, '', '… and it is when they are not');
}

# Who looks whether all is well is told, and of nothing else by that.
foreach my $schema ('amelia', 'amelia_platform', 'amelia_saga')
{
	foreach my $object ("SCHEMA $schema", "TABLE $schema.@{[ $schema eq 'amelia_saga' ? 'messages' : 'workflows' ]}")
	{
		my ($status, $found, $error) = $node->psql('postgres',
			"ALTER $object OWNER TO eve; SELECT * FROM $schema.verify(); SELECT count(*) FROM amelia.maintenance_status(); ALTER $object OWNER TO CURRENT_USER");
		is("$status $error", '0 ', "verify() and the status answer where $object is somebody else's");
		like($found, qr/^belongs to several owners\|$schema\|[^\n]*"eve", and others there to[^\n]*\n1$/, '… and it is named');
	}
}
$node->safe_psql('postgres', 'ALTER TABLE amelia_platform.tasks OWNER TO eve');
like($node->safe_psql('postgres', 'SELECT reason FROM amelia.maintenance_status()'),
	qr/there is no maintenance of amelia_platform: "amelia_platform.tasks" belongs to "eve"/, '… by the status too, of what has maintenance');
$node->safe_psql('postgres', 'ALTER TABLE amelia_platform.tasks OWNER TO CURRENT_USER');

# The trigger of somebody who was handed one table.
$node->safe_psql('postgres', q{
	INSERT INTO amelia.workflows (id, issue_id, worktree_path, status, completed_at)
	VALUES ('aaaaaaaa-0000-7000-8000-000000000001', 'i', '/w', 'completed', now() - interval '400 days');
	INSERT INTO amelia.workflow_log (workflow_id, event_type, level, agent, message, timestamp)
	VALUES ('aaaaaaaa-0000-7000-8000-000000000001', 'x', 'trace', 'a', 'm', now() - interval '400 days');
	ALTER TABLE amelia.workflow_log OWNER TO eve;
	GRANT USAGE ON SCHEMA amelia TO eve;
	SET ROLE eve;
	CREATE FUNCTION eve.rise() RETURNS trigger LANGUAGE plpgsql AS
		$$BEGIN ALTER ROLE eve SUPERUSER; RETURN OLD; END$$;
	CREATE TRIGGER rise BEFORE DELETE ON amelia.workflow_log FOR EACH ROW EXECUTE FUNCTION eve.rise();
});
my ($status, undef, $error) = $node->psql('postgres', 'CALL amelia.run_retention()');
like($error, qr/"amelia.workflow_log" belongs to "eve"/, 'a round does not begin');
is($node->safe_psql('postgres', q{SELECT rolsuper FROM pg_roles WHERE rolname = 'eve'}), 'f',
	'… and nothing of hers ran');

# Who has the rights of the others' owner anyway may own some.
$node->safe_psql('postgres', q{
	DROP TRIGGER rise ON amelia.workflow_log;
	ALTER ROLE eve SUPERUSER;
});
$node->safe_psql('postgres', 'CALL amelia.run_retention()');
is($node->safe_psql('postgres', 'SELECT outcome FROM amelia.retention_runs'), 'completed',
	'a superuser may own one of them');

$node->stop;
done_testing();
