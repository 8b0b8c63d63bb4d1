# No round while the extension is dropped, created or updated, nor in a database
# that is being restored.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use Maintenance;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = maintained_node('main');

add_database($node, 'one');
$node->safe_psql('postgres', 'ALTER DATABASE one SET amelia.batch_size = 1');
slow_deletes($node, 'one', 0.05);

# Wait until a round is in its midst that has a while to go.
sub be_busy
{
	my ($name) = @_;

	add_old_workflows($node, 'one', 500, 1);
	wait_for_delete($node, 'one', $name);
	return;
}

be_busy('a round is in its midst');
$node->safe_psql('one', 'SET client_min_messages = error; DROP EXTENSION amelia CASCADE');
pass('the extension can be dropped in mid-round');
cmp_ok(old_workflows($node, 'one'), '>', 0, 'the round was not over');
ok( $node->poll_query_until(
		'one', q(SELECT NOT EXISTS (SELECT FROM pg_stat_activity
			WHERE backend_type = 'amelia maintenance worker' AND datname = current_database()))),
	'the worker leaves');
is( $node->safe_psql('one', 'SELECT outcome FROM amelia.retention_runs ORDER BY id DESC LIMIT 1'),
	'stopped', 'and says that it stopped');
my $left = old_workflows($node, 'one');
add_database($node, 'two');
wait_for_round($node, 'two', 'rounds go on elsewhere');
is(old_workflows($node, 'one'), $left, 'nothing is deleted without the extension');
unlike(slurp_file($node->logfile), qr/WARNING|ERROR|FATAL/, 'nothing of this is an error');

$node->safe_psql('one', 'CREATE EXTENSION amelia');
be_busy('CREATE EXTENSION takes the tables up again, and the round goes on');

$node->safe_psql('one', 'SET client_min_messages = error; ALTER EXTENSION amelia UPDATE');
be_busy('an update that has nothing to do does not disturb it');

# Any other update ends with migrate(), which holds the lock until its commit.
my $updater = $node->background_psql('one', on_error_stop => 1);
$updater->query_safe('BEGIN');
$updater->query_safe('SELECT amelia.migrate()');
wait_for_status($node, 'one', "s.worker_pid IS NULL AND s.reason ~ 'updated'",
	'no round while the extension is updated');
$left = old_workflows($node, 'one');
wait_for_round($node, 'two', 'rounds go on elsewhere');
is(old_workflows($node, 'one'), $left, 'nothing is deleted meanwhile');
$updater->query_safe('COMMIT');
$updater->quit;
be_busy('the round goes on when it is over');

$node->safe_psql('one', q(UPDATE pg_extension SET extversion = '0.9' WHERE extname = 'amelia'));
wait_for_status($node, 'one', "s.state = 'schema not complete' AND NOT s.active",
	'no round with an extension of another version than the library');
like(status($node, 'one', 's.reason'), qr/version 0\.9.*ALTER EXTENSION amelia UPDATE/, 'the status says what to do');
$node->safe_psql('one', q(UPDATE pg_extension SET extversion = '1.0' WHERE extname = 'amelia'));
$node->safe_psql('one', 'DROP TRIGGER delete_slowly ON amelia.workflow_log');
wait_until_clean($node, 'one', 'the round goes on with the right one');

# The schema is older than the code.
$node->safe_psql('one', 'CREATE TABLE public.versions AS SELECT * FROM amelia.schema_versions;
	DELETE FROM amelia.schema_versions');
wait_for_status($node, 'one', "s.state = 'schema not complete' AND s.code_version > COALESCE(s.schema_version, 0)",
	'no round with a schema that is older than the code');
like(status($node, 'one', 's.reason'), qr/amelia\.migrate\(\)/, 'the status says what to do');
$node->safe_psql('one', 'INSERT INTO amelia.schema_versions SELECT * FROM public.versions');
wait_for_round($node, 'one', 'rounds begin again');

# A restore brings tables, then rows, then keys and triggers.
add_old_workflows($node, 'two', 3, 3);
my $dump = $node->basedir . '/two.dump';
$node->safe_psql('postgres', 'ALTER DATABASE two SET amelia.enabled = off');
# One that is there already has read its settings, and goes on to the end of its round.
$node->poll_query_until('postgres', q{SELECT NOT EXISTS (SELECT FROM pg_stat_activity AS a
	WHERE a.datname = 'two' AND a.backend_type LIKE 'amelia maintenance%')})
  or die 'a maintenance worker does not leave';
add_old_workflows($node, 'two', 3, 3);
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, '-d', $node->connstr('two') ], 'dump');
my $dumped = old_workflows($node, 'two');
cmp_ok($dumped, '>', 0, 'the dump has workflows that are due to go');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
for my $section ('pre-data', 'data')
{
	$node->command_ok([ 'pg_restore', "--section=$section", '-d', $node->connstr('restored'), $dump ], "restore of $section");
	$node->safe_psql('restored', 'SELECT pg_advisory_lock(1)');
	wait_for_round($node, 'one', 'rounds go on elsewhere');
}
wait_for_status($node, 'restored', "s.state = 'schema not complete'", 'no round in the midst of a restore');
is(old_workflows($node, 'restored'), $dumped, 'nothing is deleted meanwhile');
$node->command_ok([ 'pg_restore', '--section=post-data', '-d', $node->connstr('restored'), $dump ], 'restore of post-data');
wait_until_clean($node, 'restored', 'rounds begin when it is complete');
is($node->safe_psql('restored', 'SELECT count(*) FROM amelia.verify()'), 0, 'nothing is wrong afterwards');

$node->stop;
done_testing();
