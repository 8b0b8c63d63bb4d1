# pg_upgrade makes the extension's members one by one instead of by CREATE
# EXTENSION; everything arrives all the same.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use AmeliaTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

@AmeliaTest::extensions = ('amelia', 'amelia_saga', 'amelia_platform');
my $old = new_node('old', preload => 1);
my $new = new_node('new', preload => 1);

new_database($old, 'runs', extension => 1);
fill($old, 'runs');
operator_changes($old, 'runs');
new_database($old, 'unused', extension => 1);
my $sums = table_sums($old, 'runs');
my $catalog = catalog($old, 'runs');
my $unused = catalog($old, 'unused');
$_->stop foreach $old, $new;

my ($bindir, $error) = run_command([ 'pg_config', '--bindir' ]);
# It leaves its own files behind in the folder that it runs in.
chdir PostgreSQL::Test::Utils::tempdir or die 'no folder to run in';
command_ok(
	[
		'pg_upgrade', '--no-sync', '--link',
		'-b', $bindir, '-B', $bindir,
		'-d', $old->data_dir, '-D', $new->data_dir,
		'-p', $old->port, '-P', $new->port,
		'-s', $new->host ],
	'pg_upgrade');
chdir $FindBin::RealBin or die 'no way back';

$new->start;
same_database($new, 'runs', $sums, $catalog, 'upgraded');
same_lines(catalog($new, 'unused'), $unused, 'upgraded, the second database: the catalog');
is($new->safe_psql('runs', 'SELECT DISTINCT m FROM (VALUES (amelia.migrate()), (amelia_saga.migrate())) AS v (m)'), 'schema version 1 is complete, nothing to do',
	'upgraded: nothing to migrate');
is( $new->safe_psql('runs', q{
		SELECT amelia.append_event(id, 'task_started', 'go on') FROM amelia.workflows
		WHERE issue_id IN ('ISSUE-21', 'ISSUE-30') ORDER BY issue_id}),
	"63\n68", 'upgraded: the logs go on where they were');
$new->safe_psql('runs', q{
	DROP EXTENSION amelia CASCADE;
	CREATE EXTENSION amelia_saga CASCADE;
	CREATE EXTENSION amelia_platform});
verify_is($new, 'runs', '', 'upgraded, then DROP EXTENSION and CREATE EXTENSION: verify() finds nothing');

done_testing();
