# What somebody holds a lock on is left for later; all else goes on.
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
add_database($node, 'two');
$node->safe_psql('postgres', 'ALTER DATABASE one SET amelia.enabled = off');
wait_for_status($node, 'one', "s.state = 'disabled'", 'a pause');
add_old_workflows($node, 'one', 40, 2);

my $user = $node->background_psql('one', on_error_stop => 1);
my $held = q(WHERE worktree_path IN ('/old/1', '/old/20', '/old/40'));
$user->query_safe('BEGIN');
$user->query_safe("SELECT FROM amelia.workflows $held FOR UPDATE");
$node->safe_psql('postgres', 'ALTER DATABASE one RESET amelia.enabled');
ok( $node->poll_query_until(
		'one', "SELECT count(*) = 3 FROM amelia.workflows WHERE issue_id = 'OLD'"),
	'what nobody holds goes');
is( $node->safe_psql('one', "SELECT count(*) FROM amelia.workflows $held"),
	3, 'workflows that somebody holds are left');
wait_for_round($node, 'one', 'the rounds come to their end');
is( $node->safe_psql('one', "SELECT count(*) FROM amelia.workflows $held"),
	3, 'again and again');
$user->query_safe('COMMIT');
wait_until_clean($node, 'one', 'they go when they are free');

# A whole table, as ALTER TABLE or VACUUM FULL would lock it.
add_old_workflows($node, 'two', 3, 3);
$user->query_safe('BEGIN');
$user->query_safe('LOCK TABLE amelia.token_usage IN ACCESS EXCLUSIVE MODE');
add_old_workflows($node, 'one', 3, 3);
wait_until_clean($node, 'two', 'a locked table does not stop another database');
wait_for_status($node, 'one', "s.last_error_sqlstate = '55P03'", 'the batch that needs the table gives up');
is(status($node, 'one', 's.errors_in_a_row'), 0, 'which does not make the rounds rarer');
$user->query_safe('LOCK TABLE amelia.workflow_log IN ACCESS EXCLUSIVE MODE');
wait_for_status($node, 'one', "s.reason ~ 'held a lock'", 'when not even a look is possible, the status says so');
add_old_workflows($node, 'two', 3, 3);
wait_until_clean($node, 'two', 'which does not stop another database either');
$user->query_safe('COMMIT');
wait_until_clean($node, 'one', 'the work is done when the tables are free');
$user->quit;

# Tables that only look like LangGraph's.
is(status($node, 'one', 's.checkpoint_problems IS NULL'), 't', 'there is no problem with checkpoint tables');
$node->safe_psql('one', 'CREATE TABLE public.checkpoints (thread_id text)');
like(status($node, 'one', 's.checkpoint_problems'), qr/public: not all of/, 'the status names one that there is');
$node->safe_psql('one', 'DROP TABLE public.checkpoints');

# What was deleted cannot be vacuumed while somebody might look at it.
$user = $node->background_psql('one', on_error_stop => 1);
$user->query_safe(q(SET application_name = 'long report'));
$user->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
$user->query_safe('SELECT 1');
$node->safe_psql('one', 'CREATE TABLE public.t AS SELECT 1');
# A round that was under way when it began may be older than that session.
ok( $node->poll_query_until('one',
		q{SELECT s.vacuum_held_by ~ '^session \d+ of role .* \(long report\)$' FROM amelia.maintenance_status() AS s}),
	'a session that holds back vacuum is named');
is(status($node, 'one', 's.vacuum_held_age > 0 AND s.vacuum_held_since < now()'), 't', 'with its age');
is($node->safe_psql('two', q(SELECT count(*) FROM amelia.vacuum_holders() WHERE holder ~ 'long report')),
	0, 'it is in no way of another database');
$user->query_safe('COMMIT');
$user->quit;

$node->stop;
done_testing();
