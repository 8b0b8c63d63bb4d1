# amelia-load and JSON Lines: every field arrives, in order, once.

use strict;
use warnings;

use Digest::SHA qw(sha256);
use FindBin;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = "$FindBin::RealBin/../..";
my $program = $ENV{AMELIA_LOAD} || "$top/client/amelia-load";
my $samples = "$top/samples";
my $files = PostgreSQL::Test::Utils::tempdir();

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
# A session's settings must not change what a file means.
$node->append_conf('postgresql.conf', qq{timezone = 'Asia/Tokyo'\ndatestyle = 'SQL, DMY'\n});
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE events');
$node->safe_psql('events', 'CREATE EXTENSION amelia');

sub load_from
{
	my ($input, @args) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run([ $program, '-d', $node->connstr('events'), @args ],
		'<', \$input, '>', \$out, '2>', \$err);
	return ($? >> 8, $out, $err);
}

sub load
{
	return load_from('', @_);
}

sub query
{
	return $node->safe_psql('events', $_[0]);
}

sub events_of
{
	return query("SELECT count(*) FROM amelia.workflow_log WHERE workflow_id = '$_[0]'");
}

my $made = 0;

sub new_workflow
{
	$made++;
	return query("SELECT id FROM amelia.create_workflow('ISSUE-$made', '/worktree/$made')");
}

my $written = 0;

sub lines
{
	my $path = sprintf('%s/file%d.jsonl', $files, ++$written);
	append_to_file($path, join('', map { "$_\n" } @_));
	return $path;
}

my $here = new_workflow();
my $there = new_workflow();

#
# The sample, a whole run.
#
my ($status, $out, $err) = load("$samples/sample-run.jsonl");
is($status, 1, 'a run whose workflow is not there is refused');
like($err, qr/sample-run\.jsonl:1: workflow [0-9a-f-]{36} does not exist/, 'by name');
like($err, qr/hint: .*--create-workflows/, 'and a hint tells what can be done');
($status, $out, $err) = load('--create-workflows', "$samples/sample-run.jsonl");
is("$status|$err", '0|', 'so it loads');
like($out, qr/14 events added to 1 workflow$/m, 'and says what was added');
($status, $out, $err) = load("$samples/sample-run.jsonl");
is("$status|$err", '0|', 'a second time is no error');
like($out, qr/14 events, all there already$/m, 'and adds nothing');
is( query(
		q{SELECT count(*), count(DISTINCT id), min(sequence), max(sequence), bool_or(message LIKE '%“CSV”%'),
			count(*) FILTER (WHERE event_type = 'workflow_created') FROM amelia.workflow_log
			WHERE workflow_id = (SELECT workflow_id FROM amelia.workflow_log WHERE message = 'Task 1 done')}),
	'14|14|1|14|t|1', 'its events are those of the file and no others, in Unicode');
is( query(
		q{SELECT status, failure_reason, started_at IS NOT NULL, completed_at IS NOT NULL, worktree_path = 'recorded#' || id
			FROM amelia.workflows WHERE issue_id = id::text}),
	'completed||t|t|t', 'its workflow is in the state that its events tell');

#
# Every field, in every order; what is not given is as append_event has it.
#
my $first = '11111111-1111-4111-8111-111111111111';
my $second = '22222222-2222-4222-8222-222222222222';
my $path = lines(
	qq({"id":"$first","workflow_id":"$here","event_type":"agent_message","message":"one"}),
	'',
	" \t",
	qq({"parent_id":"{$first}","trace_id":"t","tool_input":{"n":1.10,"big":9007199254740993},)
		. qq("tool_name":"tool","correlation_id":"c","id":"\U$second\E","timestamp":"2026-02-03 04:05:06.789",)
		. qq("is_error":true,"data":[1e2,0.1,"\\u00e4\\ud83d\\ude00",{"x":null}],"agent":"me","level":"warning",)
		. qq("message":"","event_type":"of my own","workflow_id":"$here"}\r),
	qq({"workflow_id":"$there","event_type":"task_failed","message":"three","data":null,"timestamp":"2026-02-03T04:05+02:00"}));
($status, $out, $err) = load('-v', $path);
is($status, 0, 'all fields load') or diag($err);
like($out, qr/workflow \Q$here\E: 2 events added/, '--verbose counts by workflow');
is( query(
		qq{SET timezone = 'UTC'; SELECT sequence, id, event_type, message, level, agent, data, is_error,
			correlation_id, tool_name, tool_input, trace_id, parent_id
			FROM amelia.events_after('$here', 1)}),
	"2|$first|agent_message|one|trace|||f|||||\n"
		. "3|$second|of my own||warning|me|[100, 0.1, \"\x{c3}\x{a4}\x{f0}\x{9f}\x{98}\x{80}\", {\"x\": null}]|t"
		. "|c|tool|{\"n\": 1.10, \"big\": 9007199254740993}|t|$first",
	'as they stand in the file, numbers digit by digit');
is( query(
		qq{SET timezone = 'UTC'; SET datestyle = 'ISO'; SELECT "timestamp" FROM amelia.workflow_log
			WHERE id = '$second' OR message = 'three' ORDER BY message}),
	"2026-02-03 04:05:06.789+00\n2026-02-03 02:05:00+00",
	'a time without a zone is UTC, whatever the session');
is(query("SELECT level, is_error FROM amelia.workflow_log WHERE message = 'three'"),
	'error|t', 'level and is_error follow the type');

#
# Ids that follow from the content.
#
my $line = qq({"workflow_id":"$there","event_type":"x","message":"a \\"quoted\\" text","data":[1, 2]});
my $squeezed = $line =~ s/1, 2/1,2/r;
$path = lines($line, $line, $squeezed);
($status, $out) = load($path);
like($out, qr/3 events added/, 'equal lines of one file are so many events');

# What docs/amelia-load.md promises of them, calculated here once more.
my @expected = map {
	my $digest = sha256("amelia-load event\n" . sha256($squeezed) . pack('N', $_));
	my @bytes = unpack('C16', $digest);
	$bytes[6] = $bytes[6] & 0x0f | 0x80;
	$bytes[8] = $bytes[8] & 0x3f | 0x80;
	my $hex = unpack('H*', pack('C16', @bytes));
	$hex =~ s/^(.{8})(.{4})(.{4})(.{4})/$1-$2-$3-$4-/r
} 1 .. 3;
is( query(qq{SELECT id FROM amelia.workflow_log WHERE event_type = 'x' ORDER BY sequence}),
	join("\n", @expected), 'their ids are UUIDs from SHA-256, version 8');
append_to_file($path, "$line\n" . $line =~ s/quoted/other/r . "\n");
($status, $out) = load($path);
like($out, qr/2 events added to 1 workflow, 3 there already/, 'a file that grew adds what is new');
is(query('SELECT count(*) FROM amelia.workflow_log WHERE event_type = \'x\''), '5', 'and no more');

($status, $out, $err) =
	load(lines(qq({"id":"$first","workflow_id":"$here","event_type":"agent_message","message":"two"})));
is($status, 1, 'an id that stands for another event is refused');
like($err, qr/:1: event \Q$first\E exists already, with other content \(SQLSTATE 23505\)/, 'by line and reason');

#
# Order and sequences with several workflows, more lines than are on their way
# at once, and a long one.
#
my @many;
for my $i (1 .. 3000)
{
	my $workflow = $i % 3 ? $here : $there;
	my $message = $i == 1500 ? 'x' x 5_000_000 : "m$i";
	push @many, qq({"workflow_id":"$workflow","event_type":"many","message":"$message","data":{"i":$i}});
}
$path = lines(@many);
($status, $out, $err) = load($path);
is($status, 0, 'thousands of lines load') or diag($err);
like($out, qr/3000 events added to 2 workflows/, 'all of them');
is( query(
		q{SELECT bool_and(ordered) FROM (
			SELECT (data ->> 'i')::integer > COALESCE(lag((data ->> 'i')::integer) OVER w, 0) AS ordered
			FROM amelia.workflow_log WHERE event_type = 'many'
			WINDOW w AS (PARTITION BY workflow_id ORDER BY sequence)) AS o}),
	't', 'in the order of the file');
is(query('SELECT count(*) FROM amelia.verify()'), '0', 'without a gap');
($status, $out) = load($path);
like($out, qr/3000 events, all there already/, 'and once');

#
# Workflows that are not there.
#
my $missing = '33333333-3333-4333-8333-333333333333';
my $before = events_of($here);
$path = lines(
	qq({"workflow_id":"$here","event_type":"x","message":"good"}),
	qq({"workflow_id":"$missing","event_type":"x","message":"missing"}));
($status, $out, $err) = load($path);
is($status, 1, 'a workflow that is not there');
like($err, qr/:2: workflow \Q$missing\E does not exist/, 'is named with its line');
is(events_of($here), $before, 'and nothing of the file is stored');
($status, $out, $err) = load('--create-workflows', $path);
is($status, 0, 'unless it shall be made') or diag($err);
is(events_of($missing), '1', 'then its event is stored');
is(events_of($here), $before + 1, 'and the rest');
($status, $out) = load('--create-workflows', $path);
like($out, qr/2 events, all there already/, 'a second time adds nothing');
is( query("SELECT status FROM amelia.get_workflow('$here')"), 'pending',
	'a workflow that was there keeps its status');

# In the end that its events tell, and never such that a worker would take it.
my %ends = (
	4 => [ [], 'failed|the recording ends before the workflow does' ],
	5 => [ ['workflow_completed'], 'completed|' ],
	6 => [ ['workflow_failed'], 'failed|says "workflow_failed"' ],
	7 => [ ['workflow_cancelled'], 'cancelled|says "workflow_cancelled"' ],
	8 => [ [qw(workflow_failed workflow_started workflow_completed)], 'completed|' ],
	9 => [ [qw(workflow_failed workflow_started agent_message)], 'failed|the recording ends before the workflow does' ]);
my $ended = sub { sprintf('44444444-4444-4444-8444-%012d', $_[0]) };
my @told;
for my $n (sort keys %ends)
{
	push @told, map {
		my $message = $_ eq 'agent_message' ? '' : qq(says \\"$_\\");
		sprintf('{"workflow_id":"%s","event_type":"%s","message":"%s"}', $ended->($n), $_, $message)
	} 'workflow_created', @{ $ends{$n}[0] }, 'x';
}
($status, $out, $err) = load('--create-workflows', lines(@told));
is("$status|$err", '0|', 'several workflows are made');
for my $n (sort keys %ends)
{
	is( query("SELECT status, failure_reason FROM amelia.get_workflow('" . $ended->($n) . "')"),
		$ends{$n}[1], "one that tells: @{ $ends{$n}[0] }");
}

#
# Types that are not persisted, events that were removed.
#
($status, $out) = load(lines(
		qq({"workflow_id":"$here","event_type":"stream","message":"not kept"}),
		qq({"workflow_id":"$here","event_type":"x","message":"kept"})));
like($out, qr/1 event added to 1 workflow, 1 of types that are not persisted/, 'what is not persisted is told');
$path = lines(qq({"workflow_id":"$here","event_type":"gone","message":"gone"}));
load($path);
query("DELETE FROM amelia.workflow_log WHERE event_type = 'gone'");
($status, $out, $err) = load($path);
like($err, qr/1 event of workflow \Q$here\E had been removed; what the file has of them is there again/,
	'an event that was removed comes back, with a warning');

#
# Standard input: a pipe, read from the start more than once.
#
($status, $out, $err) =
	load_from(qq(\xef\xbb\xbf{"workflow_id":"$here","event_type":"piped","message":"1"}\n)
		. qq({"workflow_id":"$here","event_type":"piped","message":"no line end"}), '-');
is($status, 0, 'standard input loads') or diag($err);
like($out, qr/^standard input: 2 events added/, 'without a format named, with a byte order mark');
($status, $out, $err) = load_from(slurp_file("$samples/sample-run.traj"), '-F', 'traj', '-');
like($out, qr/^standard input: workflow .*, completed, 7 steps/, 'a recorded run too');
($status, $out, $err) = load_from("{}\n", '-', "$samples/sample-run.jsonl");
is($status, 1, 'a bad one');
like($err, qr/standard input:1: workflow_id is missing/, 'is named');
like($out, qr/sample-run\.jsonl: 14 events, all there already/, 'and the others are loaded');
($status, $out, $err) = load('-');
like($err, qr/standard input: is empty/, 'an empty one too');

$node->stop;
done_testing();
