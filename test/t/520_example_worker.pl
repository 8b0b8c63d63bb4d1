# The example worker: killed, stopped for longer than its lease, ended by SIGTERM,
# with a server that restarts, a person to ask, messages, a cancellation, and a
# step that fails. Each step stands in the log once, and each workflow ends once.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AmeliaTest;
use ExampleWorker;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

need_example_worker();

my $node = new_node('worker', preload => 1);
my $url = $node->connstr('postgres');
my $number = 0;

$node->safe_psql('postgres', q{CREATE EXTENSION amelia; CREATE ROLE host LOGIN; SELECT amelia.grant_worker('host')});

sub value { return $node->safe_psql('postgres', $_[0]); }

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

# As if the time of whatever lease there is were over.
sub run_out { value("UPDATE amelia.workflow_leases SET expires_at = now() WHERE expires_at > now()"); return; }

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

sub done_steps { return "(SELECT count(*) FROM amelia.workflow_log WHERE workflow_id = '$_[0]' AND event_type = 'task_completed')"; }

# What a workflow has come to, and its events, but for its messages.
sub story
{
	my ($id) = @_;

	return value(qq{SELECT w.status || ', ' || w.failures || ' failures, token ' || COALESCE(l.lease_token, 0)
		FROM amelia.workflows AS w LEFT JOIN amelia.workflow_leases AS l ON l.workflow_id = w.id WHERE w.id = '$id';
		SELECT string_agg(CASE e.event_type WHEN 'task_completed' THEN e.data ->> 'step' ELSE e.event_type END, ' ' ORDER BY e.sequence)
		FROM amelia.workflow_log AS e WHERE e.workflow_id = '$id' AND e.event_type NOT IN ('workflow_created', 'message_read')});
}

value(q{CREATE TABLE stop_at (workflow_id uuid); INSERT INTO stop_at VALUES (NULL);
	CREATE FUNCTION stop_there() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM amelia.send_to_workflow(NEW.workflow_id, 'pause') FROM public.stop_at AS s WHERE s.workflow_id = NEW.workflow_id;
		RETURN NULL;
	END $$;
	CREATE TRIGGER stop_there AFTER INSERT ON amelia.workflow_log FOR EACH ROW
		WHEN (NEW.event_type = 'task_completed' AND NEW.data ->> 'step' = '3') EXECUTE FUNCTION public.stop_there()});

my @ten = map { "step $_" } 0 .. 9;

# As a role that has no more rights than a worker needs.
my $id = create('look', 'test');
ends_well(start_worker("$url user=host", 'plain', '--once', '--step', '0'), 'works until nothing is left');
is(story($id), "completed, 0 failures, token 1\nworkflow_started 0 1 workflow_completed", 'a workflow is completed');
is(value("SELECT total_input_tokens FROM amelia.token_summary('$id')"), 200, 'with what it used');

$id = create(@ten);
pause_at($id);
my $first = start_worker($url, 'killed', '--lease', '600', '--step', '0');
is_paused($id);
kill_worker($first);
run_out();
my $second = start_worker($url, 'second', '--step', '0');
wait_for("EXISTS (SELECT FROM amelia.workflows WHERE id = '$id' AND status = 'completed')");
is(story($id), "completed, 1 failures, token 2\n" . join(' ', 'workflow_started',
	split(/ /, value("SELECT string_agg(CASE e.event_type WHEN 'task_completed' THEN e.data ->> 'step' ELSE e.event_type END, ' ' ORDER BY e.sequence)
		FROM amelia.workflow_log AS e WHERE e.workflow_id = '$id' AND e.sequence > 2 AND e.event_type <> 'message_read'"))), 'killed: its lease was taken over');
is(value("SELECT string_agg(e.data ->> 'step', ' ' ORDER BY e.sequence), count(DISTINCT e.agent)
	FROM amelia.workflow_log AS e WHERE e.workflow_id = '$id' AND e.event_type = 'task_completed'"),
	'0 1 2 3 4 5 6 7 8 9|2', 'and each step was done once, by the one or the other');
$second->{run}->signal('TERM');
ends_well($second, 'ends when it is idle');

$id = create(@ten);
pause_at($id);
$first = start_worker($url, 'ended', '--lease', '600', '--step', '0');
is_paused($id);
$first->{run}->signal('TERM');
ends_well($first, 'SIGTERM');
is(value("SELECT status, failures, given_back FROM amelia.workflows JOIN amelia.workflow_leases ON workflow_id = id WHERE id = '$id'"),
	'in_progress|0|t', 'it has given its lease back');
ends_well(start_worker($url, 'next', '--once', '--step', '0'), 'takes over at once');
like(story($id), qr/^completed, 0 failures, token 2\nworkflow_started (\d ){2,}workflow_started (\d )+workflow_completed$/, 'which is no failure');
is(value('SELECT ' . done_steps($id)), 10, 'and each step was done once');

$id = create(@ten);
pause_at($id);
$first = start_worker($url, 'steady', '--once', '--lease', '600', '--step', '0');
is_paused($id);
$node->restart;
value("SELECT amelia.send_to_workflow('$id', 'resume')");
ends_well($first, 'finds the server again');
is(story($id), "completed, 0 failures, token 1\nworkflow_started 0 1 2 3 4 5 6 7 8 9 workflow_completed", 'a restart of the server: it goes on under the same lease');
like($first->{said}, qr/lost the connection/, 'it was told');

$id = create(@ten);
pause_at($id);
$first = start_worker($url, 'paused', '--lease', '600', '--step', '0');
is_paused($id);
$first->{run}->signal('STOP');
run_out();
$second = start_worker($url, 'fresh', '--step', '0');
wait_for("EXISTS (SELECT FROM amelia.workflows WHERE id = '$id' AND status = 'completed')");
$second->{run}->signal('TERM');
ends_well($second, 'has done the rest');
$first->{run}->signal('CONT');
$first->{run}->pump until $first->{said} =~ /$id: stopped: .*\n/;
like($first->{said}, qr/$id: stopped: lease 1 of workflow $id is lost/, 'who wakes up is refused');
$first->{run}->signal('TERM');
ends_well($first, 'and goes on');
is(value('SELECT ' . done_steps($id)), 10, 'without writing anything');

$id = create('look', 'approve: May it go out?', 'publish');
ends_well(start_worker($url, 'asking', '--once', '--step', '0'), 'asks');
is(story($id), "blocked, 0 failures, token 1\nworkflow_started 0 approval_required", 'a person is asked');
value("SELECT amelia.decide('$id', (SELECT max(e.sequence) FROM amelia.workflow_log AS e WHERE e.workflow_id = '$id' AND e.event_type = 'approval_required'), true)");
ends_well(start_worker($url, 'told', '--once', '--step', '0'), 'goes on');
is(story($id), "completed, 0 failures, token 2\nworkflow_started 0 approval_required approval_granted workflow_started 1 2 workflow_completed", 'and said yes');
$id = create('approve: Really?', 'publish');
ends_well(start_worker($url, 'asking', '--once', '--step', '0'), 'asks');
value("SELECT amelia.decide('$id', (SELECT max(e.sequence) FROM amelia.workflow_log AS e WHERE e.workflow_id = '$id' AND e.event_type = 'approval_required'), false, 'rather not')");
ends_well(start_worker($url, 'told', '--once', '--step', '0'), 'ends it');
is(story($id), "cancelled, 0 failures, token 2\nworkflow_started approval_required approval_rejected workflow_started workflow_cancelled", 'or no');
is(value("SELECT failure_reason FROM amelia.workflows WHERE id = '$id'"), 'rather not', 'and why');

$id = create('look', 'test');
value("SELECT amelia.send_to_workflow('$id', 'pause', '{\"by\": \"ann\"}')");
$first = start_worker($url, 'listening', '--once', '--step', '0');
wait_for("EXISTS (SELECT FROM amelia.workflow_log WHERE workflow_id = '$id' AND event_type = 'message_read')");
is(value('SELECT ' . done_steps($id)), 0, 'a message: pause');
value("SELECT amelia.send_to_workflow('$id', 'resume')");
ends_well($first, 'goes on when it is told to');
is(story($id), "completed, 0 failures, token 1\nworkflow_started 0 1 workflow_completed", 'and on');

$id = create(@ten);
$first = start_worker($url, 'cancelled', '--once', '--lease', '15', '--step', '600');
wait_for("EXISTS (SELECT FROM amelia.workflows WHERE id = '$id' AND status = 'in_progress')");
value("SELECT amelia.request_cancel('$id')");
ends_well($first, 'hears of a cancellation with its heartbeat');
like(story($id), qr/^cancelled, 0 failures/, 'and ends the workflow');

$id = create('look', 'fail');
ends_well(start_worker($url, 'unlucky', '--once', '--step', '0'), 'has bad luck');
is(story($id), "failed, 1 failures, token 1\nworkflow_started 0 workflow_failed", 'a step that fails');
is(value("SELECT retry_at > now(), failure_reason FROM amelia.workflows WHERE id = '$id'"), 't|this step always fails', 'is tried again later');

$id = create('look');
value(q{INSERT INTO amelia.budgets (scope, period, limit_usd, action) VALUES ('everything', 'month', 0.0001, 'block')});
$first = start_worker($url, 'poor', '--once', '--step', '0');
ends_well($first, 'lives with a budget that is spent');
like($first->{said}, qr/budget/, 'and says so');
is(story($id), "pending, 0 failures, token 0\n", 'nothing is claimed');

$node->stop;
done_testing();
