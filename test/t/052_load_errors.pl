# amelia-load and files that are not what they should be: named with line and
# reason, nothing of them stored, the others loaded, the exit status says so.

use strict;
use warnings;

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
$node->safe_psql('postgres', 'CREATE DATABASE errors');
$node->safe_psql('errors', 'CREATE EXTENSION amelia');

sub load_into
{
	my ($database, @args) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run([ $program, '-d', $node->connstr($database), @args ],
		'<', \'', '>', \$out, '2>', \$err);
	return ($? >> 8, $out, $err);
}

# Without a database: what can be known without one must be known then.
sub check_only
{
	my ($out, $err) = ('', '');
	IPC::Run::run([ $program, '--dry-run', @_ ], '<', \'', '>', \$out, '2>', \$err);
	return ($? >> 8, $out, $err);
}

sub count_rows
{
	return $node->safe_psql('errors',
		'SELECT (SELECT count(*) FROM amelia.workflows), (SELECT count(*) FROM amelia.workflow_log),'
			. ' (SELECT count(*) FROM amelia.token_usage)');
}

my $written = 0;

sub write_bytes
{
	my ($extension, $bytes) = @_;
	my $path = sprintf('%s/file%d.%s', $files, ++$written, $extension);
	append_to_file($path, $bytes);
	return $path;
}

my $workflow =
	$node->safe_psql('errors', q{SELECT id FROM amelia.create_workflow('ISSUE-1', '/worktree')});
my $good = qq({"workflow_id":"$workflow","event_type":"x","message":"good"});

# A line that begins well; the test goes on from there.
sub with
{
	return substr($good, 0, -1) . ",$_[0]}";
}

# The sample run with a change.
my $sample = slurp_file("$samples/sample-run.traj");

sub sample_with
{
	my ($change) = @_;
	my $run = decode_json($sample);
	$change->($run);
	return JSON::PP->new->utf8->indent->canonical->encode($run);
}

# Name, extension, content, expected line (0: none; a text: where it stands),
# expected reason.
my @bad = (
	[ 'an empty file', 'jsonl', '', 0, qr/is empty/ ],
	[ 'a file of blank lines', 'jsonl', "\n \n", 0, qr/holds no event/ ],
	[ 'an empty run', 'traj', '', 0, qr/is empty/ ],
	[ 'a blank run', 'traj', " \n", 0, qr/is empty/ ],

	# strings
	[ 'NUL in data', 'jsonl', "$good\n" . with('"data":{"a":["\u0000"]}'), 2, qr/\\u0000, which PostgreSQL cannot store/ ],
	[ 'NUL in a message', 'jsonl', with('"agent":"a\u0000b"'), 1, qr/\\u0000, which PostgreSQL cannot store/ ],
	[ 'NUL in a key', 'jsonl', with('"data":{"\u0000":1}'), 1, qr/\\u0000, which PostgreSQL cannot store/ ],
	[ 'NUL in a run', 'traj', sample_with(sub { $_[0]{trajectory}[2]{observation} = "a\0b" }), '"a\u0000b"', qr/\\u0000, which PostgreSQL cannot store/ ],
	[ 'a raw NUL', 'jsonl', "$good\n" . with("\"agent\":\"a\0b\""), 2, qr/contains a NUL byte/ ],
	[ 'NULs for a file', 'jsonl', "\0" x 100, 1, qr/contains a NUL byte/ ],
	[ 'a raw NUL in a run', 'traj', "{\"trajectory\":[\n\0\n]}", 2, qr/contains a NUL byte/ ],
	[ 'a NUL after the end', 'traj', "$sample\0", "\0", qr/contains a NUL byte/ ],
	[ 'invalid UTF-8', 'jsonl', "$good\n$good\n" . with("\"agent\":\"\xc3\x28\""), 3, qr/not valid UTF-8/ ],
	[ 'Latin-1', 'traj', "{\"history\":[],\n\"environment\":\"M\xfcller\"}", 2, qr/not valid UTF-8/ ],
	[ 'overlong UTF-8', 'jsonl', with("\"agent\":\"\xc0\x80\""), 1, qr/not valid UTF-8/ ],
	[ 'half a surrogate pair', 'jsonl', with('"agent":"\ud800"'), 1, qr/invalid Unicode/ ],
	[ 'a control character', 'jsonl', with("\"agent\":\"a\x01b\""), 1, qr/control character 0x1/ ],

	# shape
	[ 'a truncated line', 'jsonl', "$good\n" . substr($good, 0, 60), 2, qr/ends in the middle of a value/ ],
	[ 'a truncated run', 'traj', substr($sample, 0, 1500) . '|', '|', qr/ends in the middle of a value/ ],
	[ 'deep nesting', 'jsonl', with('"data":' . '[' x 5000 . ']' x 5000), 1, qr/nested too deeply/ ],
	[ 'deep nesting in a run', 'traj', "{\"trajectory\":\n" . '[' x 100_000, 2, qr/nested too deeply/ ],
	[ 'a key that stands there twice', 'jsonl', with('"data":{"a":1,"a":2}'), 1, qr/duplicate object key/ ],
	[ 'a field that stands there twice', 'jsonl', with('"message":"other"'), 1, qr/duplicate object key/ ],
	[ 'two values on a line', 'jsonl', "$good $good", 1, qr/more follows after the end of the value/ ],
	[ 'lines for a run', 'traj', "$good\n$good\n", 2, qr/more follows after the end of the value/ ],
	[ 'the beginning of a run for lines', 'jsonl', substr($sample, 0, 200), 1, qr/ends in the middle.*\n.*hint: Each line must be one whole JSON object/ ],
	[ 'text', 'jsonl', "$good\nhello\n", 2, qr/not valid JSON/ ],
	[ 'an array for a line', 'jsonl', "[1]", 1, qr/is an array, not an object/ ],
	[ 'an array for a run', 'traj', "[]", 1, qr/is an array, not an object/ ],
	[ 'a document that is no run', 'traj', '{"name": "amelia"}', 1, qr/has neither "trajectory" nor "history"/ ],

	# numbers
	[ 'an integer out of range', 'jsonl', with('"data":{"n":123456789012345678901}'), 1, qr/number out of range/ ],
	[ 'a number out of range', 'jsonl', with('"data":1e999'), 1, qr/number out of range/ ],
	[ 'too many tokens', 'traj', sample_with(sub { $_[0]{info}{model_stats}{tokens_sent} = 2147483648 }), '"tokens_sent"', qr/info\.model_stats\.tokens_sent is 2147483648, not a whole number from 0 to 2147483647/ ],
	[ 'a negative number of tokens', 'traj', sample_with(sub { $_[0]{info}{model_stats}{tokens_received} = -1 }), '"tokens_received"', qr/tokens_received is -1, not/ ],
	[ 'half a call', 'traj', sample_with(sub { $_[0]{info}{model_stats}{api_calls} = 1.5 }), '"api_calls"', qr/api_calls is 1\.5, not/ ],
	[ 'a cost that no column holds', 'traj', sample_with(sub { $_[0]{info}{model_stats}{instance_cost} = 10000 }), '"instance_cost"', qr/instance_cost is 10000, not an amount from 0 to 9999\.999999/ ],
	[ 'a cost that is no number', 'traj', sample_with(sub { $_[0]{info}{model_stats}{instance_cost} = 'free' }), '"instance_cost"', qr/instance_cost is a string, not a number/ ],

	# fields of an event
	[ 'an unknown field', 'jsonl', "$good\n\n" . with('"sequence":1'), 3, qr/"sequence" is not a field of an event/ ],
	[ 'an unknown field with an escape sequence', 'jsonl', with('"\u001b[31m":1'), 1, qr/"\?\[31m" is not a field/ ],
	[ 'no workflow', 'jsonl', '{"event_type":"x","message":"m"}', 1, qr/workflow_id is missing/ ],
	[ 'no event_type', 'jsonl', $good =~ s/"event_type":"x"/"event_type":null/r, 1, qr/event_type is missing/ ],
	[ 'no message', 'jsonl', $good =~ s/,"message":"good"//r, 1, qr/message is missing/ ],
	[ 'an empty event_type', 'jsonl', $good =~ s/"x"/""/r, 1, qr/event_type is empty/ ],
	[ 'a message that is no string', 'jsonl', $good =~ s/"good"/7/r, 1, qr/message is a number, not a string/ ],
	[ 'no UUID', 'jsonl', $good =~ s/$workflow/7/r, 1, qr/workflow_id "7" is not a UUID/ ],
	[ 'an id that is no UUID', 'jsonl', with('"id":"' . '0' x 33 . '"'), 1, qr/id "0+" is not a UUID/ ],
	[ 'an unknown level', 'jsonl', with('"level":"fatal"'), 1, qr/level "fatal" is none of trace, debug, info, warning, error/ ],
	[ 'is_error that is no boolean', 'jsonl', with('"is_error":"true"'), 1, qr/is_error is a string, not a boolean/ ],
	[ 'a time that moves', 'jsonl', with('"timestamp":"now"'), 1, qr/timestamp "now" is not of the form/ ],
	[ 'a time without a date', 'jsonl', with('"timestamp":"12:00"'), 1, qr/timestamp "12:00" is not of the form/ ],
	[ 'a time with more behind it', 'jsonl', with('"timestamp":"2026-01-01T00:00:00Z BC"'), 1, qr/is not of the form/ ],
	[ 'a time that is a number', 'jsonl', with('"timestamp":1767225600'), 1, qr/timestamp is a number, not a string/ ],

	# members of a run
	[ 'a trajectory that is no array', 'traj', "{\n\"trajectory\": {}}", 2, qr/trajectory is an object, not an array/ ],
	[ 'a history that is no array', 'traj', '{"history": "none"}', 1, qr/history is a string, not an array/ ],
	[ 'info that is no object', 'traj', '{"history": [], "info": []}', 1, qr/info is an array, not an object/ ],
	[ 'a step that is no object', 'traj', "{\"trajectory\": [{},\n{},\n[\"}\"],\n7]}", 3, qr/trajectory\[2\] is an array, not an object/ ],
	[ 'an action that is no string', 'traj', "{\"trajectory\": [{\"action\": \"\\\"{\"},\n{\n\"action\":\n[]}]}", 4, qr/trajectory\[1\]\.action is an array, not a string/ ],
	[ 'a time that is no number', 'traj', '{"trajectory": [{"execution_time": "1"}]}', 1, qr/trajectory\[0\]\.execution_time is a string, not a number/ ],
	[ 'a state that is no object', 'traj', '{"trajectory": [{"state": 1}]}', 1, qr/trajectory\[0\]\.state is a number, not an object/ ],
	[ 'a message that is no object', 'traj', "{\"history\": [\n1]}", 2, qr/history\[0\] is a number, not an object/ ],
	[ 'a message with a number for content', 'traj', '{"history": [{"content": 1}]}', 1, qr/history\[0\]\.content is a number, not a string/ ],
	[ 'an exit status that is no string', 'traj', '{"history": [], "info": {"exit_status": {}}}', 1, qr/info\.exit_status is an object, not a string/ ],
	[ 'model_stats that is no object', 'traj', '{"history": [], "info": {"model_stats": 1}}', 1, qr/info\.model_stats is a number, not an object/ ]);

sub line_of
{
	my ($content, $mark) = @_;
	my $at = index($content, $mark);
	die "no $mark" if $at < 0;
	return 1 + (substr($content, 0, $at) =~ tr/\n//);
}

my $before = count_rows();
my @paths;
for my $case (@bad)
{
	my ($name, $extension, $content, $line, $reason) = @$case;
	$line = line_of($content, $line) if $line !~ /^\d+$/;
	my $path = write_bytes($extension, $content);
	my $where = $line > 0 ? "$path:$line: " : "$path: ";
	my ($status, $out, $err) = check_only($path);

	push @paths, $path;
	is($status, 1, "$name: refused");
	like($err, qr/^amelia-load: error: \Q$where\E(?=.*$reason)/s, "$name: by line and reason");
	is($out, '', "$name: and nothing else is said");
}

# With a database; a good file between them is loaded.
my ($status, $out, $err) = load_into('errors', @paths[ 0 .. 19 ], "$samples/sample-run.traj", @paths[ 20 .. $#paths ]);
is($status, 1, 'some failed, so the exit status is 1');
like($out, qr/sample-run\.traj: workflow .*, completed/, 'the good one among them is loaded');
my $bad = @bad;
like($out, qr/1 loaded, 0 there already, $bad failed$/m, 'the last line counts');
is(() = $err =~ /^amelia-load: error: /mg, $bad, 'each bad one is named once');
$before =~ /^(\d+)\|(\d+)\|(\d+)$/ or die;
is(count_rows(), join('|', $1 + 1, $2 + 10, $3 + 1), 'nothing of the others is stored');

#
# Files that are no files.
#
my $missing = "$files/missing.traj";
my $secret = write_bytes('jsonl', "$good\n");
($status, $out, $err) = check_only($files, $missing, write_bytes('txt', "$good\n"), write_bytes('json', '{}'));
is($status, 1, 'what cannot be read is refused');
like($err, qr/error: \Q$files\E: is a directory/, 'a directory');
like($err, qr/error: \Q$missing\E: could not open: No such file or directory/, 'a file that is not there');
like($err, qr/file\d+\.txt: its name does not tell its format\n.*hint: Use --format\./, 'a name that tells nothing');
($status) = check_only('--format=jsonl', write_bytes('txt', "$good\n"), write_bytes('TRAJ', "$good\n"));
is($status, 0, 'unless the format is given, which goes before the name');
SKIP:
{
	skip 'everything is readable for root', 1 if $> == 0;
	chmod 0, $secret;
	($status, $out, $err) = check_only($secret);
	like($err, qr/could not open: Permission denied/, 'a file that may not be read');
}

#
# What only the server knows: the statement's line is named, all is rolled back.
#
$before = count_rows();
($status, $out, $err) = load_into('errors',
	write_bytes('jsonl', "$good\n" . with('"timestamp":"2026-13-01T00:00:00Z"') . "\n$good\n"),
	write_bytes('jsonl', "$good\n$good\n\n"
		. with('"parent_id":"00000000-0000-4000-8000-000000000000"') . "\n$good\n"));
is($status, 1, 'the server refuses');
like($err, qr/file\d+\.jsonl:2: .*2026-13-01.* \(SQLSTATE 22008\)/, 'a month that is none');
like($err, qr/file\d+\.jsonl:4: .*0000-4000-8000-.*\(SQLSTATE P0002\)/, 'a parent that is not there');
is(count_rows(), $before, 'nothing of these files is stored');

# A step of a run, refused by a constraint of the operator's own.
$node->safe_psql('errors', q{ALTER TABLE amelia.workflow_log ADD CONSTRAINT polite CHECK (message NOT LIKE '%damn%')});
my $rude = sample_with(sub { $_[0]{trajectory}[4]{thought} = 'damn' });
my $brace = line_of($rude, '"action":"edit 3:3') - 1;
($status, $out, $err) = load_into('errors', write_bytes('traj', $rude));
is($status, 1, 'a step that the server refuses');
like($err, qr/file\d+\.traj:$brace: .*"polite" \(SQLSTATE 23514\)/, 'is named by its line');
is(count_rows(), $before, 'and its run is not stored, nor the workflow');
$node->safe_psql('errors', 'ALTER TABLE amelia.workflow_log DROP CONSTRAINT polite');

# An encoding that does not have the character.
$node->safe_psql('postgres', q{CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0});
$node->safe_psql('latin', 'CREATE EXTENSION amelia');
($status, $out, $err) = load_into('latin', '--create-workflows', "$samples/sample-run.traj", "$samples/sample-run.jsonl");
is($status, 1, 'a database in another encoding');
like($err, qr/sample-run\.jsonl:13: .*\(SQLSTATE 22P05\)/, 'refuses what it cannot hold');
is($node->safe_psql('latin', 'SELECT count(*) FROM amelia.workflow_log'), '10', 'and has the rest');

$node->stop;
done_testing();
