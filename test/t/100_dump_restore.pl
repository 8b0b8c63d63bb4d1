# Every form of pg_dump and pg_restore keeps every row, and every object that
# an operator added, though the extension owns none of them.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use AmeliaTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

@AmeliaTest::extensions = ('amelia', 'amelia_saga', 'amelia_platform');
my $node = new_node('dump');
my $dir = PostgreSQL::Test::Utils::tempdir;
my $count = 0;

new_database($node, 'source', extension => 1);
burn_transactions($node, 'source');
fill($node, 'source');
operator_changes($node, 'source');
$node->safe_psql('source', q{COMMENT ON SCHEMA amelia IS 'our runs'; CREATE TABLE public.mine AS SELECT 1});
my $old_cursor = $node->safe_psql('source', 'SELECT next_cursor FROM amelia.feed_after()');
my $sums = table_sums($node, 'source');
my $catalog = catalog($node, 'source');

# The next number of each log, wherever it comes from: it shows that the
# floors and the numbers that clients brought arrived, and work.
my $next = q{
	SELECT w.issue_id, amelia.append_event(w.id, 'task_started', 'after the restore')
	FROM amelia.workflows AS w ORDER BY 1};

# So many transaction ids that those of the feed are far ahead of a new cluster's.
sub burn_transactions
{
	my ($cluster, $database) = @_;

	$cluster->safe_psql($database, q{
		CREATE TEMP TABLE burnt (n integer);
		DO $$
		BEGIN
			FOR n IN 1..20000 LOOP
				BEGIN
					INSERT INTO burnt VALUES (n);
				EXCEPTION WHEN division_by_zero THEN
					NULL;
				END;
			END LOOP;
		END
		$$});
	return;
}

# What a worker has in hand goes on under its token, and the next one's is
# greater; numbers go on; the feed begins anew, and shows nothing of the old one.
sub queue_goes_on
{
	my ($cluster, $database, $name) = @_;
	my $held = '00000000-0000-4000-8000-000000000040';

	fails_with($cluster, $database, "SELECT amelia.feed_after('$old_cursor')", '22023', 'HINT:.*Begin anew',
		"$name: a cursor from before");
	my $cursor = $cluster->safe_psql($database, 'SELECT next_cursor FROM amelia.feed_after()');
	is( $cluster->safe_psql($database, qq{
			SELECT expires_at > now() + interval '1 hour' FROM amelia.heartbeat('$held', 2, '1 day');
			SELECT amelia.send_to_workflow('$held', 'message', '{"text": "third"}');
			SELECT id, kind, data ->> 'text' FROM amelia.take_inbox('$held', 2);
			SELECT status FROM amelia.release_workflow('$held', 2, 'failed', retry_after => '0');
			SELECT id, lease_token FROM amelia.claim_workflow('host-9')}),
		"t\n3\n2|message|é\\\n3|message|third\nfailed\n$held|3", "$name: the lease, the inbox, the next claim");
	fails_with($cluster, $database, "SELECT amelia.heartbeat('$held', 2)", '55000', 'lease 2', "$name: the old lease");
	is( $cluster->safe_psql($database, qq{
			SELECT status, (event).event_type FROM amelia.feed_after('$cursor') WHERE workflow_id IS NOT NULL}),
		"failed|\n|workflow_failed\nin_progress|\n|workflow_started", "$name: the feed has this, and nothing else");
	return;
}

# The platform's tasks, executions and messages go on where they were too.
sub platform_goes_on
{
	my ($cluster, $database, $name) = @_;

	is( $cluster->safe_psql($database, q{
			SET search_path = amelia_platform, public;
			SELECT status FROM complete_task('bbbbbbbb-0000-7000-8000-000000000004', 2);
			SELECT status, current_step, version FROM advance_execution('eeeeeeee-0000-7000-8000-000000000002', 'a');
			SELECT count(*) FROM receive_messages('aaaaaaaa-0000-7000-8000-000000000002', 10);
			SELECT status FROM start_execution('dddddddd-0000-7000-8000-000000000001');
			INSERT INTO tasks (title) VALUES ('new') RETURNING id IS NOT NULL}),
		"completed\ncompleted|5|1\n3\ncompleted\nt", "$name: the platform goes on");
	fails_with($cluster, $database, q{SELECT amelia_platform.complete_task('bbbbbbbb-0000-7000-8000-000000000004', 1)},
		'55000', 'token is 2', "$name: the old token");
	return;
}

sub dump_to
{
	my ($file, @options) = @_;

	$node->command_ok([ 'pg_dump', '-d', 'source', '-f', "$dir/$file", @options ], "pg_dump @options");
	return;
}

sub restore
{
	my ($db, $file, @options) = @_;

	$node->command_ok([ 'pg_restore', '-d', $db, '--exit-on-error', @options, "$dir/$file" ],
		"pg_restore @options");
	return;
}

# With ON_ERROR_STOP: a restore without a single error.
sub run_script
{
	my ($db, $file, @options) = @_;

	$node->command_ok(
		[ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $db, '-o', "$dir/output", '-f', "$dir/$file", @options ],
		"psql @options");
	return;
}

sub empty_database
{
	my $db = 'restored' . ++$count;

	new_database($node, $db);
	return $db;
}

# A dump of data leaves materialized views to whoever restores it, and
# --disable-triggers ends in ENABLE TRIGGER ALL.
sub check_apart
{
	my ($db, $name) = @_;

	$node->safe_psql($db, 'REFRESH MATERIALIZED VIEW amelia.ops_cost;
		ALTER TABLE amelia.token_usage DISABLE TRIGGER ops_switched_off');
	check($db, $name);
	return;
}

# After each way of restoring: all is there, and nothing is left to migrate.
sub check
{
	my ($db, $name) = @_;

	same_database($node, $db, $sums, $catalog, $name);
	is( $node->safe_psql($db, q{
			SELECT DISTINCT m FROM (VALUES (amelia.migrate()), (amelia_saga.migrate()), (amelia_platform.migrate())) AS v (m);
			SELECT string_agg(f.id, ' ' ORDER BY f.id) FROM amelia_saga.search_messages('"src cart" NOT 2*') AS f WHERE f.id < 'm13';
			SELECT count(*) FROM amelia_saga.search_messages('many word', mode => 'english');
			SELECT f.id FROM amelia_saga.search_files('filename : cart') AS f}),
		"schema version 1 is complete, nothing to do\nm1 m10 m11 m12\n1\nf1", "$name: nothing to migrate; messages and files are found");
	return;
}

my $expected_next;
my $db = empty_database();
dump_to('plain.sql');
run_script($db, 'plain.sql');
check($db, 'plain');
is($node->safe_psql($db, 'SELECT count(*) FROM public.mine'), '1', 'plain: tables outside the schema too');
$expected_next = $node->safe_psql('source', "BEGIN; $next; ROLLBACK");
like($expected_next, qr/^ISSUE-21\|63\n.*^ISSUE-30\|68$/ms, 'removed and reserved numbers are not given again');
like($expected_next, qr/^OLD\|2002$/m, 'the next number follows what a client brought');
is($node->safe_psql($db, $next), $expected_next, 'plain: the logs go on where they were');
is( $node->safe_psql($db, q{
		INSERT INTO amelia.workflows (issue_id, worktree_path) VALUES ('NEW', '/new');
		INSERT INTO amelia.workflow_log (workflow_id, event_type, message)
		SELECT id, 'task_started', 'first' FROM amelia.workflows WHERE issue_id = 'NEW'
		RETURNING sequence, id IS NOT NULL}),
	'1|t', 'plain: ids and sequences come by themselves');
queue_goes_on($node, $db, 'plain');
platform_goes_on($node, $db, 'plain');
verify_is($node, $db, '', 'plain: verify() finds nothing after that');

$db = empty_database();
dump_to('all.custom', '-Fc');
restore($db, 'all.custom');
check($db, 'custom');
is($node->safe_psql($db, $next), $expected_next, 'custom: the logs go on where they were');

$db = empty_database();
restore($db, 'all.custom', '-j4');
check($db, 'custom -j4');

# A copy of a copy is the same.
$node->safe_psql('postgres', "CREATE DATABASE twin TEMPLATE $db");
check('twin', 'CREATE DATABASE … TEMPLATE');
is($node->safe_psql('twin', $next), $expected_next, 'TEMPLATE: the logs go on where they were');
queue_goes_on($node, 'twin', 'TEMPLATE');
$node->safe_psql('postgres', 'DROP DATABASE twin');

$db = empty_database();
dump_to('all.dir', '-Fd', '-j2');
restore($db, 'all.dir', '-j4');
check($db, 'directory -j4');

$db = empty_database();
dump_to('all.tar', '-Ft');
restore($db, 'all.tar', '--single-transaction');
check($db, 'tar in one transaction');

# Of one database, only Amelia.
$db = empty_database();
dump_to('amelia.sql', map { ('-n', $_, '-e', $_) } 'amelia', 'amelia_saga', 'amelia_platform');
run_script($db, 'amelia.sql', '-1');
check($db, '-n amelia -e amelia');
is($node->safe_psql($db, q{SELECT to_regclass('public.mine')}), '', '-n amelia -e amelia: nothing else');

# Over what is there: --clean drops it first.
$db = empty_database();
$node->safe_psql($db, 'CREATE EXTENSION amelia_saga CASCADE');
restore($db, 'all.custom', '--clean', '--if-exists');
check($db, '--clean --if-exists over a fresh extension');

foreach my $form ('--inserts', '--column-inserts', '--rows-per-insert=100')
{
	$db = empty_database();
	dump_to('inserts.sql', $form);
	run_script($db, 'inserts.sql', '-1');
	check($db, $form);
}

# A dump that leaves row_security on, as who is bound by policies makes it.
$db = empty_database();
dump_to('policies.sql', '--enable-row-security');
run_script($db, 'policies.sql');
check($db, '--enable-row-security');
$db = empty_database();
restore($db, 'all.custom', '--enable-row-security');
check($db, 'pg_restore --enable-row-security');

# Schema and data apart. The triggers stand when the data comes: what they
# would allocate or raise must stay as it was dumped. The circle of foreign
# keys wants one transaction, or triggers that are off.
dump_to('schema.custom', '-Fc', '--schema-only');
dump_to('data.custom', '-Fc', '--data-only');
dump_to('data.sql', '--data-only');
dump_to('data-off.sql', '--data-only', '--disable-triggers');

$db = empty_database();
restore($db, 'schema.custom');
is( $node->safe_psql($db, 'SELECT (SELECT count(*) FROM amelia.event_types), (SELECT count(*) FROM amelia.workflows)'),
	'0|0', 'schema only: no rows, seeded ones neither');
run_script($db, 'data.sql', '-1');
# The budgets' triggers book the spending again, in rows of their own: what
# the usage that is there says, without that of deleted workflows.
is( $node->safe_psql($db, q{SELECT scope, period, spent_usd FROM amelia.budget_status()}),
	"workflow|total|0.450015\nprofile|month|1.350000", 'data with triggers on: what was spent');
$node->safe_psql($db, 'DELETE FROM amelia.budget_spending');
# The feed tells of the workflows and events that came as of any others.
is( $node->safe_psql($db, 'SELECT count(*) FROM amelia.workflow_feed') >
	  $node->safe_psql('source', 'SELECT count(*) FROM amelia.workflow_feed'), 1, 'data with triggers on: the feed');
$node->safe_psql($db, 'DELETE FROM amelia.workflow_feed');
restore($db, 'data.custom', '-n', 'amelia', '-t', 'budget_spending', '-t', 'workflow_feed');
check_apart($db, 'schema, then data with triggers on');
is($node->safe_psql($db, $next), $expected_next, 'data with triggers on: the logs go on where they were');
queue_goes_on($node, $db, 'data with triggers on');
platform_goes_on($node, $db, 'data with triggers on');

$db = empty_database();
restore($db, 'schema.custom');
run_script($db, 'data-off.sql');
check_apart($db, 'schema, then data with triggers off');

$db = empty_database();
restore($db, 'schema.custom');
restore($db, 'data.custom', '--disable-triggers', '-j4');
check_apart($db, 'schema, then data -j4 with triggers off');

$db = empty_database();
restore($db, 'all.custom', "--section=$_") foreach qw(pre-data data post-data);
check($db, 'section by section');

# In the middle of a restore the triggers are not there yet: that is said, and
# not taken for damage to be repaired by writing.
$db = empty_database();
restore($db, 'all.custom', '--section=pre-data', '--section=data');
like(
	$node->safe_psql($db, 'SELECT problem, object FROM amelia.verify()'),
	qr/^trigger is missing.*\|zzz_allocate_sequence on workflow_log$/m,
	'before post-data verify() names the triggers that are missing');
restore($db, 'all.custom', '--section=post-data');
check($db, 'post-data later');

# A session that silences triggers altogether.
$db = empty_database();
{
	local $ENV{PGOPTIONS} = '-c session_replication_role=replica';
	restore($db, 'all.custom', '-j4');
}
check($db, 'with session_replication_role = replica');
queue_goes_on($node, $db, 'with session_replication_role = replica');

# A whole cluster, without the many copies.
$node->command_ok(
	[ 'pg_dumpall', '-l', 'postgres', '--exclude-database=restored*', '-f', "$dir/cluster.sql" ], 'pg_dumpall');
my $other = new_node('dumpall');
# Only the role that initdb made is there already.
$other->command_checks_all(
	[ 'psql', '-X', '-q', '-d', 'postgres', '-o', "$dir/output", '-f', "$dir/cluster.sql" ],
	0, [qr/\A\z/],
	[qr/\A(?:(?!ERROR:).)*ERROR:  role "[^"]*" already exists(?:(?!ERROR:).)*\z/s],
	'psql from pg_dumpall');
same_database($other, 'source', $sums, $catalog, 'pg_dumpall');

# Without Amelia's schema, but with the extension, as -N has it.
new_database($node, 'without');
$node->safe_psql('without', 'CREATE SCHEMA amelia; CREATE SCHEMA amelia_saga; CREATE SCHEMA amelia_platform');
$node->command_ok([ 'pg_dump', '-N', 'amelia*', '-f', "$dir/without", 'source' ], 'pg_dump -N amelia');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', 'without', '-f', "$dir/without" ], '-N: is restored into an empty schema');
$node->safe_psql('without', 'SELECT amelia.migrate(), amelia_saga.migrate(), amelia_platform.migrate()');
is($node->safe_psql('without', 'SELECT count(*) > 0, (SELECT count(*) FROM amelia.workflows) FROM public.mine, amelia.event_types'),
	't|0', '-N: and migrate() makes the tables');
verify_is($node, 'without', '', '-N: verify() finds nothing');

done_testing();
