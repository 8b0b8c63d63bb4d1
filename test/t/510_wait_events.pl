# wait_events(): what wakes it, what ends it, and whom it is in the way of.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use AmeliaTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', allows_streaming => 1, preload => 1);
$node->append_conf('postgresql.conf', "max_prepared_transactions = 5\namelia.max_waiters = 3\n");
$node->restart;
new_database($node, 'feed', extension => 1);
my $w = '00000000-0000-7000-8000-000000000001';
my $other = '00000000-0000-7000-8000-000000000002';
$node->safe_psql('feed', qq(INSERT INTO amelia.workflows (id, issue_id, worktree_path) VALUES ('$w', 'I', '/w'), ('$other', 'I', '/o')));

sub last_sequence
{
	return $node->safe_psql('feed', "SELECT amelia.last_sequence('$w')");
}

# A session that waits for what follows, for an hour if need be.
sub start_waiting
{
	my ($on, $workflow) = @_;
	my $session = $on->background_psql('feed', on_error_stop => 0);
	my $last = $on->safe_psql('feed', "SELECT amelia.last_sequence('$workflow')");

	$session->query_until(qr/begin/, "\\echo begin\nCALL amelia.wait_events('$workflow', $last, '1 hour');\n\\echo woken\n");
	return $session;
}

sub waiting
{
	my ($on, $count, $name) = @_;

	ok($on->poll_query_until('feed', qq(SELECT count(*) = $count FROM pg_stat_activity
		WHERE query LIKE 'CALL amelia.wait_events%' AND state = 'active' AND wait_event_type = 'Extension')), $name);
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

my %wakers = (
	'append_event()' => "SELECT amelia.append_event('$w', 'x', 'm')",
	'a plain INSERT' => "INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES ('$w', 'x', 'm')",
	'COPY' => "COPY amelia.workflow_log (workflow_id, event_type, message) FROM PROGRAM 'echo $w,x,m' (FORMAT csv)",
	'a change of status' => "SELECT amelia.set_workflow_status('$w', 'in_progress')",
	'a prepared transaction that is committed' =>
	  "BEGIN; SELECT amelia.append_event('$w', 'x', 'm'); PREPARE TRANSACTION 'p'; COMMIT PREPARED 'p'");
for my $waker (sort keys %wakers)
{
	my @sessions = (start_waiting($node, $w), start_waiting($node, $w));

	waiting($node, 2, "two sessions wait for $waker");
	is($node->safe_psql('feed', q(SELECT count(*) FROM pg_stat_activity
		WHERE query LIKE 'CALL amelia.wait_events%' AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL))),
		0, 'they hold no snapshot');
	$node->safe_psql('feed', $wakers{$waker});
	is_woken($_, "and are woken by $waker") for @sessions;
}
{
	my $session = start_waiting($node, $w);

	waiting($node, 1, 'a session waits');
	$node->safe_psql('feed', "SELECT amelia.append_event('$other', 'x', 'm')");
	$node->safe_psql('feed', "BEGIN; SELECT amelia.append_event('$w', 'x', 'm'); ROLLBACK");
	waiting($node, 1, 'another workflow, or what is rolled back, does not end that');
	$node->safe_psql('feed', "SELECT amelia.append_event('$w', 'x', 'm')");
	is_woken($session, 'what is committed does');
}

# As many as the cap allows; who leaves, however that is, makes room.
my @sessions = map { start_waiting($node, $w) } 1 .. 3;
waiting($node, 3, 'as many wait as the cap allows');
my ($ret, $out, $err) = $node->psql('feed', "\\set VERBOSITY verbose\nCALL amelia.wait_events('$w', 1000)");
like($err, qr/ERROR:  53400: 3 sessions wait for events already/, 'the next one is refused');
$node->safe_psql('feed', q(SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'CALL amelia.wait_events%' LIMIT 1));
waiting($node, 2, 'one is cancelled');
$node->safe_psql('feed', q(SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'CALL amelia.wait_events%' AND state = 'active' LIMIT 1));
waiting($node, 1, 'one is terminated');
push @sessions, start_waiting($node, $w), start_waiting($node, $w);
waiting($node, 3, 'and there is room for two again');

# Who waits is in nobody's way, but for that it is a session of its database.
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('postgres', 'DROP DATABASE other');
waiting($node, 3, 'another database can be dropped');
$node->safe_psql('feed', 'ALTER TABLE amelia.workflow_log ADD COLUMN extra integer');
waiting($node, 3, 'the table can be changed');
$node->safe_psql('feed', "SELECT amelia.append_event('$w', 'x', 'm')");
ok($node->poll_query_until('feed', q(SELECT count(*) = 0 FROM pg_stat_activity
	WHERE query LIKE 'CALL amelia.wait_events%' AND state = 'active')), 'and all are woken after that');
$_->{run}->kill_kill for @sessions;

# One whose client is gone ends, and gives its place up.
my $gone = start_waiting($node, $w);
waiting($node, 1, 'a session waits whose client goes');
$gone->{run}->kill_kill;
ok($node->poll_query_until('feed', q(SELECT count(*) = 0 FROM pg_stat_activity
	WHERE query LIKE 'CALL amelia.wait_events%' AND state = 'active')), 'it ends, though nothing happens');

# A standby looks by itself.
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
my $session = start_waiting($standby, $w);
waiting($standby, 1, 'a session waits on a standby');
$node->safe_psql('feed', "SELECT amelia.append_event('$w', 'x', 'm')");
is_woken($session, 'and returns when the event has come there');
$standby->stop;

# DROP DATABASE with force, and shutdown, do not wait for anybody.
$session = start_waiting($node, $w);
waiting($node, 1, 'a session waits');
$node->safe_psql('postgres', 'CREATE DATABASE copy');
$node->safe_psql('postgres', 'DROP DATABASE feed WITH (FORCE)');
pass('its database can be dropped with force');
$session->{run}->kill_kill;
new_database($node, 'feed', extension => 1);
$node->safe_psql('feed', qq(INSERT INTO amelia.workflows (id, issue_id, worktree_path) VALUES ('$w', 'I', '/w')));
$session = start_waiting($node, $w);
waiting($node, 1, 'a session waits');
$node->stop('fast');
pass('the server can be shut down');
$session->{run}->kill_kill;

# Without the library preloaded it looks more often, and there is no cap.
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
$node->start;
@sessions = map { start_waiting($node, $w) } 1 .. 4;
waiting($node, 4, 'sessions wait without shared memory');
$node->safe_psql('feed', "SELECT amelia.append_event('$w', 'x', 'm')");
is_woken($_, 'and find the event') for @sessions;
$node->stop;
done_testing();
