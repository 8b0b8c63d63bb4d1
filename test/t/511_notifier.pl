# The notifier: who listens is told of every workflow, whatever ends it.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use Maintenance;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = maintained_node('main', "max_prepared_transactions = 5\namelia.enabled = off");
add_database($node, $_) for qw(quiet told);

sub w { return sprintf '00000000-0000-7000-8000-%012d', $_[0]; }
for my $database (qw(quiet told))
{
	$node->safe_psql($database, q(INSERT INTO amelia.workflows (id, issue_id, worktree_path)
		SELECT ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'I', '/w' || n FROM generate_series(1, 3) AS n));
}

$node->safe_psql('postgres', q(ALTER DATABASE told SET amelia.notify_interval = '20ms'));

sub listener
{
	my ($database) = @_;
	my $session = $node->background_psql($database);

	$session->set_query_timer_restart;

	$session->query_safe('LISTEN amelia_events');
	return $session;
}

# Read until a notification has arrived that matches; all that came, then.
sub is_told
{
	my ($session, $pattern, $name) = @_;
	my $told = '';

	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		$told .= $session->query('SELECT 1');
		last if $told =~ $pattern;
		usleep(100_000);
	}
	like($told, $pattern, $name);
	return $told;
}

sub about
{
	my ($workflow, $sequence) = @_;

	return sprintf '{"workflow_id": "%s", "sequence": %s}', w($workflow), $sequence;
}

sub notifiers
{
	my ($database) = @_;

	return $node->safe_psql('postgres', qq(SELECT count(*) FROM pg_stat_activity
		WHERE backend_type = 'amelia notifier' AND datname = '$database'));
}

sub has_notifier
{
	my ($count, $name) = @_;

	ok($node->poll_query_until('postgres', qq(SELECT count(*) = $count FROM pg_stat_activity
		WHERE backend_type = 'amelia notifier')), $name);
	return;
}

my $everything = quotemeta '{"workflow_id": null, "sequence": null}';
my $listener = listener('told');

# After a start of the server nobody knows what was before.
$node->safe_psql('told', "SELECT amelia.append_event('@{[ w(1) ]}', 'x', 'm')");
is_told($listener, qr/$everything/, 'the first notification after a start says to look at everything');

# One for each workflow, with its highest sequence, however it came in.
$node->safe_psql('told', qq(
	BEGIN;
	SELECT amelia.append_event('@{[ w(1) ]}', 'x', n::text) FROM generate_series(2, 9) AS n;
	INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES ('@{[ w(2) ]}', 'x', 'm'), ('@{[ w(2) ]}', 'x', 'm');
	UPDATE amelia.workflows SET status = 'cancelled' WHERE id = '@{[ w(3) ]}';
	COMMIT));
my $told = is_told($listener, qr/\Q@{[ about(3, 'null') ]}\E/, 'a status is told of');
like($told, qr/\Q@{[ about(1, 9) ]}\E/, 'so are events of append_event()');
like($told, qr/\Q@{[ about(2, 2) ]}\E/, 'and of INSERT');
unlike($told, qr/@{[ w(1) ]}", "sequence": [2-8]}/, 'with the highest sequence only');
$node->safe_psql('told', "COPY amelia.workflow_log (workflow_id, event_type, message) FROM PROGRAM 'echo @{[ w(2) ]},x,m' (FORMAT csv)");
is_told($listener, qr/\Q@{[ about(2, 3) ]}\E/, 'COPY is told of too');

# While it is there it has no transaction and is in nobody's way.
$node->safe_psql('postgres', q(ALTER DATABASE told SET amelia.notify_interval = '1s'));
$node->safe_psql('told', "SELECT amelia.append_event('@{[ w(1) ]}', 'x', 'm')");
is_told($listener, qr/\Q@{[ about(1, 10) ]}\E/, 'the interval of the append counts');
$node->safe_psql('postgres', 'CREATE DATABASE other');
take($node, 'DROP DATABASE other', 'another database can be dropped meanwhile');
has_notifier(0, 'a notifier ends when there is nothing to tell');
$node->safe_psql('postgres', q(ALTER DATABASE told SET amelia.notify_interval = '20ms'));

# What rolls back is not told of, nor is anything where it is off.
$node->safe_psql('told', "BEGIN; SELECT amelia.append_event('@{[ w(1) ]}', 'x', 'm'); ROLLBACK");
$node->safe_psql('quiet', "SELECT amelia.append_event('@{[ w(1) ]}', 'x', 'm')");
is($node->safe_psql('quiet', 'SHOW amelia.notify_interval'), '0', 'it is off unless set for the database');
$node->safe_psql('told', "SELECT amelia.append_event('@{[ w(1) ]}', 'x', 'm')");
$told = is_told($listener, qr/\Q@{[ about(1, 11) ]}\E/, 'the next event is told of');
unlike($told, qr/"sequence": 12/, 'what was rolled back is not');
is(notifiers('quiet'), 0, 'no notifier runs where it is off');

# More workflows than there is room for.
$node->safe_psql('told', q(INSERT INTO amelia.workflows (issue_id, worktree_path) SELECT 'I', '/many/' || n FROM generate_series(1, 3000) AS n));
is_told($listener, qr/$everything/, 'too many are told of as everything');
$node->safe_psql('told', "SELECT amelia.append_event('@{[ w(1) ]}', 'x', 'm')");
is_told($listener, qr/\Q@{[ about(1, 12) ]}\E/, 'and then it goes on one by one');

# Terminated with something to tell: the next one tells.
has_notifier(0, 'the notifier ends');
$node->safe_psql('postgres', q(ALTER DATABASE told SET amelia.notify_interval = '60s'));
$node->safe_psql('told', "SELECT amelia.append_event('@{[ w(1) ]}', 'x', 'm')");
is_told($listener, qr/\Q@{[ about(1, 13) ]}\E/, 'the first one is told of at once');
has_notifier(1, 'the notifier waits for its interval to pass');
$node->safe_psql('told', "SELECT amelia.append_event('@{[ w(2) ]}', 'x', 'm')");
$node->safe_psql('postgres', q(SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'amelia notifier'));
is_told($listener, qr/\Q@{[ about(2, 4) ]}\E/, 'when it is terminated another one tells what is left');
$node->safe_psql('postgres', q(ALTER DATABASE told SET amelia.notify_interval = '20ms'));

# No room for a notifier: it comes when there is.
$node->safe_psql('postgres', q(SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'amelia notifier'));
has_notifier(0, 'the notifier is gone');
$listener->quit;
$node->append_conf('postgresql.conf', "max_worker_processes = 2\n");
$node->restart;
$listener = listener('told');
$node->safe_psql('told', "SELECT amelia.append_event('@{[ w(1) ]}', 'x', 'm')");
$node->wait_for_log(qr/WARNING:  no notifier can be started/);
$listener->quit;
$node->append_conf('postgresql.conf', "max_worker_processes = 8\n");
$node->restart;

# Killed: the server starts anew, and so does the telling.
$listener = listener('told');
$node->safe_psql('postgres', q(ALTER DATABASE told SET amelia.notify_interval = '60s'));
$node->safe_psql('told', "SELECT amelia.append_event('@{[ w(1) ]}', 'x', 'm')");
is_told($listener, qr/$everything/, 'the server was started');
$node->safe_psql('told', "SELECT amelia.append_event('@{[ w(1) ]}', 'x', 'm')");
has_notifier(1, 'a notifier has something to tell');
my $pid = $node->safe_psql('postgres', q(SELECT pid FROM pg_stat_activity WHERE backend_type = 'amelia notifier'));
kill 'KILL', $pid;
ok(wait_until_back($node, 'postgres', $pid), 'it is killed, and the server comes back');
$listener->{run}->kill_kill;
$listener = listener('told');
$node->safe_psql('postgres', q(ALTER DATABASE told SET amelia.notify_interval = '20ms'));
$node->safe_psql('told', "SELECT amelia.append_event('@{[ w(2) ]}', 'x', 'm')");
is_told($listener, qr/$everything/, 'the next thing that happens is told of as everything');

# Who wants the database has it at once.
my $busy = $node->background_psql('told');
$node->safe_psql('told', 'CREATE TABLE public.enough ()');
$busy->query_until(qr/began/, qq(\\echo began
	DO \$\$BEGIN
		WHILE NOT EXISTS (SELECT FROM public.enough) LOOP
			PERFORM amelia.append_event('@{[ w(1) ]}', 'x', 'm');
			COMMIT;
			PERFORM pg_sleep(0.01);
		END LOOP;
	END\$\$;
));
has_notifier(1, 'a notifier is at work');
$node->safe_psql('told', 'INSERT INTO public.enough DEFAULT VALUES');
$busy->query('SELECT 1');
$busy->quit;
$listener->quit;
has_notifier(0, 'and ends');
# One that has told something is there until its interval is over.
$node->safe_psql('postgres', q(ALTER DATABASE told SET amelia.notify_interval = '60s'));
$node->safe_psql('told', "SELECT amelia.append_event('@{[ w(1) ]}', 'x', 'm')");
has_notifier(1, 'a notifier is there');
take($node, 'CREATE DATABASE copy TEMPLATE told', 'its database can be copied');
$node->safe_psql('told', "SELECT amelia.append_event('@{[ w(1) ]}', 'x', 'm')");
has_notifier(1, 'a notifier is there');
take($node, 'ALTER DATABASE told RENAME TO renamed', 'and renamed');
$node->safe_psql('renamed', "SELECT amelia.append_event('@{[ w(1) ]}', 'x', 'm')");
has_notifier(1, 'a notifier is there');
take($node, 'DROP DATABASE renamed', 'and dropped');

# Not preloaded: nobody is told, and nothing fails.
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
$node->restart;
is($node->safe_psql('copy', "SET amelia.notify_interval = 20; SELECT amelia.append_event('@{[ w(2) ]}', 'x', 'm') > 0"),
	't', 'without the library preloaded an append does nothing more');
$node->stop;
done_testing();
