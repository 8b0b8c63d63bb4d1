# Crashes while many append: no gap, no duplicate, nothing lost that was
# acknowledged. And what can hold a number for long: a prepared transaction.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use AmeliaTest;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $writers = 6;
my $workflows = 4;
my $dir = PostgreSQL::Test::Utils::tempdir;
my $started = 0;

my $node = new_node('crash', preload => 1, conf => "max_prepared_transactions = 10\n");
new_database($node, 'runs', extension => 1);
$node->safe_psql('runs', qq{
	SELECT amelia.create_workflow('CRASH', '/tree', id => ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid)
	FROM generate_series(1, $workflows) AS n});

sub uuid
{
	return sprintf '%08x-%04x-4%03x-8000-%012x', @_;
}

sub workflow
{
	return uuid(0, 0, 0, 1 + $_[0] % $workflows);
}

# What a writer does in a round: statements, and the events that they leave.
# After each, its script says which sequence they were given.
sub operations
{
	my ($round, $writer) = @_;
	my @operations;

	# So many that nobody comes to an end before the crash.
	for my $n (1 .. 10000)
	{
		my @ids = map { uuid($round, $writer, $_, $n) } 1 .. 3;
		my ($one, $two) = sort(workflow($n), workflow($n + 1 + $writer % 2));
		my $kind = $n % 7;

		if ($kind < 3)
		{
			push @operations, [ "SELECT amelia.append_event('$one', 'x', 'single', id => '$ids[0]') AS s0 \\gset", $ids[0] ];
		}
		elsif ($kind == 3)
		{
			my $events = join ', ', map { qq({"event_type": "x", "message": "batch", "id": "$_"}) } @ids;

			push @operations, [
				"SELECT lower(r) AS s0, lower(r) + 1 AS s1, lower(r) + 2 AS s2 FROM amelia.append_events('$one', '[$events]') AS r \\gset",
				@ids ];
		}
		elsif ($kind == 4)
		{
			# in the order of their ids, as whoever writes to several should
			push @operations, [
				"BEGIN;\nSELECT amelia.append_event('$one', 'x', 'both', id => '$ids[0]') AS s0 \\gset\n"
				  . "SELECT amelia.append_event('$two', 'x', 'both', id => '$ids[1]') AS s1 \\gset\nCOMMIT;",
				@ids[ 0, 1 ] ];
		}
		elsif ($kind == 5)
		{
			push @operations, [
				"BEGIN;\nSELECT amelia.append_event('$two', 'x', 'undone') AS undone \\gset\nROLLBACK;\n"
				  . "INSERT INTO amelia.workflow_log (workflow_id, event_type, message, id)\n"
				  . "VALUES ('$two', 'x', 'plain', '$ids[0]') ON CONFLICT (id) DO NOTHING;\n"
				  . "SELECT sequence AS s0 FROM amelia.workflow_log WHERE id = '$ids[0]' \\gset",
				$ids[0] ];
		}
		else
		{
			my $removed = uuid($round, $writer, 1, $n - 2);

			push @operations, ["DELETE FROM amelia.workflow_log WHERE id = '$removed';"];
		}
	}
	return @operations;
}

sub script
{
	my $n = 0;

	return join "\n", map {
		my ($sql, @ids) = @$_;
		$sql . "\n\\echo done " . $n++ . join '', map { " $ids[$_] :s$_" } 0 .. $#ids;
	} @_;
}

# Run statements as a client does, until they end or the server is gone. With
# files, because nobody here keeps pipes moving meanwhile.
sub start_writer
{
	my ($script) = @_;
	my $file = "$dir/writer" . ++$started;
	my %writer = (out => "$file.out", err => "$file.err");

	append_to_file($file, $script);
	$writer{run} = IPC::Run::start(
		[ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('runs'), '-f', $file ],
		'>', $writer{out}, '2>', $writer{err});
	return \%writer;
}

sub finish_writer
{
	my ($writer) = @_;

	$writer->{run}->finish;
	$writer->{$_} = slurp_file($writer->{$_}) foreach qw(out err);
	return;
}

# The events that a writer knows to be stored, and the first operation that it
# knows nothing of.
sub acknowledged
{
	my ($writer, $events) = @_;
	my $next = 0;

	foreach (split /\n/, $writer->{out})
	{
		my (undef, $n, %given) = split / /;

		@$events{ keys %given } = values %given;
		$next = $n + 1;
	}
	return $next;
}

# That the events are there, each with its sequence. Removed ones need not be.
sub check_events
{
	my ($events, $name) = @_;
	my $values = join ', ', map { "('$_', $events->{$_})" } keys %$events;

	is( $node->safe_psql(
			'runs', qq{
			SELECT count(*) FROM (VALUES $values) AS known (id, sequence)
			LEFT JOIN amelia.workflow_log AS e ON e.id = known.id::uuid
			WHERE e.sequence IS DISTINCT FROM known.sequence}),
		'0', $name);
	return;
}

sub start_again
{
	# The children of a postmaster that was killed may hold its memory for a moment.
	for (1 .. 100)
	{
		return if $node->start(fail_ok => 1);
		usleep(100_000);
		# A start that failed may have taken the old pid for the server's.
		$node->stop('fast', fail_ok => 1);
	}
	die 'the server does not start again';
}

my @crashes = (
	[ 'immediate shutdown' => sub { $node->stop('immediate'); start_again() } ],
	[ 'kill -9 of the server' => sub { $node->kill9; start_again() } ],
	[ 'kill -9 of a writer\'s process' => sub {
		my $pid = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE datname = 'runs' LIMIT 1});

		kill 'KILL', $pid;
		# The others are sent away before the server lets anybody in again.
		$node->poll_query_until('postgres', qq{
			SELECT pg_postmaster_start_time() IS NOT NULL
				AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = 'runs')}) or die 'no recovery';
	  } ],
	[ 'immediate shutdown after a checkpoint' => sub {
		$node->safe_psql('postgres', 'CHECKPOINT');
		$node->poll_query_until('runs', q{SELECT pg_current_wal_lsn() > (SELECT redo_lsn FROM pg_control_checkpoint())}) or die 'nothing is written';
		$node->stop('immediate');
		start_again();
	  } ]);

$node->safe_psql('postgres', 'ALTER SYSTEM SET restart_after_crash = on');
$node->reload;

my $round = 0;
foreach my $crash (@crashes)
{
	my ($name, $strike) = @$crash;
	my (@plans, @writers, %events);

	$round++;
	push @plans, [ operations($round, $_) ] foreach 1 .. $writers;
	push @writers, start_writer(script(@$_)) foreach @plans;
	# In full swing: each writer has come so far that its removals count.
	$node->poll_query_until('runs', qq{
		SELECT count(*) = $writers FROM (SELECT FROM amelia.workflow_log
			WHERE id::text LIKE '@{[ sprintf '%08x', $round ]}-%'
			GROUP BY substr(id::text, 10, 4) HAVING count(*) > 50) AS w}) or die 'the writers do not come along';
	$strike->();

	my $unfinished = 0;
	my @again;
	foreach my $w (0 .. $#writers)
	{
		finish_writer($writers[$w]);
		my $next = acknowledged($writers[$w], \%events);

		$unfinished++ if $next < @{ $plans[$w] } && $writers[$w]->{err} ne '';
		push @again, $plans[$w][$next] if $next < @{ $plans[$w] };
		# Removed, or perhaps removed, was what these name.
		foreach my $operation (@{ $plans[$w] }[ 0 .. ($next < @{ $plans[$w] } ? $next : $#{ $plans[$w] }) ])
		{
			delete $events{$1} if $operation->[0] =~ /^DELETE .* '(.*)'/;
		}
	}
	is($unfinished, $writers, "$name: came while all were writing");
	cmp_ok(scalar(keys %events), '>', 100, "$name: many events were acknowledged");
	check_events(\%events, "$name: every acknowledged event is there, with its sequence");
	is(gaps_and_duplicates($node, 'runs'), '', "$name: no gap, no duplicate");
	verify_is($node, 'runs', '', "$name: verify() finds nothing");

	# Who does not know whether it was stored sends it again.
	my $writer = start_writer(script(@again));

	finish_writer($writer);
	is($writer->{err}, '', "$name: what was in flight is sent again");
	acknowledged($writer, \%events);
	check_events(\%events, "$name: … and is there");
	is(gaps_and_duplicates($node, 'runs'), '', "$name: … without gap or duplicate");
	my $count = $node->safe_psql('runs', 'SELECT count(*) FROM amelia.workflow_log');
	$writer = start_writer(script(@again));
	finish_writer($writer);
	is($node->safe_psql('runs', 'SELECT count(*) FROM amelia.workflow_log'), $count, "$name: … once, however often");
}
cmp_ok($node->safe_psql('runs', 'SELECT sum(events_removed) FROM amelia.workflows'), '>', 0, 'events were removed as well');

# A prepared transaction holds its number, across a crash too.
my $w = uuid(0, 0, 0, 1);
my $append = "SELECT amelia.append_event('$w', 'x', 'after')";
foreach my $case (
	[ 'COMMIT', "SELECT amelia.append_event('$w', 'x', 'held')", 2 ],
	[ 'ROLLBACK', "SELECT amelia.append_event('$w', 'x', 'held')", 1 ],
	[ 'COMMIT', "SELECT amelia.append_events('$w', '[{\"event_type\": \"x\", \"message\": \"held\"}]')", 2 ],
	[ 'COMMIT', "SELECT amelia.next_sequence('$w', 3)", 4 ],
	[ 'ROLLBACK', "SELECT amelia.next_sequence('$w', 3)", 1 ],
	[ 'COMMIT', "INSERT INTO amelia.workflow_log (workflow_id, event_type, message, sequence)
		SELECT '$w', 'x', 'brought', amelia.last_sequence('$w') + 10", 11 ],
	[ 'ROLLBACK', "INSERT INTO amelia.workflow_log (workflow_id, event_type, message, sequence)
		SELECT '$w', 'x', 'brought', amelia.last_sequence('$w') + 10", 1 ])
{
	my ($end, $sql, $next) = @$case;
	my ($what) = $sql =~ /(append_events?|next_sequence|INSERT)/;
	my $name = "$what, prepared, $end";
	my $last = $node->safe_psql('runs', "SELECT amelia.append_event('$w', 'x', 'last')");

	$node->safe_psql('runs', "BEGIN; $sql; PREPARE TRANSACTION 'held'");
	if ($what eq 'append_event')
	{
		$node->stop('immediate');
		start_again();
	}
	is($node->safe_psql('runs', "SELECT amelia.last_sequence('$w')"), $last, "$name: is not seen");
	is( $node->safe_psql('runs', "BEGIN; SELECT amelia.append_event('" . uuid(0, 0, 0, 2) . "', 'x', 'other') > 0; ROLLBACK"),
		't', "$name: does not hold up other workflows");

	my $waiting = $node->background_psql('runs');
	$waiting->query_safe(q{SET application_name = 'appends'});
	$waiting->query_until(qr/waits/, "\\echo waits\n$append;\n");
	wait_for_lock($node, 'appends');
	$node->safe_psql('runs', "$end PREPARED 'held'");
	is($waiting->query('SELECT'), $last + $next, "$name: who waited gets the next number");
	$waiting->quit;
}
verify_is($node, 'runs', '', 'prepared transactions: verify() finds nothing');

# One COPY to more workflows than the lock table has room for.
is($node->safe_psql('runs', 'SHOW max_locks_per_transaction'), '64', 'the lock table has its usual size');
is( $node->safe_psql(
		'runs', q{
		CREATE TABLE public.copied AS
		SELECT format('10000000-0000-4000-8000-%s', lpad((n % 15000)::text, 12, '0'))::uuid AS workflow_id,
			'x' AS event_type, n::text AS message FROM generate_series(1, 20000) AS n;
		INSERT INTO amelia.workflows (id, issue_id, worktree_path)
		SELECT DISTINCT workflow_id, 'COPY', '/tree' FROM public.copied;
		SELECT count(*) FROM amelia.workflows WHERE issue_id = 'COPY'}),
	'15000', '15,000 workflows');
my $rows = "$dir/rows";
$node->safe_psql('runs', "\\copy public.copied TO '$rows'");
is( $node->safe_psql(
		'runs', qq{
		BEGIN;
		\\copy amelia.workflow_log (workflow_id, event_type, message) FROM '$rows'
		SELECT count(*) < 100 FROM pg_locks WHERE pid = pg_backend_pid();
		COMMIT;
		SELECT sequence, count(*) FROM amelia.workflow_log AS e JOIN amelia.workflows AS w ON w.id = e.workflow_id
		WHERE w.issue_id = 'COPY' GROUP BY 1 ORDER BY 1}),
	"t\n1|15000\n2|5000", 'COPY of 20,000 rows over them takes few locks');
is( $node->safe_psql(
		'runs', q{
		BEGIN;
		SELECT count(amelia.append_event(id, 'x', 'm')) FROM amelia.workflows WHERE issue_id = 'COPY';
		SELECT count(*) < 100 FROM pg_locks WHERE pid = pg_backend_pid();
		COMMIT}),
	"15000\nt", 'append_event() to all of them as well');
verify_is($node, 'runs', '', 'COPY: verify() finds nothing');

done_testing();
