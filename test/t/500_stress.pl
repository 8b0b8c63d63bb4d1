# Many workers at once, some of which stall beyond their lease, are stopped for a
# while or killed, people who decide and cancel, writers who commit late, and a
# server that is killed too. All write down what they asked and what they were
# told (test/stress); readers follow with their cursors across the crash; and
# afterwards all that is compared with the database (StressHistory.pm): never two
# who could both write, nothing lost or doubled, nothing finished twice, the
# limits kept, no gap in a sequence, and readers who saw what the tables have.
# AMELIA_STRESS_SECONDS and AMELIA_STRESS_WORKERS make it longer and wider. It goes
# on beyond that time until all has happened that it is about (unmet()).
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StressHistory;
use Test::More;
use Time::HiRes qw(time sleep);

my $seconds = $ENV{AMELIA_STRESS_SECONDS} // 12;
my $workers = $ENV{AMELIA_STRESS_WORKERS} // 8;
my %limits = (two => 2, three => 3);
my $limit = int($workers / 2) + 1;
my $seed = $ENV{AMELIA_STRESS_SEED} // int(rand(2**31));
my $dir = PostgreSQL::Test::Utils::tempdir();
my $program = "$dir/stress";

srand($seed);
note("AMELIA_STRESS_SEED=$seed");

sub pg_config
{
	my $value = qx('@{[ $ENV{PG_CONFIG} // 'pg_config' ]}' --$_[0]);
	chomp $value;
	return $value;
}

my $libdir = pg_config('libdir');
my ($out, $err);
ok( IPC::Run::run(
		[ $ENV{CC} // 'cc', split(' ', $ENV{AMELIA_TEST_CFLAGS} // ''), '-std=gnu99', '-O1', '-Wall', '-Wextra', '-Werror', '-I' . pg_config('includedir'),
			'-o', $program, glob("$FindBin::RealBin/../stress/*.c"), "-L$libdir", "-Wl,-rpath,$libdir", '-lpq' ],
		'>', \$out, '2>', \$err), 'the programs compile') or BAIL_OUT($err);

my $node = PostgreSQL::Test::Cluster->new('stress');

$node->init(extra => [ '--no-locale', '--encoding=UTF8' ]);
$node->append_conf('postgresql.conf', <<'CONF');
shared_preload_libraries = 'amelia'
amelia.enabled = off
log_statement = none
max_connections = 150
max_prepared_transactions = 10
track_commit_timestamp = on
CONF
$node->start;

sub value { return $node->safe_psql('postgres', $_[0]); }

value('CREATE EXTENSION amelia');
value(qq{SELECT amelia.update_settings('{"max_concurrent": $limit}');
	INSERT INTO amelia.profiles (id, working_dir, agents, max_concurrent)
	VALUES ('free', '/', '{}', NULL), ('two', '/', '{}', $limits{two}), ('three', '/', '{}', $limits{three})});

my $start_timeout = 0.7;

sub set_start_timeout { return value(qq{SELECT amelia.update_settings('{"workflow_start_timeout_seconds": $start_timeout}')}); }

set_start_timeout();
# Several in each worktree; most may fail as often as they like.
value(q{INSERT INTO amelia.workflows (issue_id, worktree_path, profile_id, max_failures, priority)
	SELECT 'I-' || n, '/w/' || n % 40, (ARRAY[NULL, 'free', 'two', 'three'])[1 + n % 4],
		CASE WHEN n % 3 = 0 THEN 2 ELSE 1000000 END, n % 3
	FROM generate_series(1, 200) AS n});

my %pids;
my $number = 0;

sub start_process
{
	my ($role) = @_;
	my $name = $role . '-' . ++$number;
	my $pid = fork() // die "fork: $!";

	if ($pid == 0)
	{
		exec $program, $role, $name, "$dir/$name.history", $node->connstr('postgres'), int(rand(2**31))
		  or POSIX::_exit(127);
	}
	$pids{$name} = $pid;
	rand();
	return $name;
}

sub kill_process
{
	my ($name) = @_;

	kill 'KILL', $pids{$name};
	waitpid delete $pids{$name}, 0;
	return;
}

sub of_role { my ($role) = @_; return grep { /^$role-/ } sort keys %pids; }

# Whether the histories still grow: a slow machine may take its time, one on
# which nobody writes anything any more may not.
my ($written, $grew_at) = (0, time);

sub still_grow
{
	my $size = 0;

	$size += -s $_ // 0 for glob("$dir/*.history");
	($written, $grew_at) = ($size, time) if $size != $written;
	return time - $grew_at < $PostgreSQL::Test::Utils::timeout_default;
}

# Waits until a line stands in a process's history; whether it does.
sub has_line
{
	my ($name, $line) = @_;

	$grew_at = time;
	while (!-e "$dir/$name.history" || slurp_file("$dir/$name.history") !~ /\t$line$/m)
	{
		return 0 if !still_grow();
		sleep 0.05;
	}
	return 1;
}

# What a run must have met to be a test, and has not met yet.
my @kinds = qw(claimed ok no ended kept beat took decided created read);
my ($killed, $crashed) = (0, 0);

sub unmet
{
	read_history($dir);
	my @unmet = grep { !history_lines($_) } @kinds;

	push @unmet, 'a stranger writes' if !grep { ($_->{fields}[3] // '') eq '' } history_lines('ask');
	push @unmet, 'a worker is killed' if !$killed;
	push @unmet, 'the server is killed' if !$crashed;
	return @unmet;
}

sub stop_process
{
	my ($name) = @_;

	kill 'TERM', $pids{$name};
	waitpid delete $pids{$name}, 0;
	is($?, 0, "$name ends well");
	return;
}

sub crash
{
	$node->kill9;
	# The children of a postmaster that was killed may hold its memory for a moment.
	for (1 .. 100)
	{
		return if $node->start(fail_ok => 1);
		sleep 0.1;
		# A start that failed may have taken the old pid for the server's.
		$node->stop('fast', fail_ok => 1);
	}
	die 'the server does not start again';
}

my @readers = map { start_process($_) } 'feed', 'narrow-feed', 'events';
has_line($_, 'begun') or die "$_ does not begin" for @readers;
start_process($_) for 'observer', 'people', 'people';
start_process('worker') for 1 .. $workers;

# All of it comes by chance, some of it seldom on a slow machine. What has not come
# when so much was claimed will never come.
my $enough = 500;
my ($end, $crash_at, %stopped) = (time + $seconds, time + $seconds / 2);

for (;;)
{
	if (time > $end)
	{
		my @unmet = unmet() or last;
		my $claimed = () = history_lines('claimed');

		die("not met after $claimed claims: " . join(', ', @unmet)) if $claimed > $enough * $workers || !still_grow();
		note("goes on until met: " . join(', ', @unmet));
		# Where leases run out before anybody can write, they have to be longer.
		$start_timeout *= 2;
		set_start_timeout();
		$end = time + $seconds / 4;
	}

	my @running = grep { !$stopped{$_} } of_role('worker');

	sleep 0.1;
	if (@running && rand() < 0.08)
	{
		kill_process($running[ rand @running ]);
		$killed++;
		start_process('worker');
	}
	elsif (@running && rand() < 0.08)
	{
		my $name = $running[ rand @running ];

		kill 'STOP', $pids{$name};
		$stopped{$name} = time + rand 3;
	}
	for (grep { $stopped{$_} < time } keys %stopped)
	{
		kill 'CONT', $pids{$_};
		delete $stopped{$_};
	}
	if (!$crashed && time > $crash_at)
	{
		$crashed = 1;
		crash();
	}
}
kill_process($_) for of_role('worker');
stop_process($_) for of_role('people');
# What is in flight in the server comes to its end.
$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity
	WHERE backend_type = 'client backend' AND backend_xid IS NOT NULL AND pid <> pg_backend_pid()})
  or die 'a transaction does not end';

# Those that failed as often as they may are known.
my ($model, $wrong) = workflow_model($node);
is($wrong, '', 'each log is one that a workflow can have');
is(model_against_tables($node, $model), '', 'and the tables say the same');
my $dead = q{FROM amelia.workflows AS w WHERE w.status = 'failed' AND w.failures >= w.max_failures AND NOT w.cancel_requested};
is( value("SELECT count(*) $dead AND NOT EXISTS (SELECT FROM amelia.dead_workflows(1000000) AS d WHERE d.id = w.id)"),
	0, 'dead_workflows() has all that are');
note(value("SELECT count(*) $dead") . ' were dead');

# And all can be finished: nothing was lost.
$start_timeout = 60;
set_start_timeout();
my $finisher = start_process('finisher');
ok(has_line($finisher, 'ended'), 'all can be finished');
kill_process($finisher);
stop_process($_) for of_role('observer'), @readers;
is(value(q{SELECT string_agg(w.id || ' ' || w.status, ', ') FROM amelia.workflows AS w
	WHERE w.status NOT IN ('completed', 'cancelled') AND NOT (w.status = 'failed' AND w.cancel_requested)}), '', 'none was lost');

my $read = read_history($dir);
($model, $wrong) = workflow_model($node);
is($wrong, '', 'at the end, each log is one that a workflow can have');
is(stored_as_told($node, $model), '', 'what was acknowledged is there, what was refused is not, and nothing else is');
is(messages_once($node), '', 'each message was given out once');
is(holders(), '', 'no workflow had two holders');
($wrong, my $most) = limits($limit, %limits);
is($wrong, '', 'the limits were kept, by the history');
is(scalar history_lines('broken'), '', 'and by the observer');
is(scalar history_lines('odd'), '', 'nothing was refused for another reason than a lost lease');
is(streams($_, $model), '', "$_ saw what the tables have") for @readers;
is(value('SELECT count(*) FROM amelia.verify()'), 0, 'verify() finds nothing: no gap, no duplicate');
is(value(q{SELECT count(*) FROM amelia.workflow_leases AS l WHERE l.slot IS NOT NULL OR l.profile_slot IS NOT NULL}), 0, 'no slot is held');

my %told = map { my $what = $_; $what => scalar(my @found = history_lines($what)) } @kinds;
note(join(', ', map { "$_ $told{$_}" } sort keys %told), ", $killed killed, at most $most->{''} held of $limit");
is(join(', ', unmet()), '', 'all has happened that this is about');
$node->stop;
done_testing();
