# Many workers, some of which stall beyond their lease or are killed, and a
# server that is killed too; afterwards the history is checked: never two
# holders that could both write, nothing lost, nothing finished twice, the limit
# kept, no gap in a sequence, and a reader who saw exactly what the table has.
# AMELIA_STRESS_SECONDS and AMELIA_STRESS_WORKERS make it longer and wider.
use strict;
use warnings FATAL => 'all';
use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

my $seconds = $ENV{AMELIA_STRESS_SECONDS} // 12;
my $workers = $ENV{AMELIA_STRESS_WORKERS} // 8;
my $limit = int($workers / 2) + 1;
my $node = PostgreSQL::Test::Cluster->new('stress');

$node->init(extra => [ '--no-locale', '--encoding=UTF8' ]);
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'amelia'\nlog_statement = none\nmax_connections = 150\nrestart_after_crash = on\nfsync = on\n");
$node->start;
$node->safe_psql('postgres', "CREATE EXTENSION amelia; SELECT amelia.update_settings('{\"max_concurrent\": $limit}')");
# Several in each worktree, more failures than can happen.
$node->safe_psql('postgres', "INSERT INTO amelia.workflows (issue_id, worktree_path, max_failures, priority)
	SELECT 'I-' || n, '/w' || n % 40, 1000000, n % 3 FROM generate_series(1, 20 * $seconds + 100) AS n");

$ENV{PGHOST} = $node->host;
$ENV{PGPORT} = $node->port;
$ENV{PGDATABASE} = 'postgres';
my %pids;
my $number = 0;

sub start_worker
{
	my $name = 'worker-' . ++$number;
	my $pid = fork() // die "fork: $!";

	if ($pid == 0)
	{
		setpgrp(0, 0);
		open STDERR, '>', '/dev/null';
		exec "$FindBin::Bin/../stress/worker.sh", $name or die;
	}
	$pids{$pid} = $name;
	return;
}

# Read the feed as it comes.
my $cursor = $node->safe_psql('postgres', 'SELECT next_cursor FROM amelia.feed_after()');
my (%seen, $twice, $disorder, %last);
$twice = $disorder = 0;

sub read_feed
{
	for (;;)
	{
		my ($rows, $ok) = ('', 0);

		$ok = $node->psql('postgres', "SELECT next_cursor, workflow_id, (event).sequence FROM amelia.feed_after('$cursor', 500)", stdout => \$rows) == 0;
		return if !$ok;
		for (split /\n/, $rows)
		{
			my ($next, $workflow, $sequence) = split /\|/;

			$cursor = $next;
			return if !$workflow;
			next if !$sequence;
			$twice++ if $seen{"$workflow $sequence"}++;
			$disorder++ if ($last{$workflow} // 0) >= $sequence;
			$last{$workflow} = $sequence;
		}
	}
}

start_worker() for 1 .. $workers;
my ($end, $crash_at, $most, $killed) = (time + $seconds, time + $seconds / 2, 0, 0);
while (time < $end)
{
	my $held;

	sleep 0.3;
	read_feed();
	$node->psql('postgres', "SELECT count(*) FROM amelia.workflow_leases WHERE expires_at > clock_timestamp()", stdout => \$held);
	$most = $held if defined $held && $held =~ /^\d+$/ && $held > $most;
	if (rand() < 0.15)
	{
		my ($pid) = (keys %pids)[ int rand keys %pids ];

		kill 'KILL', -$pid;
		waitpid $pid, 0;
		delete $pids{$pid};
		$killed++;
		start_worker();
	}
	if ($crash_at && time > $crash_at)
	{
		$crash_at = 0;
		$node->stop('immediate');
		$node->start;
	}
}
for my $pid (keys %pids) { kill 'KILL', -$pid; waitpid $pid, 0; }
# What is in flight in the server comes to its end.
$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()");
read_feed();

sub value { return $node->safe_psql('postgres', $_[0]); }

note value("SELECT by_status FROM amelia.queue_status()"), " with $killed workers killed, $most held at once at most";
cmp_ok(value("SELECT count(*) FROM amelia.workflows WHERE status = 'completed'"), '>', 10, 'workflows were completed');
cmp_ok($most, '<=', $limit, 'the limit was kept');
# Each event carries the token that it was written under: once a greater one
# has been seen, no smaller one may come.
is(value("SELECT count(*) FROM (SELECT t.token, max(t.token) OVER (PARTITION BY t.workflow_id ORDER BY t.sequence) AS highest
	FROM (SELECT e.workflow_id, e.sequence, COALESCE(e.data ->> 'token', e.data ->> 'lease_token')::bigint AS token
		FROM amelia.workflow_log AS e WHERE e.event_type IN ('work', 'workflow_started')) AS t) AS o WHERE o.token < o.highest"),
	0, 'nobody wrote after his successor had begun');
is(value("SELECT count(*) FROM (SELECT workflow_id FROM amelia.workflow_log WHERE event_type = 'workflow_completed' GROUP BY workflow_id HAVING count(*) > 1) AS d"),
	0, 'each was completed once at most');
is(value("SELECT count(*) FROM amelia.workflows AS w WHERE (w.status = 'completed') <> EXISTS (SELECT FROM amelia.workflow_log AS e WHERE e.workflow_id = w.id AND e.event_type = 'workflow_completed')"),
	0, 'and its log says so');
is(value('SELECT count(*) FROM amelia.verify()'), 0, 'verify() finds nothing: no gap, no duplicate');
is($twice, 0, 'the reader saw nothing twice');
is($disorder, 0, 'and the events of each workflow in order');
is(join(',', sort keys %seen), join(',', sort split /\n/, value("SELECT workflow_id || ' ' || sequence FROM amelia.workflow_log")),
	'and all that there is');

# Nothing is lost: the rest can be claimed and finished, once it is decided on
# what a killed worker had asked; what waits for that in a worktree is behind it.
$node->safe_psql('postgres', "SELECT count(amelia.decide(w.id, true)) FROM amelia.workflows AS w WHERE w.status = 'blocked'");
$node->safe_psql('postgres', q{DO $$
DECLARE
	claimed record;
	idle integer := 0;
BEGIN
	WHILE idle < 300 LOOP
		SELECT * INTO claimed FROM amelia.claim_workflow('the last one');
		IF FOUND THEN
			PERFORM amelia.release_workflow(claimed.id, claimed.lease_token, 'completed');
			idle := 0;
		ELSE
			EXIT WHEN NOT EXISTS (SELECT FROM amelia.workflows WHERE status IN ('pending', 'in_progress', 'failed'));
			idle := idle + 1;
			PERFORM pg_sleep(0.05);
		END IF;
		COMMIT;
	END LOOP;
END $$});
is(value("SELECT count(*) FROM amelia.workflows WHERE status <> 'completed'"), 0, 'none was lost');
is(value('SELECT count(l.slot) + count(l.profile_slot) FROM amelia.workflow_leases AS l'), 0, 'and no slot');
$node->stop;
done_testing();
