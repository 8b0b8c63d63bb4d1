# kill -9 at random moments of retention, under eight writers: nothing that was
# acknowledged is lost, nothing young goes, nothing is left half deleted.
# AMELIA_CRASH_ROUNDS, AMELIA_CRASH_SEED: how often, and which moments.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use Maintenance;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $crashes = $ENV{AMELIA_CRASH_ROUNDS} || 4;
my $seed = $ENV{AMELIA_CRASH_SEED} || time;
my $writers = 8;

srand($seed);
note("AMELIA_CRASH_SEED=$seed");

# Small batches, so that a kill falls between two of them as well as into one.
my $node = maintained_node('main', "amelia.batch_size = 30\nlog_statement = none");
my $folder = $node->basedir;

add_database($node, 'one');
$node->safe_psql('one', q(
	SELECT amelia.update_settings('{"log_retention_days": 30, "trace_retention_days": 7, "checkpoint_retention_days": 7}');

	CREATE TABLE checkpoints (thread_id text, checkpoint_ns text DEFAULT '', checkpoint_id text,
		parent_checkpoint_id text, type text, checkpoint jsonb NOT NULL, metadata jsonb NOT NULL DEFAULT '{}',
		PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id));
	CREATE TABLE checkpoint_blobs (thread_id text, checkpoint_ns text DEFAULT '', channel text,
		version text, type text NOT NULL, blob bytea,
		PRIMARY KEY (thread_id, checkpoint_ns, channel, version));
	CREATE TABLE checkpoint_writes (thread_id text, checkpoint_ns text DEFAULT '', checkpoint_id text,
		task_id text, idx integer, channel text NOT NULL, type text, blob bytea NOT NULL,
		task_path text NOT NULL DEFAULT '',
		PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id, task_id, idx));

	-- A finished workflow of that age with all that can belong to one.
	CREATE FUNCTION add_workflow(age interval) RETURNS uuid LANGUAGE plpgsql AS $$
	DECLARE
		added uuid := amelia.uuid_v7();
		ended timestamptz := now() - age;
	BEGIN
		INSERT INTO amelia.workflows (id, issue_id, worktree_path, status, started_at, completed_at)
		VALUES (added, CASE WHEN age > '30 days' THEN 'OLD' ELSE 'YOUNG' END, '/w', 'completed', ended, ended);
		INSERT INTO amelia.workflow_log (workflow_id, level, event_type, message)
		SELECT added, CASE WHEN n % 2 = 0 THEN 'trace' ELSE 'info' END, 'task_started', 'x'
		FROM generate_series(1, 10) AS n;
		PERFORM amelia.record_usage(added, 'developer', 'm', 1, 1, cost_usd => 0.01);
		INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, checkpoint)
		SELECT added, ns, n, jsonb_build_object('ts', ended)
		FROM unnest('{"",sub}'::text[]) AS ns, generate_series(1, 2) AS n;
		INSERT INTO checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
		SELECT added, ns, n, 1, 'msgpack', '\x00'
		FROM unnest('{"",sub}'::text[]) AS ns, generate_series(1, 3) AS n;
		INSERT INTO checkpoint_writes (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, channel, blob)
		SELECT added, ns, n, 't', 0, 'c', '\x00'
		FROM unnest('{"",sub}'::text[]) AS ns, generate_series(1, 4) AS n;
		INSERT INTO added VALUES (added);
		RETURN added;
	END $$;
	CREATE TABLE added (workflow_id uuid);

	-- How much there is of each workflow and thread.
	CREATE VIEW parts AS
	SELECT thread_id, w.id, w.issue_id, e.events, c.checkpoints, b.blobs, r.writes
	FROM (SELECT id::text AS thread_id, * FROM amelia.workflows WHERE issue_id <> 'LIVE') AS w
	FULL JOIN (SELECT thread_id, count(*) AS checkpoints FROM checkpoints GROUP BY 1) AS c USING (thread_id)
	FULL JOIN (SELECT thread_id, count(*) AS blobs FROM checkpoint_blobs GROUP BY 1) AS b USING (thread_id)
	FULL JOIN (SELECT thread_id, count(*) AS writes FROM checkpoint_writes GROUP BY 1) AS r USING (thread_id)
	LEFT JOIN (SELECT workflow_id, count(*) AS events FROM amelia.workflow_log GROUP BY 1) AS e ON e.workflow_id = w.id;

	-- What a writer does, and has acknowledged by the answer.
	CREATE FUNCTION write_something(writer integer, n integer) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
		event uuid := amelia.uuid_v7();
	BEGIN
		-- Eight that never pause would leave retention no processor.
		PERFORM pg_sleep(0.005);
		IF n % 50 = 0 THEN
			RETURN 'workflow ' || add_workflow('1 day');
		END IF;
		PERFORM amelia.append_event(format('00000000-0000-4000-8000-%s', lpad(writer::text, 12, '0'))::uuid,
			'agent_message', 'x', id => event);
		RETURN 'event ' || event;
	END $$;

	-- A backend of that kind, as soon as there is one.
	CREATE FUNCTION backend_with(condition text) RETURNS integer LANGUAGE plpgsql AS $$
	DECLARE
		found integer;
	BEGIN
		FOR try IN 1 .. 500 LOOP
			PERFORM pg_stat_clear_snapshot();
			EXECUTE 'SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = ''one'' AND ' || condition || ' LIMIT 1'
			INTO found;
			EXIT WHEN found IS NOT NULL;
			PERFORM pg_sleep(0.01);
		END LOOP;
		RETURN found;
	END $$;));
$node->safe_psql('one', qq(
	INSERT INTO amelia.workflows (id, issue_id, worktree_path, status, started_at)
	SELECT format('00000000-0000-4000-8000-%s', lpad(n::text, 12, '0'))::uuid, 'LIVE', '/live/' || n, 'in_progress', now()
	FROM generate_series(1, $writers) AS n));

my %acknowledged = (event => [], workflow => []);

# Sessions that write, and at times one that calls retention, in whose way the
# maintenance worker does not come then.
sub start_sessions
{
	my ($with_caller) = @_;
	my @sessions;

	for my $writer (1 .. $writers)
	{
		push @sessions, start_session("writer_$writer",
			join('', map { "SELECT write_something($writer, $_);\n" } 1 .. 20000));
	}
	push @sessions, start_session('caller', "CALL amelia.run_retention();\n" x 1000)
	  if $with_caller;
	return @sessions;
}

sub start_session
{
	my ($name, $script) = @_;
	my ($in, $out) = ("$folder/$name.sql", "$folder/$name.out");

	append_to_file($in, $script) unless -e $in;
	my $session = fork // die "fork: $!";
	return $session if $session;
	# Into the files by itself; the test's own output is not its affair.
	open(STDOUT, '>', $out) or POSIX::_exit(1);
	open(STDERR, '>', "$out.errors") or POSIX::_exit(1);
	exec('psql', '-XAtq', '-d', $node->connstr('one'), '-f', $in) or POSIX::_exit(1);
}

# Wait until the sessions have lost their server, and note what they were told.
sub finish_sessions
{
	my (@sessions) = @_;

	waitpid($_, 0) for @sessions;
	for my $writer (1 .. $writers)
	{
		for (split(/\n/, slurp_file("$folder/writer_$writer.out")))
		{
			push @{ $acknowledged{$1} }, $2 if /^(event|workflow) ([0-9a-f-]{36})$/;
		}
	}
	return;
}

sub kill_postmaster
{
	my $postmaster = (split(/\n/, slurp_file($node->data_dir . '/postmaster.pid')))[0];

	# It is in the way until somebody has reaped it, and its children until they
	# have noticed. After a failed start, kill9() forgets the dead process anew.
	for (1 .. 100)
	{
		$node->kill9;
		return if !kill(0, $postmaster) && $node->start(fail_ok => 1);
		usleep(50_000);
	}
	die 'the server does not start';
}

# Kill a process of the server, a while after it is there; all start over.
# Returns false when it had ended by itself.
sub kill_backend
{
	my ($condition) = @_;
	my $killed = $node->safe_psql('one', "SELECT backend_with(\$c\$$condition\$c\$)");

	usleep(int(rand(200_000)));
	return 0 if $killed eq '' || !kill('KILL', $killed);
	wait_until_back($node, 'one', $killed) or die 'the server does not come back';
	return 1;
}

sub count_of
{
	my ($query) = @_;

	return $node->safe_psql('one', "SELECT count(*) FROM $query");
}

my %victims = (
	retention => q((backend_type = 'amelia maintenance worker' OR query ~ '^CALL')),
	writer => q(query ~ 'write_something'));
my %killed = (postmaster => 0, retention => 0, writer => 0);
my @failures;

# Notes what there must be none of: pairs of a name and the query.
sub check
{
	my ($round, @wrong) = @_;
	my @counts;

	while (my ($name, $query) = splice(@wrong, 0, 2))
	{
		push @counts, "SELECT '$name: ' || count(*) FROM $query HAVING count(*) > 0";
	}
	push @failures, map { "round $round: $_" } split(/\n/, $node->safe_psql('one', join(' UNION ALL ', @counts)));
	return;
}

# All that was acknowledged and is not in its table.
sub gone
{
	my ($kind, $table) = @_;
	my $ids = join(',', @{ $acknowledged{$kind} });

	return "unnest('{$ids}'::uuid[]) AS a (id) WHERE NOT EXISTS (SELECT FROM amelia.$table AS t WHERE t.id = a.id)";
}

# What the crashes must have met, by chance: as often as it takes.
sub met_all
{
	return @{ $acknowledged{event} } && $killed{retention}
	  && count_of(q(amelia.retention_runs WHERE outcome = 'crashed')) > 0;
}

for (my $round = 1; $round <= $crashes || ($round <= 10 * $crashes && !met_all()); $round++)
{
	my @sessions;
	my $runs;
	my $victim = (qw(postmaster retention writer retention))[ $round % 4 ];

	$node->safe_psql('one', q(SELECT count(add_workflow('100 days')) FROM generate_series(1, 80)));
	@sessions = start_sessions($round % 3 == 0);
	# Wakes the launcher, so that a round begins now and not a naptime later.
	$node->safe_psql('one', 'SELECT amelia.migrate()');
	usleep(int(rand(300_000))) if $victim ne 'retention';
	if ($victim eq 'postmaster' || !kill_backend($victims{$victim}))
	{
		$victim = 'postmaster';
		kill_postmaster();
	}
	$killed{$victim}++;
	finish_sessions(@sessions);

	$runs = $node->safe_psql('one', 'SELECT COALESCE(max(id), 0) FROM amelia.retention_runs');
	check($round,
		'verify()' => 'amelia.verify()',
		'acknowledged events are gone' => gone('event', 'workflow_log'),
		'acknowledged workflows are gone' => gone('workflow', 'workflows'),
		'something of a young workflow is gone' =>
		  q(parts WHERE issue_id = 'YOUNG' AND (events, checkpoints, blobs, writes) IS DISTINCT FROM (10, 4, 6, 8)),
		'threads are without their workflow' => 'parts WHERE id IS NULL',
		'cost is lost or counted twice' => q((SELECT ((SELECT count(*) FROM added) * 0.01
			<> (SELECT COALESCE(sum(cost_usd), 0) FROM amelia.token_usage)
				+ (SELECT COALESCE(sum(cost_usd), 0) FROM amelia.usage_history)) AS wrong) AS c WHERE wrong));
	$node->poll_query_until('one', qq(SELECT EXISTS (SELECT FROM amelia.retention_runs
			WHERE id > $runs AND outcome = 'completed' AND batches_failed = 0)))
	  or push @failures, "round $round: no round completed";
	check($round, 'a thread was left in parts' => q(parts WHERE (checkpoints, blobs, writes) IS DISTINCT FROM (4, 6, 8)
			AND num_nonnulls(checkpoints, blobs, writes) > 0));
	last if @failures;
}

is(join("\n", @failures), '', "all is well after each of $crashes crashes");
note(join(', ', map { "$_ killed: $killed{$_}" } sort keys %killed));
note(scalar(@{ $acknowledged{event} }) . ' events and ' . scalar(@{ $acknowledged{workflow} }) . ' workflows acknowledged');
cmp_ok(scalar(@{ $acknowledged{event} }), '>', 0, 'writers were at work');
cmp_ok(count_of(q(amelia.retention_runs WHERE outcome = 'crashed')), '>', 0, 'crashes did fall into rounds');
wait_until_clean($node, 'one', 'the work is done in the end');
is($node->safe_psql('one', 'SELECT count(*) FROM amelia.verify()'), 0, 'verify() finds nothing in the end');
unlike(slurp_file($node->logfile), qr/PANIC|TRAP/, 'the server has nothing to complain about');

$node->stop;
done_testing();
