# amelia-load and what other programs record of agents: sessions of Claude Code
# and traces of OpenTelemetry arrive whole, once, and odd entries are named.

use strict;
use warnings;

use Encode ();
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
my $json = JSON::PP->new->canonical->utf8;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->append_conf('postgresql.conf', qq{timezone = 'UTC'\n});
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE recordings');
$node->safe_psql('recordings', 'CREATE EXTENSION amelia');

sub load_from
{
	my ($input, @args) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run([ $program, '-d', $node->connstr('recordings'), @args ],
		'<', \$input, '>', \$out, '2>', \$err);
	return ($? >> 8, $out, $err);
}

sub load
{
	return load_from('', @_);
}

sub query
{
	return $node->safe_psql('recordings', $_[0]);
}

sub file_of
{
	my ($name, @lines) = @_;
	my $path = "$files/$name";

	open(my $handle, '>:raw', $path) or die "$path: $!";
	print $handle map { ref $_ ? $json->encode($_) . "\n" : $_ } @lines;
	close $handle;
	return $path;
}

#
# Sessions of Claude Code.
#
my $session = '7b0d7a52-3c1f-4e0a-9f51-6b8f0a7d2c11';

my ($status, $out, $err) = load("$samples/sample-session.jsonl");
is($status, 1, 'a model that has no price refuses the file');
like($err, qr/sample-session\.jsonl:3: no price for model "claude-sonnet-4-5-20250929".*P0002/, '... by line, model and SQLSTATE');
is(query('SELECT count(*) FROM amelia.workflows'), '0', '... and nothing is stored');

query(q{INSERT INTO amelia.model_prices (model, input, output, cache_read, cache_creation, input_includes_cached)
	VALUES ('claude-sonnet-4-5-20250929', 3, 15, 0.3, 3.75, false), ('gpt-4o-mini-2024-07-18', 0.15, 0.6, 0.075, 0, true)});

($status, $out, $err) = load('-n', "$samples/sample-session.jsonl", "$samples/sample-trace.json");
is("$status $err", '0 ', 'a dry run of both');
like($out, qr/sample-session\.jsonl: 5 events of 1 workflow, 2 calls of a model$/m, '... counts a session');
like($out, qr/sample-trace\.json: 6 events of 1 workflow, 2 calls of a model$/m, '... and a trace');

($status, $out, $err) = load("$samples/sample-session.jsonl");
is("$status $err", '0 ', 'a session of Claude Code is loaded');
like($out, qr/1 line of kinds that are not loaded: file-history-snapshot$/m, '... what is left out is named');
like($out, qr/5 events added to 1 workflow, 2 calls booked$/m, '... what is added is counted');
is(query("SELECT issue_id, worktree_path, status, issue_cache ->> 'source', issue_cache ->> 'title', issue_cache #>> '{details,gitBranch}'
	FROM amelia.workflows WHERE id = '$session'"),
	"$session|/home/dev/shop#7b0d7a52|completed|claude-code|The total in the cart is wrong when a coupon is used. Find out why.|main",
	'... as a workflow of the id of the session');
is(query("SELECT sequence, \"timestamp\", event_type, agent, tool_name, correlation_id, left(message, 30) FROM amelia.workflow_log
	WHERE workflow_id = '$session' ORDER BY sequence"), <<'END' =~ s/\n\z//r, '... with an event for each block');
1|2026-03-02 09:18:02.115+00|agent_message|user|||The total in the cart is wrong
2|2026-03-02 09:18:06.02+00|claude_thinking|claude-code||msg_01A|The coupon may be taken off tw
3|2026-03-02 09:18:07.41+00|claude_tool_call|claude-code|Bash|toolu_01A|Bash: Where coupons are used
4|2026-03-02 09:18:07.902+00|claude_tool_result|user|Bash|toolu_01A|src/cart.py:41:    total -= co
5|2026-03-02 09:18:11.73+00|agent_message|claude-code||msg_01B|The coupon is taken off twice:
END
is(query("SELECT input_tokens, output_tokens, cache_read_tokens, cache_creation_tokens, cost_usd FROM amelia.token_usage
	WHERE workflow_id = '$session' ORDER BY \"timestamp\""), "9|143|14100|5200|0.025902\n4|61|19300|310|0.007880",
	'... and each call booked once, as its last line says');

($status, $out, $err) = load("$samples/sample-session.jsonl");
like($out, qr/5 events, all there already$/m, 'loaded again it adds nothing');
is(query("SELECT count(*) FROM amelia.token_usage WHERE workflow_id = '$session'"), '2', '... and books nothing');

# A session that goes on, in a file that is being written.
my @lines = map { $json->decode($_) } split /\n/, slurp_file("$samples/sample-session.jsonl");
my %next = (%{ $lines[5] }, uuid => 'next', parentUuid => $lines[5]{uuid}, timestamp => '2026-03-02T09:19:00.000Z', requestId => 'req_02',
	message => { %{ $lines[5]{message} }, id => 'msg_02', content => [ { type => 'text', text => "cut here: \x{1F600}" }, { type => 'image', source => {} } ] });
my %aside = (%next, uuid => 'aside', isSidechain => JSON::PP::true, agentId => 'a1b2', requestId => 'req_03',
	message => { %{ $next{message} }, id => 'msg_03', content => [ { type => 'text', text => 'looked' } ] });
my %synthetic = (%next, uuid => 'failed', requestId => 'req_04', isApiErrorMessage => JSON::PP::true,
	message => { %{ $next{message} }, id => 'msg_04', model => '<synthetic>', content => [ { type => 'text', text => 'API Error: overloaded' } ] });
my %odd_usage = (%next, uuid => 'odd', requestId => 'req_05', message => { %{ $next{message} }, id => 'msg_05', usage => { input_tokens => -3 } });
my $grown = file_of('grown.jsonl', @lines, \%next, \%aside, \%synthetic, \%odd_usage,
	q({"type":"user","sessionId":") . $session . q(","uuid":"nul","timestamp":"2026-03-02T09:20:00Z","message":{"role":"user","content":"a\u0000b\ud83d and \\\\u0000"}}) . "\n",
	{ type => 'user', sessionId => $session, uuid => 'timeless', message => { role => 'user', content => 'when?' } },
	{ type => 'user', sessionId => $session, uuid => 'day', timestamp => '2026-02-31T00:00:00Z', message => { role => 'user', content => 'no day' } },
	"[1]\n", "\n", q({"type":"progress","sessionId":"x"}) . "\n", q({"type":"ai-title","sessionId":") . $session . q(","aiTitle":"Coupons"}) . "\n",
	q({"type":"assistant","sess));
($status, $out, $err) = load($grown);
is($status, 0, 'a session that grew is loaded');
like($out, qr/7 events added to 1 workflow, 2 calls booked, 5 events there already$/m, '... and only what is new is added');
like($out, qr/kinds that are not loaded: file-history-snapshot, progress$/m, '... lines of other kinds are named');
like($err, qr/grown\.jsonl:10: passed over: its usage is no count of tokens/, '... so is a usage that is none');
like($err, qr/grown\.jsonl:12: passed over: it has no timestamp/, '... a line without a time');
like($err, qr/grown\.jsonl:13: passed over: it has no timestamp/, '... one with a day that there is not');
like($err, qr/grown\.jsonl:14: passed over: is an array, not an object/, '... one that is no object');
like($err, qr/grown\.jsonl:18: passed over: ends in the middle of a value/, '... and one that is not yet written to its end');
like($err, qr/2 characters that PostgreSQL cannot store were replaced by U\+FFFD/, '... and what cannot be stored');
is(query("SELECT string_agg(agent || ' ' || event_type || ' ' || is_error || ' ' || message, ', ' ORDER BY sequence) FROM amelia.workflow_log WHERE workflow_id = '$session' AND sequence > 5"),
	Encode::encode('UTF-8', "claude-code agent_message false cut here: \x{1F600}, claude-code agent_message false (image), claude-code/a1b2 agent_message false looked, "
	. "claude-code system_error true API Error: overloaded, claude-code agent_message false cut here: \x{1F600}, claude-code agent_message false (image), "
	. "user agent_message false a\x{FFFD}b\x{FFFD} and \\u0000"),
	'... each as what it is');

# Taken up under another id, with the lines of the first once more.
my $resumed = '8c1d7a52-3c1f-4e0a-9f51-6b8f0a7d2c12';
($status, $out, $err) = load(file_of('resumed.jsonl', map { { %$_, sessionId => $resumed } } @lines[ 1 .. 5 ], { %aside, uuid => 'later' }));
like($out, qr/6 events added to 1 workflow, 0 calls booked$/m, 'a session that was taken up again has its events, and no call is booked twice');

# A call that was loaded while it was answered.
my %begun = (%next, sessionId => $resumed, uuid => 'begun', requestId => 'req_09', message => { %{ $next{message} }, id => 'msg_09', usage => { input_tokens => 1, output_tokens => 2 } });
my %ended = (%begun, uuid => 'ended', message => { %{ $begun{message} }, usage => { input_tokens => 1, output_tokens => 200 } });
load(file_of('begun.jsonl', \%begun));
($status, $out, $err) = load(file_of('ended.jsonl', \%begun, \%ended));
like($err, qr/a call is booked with 2 output tokens, and has 200 here; it stays as it is booked/, 'a call that was booked too early is named');

# A workflow of that id that is somebody's own.
my $own = query("SELECT id FROM amelia.create_workflow('OWN-1', '/own')");
($status, $out, $err) = load(file_of('own.jsonl', { %{ $lines[1] }, sessionId => $own }));
is($status, 1, 'a workflow that is no recorded session is left alone');
like($err, qr/workflow $own is there and was not loaded from such a file/, '... and named');

#
# Traces of OpenTelemetry.
#
my $trace = '00da5f1a-a3fb-8b74-8f9f-c5961bc0d663';

($status, $out, $err) = load("$samples/sample-trace.json");
is("$status $err", '0 ', 'a trace is loaded');
like($out, qr/1 span without attributes of generative AI$/m, '... other spans are counted');
like($out, qr/6 events added to 1 workflow, 2 calls booked$/m, '... what is added is counted');
is(query("SELECT sequence, \"timestamp\", event_type, agent, tool_name, tool_input, left(message, 30) FROM amelia.workflow_log
	WHERE workflow_id = '$trace' ORDER BY sequence"), <<'END' =~ s/\n\z//r, '... by what each span is about, in the order of time');
1|2026-03-02 09:18:02+00|stage_started|reviewer|||invoke_agent reviewer
2|2026-03-02 09:18:03.9+00|agent_message|reviewer|||chat gpt-4o-mini
3|2026-03-02 09:18:03.95+00|claude_tool_call|reviewer|read_diff|{"number": 17}|execute_tool read_diff
4|2026-03-02 09:18:04.4+00|claude_tool_result|reviewer|read_diff||-    total -= coupon.value
5|2026-03-02 09:18:07.1+00|agent_message|reviewer|||Approved: the coupon is taken 
6|2026-03-02 09:18:07.2+00|stage_completed|reviewer|||invoke_agent reviewer
END
is(query("SELECT agent, model, input_tokens, output_tokens, cache_read_tokens, cost_usd, duration_ms FROM amelia.token_usage
	WHERE workflow_id = '$trace' ORDER BY \"timestamp\""),
	"reviewer|gpt-4o-mini-2024-07-18|1200|60|0|0.000216|1860\nreviewer|gpt-4o-mini-2024-07-18|1500|120|1024|0.000220|2650",
	'... the calls are booked, not what the agent adds up');
is(query("SELECT count(DISTINCT data #>> '{attributes,gen_ai.response.model}'), min(data ->> 'parent_span_id') FROM amelia.workflow_log
	WHERE workflow_id = '$trace' AND event_type = 'agent_message'"), '1|aaaaaaaaaaaaaa01', '... attributes and parents are kept');
($status, $out, $err) = load("$samples/sample-trace.json");
like($out, qr/6 events, all there already$/m, 'loaded again it adds nothing');

# The collector's files have a document in each line, and more than one trace.
sub attributes
{
	my %of = @_;
	return [ map { { key => $_, value => ref $of{$_} ? $of{$_} : { stringValue => $of{$_} } } } sort keys %of ];
}

sub span_of
{
	my ($trace_id, $id, $parent, $attributes, %more) = @_;
	return { traceId => $trace_id, spanId => $id, parentSpanId => $parent, name => "span $id", startTimeUnixNano => '1772443082000000000',
		endTimeUnixNano => '1772443083000000000', attributes => attributes(%$attributes), %more };
}

sub document_of
{
	return { resourceSpans => [ { resource => { attributes => attributes('service.name' => 'collector') }, scopeSpans => [ { spans => [@_] } ] } ] };
}
my %chat = ('gen_ai.operation.name' => 'chat', 'gen_ai.response.model' => 'gpt-4o-mini-2024-07-18');
my $lines_of_documents = file_of('traces.jsonl',
	document_of(span_of('t1', 'a', undef, { %chat, 'gen_ai.usage.prompt_tokens' => { intValue => 10 }, 'gen_ai.usage.completion_tokens' => { intValue => '5' }, 'gen_ai.completion.0.content' => 'older words' }),
		span_of('t2', 'b', '', {%chat}, status => { code => 2, message => 'rate limited' })),
	{ resourceLogs => [] },
	document_of(span_of('t1', 'c', 'a', { %chat, 'gen_ai.usage.input_tokens' => { intValue => '-7' } }),
		span_of('t1', 'd', 'd', {%chat}), span_of('t1', 'e', 'f', {%chat}), span_of('t1', 'f', 'e', {%chat}),
		span_of('t3', 'g', '', { 'http.request.method' => 'GET' }),
		span_of('t1', 'h', '', {%chat}, endTimeUnixNano => '0'), { name => 'nameless' }),
	"not JSON\n");
($status, $out, $err) = load($lines_of_documents);
is($status, 0, 'a file of the collector is loaded');
like($out, qr/1 document without spans$/m, '... what holds no spans is counted');
like($out, qr/6 events added to 2 workflows, 1 call booked$/m, '... what is of its traces that are about generative AI is added');
like($err, qr/traces\.jsonl:3: passed over: the usage of span c is no count of tokens/, '... a usage that is none is named');
like($err, qr/traces\.jsonl:3: passed over: span h has no start and end/, '... a span without an end');
like($err, qr/traces\.jsonl:3: passed over: a span has no traceId or no spanId/, '... one that nothing can be said about');
like($err, qr/traces\.jsonl:4: passed over: not valid JSON/, '... and a line that is not JSON');
is(query(q{SELECT status, failure_reason FROM amelia.workflows WHERE issue_id IN ('t1', 't2') ORDER BY issue_id}), "completed|\nfailed|rate limited",
	'... a trace whose first span failed is a workflow that failed');
is(query(q{SELECT message, agent FROM amelia.workflow_log WHERE correlation_id = 'a'}), 'older words|collector', '... names of older conventions are known');

# A call of a tool that neither the span nor its attributes name.
($status, $out, $err) = load(file_of('no-name.json', document_of(span_of('t4', 'i', '',
	{ 'gen_ai.operation.name' => 'execute_tool', 'gen_ai.tool.call.result' => 'said' }, name => undef))));
is("$status $err", '0 ', 'a span without a name is loaded');
is(query(q{SELECT event_type, tool_name, message FROM amelia.workflow_log WHERE correlation_id = 'i' ORDER BY sequence}),
	"claude_tool_call|execute_tool|execute_tool\nclaude_tool_result|execute_tool|said", '... the tool is called as the operation');

#
# Formats are told apart by what is in a file, and can be named.
#
($status, $out, $err) = load_from(slurp_file("$samples/sample-trace.json"), '-');
like($out, qr/6 events, all there already$/m, 'standard input that holds a trace is known for one');
($status, $out, $err) = load_from(slurp_file("$samples/sample-session.jsonl"), '--format=claude', '-');
like($out, qr/5 events, all there already$/m, 'a format can be named');
($status, $out, $err) = load(file_of('other.json', "{\"a\": 1}\n"));
is($status, 1, 'JSON of another kind is refused');
like($err, qr/other\.json: what it holds does not tell its format/, '... and says why');
($status, $out, $err) = load('--format=claude', file_of('nothing.jsonl', "{\"a\": 1}\n"));
is($status, 1, 'a file without anything to load is refused');
like($err, qr/nothing\.jsonl: holds nothing that can be loaded/, '... and says so');
($status, $out, $err) = load('--format=otel', 'x');
is($status, 3, 'a format that there is not is wrong usage');
like($err, qr/there are traj, jsonl, claude and otlp/, '... and those that there are are named');

is(query('SELECT count(*) FROM amelia.verify()'), '0', 'verify() finds nothing');

done_testing();
