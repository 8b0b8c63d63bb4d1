# What a worker of client/python or client/node lives through: killed, stopped for
# longer than its lease, ended by SIGTERM in the middle of a step, with a server that
# restarts, a person to ask, messages, a cancellation, steps that fail, and others
# beside it. Each step stands in the log once, each workflow ends once, and nobody
# writes to a workflow that another one holds.
package WorkerStories;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';

use AmeliaTest;
use Clients;
use Polls;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(worker_stories);

my ($node, $url, $language);
my $number = 0;
my @ten = map { "step $_" } 0 .. 9;
# Longer than any test takes: what waits for it, waits in vain.
my $forever = 1000000;

sub value { return Polls::ask($node, 'postgres', $_[0]); }

sub worker { return start_worker($language, $url, @_); }

# A new workflow of those steps.
sub create
{
	my (@steps) = @_;
	my $id = sprintf('01970000-0000-7000-8000-%012d', ++$number);
	my $list = join(',', map { qq{"$_"} } @steps);

	value(qq{SELECT amelia.create_workflow('I-$number', '/w/$number', issue_cache => '{"steps": [$list]}', id => '$id')});
	return $id;
}

sub wait_for
{
	my ($what) = @_;

	$node->poll_query_until('postgres', "SELECT $what") or die "it is never so: $what";
	return;
}

sub wait_for_end { wait_for("EXISTS (SELECT FROM amelia.workflows WHERE id = '$_[0]' AND status = 'completed')"); return; }

# Wait until a worker has said something.
sub hears
{
	my ($worker, $what) = @_;

	$worker->{run}->pump until $worker->{said} =~ $what;
	return;
}

# As if the time of whatever lease there is, or that worker's, were over.
sub run_out
{
	my ($name) = @_;

	value('UPDATE amelia.workflow_leases SET expires_at = now() WHERE expires_at > now()' . ($name ? " AND worker = '$name'" : ''));
	return;
}

# A trigger that stops whoever has done step 3 of a workflow of ten: by a message,
# which is read before the next step.
sub pause_at
{
	my ($id) = @_;

	value(qq{UPDATE stop_at SET workflow_id = '$id'});
	return;
}

# Wait until a worker has read it, and waits.
sub is_paused { wait_for("EXISTS (SELECT FROM amelia.workflow_log WHERE workflow_id = '$_[0]' AND event_type = 'message_read')"); return; }

sub done_steps { return value("SELECT count(*) FROM amelia.workflow_log WHERE workflow_id = '$_[0]' AND event_type = 'task_completed'"); }

sub decide
{
	my ($id, $answer) = @_;

	value("SELECT amelia.decide('$id', (SELECT max(e.sequence) FROM amelia.workflow_log AS e
		WHERE e.workflow_id = '$id' AND e.event_type = 'approval_required'), $answer)");
	return;
}

sub terminate
{
	my ($worker, $what) = @_;

	$worker->{run}->signal('TERM');
	ends_well($worker, $what);
	return;
}

# What a workflow has come to, and its events, but for its messages.
sub story
{
	my ($id) = @_;

	return value(qq{SELECT w.status || ', ' || w.failures || ' failures, token ' || COALESCE(l.lease_token, 0)
		FROM amelia.workflows AS w LEFT JOIN amelia.workflow_leases AS l ON l.workflow_id = w.id WHERE w.id = '$id';
		SELECT string_agg(CASE e.event_type WHEN 'task_completed' THEN e.data ->> 'step' ELSE e.event_type END, ' ' ORDER BY e.sequence)
		FROM amelia.workflow_log AS e WHERE e.workflow_id = '$id' AND e.event_type NOT IN ('workflow_created', 'message_read')});
}

sub given_back { return value("SELECT status, failures, given_back FROM amelia.workflows JOIN amelia.workflow_leases ON workflow_id = id WHERE id = '$_[0]'"); }

# As a role that has no more rights than a worker needs.
sub plain
{
	my $id = create('look', 'test');

	ends_well(start_worker($language, client_url($node, 'host'), 'plain', '--once', '--step', '0'), 'works until nothing is left');
	is(story($id), "completed, 0 failures, token 1\nworkflow_started 0 1 workflow_completed", 'a workflow is completed');
	is(value("SELECT total_input_tokens FROM amelia.token_summary('$id')"), 200, 'with what it used');
	is(value("SELECT string_agg(e.data ->> 'result', ' ' ORDER BY e.sequence) FROM amelia.workflow_log AS e
		WHERE e.workflow_id = '$id' AND e.event_type = 'task_completed'"), '{"did": "look"} {"did": "test"}', 'and what each step returned');

	$id = create('write');
	ends_well(worker('writes', '--once'), 'writes what is its own');
	is(value("SELECT count(*) FROM notes WHERE id = '$id'"), 1, 'in a transaction under the lease');
	return;
}

sub killed
{
	my $id = create(@ten);

	pause_at($id);
	my $first = worker('killed', '--lease', '600', '--step', '0');
	is_paused($id);
	kill_worker($first);
	run_out();
	my $second = worker('second', '--step', '0');
	wait_for_end($id);
	like(story($id), qr/^completed, 1 failures, token 2\nworkflow_started (\d ){4,}workflow_started (\d )*workflow_completed$/, 'killed: its lease was taken over');
	is(value("SELECT string_agg(e.data ->> 'step', ' ' ORDER BY e.sequence), count(DISTINCT e.agent)
		FROM amelia.workflow_log AS e WHERE e.workflow_id = '$id' AND e.event_type = 'task_completed'"),
		'0 1 2 3 4 5 6 7 8 9|2', 'and each step was done once, by the one or the other');
	terminate($second, 'ends when it is idle');
	return;
}

sub ended
{
	my $id = create(@ten);

	pause_at($id);
	my $first = worker('ended', '--lease', '600', '--step', '0');
	is_paused($id);
	terminate($first, 'SIGTERM');
	is(given_back($id), 'in_progress|0|t', 'it has given its lease back');
	ends_well(worker('next', '--once', '--step', '0'), 'takes over at once');
	like(story($id), qr/^completed, 0 failures, token 2\nworkflow_started (\d ){2,}workflow_started (\d )+workflow_completed$/, 'which is no failure');
	is(done_steps($id), 10, 'and each step was done once');

	$id = create('long');
	$first = worker('busy', '--lease', '600', '--step', $forever);
	hears($first, qr/begins long/);
	terminate($first, 'SIGTERM in the middle of a step');
	is(given_back($id), 'in_progress|0|t', 'it is given back at once');
	ends_well(worker('next', '--once', '--step', '0'), 'does it again');
	is(story($id), "completed, 0 failures, token 2\nworkflow_started workflow_started 0 workflow_completed", 'which is no failure either');

	# So does the process that it waits for.
	$id = create('child');
	my $file = PostgreSQL::Test::Utils::tempdir() . '/pid';
	$first = worker('parent', '--lease', '600', '--until', $file);
	until (-s $file) { $first->{run}->pump_nb; select undef, undef, undef, 0.05; }
	chomp(my $child = slurp_file($file));
	terminate($first, 'SIGTERM while it waits for a process');
	until (!kill 0, $child) { select undef, undef, undef, 0.05; }
	is(given_back($id), 'in_progress|0|t', 'that ends, too, and the workflow is given back');
	value("SELECT FROM amelia.set_workflow_status('$id', 'cancelled')");

	$id = create('long');
	$first = worker('alone', '--lease', '600', '--step', $forever);
	hears($first, qr/begins long/);
	$node->stop('immediate');
	terminate($first, 'SIGTERM while the server is away');
	$node->start;
	is(given_back($id), 'in_progress|0|f', 'it could not give it back');
	run_out();
	ends_well(worker('next', '--once', '--step', '0'), 'takes over when it has run out');
	is(story($id), "completed, 1 failures, token 2\nworkflow_started workflow_started 0 workflow_completed", 'and does it');
	return;
}

sub restart
{
	my $id = create(@ten);

	pause_at($id);
	my $first = worker('steady', '--once', '--lease', '600', '--step', '0');
	is_paused($id);
	$node->restart;
	value("SELECT amelia.send_to_workflow('$id', 'resume')");
	ends_well($first, 'finds the server again');
	is(story($id), "completed, 0 failures, token 1\nworkflow_started 0 1 2 3 4 5 6 7 8 9 workflow_completed", 'a restart of the server: it goes on under the same lease');
	like($first->{said}, qr/lost the connection/, 'it was told');
	return;
}

sub lost
{
	my $id = create(@ten);

	pause_at($id);
	my $first = worker('paused', '--lease', '600', '--step', '0');
	is_paused($id);
	$first->{run}->signal('STOP');
	run_out();
	my $second = worker('fresh', '--step', '0');
	wait_for_end($id);
	terminate($second, 'has done the rest');
	$first->{run}->signal('CONT');
	hears($first, qr/$id: stopped: .*\n/);
	like($first->{said}, qr/$id: stopped: lease 1 of workflow $id is lost/, 'who wakes up is refused');
	terminate($first, 'and goes on');
	is(done_steps($id), 10, 'without writing anything');

	# In the middle of a step that looks at nothing by itself.
	$id = create('long');
	$first = worker('robbed', '--lease', '15', '--step', $forever);
	hears($first, qr/begins long/);
	wait_for("rob('$id') = 2");
	hears($first, qr/$id: stopped: lease 1 of workflow $id is lost/);
	terminate($first, 'its step ends with an exception');
	is(story($id), "in_progress, 1 failures, token 2\nworkflow_started workflow_started", 'and nothing is written');
	value("SELECT FROM amelia.release_workflow('$id', 2, 'completed')");
	return;
}

# However long a step takes, and whatever it does.
sub heartbeats
{
	my $id = create('deaf');
	my $file = PostgreSQL::Test::Utils::tempdir() . '/go';
	my $worker = worker('deaf', '--once', '--lease', '15', '--until', $file);

	hears($worker, qr/begins deaf/);
	for (1, 2)
	{
		my $end = value("SELECT expires_at FROM amelia.workflow_leases WHERE workflow_id = '$id'");

		wait_for("EXISTS (SELECT FROM amelia.workflow_leases WHERE workflow_id = '$id' AND expires_at > '$end')");
	}
	append_to_file($file, '');
	ends_well($worker, 'its step blocks');
	is(story($id), "completed, 0 failures, token 1\nworkflow_started 0 workflow_completed", 'heartbeats go on meanwhile');
	return;
}

sub asked
{
	my $id = create('look', 'approve: May it go out?', 'publish');

	ends_well(worker('asking', '--once', '--step', '0'), 'asks');
	is(story($id), "blocked, 0 failures, token 1\nworkflow_started 0 approval_required", 'a person is asked');
	decide($id, 'true');
	ends_well(worker('told', '--once', '--step', '0'), 'goes on');
	is(story($id), "completed, 0 failures, token 2\nworkflow_started 0 approval_required approval_granted workflow_started 1 2 workflow_completed", 'and said yes');

	$id = create('approve: Really?', 'publish');
	ends_well(worker('asking', '--once', '--step', '0'), 'asks');
	decide($id, "false, 'rather not'");
	ends_well(worker('told', '--once', '--step', '0'), 'ends it');
	is(story($id), "cancelled, 0 failures, token 2\nworkflow_started approval_required approval_rejected workflow_started workflow_cancelled", 'or no');
	is(value("SELECT failure_reason FROM amelia.workflows WHERE id = '$id'"), 'rather not', 'and why');
	return;
}

sub messages
{
	my $id = create('look', 'test');

	value("SELECT amelia.send_to_workflow('$id', 'pause', '{\"by\": \"ann\"}')");
	my $worker = worker('listening', '--once', '--step', '0');
	is_paused($id);
	is(done_steps($id), 0, 'a message: pause');
	is(value("SELECT e.message, e.data -> 'data' FROM amelia.workflow_log AS e WHERE e.workflow_id = '$id' AND e.event_type = 'message_read'"),
		'pause|{"by": "ann"}', 'the log has it');
	value("SELECT amelia.send_to_workflow('$id', 'resume')");
	ends_well($worker, 'goes on when it is told to');
	is(story($id), "completed, 0 failures, token 1\nworkflow_started 0 1 workflow_completed", 'and on');
	return;
}

sub cancelled
{
	my $id = create('long');
	my $worker = worker('cancelled', '--once', '--lease', '15', '--step', $forever);

	hears($worker, qr/begins long/);
	value("SELECT amelia.request_cancel('$id')");
	ends_well($worker, 'hears of a cancellation with its heartbeat');
	is(story($id), "cancelled, 0 failures, token 1\nworkflow_started workflow_cancelled", 'and ends the workflow');
	return;
}

sub failed
{
	my $id = create('look', 'fail');

	ends_well(worker('unlucky', '--once', '--step', '0'), 'has bad luck');
	is(story($id), "failed, 1 failures, token 1\nworkflow_started 0 workflow_failed", 'a step that fails');
	is(value("SELECT retry_at BETWEEN now() AND now() + interval '1 hour', failure_reason FROM amelia.workflows WHERE id = '$id'"),
		't|this step always fails', 'is tried again when the server says');
	value("SELECT amelia.request_cancel('$id')");

	$id = create('retry');
	ends_well(worker('limited', '--once', '--step', '0'), 'knows better');
	is(value("SELECT status, retry_at > now() + interval '23 hours', failure_reason FROM amelia.workflows WHERE id = '$id'"),
		'failed|t|rate limit', 'is tried again when the step says');
	value("SELECT amelia.request_cancel('$id')");
	return;
}

# Three at a time, of whom one after the other is killed, and the server once.
sub together
{
	my @workers = map { worker("of three $_", '--step', '0') } 1 .. 3;
	my @ids = map { create('a', 'b', 'c', 'd') } 1 .. 30;
	my $list = join(', ', map { "'$_'" } @ids);
	my $done = "(SELECT count(*) FROM amelia.workflow_log WHERE event_type = 'task_completed' AND workflow_id IN ($list))";

	# A workflow may be met by each of the kills.
	value("UPDATE amelia.workflows SET max_failures = 100 WHERE id IN ($list)");
	for my $round (1 .. 4)
	{
		wait_for("$done >= 20 * $round");
		my $victim = shift @workers;
		kill_worker($victim);
		run_out($victim->{name});
		push @workers, worker("of three " . ($round + 3), '--step', '0');
		$node->restart if $round == 2;
	}
	wait_for("NOT EXISTS (SELECT FROM amelia.workflows WHERE id IN ($list) AND status <> 'completed')");
	terminate($_, 'was one of three') for @workers;
	is(value("SELECT count(*) FROM (SELECT FROM amelia.workflow_log AS e WHERE e.workflow_id IN ($list) AND e.event_type = 'task_completed'
		GROUP BY e.workflow_id HAVING string_agg(e.data ->> 'step', ' ' ORDER BY e.sequence) = '0 1 2 3') AS w"), 30, 'together: each step was done once, in its order');
	is(value("SELECT count(*) FROM amelia.token_usage WHERE workflow_id IN ($list)") >= 120, 1, 'and booked');
	return;
}

sub poor
{
	my $id = create('look');

	value(q{INSERT INTO amelia.budgets (scope, period, limit_usd, action) VALUES ('everything', 'month', 0.0001, 'block')});
	my $worker = worker('poor', '--once', '--step', '0');
	ends_well($worker, 'lives with a budget that is spent');
	like($worker->{said}, qr/budget/, 'and says so');
	is(story($id), "pending, 0 failures, token 0\n", 'nothing is claimed');
	return;
}

sub worker_stories
{
	($language) = @_;

	need_client($language);
	$node = new_node('worker', preload => 1);
	$url = client_url($node, scalar getpwuid($<));
	value(q{CREATE EXTENSION amelia;
		CREATE ROLE host LOGIN;
		SELECT amelia.grant_worker('host');
		CREATE TABLE notes (id uuid);
		CREATE TABLE stop_at (workflow_id uuid);
		INSERT INTO stop_at VALUES (NULL);
		CREATE FUNCTION stop_there() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			PERFORM amelia.send_to_workflow(NEW.workflow_id, 'pause') FROM public.stop_at AS s WHERE s.workflow_id = NEW.workflow_id;
			RETURN NULL;
		END $$;
		CREATE TRIGGER stop_there AFTER INSERT ON amelia.workflow_log FOR EACH ROW
			WHEN (NEW.event_type = 'task_completed' AND NEW.data ->> 'step' = '3') EXECUTE FUNCTION public.stop_there();
		CREATE TABLE strangers (workflow_id uuid, agent text);
		-- Its lease runs out and goes to another in one moment: whoever had it would claim it again.
		-- A claim passes over what a heartbeat has locked, and then it has not run out either.
		CREATE FUNCTION rob(robbed uuid) RETURNS bigint LANGUAGE plpgsql AS $$
		DECLARE
			token bigint;
		BEGIN
			UPDATE amelia.workflow_leases SET expires_at = now() WHERE workflow_id = robbed;
			SELECT c.lease_token INTO STRICT token FROM amelia.claim_workflow('thief', '600 s') AS c;
			RETURN token;
		EXCEPTION WHEN no_data_found THEN
			RETURN NULL;
		END $$;
		GRANT INSERT, SELECT ON strangers, stop_at TO host;
		CREATE FUNCTION note_stranger() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			INSERT INTO public.strangers
			SELECT NEW.workflow_id, NEW.agent FROM amelia.workflow_leases AS l
			WHERE l.workflow_id = NEW.workflow_id AND l.worker IS DISTINCT FROM NEW.agent;
			RETURN NULL;
		END $$;
		CREATE TRIGGER note_stranger AFTER INSERT ON amelia.workflow_log FOR EACH ROW
			WHEN (NEW.event_type = 'task_completed') EXECUTE FUNCTION public.note_stranger()});
	plain();
	killed();
	ended();
	restart();
	lost();
	heartbeats();
	asked();
	messages();
	cancelled();
	failed();
	together();
	is(value('SELECT count(*) FROM strangers'), 0, 'nobody wrote a step to a workflow that another one held');
	poor();
	$node->stop;
	done_testing();
	return;
}

1;
