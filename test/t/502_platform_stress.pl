# Sixteen agents at once, some of which dawdle beyond what they have a right to or are killed,
# a maintenance that goes on meanwhile, and a server that is killed too. Agents write down what
# they are told (test/stress/agent.c), triggers what the tables go through, and afterwards both
# are compared (PlatformHistory.pm): every message acknowledged, dead or expired, none lost, none
# with two at once; every task done once; every execution ended as its definition says. Then the
# same checks are shown faults, and must find them. AMELIA_STRESS_SECONDS makes it longer; it
# goes on beyond that time until all has happened that it is about.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use IPC::Run;
use PlatformHistory;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

my $seconds = $ENV{AMELIA_STRESS_SECONDS} // 6;
my $agents = 16;
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

my $node = PostgreSQL::Test::Cluster->new('platform_stress');
$node->init(extra => [ '--no-locale', '--encoding=UTF8' ]);
$node->append_conf('postgresql.conf', <<'CONF');
shared_preload_libraries = 'amelia'
amelia.naptime = '1s'
log_statement = none
CONF
$node->start;

sub value { return $node->safe_psql('postgres', $_[0]); }

value('CREATE EXTENSION amelia; CREATE EXTENSION amelia_platform');
audit($node);
value(q{SELECT amelia_platform.register_agent('agent ' || n, 'master_operator', id => ('aaaaaaaa-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid)
	FROM generate_series(1, 16) AS n});
# Fails only by what agents do: as often as they like.
value(q{SELECT amelia_platform.create_workflow('flow', jsonb_build_object('steps', (SELECT jsonb_agg(jsonb_build_object('step_id', v.id, 'step_type', v.type,
		'next_steps', to_jsonb(string_to_array(v.next, ',')), 'conditions', v.conditions::jsonb, 'actions', '[{"max_attempts": 1000000}]'::jsonb) ORDER BY v.place)
	FROM (VALUES (1, 'choose', 'task', 'yes,no', '[]'), (2, 'yes', 'task', 'fork', '[{"path": "choose.go", "op": "eq", "value": true}]'), (3, 'no', 'task', 'fork', '[]'),
		(4, 'fork', 'parallel', 'a,b,c', '[]'), (5, 'a', 'task', 'j', '[]'), (6, 'b', 'task', 'b2', '[]'), (7, 'b2', 'task', 'j', '[]'), (8, 'c', 'task', 'j', '[]'),
		(9, 'j', 'join', 'last', '[]'), (10, 'last', 'task', 'end', '[]'), (11, 'end', 'end', '', '[]')) AS v (place, id, type, next, conditions))),
	id => 'dddddddd-0000-7000-8000-000000000001')});

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
	return;
}

sub end_process
{
	my ($name, $signal) = @_;

	kill $signal, $pids{$name};
	waitpid delete $pids{$name}, 0;
	is($?, 0, "$name ends well") if $signal eq 'TERM';
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

# What a run must have met to be a test, and has not met yet.
my ($killed, $crashed) = (0, 0);
my %wanted = (
	'an execution is completed' => q{SELECT count(*) FROM amelia_platform.workflow_executions WHERE status = 'completed'},
	'a message comes again' => q{SELECT count(*) FROM audit WHERE kind = 'message' AND became = 'pending'},
	'a message expires' => q{SELECT count(*) FROM audit WHERE kind = 'message' AND became = 'expired'},
	'a message is acknowledged' => q{SELECT count(*) FROM audit WHERE kind = 'message' AND became = 'acknowledged'},
	'a task is taken back' => q{SELECT count(*) FROM audit WHERE kind = 'task' AND was = 'in_progress' AND became = 'pending'},
	'a join is reached' => q{SELECT count(*) FROM audit WHERE kind = 'step' AND id LIKE '% j' AND became = 'completed'},
	'a step is skipped' => q{SELECT count(*) FROM audit WHERE kind = 'step' AND became = 'skipped'});

sub unmet
{
	read_agents($dir);
	my @unmet = grep { value($wanted{$_}) == 0 } sort keys %wanted;

	push @unmet, map { "somebody is told $_" } grep { !told_lines($_) } qw(sent got acked claimed completed kept started advanced failing);
	push @unmet, 'an agent is killed' if !$killed;
	push @unmet, 'the server is killed' if !$crashed;
	return @unmet;
}

# Nobody writes anything any more: then what is waited for will not come.
my ($written, $grew_at) = (0, time);

sub still_grow
{
	my $size = 0;

	$size += -s $_ // 0 for glob("$dir/*.history");
	($written, $grew_at) = ($size, time) if $size != $written;
	return time - $grew_at < $PostgreSQL::Test::Utils::timeout_default;
}

start_process('agent') for 1 .. $agents;
my ($end, $crash_at) = (time + $seconds, time + $seconds / 2);
for (;;)
{
	if (time > $end)
	{
		my @unmet = unmet() or last;

		die('not met: ' . join(', ', @unmet)) if !still_grow();
		note('goes on until met: ' . join(', ', @unmet));
		$end = time + $seconds / 4;
	}
	sleep 0.1;
	if (rand() < 0.1)
	{
		end_process((sort keys %pids)[ rand keys %pids ], 'KILL');
		$killed++;
		start_process('agent');
	}
	if (!$crashed && time > $crash_at)
	{
		$crashed = 1;
		crash();
	}
}

# All comes to its end: agents that begin nothing new, as many as there are.
end_process($_, 'TERM') for sort keys %pids;
$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity
	WHERE backend_type = 'client backend' AND backend_xid IS NOT NULL AND pid <> pg_backend_pid()})
  or die 'a transaction does not end';
start_process('last') for 1 .. $agents;
my $left = q{SELECT (SELECT count(*) FROM amelia_platform.agent_messages WHERE status IN ('pending', 'sent', 'delivered'))
	+ (SELECT count(*) FROM amelia_platform.workflow_executions WHERE status = 'running')};
# What waits longest for its time comes when it comes: a message's last retry does after half a minute.
value(q{SELECT amelia_platform.update_settings('{"stale_after": "1 hour"}')});
for ($grew_at = time; value($left) > 0;)
{
	value(q{UPDATE amelia_platform.agent_messages SET available_at = now() WHERE status = 'pending' AND available_at > now()});
	die 'what is left does not end: ' . value($left) if !still_grow();
	sleep 0.2;
}
end_process($_, 'TERM') for sort keys %pids;
value('CALL amelia_platform.run_maintenance()');

read_agents($dir);
is(held_twice($node), '', 'no message was with two at once');
is(messages_end($node), '', 'every message was acknowledged, or is dead or expired, and none was lost');
is(task_holders($node), '', 'no task had two holders');
is(tasks_end($node), '', 'every task was done once');
is(advanced_twice($node), '', 'no execution was advanced twice');
is(executions_end($node), '', 'every execution ended as its definition says');
is(join("\n", map { "@$_" } told_lines('odd')), '', 'nothing was refused for another reason than a right that was lost');
is(value('SELECT * FROM amelia_platform.verify()'), '', 'verify() finds nothing');
is(value('SELECT * FROM amelia_platform.platform_faults'), '', 'and no row refused');
is(join(', ', unmet()), '', 'all has happened that this is about');
note(join(', ', map { "$_ " . scalar(my @found = told_lines($_)) } qw(sent got acked claimed completed kept started advanced)), ", $killed killed");

# The checks find what they are for: a fault of each kind, made behind the triggers' backs.
sub fault
{
	my ($sql) = @_;

	return value("BEGIN; SET LOCAL session_replication_role = replica; $sql; COMMIT");
}
my $got = (told_lines('got'))[0];
append_to_file("$dir/agent-1.history", join("\t", $got->[1] + 1, 'got', $got->[3], $got->[4] + 1, $got->[5] + 1) . "\n");
read_agents($dir);
like(held_twice($node), qr/^message $got->[3] is .*'s while it is .*'s$/m, 'a message that two were told of is found');
my $message = fault(q{INSERT INTO amelia_platform.agent_messages (id, message_id, recipient_id, message_type, sender_type, recipient_type)
	SELECT m, m, 'aaaaaaaa-0000-7000-8000-000000000001', 'x', 'x', 'x' FROM amelia.uuid_v7() AS m RETURNING id});
value(q{ALTER TABLE amelia_platform.agent_messages ENABLE ALWAYS TRIGGER audit; ALTER TABLE amelia_platform.tasks ENABLE ALWAYS TRIGGER audit;
	ALTER TABLE amelia_platform.execution_steps ENABLE ALWAYS TRIGGER audit});
fault(qq{UPDATE amelia_platform.agent_messages SET status = 'delivered', delivered_at = clock_timestamp(), visible_at = clock_timestamp() + interval '1 hour',
	available_at = clock_timestamp() + interval '2 hours' WHERE id = '$message'})
  for 1 .. 2;
like(held_twice($node), qr/^message $message is delivered while it is delivered$/m, 'a message that was delivered twice at once is found');
like(messages_end($node), qr/^message $message is delivered$/m, 'and one that has not come to an end');
fault(qq{DELETE FROM amelia_platform.agent_messages WHERE id = '$got->[3]'});
like(messages_end($node), qr/^message $got->[3] was sent, and is not there$/m, 'a message that was lost is found')
  if grep { $_->[3] eq $got->[3] } told_lines('sent');

my $task = (told_lines('completed'))[0][3];
fault(qq{UPDATE amelia_platform.tasks SET status = 'in_progress', lease_token = lease_token + 1 WHERE id = '$task'}) for 1 .. 2;
like(task_holders($node), qr/^task $task is begun under \d+, and is in progress under \d+$/m, 'a task with two holders is found');
like(tasks_end($node), qr/^task $task was completed under \d+, and is in_progress under \d+$/m, 'and one that was completed and is not');
my $claimed = (told_lines('claimed'))[0];
append_to_file("$dir/agent-other.history", join("\t", @$claimed[ 1 .. 4 ]) . "\n");
read_agents($dir);
like(task_holders($node), qr/^task $claimed->[3] under $claimed->[4] is claimed by .* and .*$/m, 'a token that two were told of is found');

my ($execution, $step) = split /\|/, value(q{SELECT execution_id, step_id FROM amelia_platform.execution_steps WHERE status = 'completed' AND step_id = 'a' LIMIT 1});
fault(qq{UPDATE amelia_platform.execution_steps SET status = '$_' WHERE execution_id = '$execution' AND step_id = '$step'}) for 'running', 'completed';
like(advanced_twice($node), qr/^step $execution $step became completed 2 times$/m, 'an execution that was advanced twice is found');
fault(qq{INSERT INTO amelia_platform.tasks (title, status, execution_id, step_id) VALUES ('again', 'completed', '$execution', '$step')});
like(advanced_twice($node), qr/^step $execution $step has 2 tasks$/m, 'and a step with two tasks');
fault(qq{UPDATE amelia_platform.execution_steps SET taken = '{last}' WHERE execution_id = '$execution' AND step_id = '$step'});
fault(qq{UPDATE amelia_platform.execution_steps SET started_at = '-infinity' WHERE execution_id = '$execution' AND step_id = 'j'});
like(executions_end($node), qr/^step $execution $step has gone on to \{last\}$/m, 'one that did not go on as its definition says is found');
like(executions_end($node), qr/^join $execution j began before \w+ was over$/m, 'and a join that did not wait');

$node->stop;
done_testing();
