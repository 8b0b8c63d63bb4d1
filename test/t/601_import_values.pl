# amelia-import's values: each way to write one that is odd in real sources, what
# it becomes, and what is refused with which SQLSTATE; a row's fault is its own.
use strict;
use warnings;

use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use SqliteSource;

my $files = PostgreSQL::Test::Utils::tempdir();
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->start;

my $number = 0;

# A database of its own, and a source with so many workflows.
sub fresh
{
	my ($generation, $workflows) = @_;
	my $database = 'values' . ++$number;
	my $source = amelia_source("$files/$database.db", $generation);

	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, 'CREATE EXTENSION amelia');
	amelia_rows($source, $workflows);
	return ($database, $source);
}

sub rejects_of
{
	my ($source) = @_;
	return [ map { decode_json($_) } split /\n/, slurp_file("$source.rejects.ndjson") ];
}

my $w = wf(1);

# ---- what is taken ----
# SQL of a value in the source, its column, what the target has
my @taken = (
	[ "'2026-01-05T10:00:00+00:00'", 'created_at', '2026-01-05 10:00:00+00' ],
	[ "'2026-01-05T10:00:00Z'", 'created_at', '2026-01-05 10:00:00+00' ],
	[ "'2026-01-05 10:00:00'", 'created_at', '2026-01-05 10:00:00+00' ],
	[ "'2026-01-05T10:00:00.500'", 'created_at', '2026-01-05 10:00:00.5+00' ],
	[ "'2026-01-05T10:00:00.123456789Z'", 'created_at', '2026-01-05 10:00:00.123457+00' ],
	[ "'2026-12-31 23:59:59.9999996'", 'created_at', '2027-01-01 00:00:00+00' ],
	[ "'2024-02-29T00:30:00+05:30'", 'created_at', '2024-02-28 19:00:00+00' ],
	[ "'2024-03-01T00:00:00-0130'", 'created_at', '2024-03-01 01:30:00+00' ],
	[ '1767607200', 'created_at', '2026-01-05 10:00:00+00' ],
	[ '-1', 'created_at', '1969-12-31 23:59:59+00' ],
	[ "'{\"b\": 1, \"a\": [1.50, 1e3, -0, 12345678901234567890, 0.1e-3], \"a \": \"\\u00fc\\n\\/\"}'", 'plan_cache',
		'{"a": [1.50, 1000, 0, 12345678901234567890, 0.0001], "b": 1, "a ": "ü\n/"}' ],
	[ "'{\"k\": 1, \"k\": 2}'", 'plan_cache', '{"k": 2}' ],
	[ "' [] '", 'plan_cache', '[]' ],
	[ "'\"\\ud83d\\ude00\"'", 'plan_cache', '"😀"' ],
	[ "''", 'plan_cache', '' ],
	[ "''", 'failure_reason', '' ],
	[ "'tab\t, backslash \\, and' || char(10) || 'lines'", 'failure_reason', "tab\t, backslash \\, and\nlines" ],
	[ '17', 'failure_reason', '17' ]);
my ($database, $source) = fresh('events', scalar @taken);
sqlite($source, join "\n", map { "UPDATE workflows SET $taken[$_][1] = $taken[$_][0] WHERE id = '" . wf($_ + 1) . "';" } 0 .. $#taken);
my $said = import_is($node, $database, 0, 'what is taken', $source);
foreach (0 .. $#taken)
{
	my ($value, $column, $expected) = @{ $taken[$_] };
	is( $node->safe_psql($database, "SET timezone = 'UTC'; SELECT COALESCE($column\::text, '') FROM amelia.workflows WHERE id = '" . wf($_ + 1) . "'"),
		$expected, "$column $value");
}
like($said, qr/workflows\.created_at: time rounded to microseconds, 2 times/, 'rounded times are counted');
like($said, qr/every row is there as the source has it/, 'and it is proved');

# money: REAL to the shortest decimal, half away from zero, six digits
my @money = ([ '0.1 + 0.2', '0.300000', 0 ], [ '0.0000005', '0.000001', 1 ], [ '0.0000004999', '0.000000', 1 ], [ '1.0000015', '1.000002', 1 ],
	[ '9999.999999', '9999.999999', 0 ], [ '3', '3.000000', 0 ], [ '1e-7', '0.000000', 1 ], [ '0.115743497', '0.115743', 1 ], [ '0', '0.000000', 0 ],
	[ '123.4565', '123.456500', 0 ]);
($database, $source) = fresh('events', scalar @money);
sqlite($source, join "\n", map { "UPDATE token_usage SET cost_usd = $money[$_][0] WHERE workflow_id = '" . wf($_ + 1) . "';" } 0 .. $#money);
$said = import_is($node, $database, 0, 'amounts', $source);
is( $node->safe_psql($database, 'SELECT string_agg(cost_usd::text, $$ $$ ORDER BY workflow_id) FROM amelia.token_usage'),
	join(' ', map { $_->[1] } @money), 'amounts');
# 0.30000000000000004 has more digits than six
like($said, qr/token_usage\.cost_usd: amount rounded to six digits, 6 times/, 'rounded amounts are counted');
my $sum = 0;
$sum += $_->[1] foreach @money;
like($said, qr/token_usage: the sum of cost_usd is \Q@{[ sprintf '%.6f', $sum ]}\E on both sides/, 'and added up on both sides');

# ids, booleans, two generations in one, references
($database, $source) = fresh('both', 3);
sqlite($source, qq{
UPDATE workflows SET id = upper(id) WHERE id = '${\wf(1)}';
UPDATE events SET workflow_id = upper(workflow_id) WHERE workflow_id = '${\wf(1)}';
UPDATE token_usage SET workflow_id = upper(workflow_id) WHERE workflow_id = '${\wf(1)}';
UPDATE workflow_log SET workflow_id = upper(workflow_id) WHERE workflow_id = '${\wf(1)}';
UPDATE workflow_prompt_versions SET workflow_id = upper(workflow_id) WHERE workflow_id = '${\wf(1)}';
UPDATE workflows SET id = 'wf-2' WHERE id = '${\wf(2)}';
UPDATE events SET workflow_id = 'wf-2' WHERE workflow_id = '${\wf(2)}';
UPDATE workflow_log SET workflow_id = 'wf-2' WHERE workflow_id = '${\wf(2)}';
UPDATE token_usage SET workflow_id = 'wf-2' WHERE workflow_id = '${\wf(2)}';
UPDATE workflow_prompt_versions SET workflow_id = 'wf-2' WHERE workflow_id = '${\wf(2)}';
UPDATE events SET is_error = 'true', parent_id = '${\ev(8)}' WHERE id = '${\ev(5)}';
UPDATE events SET is_error = 1, parent_id = '${\ev(5)}' WHERE id = '${\ev(6)}';});
$said = import_is($node, $database, 0, 'ids', $source);
is( $node->safe_psql($database, q{SELECT string_agg(id::text, ' ' ORDER BY issue_id) FROM amelia.workflows}),
	join(' ', wf(1), uuid5(), wf(3)), 'ids stay themselves, or become version 5');

sub uuid5
{
	# name-based, by the server's own means
	return $node->safe_psql($database, q{SELECT overlay(overlay(substr(encode(sha1, 'hex'), 1, 32) PLACING '5' FROM 13)
		PLACING to_hex((get_byte(sha1, 8) & 63 | 128) >> 4) FROM 17)::uuid
		FROM (SELECT '\x} . sha1_hex_of('amelia/workflows/wf-2') . q{'::bytea AS sha1) AS s});
}

sub sha1_hex_of
{
	require Digest::SHA;
	return Digest::SHA::sha1_hex(pack('H*', 'e10722602305592e8f5bc8856ad556e7') . $_[0]);
}
is( $node->safe_psql($database, qq{SELECT string_agg(sequence || ':' || left(id::text, 1), ' ' ORDER BY sequence) FROM amelia.workflow_log
	WHERE workflow_id = '$w'}), '1:e 2:e 4:e 5:f 6:f 8:f', 'events first, then workflow_log after them in sequence');
like($said, qr/workflow_log\.sequence: sequence follows those of the table events, 9 times/, 'that is counted');
is( $node->safe_psql($database, qq{SELECT string_agg(is_error || ' ' || right(parent_id::text, 2), ', ' ORDER BY id) FROM amelia.workflow_log WHERE parent_id IS NOT NULL}),
	'true 08, true 05', 'booleans of both kinds; a parent may come later than its event');
is( $node->safe_psql($database, q{SELECT current_version_id || ' ' || (description = '') FROM amelia.prompts WHERE id = 'architect.plan'}), 'v2 true', 'the current version comes last');
is( $node->safe_psql($database, q{SELECT log_retention_days, websocket_idle_timeout_seconds, workflow_start_timeout_seconds, stream_tool_results FROM amelia.server_settings}),
	'-1|300|12.5|t', 'settings');
is( $node->safe_psql($database, q{SELECT count(*) FROM amelia.workflows WHERE status = 'completed' AND completed_at IS NULL}), '1', 'a final workflow without completed_at stays so');
is( $node->safe_psql($database, q{SELECT count(*) FROM amelia.verify()}), '0', 'and verify() finds nothing');
is( $node->safe_psql($database, qq{SELECT amelia.append_event('$w', 'x', 'next')}), '9', 'sequences go on after the highest');
is( $node->safe_psql($database, q{SET timezone = 'UTC'; SELECT updated_at, available_at = created_at FROM amelia.workflows WHERE issue_id = 'SHOP-2'}),
	'2026-01-07 08:00:00+00|t', 'a workflow was last touched at the last of its times');

# ---- what is refused ----
# table, what its row of one workflow is set to, column, SQLSTATE, reason
my @refused = (
	[ 'workflows', "created_at = '2026-13-01 00:00:00'", 'created_at', '22007', qr/not a time/ ],
	[ 'workflows', "created_at = '2026-01-01'", 'created_at', '22007', qr/not a time/ ],
	[ 'workflows', "created_at = '2026-02-29T00:00:00Z'", 'created_at', '22007', qr/not a time/ ],
	[ 'workflows', "created_at = '2026-02-28T00:00:00.Z'", 'created_at', '22007', qr/not a time/ ],
	[ 'workflows', "created_at = '2026-02-28T00:00:00+0'", 'created_at', '22007', qr/not a time/ ],
	[ 'workflows', "created_at = '2026-02-28T00:00:00.1234567890'", 'created_at', '22007', qr/not a time/ ],
	[ 'workflows', "created_at = 1.5", 'created_at', '22007', qr/not a time/ ],
	[ 'workflows', "created_at = 99999999999999", 'created_at', '22008', qr/years 1 to 9999/ ],
	[ 'workflows', "status = 'asleep'", 'status', '23514', qr/workflows_status_check/ ],
	[ 'workflows', "issue_id = CAST(x'ff41' AS text)", 'issue_id', '22021', qr/UTF-8/ ],
	[ 'workflows', "issue_id = x'41'", 'issue_id', '22P02', qr/BLOB/ ],
	[ 'workflows', "issue_id = 'a' || char(0) || 'b'", 'issue_id', '22021', qr/NUL/ ],
	[ 'workflows', "plan_cache = '{\"a\": 01}'", 'plan_cache', '22P02', qr/invalid JSON/ ],
	[ 'workflows', "plan_cache = '{\"a\": NaN}'", 'plan_cache', '22P02', qr/invalid JSON/ ],
	[ 'workflows', "plan_cache = '{\"a\": 1} x'", 'plan_cache', '22P02', qr/invalid JSON/ ],
	[ 'workflows', "plan_cache = '[\"\\u0000\"]'", 'plan_cache', '22P05', qr/u0000/ ],
	[ 'workflows', "plan_cache = '[\"\\ud800\"]'", 'plan_cache', '22P02', qr/surrogate/ ],
	[ 'workflows', "plan_cache = '[1e200000]'", 'plan_cache', '22003', qr/numeric/ ],
	[ 'workflows', "plan_cache = replace(hex(zeroblob(3000)), '0', '[')", 'plan_cache', '54001', qr/nested too deeply/ ],
	[ 'token_usage', "cost_usd = 10000", 'cost_usd', '22003', qr/10000 or more/ ],
	[ 'token_usage', "cost_usd = -1", 'cost_usd', '23514', qr/check/ ],
	[ 'token_usage', "cost_usd = 9e999", 'cost_usd', '22003', qr/finite/ ],
	[ 'token_usage', "input_tokens = 3000000000", 'input_tokens', '22003', qr/out of range/ ],
	[ 'token_usage', "input_tokens = 'many'", 'input_tokens', '22P02', qr/not an integer/ ],
	[ 'token_usage', "workflow_id = 'nowhere'", 'workflow_id', '23503', qr/refers to no row of workflows/ ],
	[ 'events', "is_error = 2", 'is_error', '22P02', qr/neither 0, 1/ ],
	[ 'events', "sequence = 0", 'sequence', '23514', qr/sequence_check/ ],
	[ 'events', "id = NULL", 'id', '23502', qr/NULL in the key/ ],
	[ 'events', "sequence = 2", 'sequence', '23505', qr/idx_workflow_log_workflow/ ],
	[ 'prompts', "current_version_id = 'v9' WHERE id = 'evaluator.system'", 'current_version_id', '23503', qr/no row of prompt_versions/ ],
	[ 'brainstorm_messages', "role = 'system' WHERE sequence = 2", 'role', '23514', qr/role_check/ ]);
($database, $source) = fresh('events', scalar @refused);
sqlite($source, join "\n", map {
	my ($table, $set) = @{ $refused[$_] };
	my $id = wf($_ + 1);
	($table eq 'workflows' ? join('', map { "DELETE FROM $_ WHERE workflow_id = '$id';" } qw(events token_usage workflow_prompt_versions)) : '')
	. "UPDATE $table SET $set" . ($set =~ /WHERE/ ? '' : $table eq 'workflows' ? " WHERE id = '$id'" : " WHERE workflow_id = '$id'"
		. ($table eq 'events' ? ' AND sequence = 1' : '')) . ';';
} 0 .. $#refused);
$said = import_is($node, $database, 4, 'more rejects than are allowed', '--batch=50', "--max-rejects=$#refused", $source);
like($said, qr/more than 30 rows are rejected; what this run loaded is taken back/, 'says so');
is( $node->safe_psql($database, q{SELECT (SELECT count(*) FROM amelia.workflows) + (SELECT count(*) FROM amelia.prompts)
	+ (SELECT count(*) FROM amelia.server_settings) + (SELECT count(*) FROM amelia_import.ledger) + (SELECT count(*) FROM amelia.workflow_history)}),
	'0', 'bad rows stop it before anything is final');
# a link of the name of the file of rejects is somebody else's: what it leads to stays as it is
append_to_file("$files/others", "others\n");
unlink "$source.rejects.ndjson";
symlink("$files/others", "$source.rejects.ndjson") or die "symlink: $!";
$said = import_is($node, $database, 2, 'as many as are allowed', '--batch=50', '--max-rejects=' . scalar(@refused), $source);
my @rejects = @{ rejects_of($source) };
is(scalar @rejects, scalar @refused, 'each is named once');
is(slurp_file("$files/others") . (-l "$source.rejects.ndjson" ? 'link' : ''), "others\n", 'nothing is written through a link');
foreach my $case (@refused)
{
	my ($table, $set, $column, $sqlstate, $reason) = @$case;
	my ($found) = grep { $rejects[$_]{table} eq $table && $rejects[$_]{column} eq $column && $rejects[$_]{sqlstate} eq $sqlstate
		&& $rejects[$_]{reason} =~ $reason } 0 .. $#rejects;

	ok(defined $found, "$table: $set: $column, $sqlstate") or next;
	my ($reject) = splice(@rejects, $found, 1);
	ok($reject->{system} eq 'amelia' && $reject->{rowid} > 0 && ($column eq 'id' || $reject->{key} ne '') && exists $reject->{value},
		"$table: $set: system, rowid, key and value");
}
like($said, qr/every row is there as the source has it/, 'and the proof counts them');
is($node->safe_psql($database, 'SELECT count(*) FROM amelia.verify()'), 0, 'verify() finds nothing');

# one row's fault is its own: 3 of 60 are refused, the others are there, in batches of any size
foreach my $batch (1, 7)
{
	($database, $source) = fresh('events', 60);
	sqlite($source, "UPDATE token_usage SET input_tokens = -1 WHERE workflow_id IN ('${\wf(7)}', '${\wf(59)}');
		UPDATE token_usage SET agent = NULL WHERE 0; UPDATE token_usage SET model = 'a' || char(0) WHERE workflow_id = '${\wf(20)}'");
	$said = import_is($node, $database, 2, "batches of $batch: done with rejects", '--max-rejects=3', "--batch=$batch", '--jobs=2', $source);
	is($node->safe_psql($database, 'SELECT count(*) FROM amelia.token_usage'), 57, "batches of $batch: the others are there");
	is_deeply([ sort map { substr($_->{key}, -2) . ' ' . $_->{column} } @{ rejects_of($source) } ],
		[ '07 input_tokens', '20 model', '59 input_tokens' ], "batches of $batch: those are named");
	like($said, qr/token_usage -> token_usage: 57 loaded, 3 rejected/, "batches of $batch: and counted");
	like($said, qr/every row is there as the source has it/, "batches of $batch: the proof counts them");
	is(scalar(() = import_is($node, $database, 2, "batches of $batch: verify", '--verify', $source) =~ /3 rejected/g), 1, "batches of $batch: so does verify");
}

# mended, and given back
my $mended = join "\n", map {
	my $line = decode_json($_);
	$line->{value} = $line->{column} eq 'model' ? 'mended' : 5;
	encode_json($line);
} split /\n/, slurp_file("$source.rejects.ndjson");
append_to_file("$files/mended.ndjson", "$mended\n");
$said = import_is($node, $database, 0, 'mended rows', "--retry-rejects=$files/mended.ndjson", $source);
like($said, qr/token_usage -> token_usage: 3 loaded, 57 from earlier runs/, 'mended rows are loaded');
is($node->safe_psql($database, q{SELECT string_agg(input_tokens || model, ' ' ORDER BY workflow_id) FROM amelia.token_usage WHERE input_tokens = 5 OR model = 'mended'}),
	'5gpt-5 100mended 5gpt-5', 'with their values');
import_is($node, $database, 0, 'mended rows: the proof knows of them', '--verify', $source);
append_to_file("$files/nonsense.ndjson", "{\"table\": 1}\n");
like(import_is($node, $database, 1, 'no reject', "--retry-rejects=$files/nonsense.ndjson", $source), qr/nonsense\.ndjson:1: no reject/, 'a line that is none is named');

# choices
($database, $source) = fresh('events', 2);
sqlite($source, "UPDATE workflows SET plan_cache = 'it said \"no\"' WHERE id = '$w'; UPDATE events SET parent_id = 'gone' WHERE id = '${\ev(5)}'");
$said = import_is($node, $database, 0, 'invalid JSON as text, orphans as NULL', '--invalid-json=text', '--orphans=null', $source);
is($node->safe_psql($database, "SELECT plan_cache FROM amelia.workflows WHERE id = '$w'"), '"it said \"no\""', 'invalid JSON as a string');
is($node->safe_psql($database, "SELECT parent_id IS NULL FROM amelia.workflow_log WHERE id = '${\ev(5)}'"), 't', 'a reference to nothing as NULL');
like($said, qr/workflows\.plan_cache: invalid JSON kept as a string, 1 time/, 'counted');
like($said, qr/events\.parent_id: reference to nothing became NULL, 1 time/, 'counted, too');
# What was chosen holds for this source until something else is said, or the load is taken back.
like(import_is($node, $database, 0, 'chosen before: verify', '--verify', $source), qr/events -> workflow_log: (\d+) rows, \1 there, 0 different or missing, 0 rejected/,
	'chosen before: verify goes by it');
import_is($node, $database, 0, 'chosen before: delta', '--delta', $source);
like(import_is($node, $database, 2, 'another choice', '--verify', '--invalid-json=reject', $source), qr/workflows -> workflows: .* 1 rejected/, 'another choice holds');
import_is($node, $database, 0, "chosen before: taken back ($_)", '--rollback', $source) for 1 .. 2;
import_is($node, $database, 4, 'chosen in a load that is taken back: forgotten', $source);

# two ids that become one
($database, $source) = fresh('events', 2);
sqlite($source, "INSERT INTO brainstorm_artifacts SELECT 'a2', session_id, type, path, title, created_at FROM brainstorm_artifacts;
	INSERT INTO token_usage SELECT upper(id), workflow_id, agent, 'other', 1, 1, 0, 0, 1, 1, 1, timestamp FROM token_usage WHERE workflow_id = '$w'");
import_is($node, $database, 2, 'a UUID in both cases', '--max-rejects=1', $source);
is_deeply([ map { "$_->{table} $_->{sqlstate}" } @{ rejects_of($source) } ], [ 'token_usage 23505' ], 'the second is refused');

# a huge cell: 100 MB of JSON
($database, $source) = fresh('log', 1);
sqlite($source, q{UPDATE workflow_log SET data_json = '{"a": "' || replace(hex(zeroblob(50000000)), '0', 'x') || '"}' WHERE sequence = 2});
import_is($node, $database, 0, '100 MB in a cell', $source);
is($node->safe_psql($database, q{SELECT max(length(data ->> 'a')) FROM amelia.workflow_log}), '100000000', 'are there');

done_testing();
