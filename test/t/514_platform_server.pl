# What the platform has in the server: sessions that wait for messages, and its part of a maintenance round.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use AmeliaTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', preload => 1);
$node->append_conf('postgresql.conf', "max_prepared_transactions = 5\namelia.max_waiters = 3\n");
$node->restart;
new_database($node, 'app', extension => 1);

sub value { return $node->safe_psql('app', $_[0]); }
sub agent { return sprintf('aaaaaaaa-0000-7000-8000-%012d', $_[0]); }

value('CREATE EXTENSION amelia_platform');
value("SELECT amelia_platform.register_agent('a$_', 'master_operator', id => '" . agent($_) . "')") for 1 .. 3;

# A session that waits for an agent's messages, for an hour if need be.
sub start_waiting
{
	my ($number) = @_;
	my $session = $node->background_psql('app', on_error_stop => 0);

	$session->query_until(qr/begin/, "\\echo begin\nCALL amelia_platform.wait_messages('" . agent($number) . "', '1 hour');\n\\echo woken\n");
	return $session;
}

sub waiting
{
	my ($count, $name) = @_;

	ok($node->poll_query_until('app', qq(SELECT count(*) = $count FROM pg_stat_activity
		WHERE query LIKE 'CALL amelia_platform.wait_messages%' AND state = 'active' AND wait_event_type = 'Extension')), $name);
	return;
}

# The session is woken when it answers again.
sub is_woken
{
	my ($session, $name) = @_;

	like($session->query("SELECT 'answer'"), qr/answer/, $name);
	$session->quit;
	return;
}

my ($one, $two) = map { agent($_) } 1, 2;
my %wakers = (
	'send_message()' => "SELECT amelia_platform.send_message('$two', '$one', 'x')",
	'a broadcast' => "SELECT amelia_platform.broadcast_message('$two', 'x')",
	'a plain INSERT' => "INSERT INTO amelia_platform.agent_messages (recipient_id, message_type) VALUES ('$one', 'x')",
	'COPY' => "COPY amelia_platform.agent_messages (recipient_id, message_type) FROM PROGRAM 'echo $one,x' (FORMAT csv)",
	'a subtransaction' => "BEGIN; SAVEPOINT s; SELECT amelia_platform.send_message('$two', '$one', 'x'); RELEASE s; COMMIT",
	'a prepared transaction that is committed' =>
	  "BEGIN; SELECT amelia_platform.send_message('$two', '$one', 'x'); PREPARE TRANSACTION 'p'; COMMIT PREPARED 'p'",
	'a message that is redriven' => "INSERT INTO amelia_platform.agent_messages (recipient_id, message_type, status) VALUES ('$one', 'x', 'failed');
		SELECT amelia_platform.redrive_message(id) FROM amelia_platform.agent_messages WHERE status = 'failed'");
for my $waker (sort keys %wakers)
{
	value('DELETE FROM amelia_platform.agent_messages');
	my @sessions = (start_waiting(1), start_waiting(1), start_waiting(3));

	waiting(3, "three sessions wait for $waker");
	is(value(q(SELECT count(*) FROM pg_stat_activity
		WHERE query LIKE 'CALL amelia_platform.wait_messages%' AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL))),
		0, 'they hold no snapshot');
	value($wakers{$waker});
	is_woken($_, "and are woken by $waker") for @sessions[ 0, 1 ];
	if ($waker eq 'a broadcast')
	{
		is_woken($sessions[2], "and so is the third by $waker");
		next;
	}
	waiting(1, 'but for who waits for another agent\'s');
	value("SELECT amelia_platform.send_message('$two', '" . agent(3) . "', 'x')");
	is_woken($sessions[2], 'until there is one');
}

# What nobody has to send any more: its time has come, or it was not acknowledged.
value('DELETE FROM amelia_platform.agent_messages');
value("SELECT amelia_platform.send_message(NULL, '$one', 'x', available_at => clock_timestamp() + interval '1.5 s')");
is_woken(start_waiting(1), 'woken when a message\'s time has come');
is(value("SELECT count(*) FROM amelia_platform.receive_messages('$one', 1, '0.2 s')"), 1, 'it is received');
is_woken(start_waiting(1), 'woken when it comes again');
is(value("SELECT retry_count FROM amelia_platform.receive_messages('$one')"), 1, 'and it does');

# What is rolled back, has expired, or is somebody else's wakes nobody; a cancel and the end of the time do.
value('DELETE FROM amelia_platform.agent_messages');
my $session = start_waiting(1);
waiting(1, 'one waits');
value("BEGIN; SELECT amelia_platform.send_message(NULL, '$one', 'x'); ROLLBACK");
value("SELECT amelia_platform.send_message(NULL, '$one', 'x', expires_at => now() - interval '1 s')");
value("SELECT amelia_platform.send_message(NULL, '$two', 'x')");
waiting(1, 'it waits still');
my @others = (start_waiting(1), start_waiting(1));
waiting(3, 'three wait');
fails_with($node, 'app', "CALL amelia_platform.wait_messages('$one')", '53400', 'wait', 'too many wait');
value(q(SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'CALL amelia_platform.wait_messages%' AND state = 'active'));
is_woken($_, 'a cancel ends it') for $session, @others;
value("CALL amelia_platform.wait_messages('$one', '1 ms')");

# The maintenance worker does it by itself, also beside what cannot be maintained, and in no database without the extension.
new_database($node, 'without', extension => 1);
value(qq(INSERT INTO amelia_platform.tasks (title, status, assigned_agent_id, leased_until) VALUES ('left', 'in_progress', '$one', now() - interval '1 s');
	UPDATE amelia_platform.agents SET last_heartbeat = now() - interval '1 day' WHERE id = '$two'));
$node->append_conf('postgresql.conf', "amelia.enabled = on\namelia.naptime = '1s'\n");
$node->reload;
ok($node->poll_query_until('app', q(SELECT t.status = 'pending' AND a.status = 'offline' FROM amelia_platform.tasks AS t, amelia_platform.agents AS a WHERE a.name = 'a2')),
	'the worker takes a task back, and an agent for offline');
is(value('SELECT sum(agents_offline) > 0 AND sum(tasks_returned) = 1 AND sum(messages_expired) = 1 FROM amelia_platform.maintenance_runs'), 't', 'and says so');
ok($node->poll_query_until('without', q(SELECT count(*) > 0 FROM amelia.retention_runs WHERE worker AND outcome = 'completed')), 'a database without the platform has its rounds');
# A clock that jumps ahead: nothing is deleted until somebody says so. Instead of the clock, everything else is set back.
value(q(UPDATE amelia_platform.maintenance_runs SET started_at = started_at - interval '400 days';
	INSERT INTO amelia_platform.tasks (title, status, completed_at) SELECT 'old', 'completed', now() - interval '400 days' FROM generate_series(1, 1500)));
# A round that was under way may have looked before.
ok($node->poll_query_until('app', q(WITH set_back AS (UPDATE amelia_platform.maintenance_runs SET started_at = started_at - interval '400 days'
		WHERE outcome = 'completed' AND started_at > now() - interval '7 days')
	SELECT count(*) > 0 FROM amelia_platform.maintenance_runs WHERE outcome = 'held back')), 'a round that would delete most of what there is, is held back');
my $newest = value(q(SELECT max(seen_at) FROM amelia_platform.maintenance_runs WHERE outcome = 'held back'));
ok($node->poll_query_until('app', "SELECT max(seen_at) > '$newest' FROM amelia_platform.maintenance_runs WHERE outcome = 'held back'"), 'and so is the next one');
like(value('SELECT reason FROM amelia.maintenance_status()'), qr/amelia_platform is held back: \d+ of \d+ tasks that are over .*run_maintenance\(held_back => 'delete'\)/,
	'the status says why, and what to do');
is(scalar(() = slurp_file($node->logfile) =~ /WARNING:  maintenance of amelia_platform is held back/g), 1, 'the log says it once');
ok(value(q(SELECT count(*) FROM amelia_platform.tasks WHERE title = 'old')) > 1000, 'most of it is there');
value(q(CALL amelia_platform.run_maintenance('delete')));
is(value(q(SELECT count(*) FROM amelia_platform.tasks WHERE title = 'old')), 0, 'somebody who has looked at the clock says the word');
ok($node->poll_query_until('app', q(SELECT outcome = 'completed' FROM amelia_platform.maintenance_runs ORDER BY started_at DESC LIMIT 1)), 'rounds go by themselves again');
ok($node->poll_query_until('app', q(SELECT (reason LIKE '%held back%') IS NOT TRUE FROM amelia.maintenance_status())), 'and the status is as before');

# Its schema torn: nothing of the platform's is done, and the rest is.
value('DROP TRIGGER zzz_move_task ON amelia_platform.tasks');
# A round that is under way has looked before; the next but one has begun after that.
my $rounds = q(SELECT COALESCE(max(id), 0) FROM amelia.retention_runs WHERE worker);
my $so_far = value($rounds);
ok($node->poll_query_until('app', "SELECT ($rounds) > $so_far + 1"), 'rounds go on without a trigger of the platform\'s');
value(qq(UPDATE amelia_platform.tasks SET status = 'in_progress', leased_until = now() - interval '1 s'));
$so_far = value($rounds);
ok($node->poll_query_until('app', "SELECT ($rounds) > $so_far + 1"), 'and on');
is(value('SELECT status FROM amelia_platform.tasks'), 'in_progress', 'which is left alone');
value('SELECT amelia_platform.migrate()');
ok($node->poll_query_until('app', q(SELECT status = 'pending' FROM amelia_platform.tasks)), 'until migrate() has mended it');

# The code goes and comes again, the data stays: also when it goes with amelia.
$node->append_conf('postgresql.conf', 'amelia.enabled = off');
$node->reload;
ok($node->poll_query_until('app', q(SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type LIKE 'amelia maintenance%')), 'the worker has gone');
my $sums = table_sums($node, 'app');
value('DROP EXTENSION amelia_platform CASCADE; CREATE EXTENSION amelia_platform');
is(table_sums($node, 'app'), $sums, 'DROP EXTENSION amelia_platform CASCADE takes no row');
value('DROP EXTENSION amelia CASCADE');
is(value(q(SELECT count(*) FROM pg_extension WHERE extname LIKE 'amelia%')), 0, 'DROP EXTENSION amelia CASCADE takes both');
is(table_sums($node, 'app'), $sums, 'and no row either');
value('CREATE EXTENSION amelia_platform CASCADE');
is(value('SELECT * FROM amelia_platform.verify()'), '', 'both are there again');
is(value('SELECT status, lease_token > 0 FROM amelia_platform.claim_task((SELECT id FROM amelia_platform.agents WHERE name = $$a1$$))'), 'in_progress|t', 'and go on');

# Nobody else's schema is adopted.
new_database($node, 'theirs', extension => 1);
$node->safe_psql('theirs', 'CREATE SCHEMA amelia_platform CREATE TABLE mine ()');
fails_with($node, 'theirs', 'CREATE EXTENSION amelia_platform', '55000', 'objects that are not Amelia', 'a schema with tables of others');
new_database($node, 'alone');
fails_with($node, 'alone', 'CREATE EXTENSION amelia_platform', '42704', 'amelia', 'without amelia');
unlike(slurp_file($node->logfile), qr/TRAP|terminated by signal/, 'no process of the server died');

$node->stop;
done_testing();
