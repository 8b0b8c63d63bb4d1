# amelia-load: runs that were tried more than once are booked once, also when
# they were cut off; runs of mini-swe-agent; what is neither is named.
use strict;
use warnings;

use FindBin;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $program = $ENV{AMELIA_LOAD} || "$FindBin::RealBin/../../client/amelia-load";
my $dir = PostgreSQL::Test::Utils::tempdir();
my $json = JSON::PP->new->canonical;
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION amelia');

# Exit status, standard output, standard error.
sub load
{
	my ($out, $err) = ('', '');
	IPC::Run::run([ $program, '-d', $node->connstr('postgres'), @_ ], '<', \'', '>', \$out, '2>', \$err);
	return ($? >> 8, $out, $err);
}

sub query { return $node->safe_psql('postgres', $_[0]) }

sub forget { query('DELETE FROM amelia.workflows') }

# Files as json.dumps(…, indent=2) writes them: deeper inside, indented deeper.
sub write_file
{
	my ($path, $content) = @_;
	my ($folder) = $path =~ m{^(.*)/};
	mkdir "$dir/$folder" if defined $folder && !-d "$dir/$folder";
	unlink "$dir/$path";
	append_to_file("$dir/$path", ref $content ? $json->pretty->encode($content) : $content);
	return "$dir/$path";
}

# What an attempt of SWE-agent 1.1 leaves, and a run of such attempts.
sub attempt
{
	my ($n, %info) = @_;
	return {
		trajectory => [ map { { action => "ls $n $_", observation => 'README.md', response => "Look $n.", thought => "Look $n.",
			execution_time => 0.25, state => { working_dir => "/repo$n" }, messages => [], extra_info => {} } } 1 .. $n + 1 ],
		history => [ { role => 'system', content => 'You are an agent.', agent => 'main', message_type => 'system_prompt' } ],
		info => { swe_agent_hash => 'unavailable', swe_agent_version => '1.1.0', exit_status => 'submitted', submission => "diff $n",
			model_stats => { instance_cost => 0.1 + $n, tokens_sent => 1000 * ($n + 1), tokens_received => 100, api_calls => $n + 1 }, %info },
		replay_config => '{"agent":{"model":{"name":"claude-sonnet-4"}},"problem_statement":{"id":"repo-7"}}',
		environment => 'swe_main'
	};
}
my @attempts = map { attempt($_) } 0 .. 2;
my $total = { instance_cost => 3.65, tokens_sent => 6900, tokens_received => 330, api_calls => 8 };
my $run = write_file('repo-7/repo-7.traj', {
	attempts => \@attempts, %{ $attempts[1] },
	info => { %{ $attempts[1]{info} }, model_stats => $total, best_attempt_idx => 1, rloop_model_stats => { instance_cost => 0.35 }, chooser => {} } });
mkdir "$dir/repo-7/attempt_$_" for 0 .. 2;
my @alone = map { write_file("repo-7/attempt_$_/repo-7.traj", $attempts[$_]) } 0 .. 2;
my $usage = 'SELECT count(*), sum(cost_usd), sum(input_tokens), sum(output_tokens), sum(num_turns), max(model) FROM amelia.token_usage';

for my $order ([ @alone, $run ], [ $run, @alone ])
{
	my ($status, $out, $err) = load(@$order);
	is("$status$err", '0', 'a folder of attempts is loaded');
	like($out, qr{^\Q$run\E: workflow [0-9a-f-]{36}, completed, 2 steps$}m, 'as one run, with the steps of the best');
	like($out, qr{^\Q$alone[0]\E: passed over, as an attempt of \Q$run\E, which has its cost$}m, 'the attempts are named');
	like($out, qr/^4 files: 1 loaded, 0 there already, 0 failed, 3 passed over$/m, 'and counted');
	is(query($usage), '1|3.650000|6900|330|8|claude-sonnet-4', 'what they cost is booked once');
	is(query(q{SELECT w.issue_id, w.issue_cache ->> 'attempts', w.issue_cache ->> 'submission', l.message
		FROM amelia.workflows AS w JOIN amelia.workflow_log AS l ON l.workflow_id = w.id WHERE l.sequence = 3}),
		'repo-7|3|diff 1|Look 1.', 'under its issue');
	forget();
}
my ($status, $out, $err) = load('-n', @alone, $run);
like($out, qr/^4 files: 1 good, 0 bad, 3 passed over$/m, '--dry-run says the same');

# Attempts that lie elsewhere are runs; then the run would book them again.
my @moved = map { write_file("moved$_.traj", $json->indent->space_before(0)->encode($attempts[$_])) } 0, 2;
($status, $out, $err) = load(@moved);
is($status, 0, 'attempts alone are loaded');
my @ids = $out =~ /workflow ([0-9a-f-]{36})/g;
($status, $out, $err) = load($run);
is($status, 1, 'the run that they belong to is not');
like($err, qr/: attempts of this run are there as workflows of their own: (?:\Q$ids[0]\E, \Q$ids[1]\E|\Q$ids[1]\E, \Q$ids[0]\E)$/m, 'and they are named');
is(query('SELECT sum(cost_usd) FROM amelia.token_usage'), '2.200000', 'nothing is booked twice');
forget();
($status, $out, $err) = load($run);
is($status, 0, 'without them it is');
forget();
# A folder of such a name need not be one of attempts.
mkdir "$dir/attempt_5";
for my $name ('attempt_5/alone.traj', 'attempt_x/a.traj', 'attempt_/a.traj')
{
	($status, $out, $err) = load(write_file($name, attempt(0, submission => $name)));
	like($out, qr/, completed, 1 step$/m, $name);
}
forget();

# Cut off: the attempts that had ended, and no word on the rest.
my $cut = write_file('cut.traj', { attempts => [ @attempts[ 0, 1 ] ] });
($status, $out, $err) = load($cut);
is("$status$err", '0', 'a run that was cut off is loaded');
like($out, qr/, failed, 2 steps$/m, 'with the steps of its last attempt');
is(query($usage), '1|1.200000|3000|200|3|claude-sonnet-4', 'and what all of them cost');
is(query('SELECT issue_id, failure_reason FROM amelia.workflows'), 'repo-7|the recording was cut off after 2 attempts', 'it says how it ended');
($status, $out, $err) = load($cut);
like($out, qr/is there already/, 'once');
forget();
($status, $out, $err) = load(write_file('first.traj', { attempts => [] }));
is("$status$err", '0', 'also one that was cut off in its first attempt');
is(query('SELECT w.issue_id, w.failure_reason, (SELECT count(*) FROM amelia.token_usage) FROM amelia.workflows AS w'),
	'first|the recording was cut off after 0 attempts|0', 'of which nothing is known');
forget();
for my $case (
	[ '{"attempts": [{"trajectory": []},' . "\n" . '{"trajectory": [5]}]}', qr/bad\.traj:2: attempts\[1\]\.trajectory\[0\] is a number, not an object$/m ],
	[ '{"attempts": [{"history": []},' . "\n5]}", qr/bad\.traj:2: attempts\[1\] is a number, not an object$/m ],
	[ '{"attempts": 5}', qr/bad\.traj:1: attempts is a number, not an array$/m ],
	[ '{"attempts": [{"trajectory": [], "info": {"model_stats": {"tokens_sent": "x"}}},' . "\n" . '{"trajectory": []}]}',
		qr/bad\.traj:1: attempts\[0\]\.info\.model_stats\.tokens_sent is a string, not a number$/m ],
	[ '{"attempts": [{"trajectory": [], "info": {"model_stats": {"tokens_sent": 2e9}}}, {"trajectory": [], "info": {"model_stats": {"tokens_sent": 2e9}}}]}',
		qr/the attempts used more than can be booked as one run$/m ])
{
	($status, $out, $err) = load(write_file('bad.traj', $case->[0]));
	is($status, 1, "refused: $case->[0]");
	like($err, $case->[1], 'by its place');
}

# mini-swe-agent 2: text actions, tool calls, the Responses API, an answer that
# could not be parsed.
sub answer
{
	my ($n, %more) = @_;
	return { role => 'assistant', content => "Think $n.",
		extra => { actions => [ { command => "cmd $n" } ], cost => 0.01, timestamp => 1.7e9 + $n,
			response => { id => "r$n", usage => { prompt_tokens => 1000, completion_tokens => 50, prompt_tokens_details => { cached_tokens => 600 } } } }, %more };
}
my $mini = {
	info => { model_stats => { instance_cost => 0.0475, api_calls => 5 }, mini_version => '2.4.5', exit_status => 'Submitted', submission => 'diff --git',
		config => { agent => { step_limit => 0 }, agent_type => 'minisweagent.agents.default.DefaultAgent', model => { model_name => 'anthropic/claude-sonnet-4-5' },
			environment => { cwd => '/testbed' }, environment_type => 'local' } },
	messages => [
		{ role => 'system', content => 'You are helpful.' }, { role => 'user', content => [ { type => 'text', text => 'Solve ' }, { type => 'text', text => 'this.' } ] },
		answer(1), { role => 'user', content => '<returncode>0</returncode>', extra => { returncode => 0 } },
		{ %{ answer(2) }, content => undef, reasoning_content => 'I reason.', tool_calls => [ { id => 'c1', function => { name => 'bash', arguments => '{"command":"cmd 2"}' } } ],
			extra => { %{ answer(2)->{extra} }, actions => [ { command => 'cmd 2', tool_call_id => 'c1' }, { command => 'cmd 3', tool_call_id => 'c2' } ] } },
		{ role => 'tool', tool_call_id => 'c1', content => 'two' }, { role => 'tool', tool_call_id => 'c2', content => 'three' },
		{ role => 'user', content => 'No tool call found.', extra => { interrupt_type => 'FormatError', cost => 0.01, response => answer(9)->{extra}{response} } },
		{ object => 'response', output => [ { type => 'message', content => [ { type => 'output_text', text => 'Now this.' } ] }, { type => 'function_call', name => 'bash' } ],
			usage => { input_tokens => 300, output_tokens => 20, input_tokens_details => { cached_tokens => 100 } }, extra => { actions => [ { command => 'cmd 4' } ], cost => 0.0075 } },
		{ type => 'function_call_output', call_id => 'c3', output => 'four' },
		{ role => 'assistant', content => 'Done.', extra => { actions => [], cost => 0.01, response => 'unserializable' } },
		{ role => 'exit', content => 'diff --git', extra => { exit_status => 'Submitted', submission => 'diff --git' } } ],
	trajectory_format => 'mini-swe-agent-1.1', instance_id => 'repo__repo-9' };
my $path = write_file('repo__repo-9.traj.json', $mini);
($status, $out, $err) = load($path);
is("$status$err", '0', 'a run of mini-swe-agent is loaded, by its name');
like($out, qr/, completed, 4 steps$/m, 'with its steps');
is(query($usage . ' WHERE cache_read_tokens = 1900'), '1|0.047500|3300|170|5|anthropic/claude-sonnet-4-5', 'its cost, its tokens and its model');
is(query(q{SELECT issue_id, split_part(worktree_path, '#', 1), issue_cache ->> 'source', issue_cache ->> 'task', issue_cache ->> 'submission', issue_cache ->> 'exit_status' FROM amelia.workflows}),
	'repo__repo-9|/testbed|mini-swe-agent|Solve this.|diff --git|Submitted', 'what it was asked, and what came out');
is(query(q{SELECT event_type, agent, tool_name, tool_input, message, data FROM amelia.workflow_log WHERE level = 'trace' ORDER BY sequence}), join("\n",
	'claude_tool_call|mini-swe-agent|bash|{"command": "cmd 1"}|Think 1.|{"step": 1, "action": "cmd 1", "observation": "<returncode>0</returncode>"}',
	'claude_tool_call|mini-swe-agent|bash|{"command": "cmd 2\ncmd 3"}|I reason.|{"step": 2, "action": "cmd 2\ncmd 3", "observation": "two\nthree\nNo tool call found."}',
	'claude_tool_call|mini-swe-agent|bash|{"command": "cmd 4"}|Now this.|{"step": 3, "action": "cmd 4", "observation": "four"}',
	'agent_message|mini-swe-agent|||Done.|{"step": 4}'), 'what it did, and was answered');
($status, $out, $err) = load($path);
like($out, qr/is there already/, 'once');
forget();
for my $case ([ '', 'the recording ends without an exit status' ], [ 'LimitsExceeded', 'LimitsExceeded' ], [ undef, 'the recording ends without an exit status' ])
{
	$mini->{info}{exit_status} = $case->[0];
	delete $mini->{instance_id};
	($status, $out, $err) = load(write_file('run.TRAJ.json', $mini));
	is(query('SELECT issue_id, status, failure_reason FROM amelia.workflows'), "run|failed|$case->[1]", 'one that ended otherwise: ' . ($case->[0] // 'null'));
	forget();
}
($status, $out, $err) = load('--model=m', write_file('least.traj.json', { trajectory_format => 'mini-swe-agent-1.1', messages => [], info => {} }));
is("$status$err", '0', 'one of which nothing is known');
is(query('SELECT (SELECT count(*) FROM amelia.token_usage), issue_id FROM amelia.workflows'), '0|least', 'has no usage');
forget();

# What is not known is named.
for my $case (
	[ '{"trajectory_format": "mini-swe-agent-1", "messages": []}', qr/:1: trajectory_format "mini-swe-agent-1" is not known, only "mini-swe-agent-1\.1" is$/m ],
	[ '{"trajectory_format": 2, "messages": []}', qr/:1: trajectory_format is a number, not a string$/m ],
	[ '{"trajectory_format": "mini-swe-agent-1.1"}', qr/messages is nothing, not an array$/m ],
	[ qq({"trajectory_format": "mini-swe-agent-1.1", "messages": [{"role": "user"},\n5]}), qr/:2: messages\[1\] is a number, not an object$/m ],
	[ '{"trajectory_format": "mini-swe-agent-1.1", "messages": [{"role": 5}]}', qr/messages\[0\]\.role is a number, not a string$/m ],
	[ '{"trajectory_format": "mini-swe-agent-1.1", "messages": [{"role": "user", "content": 5}]}', qr/messages\[0\]\.content is a number, not a string$/m ],
	[ '{"trajectory_format": "mini-swe-agent-1.1", "messages": [{"role": "assistant", "extra": {"response": {"usage": {"prompt_tokens": -1}}}}]}',
		qr/messages\[0\]: the tokens of a run are not a number from 0 to 2147483647$/m ],
	[ '{"trajectory_format": "mini-swe-agent-1.1", "messages": [], "info": {"exit_status": 5}}', qr/info\.exit_status is a number, not a string$/m ],
	[ '{"repo__repo-9": {"model_patch": "diff"}, "repo__repo-8": {}}',
		qr/:1: has neither "trajectory" nor "history", so it is no recorded run\n.*detail: It has "repo__repo-9", "repo__repo-8"\.$/m ],
	[ '{}', qr/detail: It has no members\.$/m ],
	[ '[{"role": "system"}]', qr/:1: is an array, not an object$/m ])
{
	($status, $out, $err) = load(write_file('odd.traj.json', $case->[0]));
	is($status, 1, "refused: $case->[0]");
	like($err, $case->[1], 'by name');
}
($status, $out, $err) = load(write_file('preds.json', '{}'));
like($err, qr/preds\.json: what it holds does not tell its format$/m, 'a file of another kind');
is(query('SELECT count(*) FROM amelia.workflows'), '0', 'nothing is stored');

$node->stop;
done_testing();
