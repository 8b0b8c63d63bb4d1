# amelia-load and recorded runs: what goes in is what was recorded, once.

use strict;
use warnings;

use File::Basename qw(basename);
use FindBin;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = "$FindBin::RealBin/../..";
my $program = $ENV{AMELIA_LOAD} || "$top/client/amelia-load";
my $samples = "$top/samples";
my $files = PostgreSQL::Test::Utils::tempdir();

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE runs');
$node->safe_psql('runs', 'CREATE EXTENSION amelia');

# Exit status, standard output, standard error.
sub load
{
	my @args = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run([ $program, '-d', $node->connstr('runs'), @args ],
		'<', \'', '>', \$out, '2>', \$err);
	return ($? >> 8, $out, $err);
}

sub query
{
	return $node->safe_psql('runs', $_[0]);
}

# Everything a load could add to.
sub fingerprint
{
	return query(
		q{SELECT md5(string_agg(t, E'\n' ORDER BY t)) FROM (
			SELECT w::text AS t FROM amelia.workflows AS w
			UNION ALL SELECT l::text FROM amelia.workflow_log AS l
			UNION ALL SELECT u::text FROM amelia.token_usage AS u) AS all_rows});
}

sub write_run
{
	my ($name, $run) = @_;
	my $path = "$files/$name";
	append_to_file($path, ref $run ? JSON::PP->new->pretty->encode($run) : $run);
	return $path;
}

# A run with the given steps and info; what differs is what a test is about.
sub run_with
{
	my ($name, %parts) = @_;
	my $step = {
		action => "ls # $name",
		observation => 'README.md',
		response => 'Look around.',
		thought => 'Look around.',
		execution_time => 0.25,
		state => { working_dir => '/somewhere' }
	};
	return write_run("$name.traj",
		{ environment => 'main', trajectory => [$step], history => [], info => {}, %parts });
}

sub workflow_of
{
	my ($out) = @_;
	return $out =~ /workflow ([0-9a-f-]{36})/ ? $1 : '';
}

# Compares a loaded run with the file, value by value, in the database, where
# numbers are decimal and jsonb compares what was written.
sub check_content
{
	my ($path, $workflow) = @_;
	my $name = basename($path);

	my $differences = $node->safe_psql('runs', <<"END_SQL");
WITH run AS (
	SELECT pg_read_file('$path')::jsonb AS doc
), recorded AS (
	SELECT s.place, s.step FROM run, jsonb_array_elements(run.doc -> 'trajectory')
		WITH ORDINALITY AS s (step, place)
), stored AS (
	SELECT row_number() OVER (ORDER BY l.sequence) AS place, l.*
	FROM amelia.workflow_log AS l
	WHERE l.workflow_id = '$workflow'
		AND l.event_type IN ('claude_tool_call', 'agent_message')
)
SELECT r.place, s.place
FROM recorded AS r FULL JOIN stored AS s ON s.place = r.place
WHERE r.place IS NULL OR s.place IS NULL
	OR s.message IS DISTINCT FROM r.step ->> 'thought'
	OR s.data ->> 'action' IS DISTINCT FROM r.step ->> 'action'
	OR s.data ->> 'observation' IS DISTINCT FROM r.step ->> 'observation'
	OR s.data -> 'execution_time' IS DISTINCT FROM r.step -> 'execution_time'
	OR (s.data ->> 'step')::integer <> r.place
	OR (s.data -> 'state') IS DISTINCT FROM
		CASE jsonb_typeof(r.step -> 'state')
			WHEN 'string' THEN (r.step ->> 'state')::jsonb ELSE r.step -> 'state' END
	OR COALESCE(s.data ->> 'response', s.message) IS DISTINCT FROM r.step ->> 'response'
END_SQL
	is($differences, '', "$name: every step is stored as it was recorded");

	is( $node->safe_psql('runs', <<"END_SQL"), 't', "$name: tokens and cost are those of model_stats");
WITH stats AS (
	SELECT pg_read_file('$path')::jsonb #> '{info,model_stats}' AS s
)
SELECT CASE WHEN s IS NULL THEN t.total_turns IS NULL
	ELSE (t.total_input_tokens, t.total_output_tokens, t.total_turns, t.total_cost_usd)
		= ((s ->> 'tokens_sent')::bigint, (s ->> 'tokens_received')::bigint,
			(s ->> 'api_calls')::bigint, round((s ->> 'instance_cost')::numeric, 6)) END
FROM stats, amelia.token_summary('$workflow') AS t
END_SQL
	return;
}

#
# The sample.
#
my ($status, $out, $err) = load("$samples/sample-run.traj");
is($status, 0, 'the sample loads');
is($err, '', 'and nothing is complained about');
my $workflow = workflow_of($out);
like($out, qr/workflow \Q$workflow\E, completed, 7 steps/, 'it says what it loaded');
is( query(
		qq{SELECT event_type, level, agent, tool_name FROM amelia.events_after('$workflow') ORDER BY sequence}),
	join("\n",
		'workflow_created|info||', 'workflow_started|info||',
		(map { "claude_tool_call|trace|main|$_" } qw(ls search_dir open python edit python submit)),
		'workflow_completed|info||'),
	'lifecycle events around an event per step');
check_content("$samples/sample-run.traj", $workflow);
is( query(
		qq{SELECT issue_id, worktree_path, status, failure_reason, started_at IS NOT NULL,
			completed_at IS NOT NULL, issue_cache #>> '{problem_statement,id}',
			issue_cache ->> 'exit_status', issue_cache ->> 'submission' LIKE 'diff --git%',
			issue_cache ->> 'task' LIKE 'Please solve this issue%', issue_cache ->> 'file'
			FROM amelia.get_workflow('$workflow')}),
	'ledger-42|/ledger#' . substr($workflow, 0, 8)
		. '|completed||t|t|ledger-42|submitted|t|t|sample-run.traj',
	'the workflow tells the issue and what came out');
is( query(qq{SELECT agent, model, cost_usd FROM amelia.token_usage WHERE workflow_id = '$workflow'}),
	'main|gpt-4o|0.041873', 'agent, model and the cost, rounded in decimal');

($status, $out, $err) = load("$samples/sample-failed.traj");
is($status, 0, 'a run that failed loads');
$workflow = workflow_of($out);
is( query(qq{SELECT issue_id, status, failure_reason FROM amelia.get_workflow('$workflow')}),
	'sample-failed|failed|exit_cost', 'it is named like its file, and failed as recorded');
is( query(
		qq{SELECT event_type, level, message FROM amelia.recent_events('$workflow', 2) ORDER BY sequence}),
	"agent_message|trace|Exit due to cost limit\nworkflow_failed|error|exit_cost",
	'a step without an action is a message');
check_content("$samples/sample-failed.traj", $workflow);
is( query(qq{SELECT model FROM amelia.token_usage WHERE workflow_id = '$workflow'}),
	'unknown', 'a model that is not named is unknown');

#
# Once.
#
my $before = fingerprint();
($status, $out, $err) = load("$samples/sample-run.traj", "$samples/sample-failed.traj");
is($status, 0, 'loading again is no error');
like($out, qr/2 files: 0 loaded, 2 there already, 0 failed/, 'and says so');
is(fingerprint(), $before, 'and adds nothing');

my $text = slurp_file("$samples/sample-run.traj");
my $copy = write_run('copy.traj', $text =~ s/\n */\r\n\t/gr);
($status, $out) = load($copy);
like($out, qr/is there already/, 'white space and the name of the file do not make another run');
is(fingerprint(), $before, 'so nothing is added');
my $other = write_run('other.traj', $text =~ s/14653/14654/r);
($status, $out) = load($other);
like($out, qr/completed, 7 steps/, 'one digit does');

#
# How a run ends.
#
my @ends = (
	[ 'submitted', 'completed', '' ],
	[ 'submitted (exit_cost)', 'completed', '' ],
	[ 'submitted_not', 'failed', 'submitted_not' ],
	[ 'exit_context', 'failed', 'exit_context' ],
	[ 'exit_format', 'failed', 'exit_format' ],
	[ 'early_exit', 'failed', 'early_exit' ],
	[ '', 'failed', 'the exit status is empty' ],
	[ undef, 'failed', 'the recording ends without an exit status' ],
	[ 1, 'failed', 'exit status 1' ]);
my $n = 0;
for my $end (@ends)
{
	my ($exit_status, $expected, $reason) = @$end;
	my $shown = $exit_status // 'null';
	$n++;
	($status, $out, $err) =
		load(run_with("end$n", info => { exit_status => $exit_status }));
	$workflow = workflow_of($out);
	is( "$status|" . query("SELECT status, failure_reason FROM amelia.get_workflow('$workflow')"),
		"0|$expected|$reason", "exit status \"$shown\" is $expected");
	is(query("SELECT count(*) FROM amelia.token_usage WHERE workflow_id = '$workflow'"),
		'0', 'no model_stats, no usage');
}

#
# Forms of other versions: a run that has only its history, texts in parts,
# tool calls, a replay_config that is a text, a demonstration in front.
#
my @history = (
	{ role => 'system', content => 'You are an agent.', agent => 'primary' },
	{ role => 'user', content => 'DEMONSTRATION', agent => 'primary', is_demo => JSON::PP::true },
	{ role => 'assistant', content => 'shown', action => 'rm -rf /', thought => 'shown',
		agent => 'shown', is_demo => JSON::PP::true },
	{ role => 'user', content => [ { type => 'text', text => 'Solve ' },
			{ type => 'image_url', image_url => {} }, { type => 'text', text => 'this.' } ] },
	{ role => 'assistant', content => 'Open it.', thought => 'Open it.', action => 'open "a b.py"',
		agent => 'primary',
		tool_calls => [ { id => 'call_1', type => 'function',
				function => { name => 'open', arguments => '{"path":"a b.py"}' } } ] },
	{ role => 'tool', content => 'one' },
	{ role => 'user', content => 'two' },
	{ role => 'assistant', content => 'Just thinking aloud.', agent => 'primary' },
	{ role => 'assistant', thought => 'Done.', action => 'submit', content => "Done.\nsubmit",
		agent => 'primary' });
($status, $out, $err) = load(write_run('history.traj', { history => \@history }));
is($status, 0, 'a run with only a history loads') or diag($err);
$workflow = workflow_of($out);
is( query(
		qq{SELECT event_type, agent, message, tool_name, tool_input, data
			FROM amelia.events_after('$workflow', 2) WHERE level = 'trace' ORDER BY sequence}),
	join("\n",
		'claude_tool_call|primary|Open it.|open|{"path": "a b.py"}|'
			. '{"step": 1, "action": "open \"a b.py\"", "observation": "one\ntwo"}',
		'agent_message|primary|Just thinking aloud.|||{"step": 2}',
		'claude_tool_call|primary|Done.|submit||'
			. '{"step": 3, "action": "submit", "response": "Done.\nsubmit"}'),
	'what the agent said and was answered; demonstrations are left out');
is( query(qq{SELECT status, issue_id, worktree_path, issue_cache ->> 'task'
		FROM amelia.get_workflow('$workflow')}),
	'completed|history|recorded#' . substr($workflow, 0, 8) . '|Solve this.',
	'it ended with a submission, so it is completed');

pop @history;
($status, $out) = load(write_run('unfinished.traj', { history => \@history }));
is( query('SELECT status FROM amelia.get_workflow(\'' . workflow_of($out) . '\')'),
	'failed', 'without one it failed');

($status, $out, $err) = load(
	'--model=gpt-4-0125',
	run_with('named', replay_config => '{"agent": {"model": {"name": "claude-3-opus"}}}',
		info => { exit_status => 'submitted', model_stats => { total_cost => 1e-7, tokens_sent => 12.0 } }),
	run_with('unnamed',
		info => { exit_status => 'submitted', model_stats => { instance_cost => 0.5, total_cost => 90 } }));
is($status, 0, 'a replay_config that is a text') or diag($err);
is( query(
		q{SELECT w.issue_id, u.model, u.input_tokens, u.output_tokens, u.cost_usd, u.num_turns
			FROM amelia.token_usage AS u JOIN amelia.workflows AS w ON w.id = u.workflow_id
			WHERE w.issue_id IN ('named', 'unnamed') ORDER BY 1}),
	"named|claude-3-opus|12|0|0.000000|1\nunnamed|gpt-4-0125|0|0|0.500000|1",
	'names the model, else --model does; instance_cost goes before total_cost');

#
# What has happened to a run since it was loaded.
#
my $resumed = run_with('resumed', info => { exit_status => 'exit_api' });
($status, $out) = load($resumed);
$workflow = workflow_of($out);
query("SELECT amelia.set_workflow_status('$workflow', 'in_progress')");
$before = fingerprint();
($status, $out, $err) = load($resumed);
is($status, 0, 'a run that was resumed since is no error');
like($err, qr/has become "in_progress" since it was loaded as "failed"; nothing was changed/,
	'but is told');
query("DELETE FROM amelia.workflow_log WHERE workflow_id = '$workflow' AND level = 'trace'");
$before = fingerprint();
($status, $out, $err) = load($resumed);
like($err, qr/1 event of workflow \Q$workflow\E was removed since it was loaded; it was not loaded again/,
	'events that were removed since are told');
is(fingerprint(), $before, 'and stay removed');
query("DELETE FROM amelia.workflows WHERE id = '$workflow'");
($status, $out, $err) = load($resumed);
is(workflow_of($out), $workflow, 'a workflow that was deleted is loaded again under its id');
is(query("SELECT status, amelia.last_sequence(id) FROM amelia.get_workflow('$workflow')"),
	'failed|4', 'as it was recorded');

#
# An operator switched the type off.
#
query("UPDATE amelia.event_types SET persisted = false WHERE event_type = 'claude_tool_call'");
($status, $out, $err) = load(run_with('not_kept', info => { exit_status => 'submitted' }));
is($status, 0, 'a run whose steps are not persisted loads');
like($out, qr/1 step is of a type that is not persisted/, 'and it is told');
is(query("SELECT amelia.last_sequence('" . workflow_of($out) . "')"), '3', 'the lifecycle is there');
query("UPDATE amelia.event_types SET persisted = true WHERE event_type = 'claude_tool_call'");

#
# Recorded runs of others, where they are at hand.
#
my $recorded = $ENV{AMELIA_RECORDED_RUNS} // '';
SKIP:
{
	my @runs = sort glob("'$recorded'/*.traj");
	skip 'AMELIA_RECORDED_RUNS names no folder with recorded runs', 1
		if $recorded eq '' || !@runs;

	($status, $out, $err) = load(@runs);
	is($status, 0, 'all recorded runs load') or diag($err);
	my $count = @runs;
	like($out, qr/$count files: $count loaded, 0 there already, 0 failed/, 'each of them');
	my %workflows = $out =~ m{([^/\n]+\.traj): workflow ([0-9a-f-]{36})}g;
	for my $path (@runs)
	{
		my $id = $workflows{ basename($path) };
		ok(defined $id, basename($path) . ' became a workflow') or next;
		if (decode_json(slurp_file($path))->{trajectory})
		{
			check_content($path, $id);
		}
		else
		{
			is( query(
					qq{SELECT count(*) FROM jsonb_array_elements(pg_read_file('$path')::jsonb -> 'history')
						WITH ORDINALITY AS h (message, place)
						JOIN amelia.workflow_log AS l ON l.workflow_id = '$id'
							AND l.message = h.message ->> 'thought' AND l.data ->> 'action' = h.message ->> 'action'
						WHERE h.message ->> 'role' = 'assistant'}),
				query(
					qq{SELECT count(*) FROM jsonb_array_elements(pg_read_file('$path')::jsonb -> 'history') AS h (message)
						WHERE h.message ->> 'role' = 'assistant'}),
				basename($path) . ': every message of the agent is a step');
		}
	}
	$before = fingerprint();
	($status, $out) = load(@runs);
	like($out, qr/$count files: 0 loaded, $count there already, 0 failed/, 'a second time none');
	is(fingerprint(), $before, 'and nothing is added');
}

is(query('SELECT count(*) FROM amelia.verify()'), '0', 'the database is as it should be');

$node->stop;
done_testing();
