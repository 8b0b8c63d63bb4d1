# What client/python and client/node promise besides the life of a worker
# (WorkerStories.pm): writes under the lease, answers that are lost, usage of every
# form, feed readers that are killed, a saver of LangGraph's, types, and the blocks of
# their README.md. test/clients/features.* has the programs.
package ClientFeatures;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use FindBin;
use IPC::Run;

use AmeliaTest;
use Clients;
use LangGraph;
use Polls;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(client_features);

my $top = "$FindBin::RealBin/../..";
my ($node, $language, $features);

sub value { return Polls::ask($node, 'postgres', $_[0]); }

sub feature
{
	my ($command, @options) = @_;
	my ($out, $err, $ok) = run_program($language, $features, client_url($node, scalar getpwuid($<)), $command, @options);

	ok($ok, "$command @options") or diag($err);
	return $out;
}

sub wait_for
{
	my ($what) = @_;

	$node->poll_query_until('postgres', "SELECT $what") or die "it is never so: $what";
	return;
}

sub lost_leases
{
	my @writers = qw(append append_all book transact set_plan link_thread step messages ask release);
	my @events = qw(append append_all step);

	for my $name (@writers)
	{
		value("SELECT amelia.create_workflow('$name', NULL)");
		like(feature('lost'), qr/^$name LeaseLost: lease 1 of workflow ID is lost 0 stored$/, "$name: refused, and nothing is stored");
		value(q{SELECT amelia.release_workflow(l.workflow_id, l.lease_token, 'completed') FROM amelia.workflow_leases AS l WHERE l.expires_at > now()});
	}

	value(q{SELECT amelia.create_workflow('answers', NULL, id => '01970000-0000-7000-8000-000000000001');
		SELECT amelia.send_to_workflow('01970000-0000-7000-8000-000000000001', 'hint')});
	is(feature('answers'), <<'END', 'an answer that is lost: each is stored once');
append 3 1
append_all [4] 1
book "booked" 1
transact 1 2
set_plan null 1
link_thread null 0
step "done" 1
messages ["hint"] 1
ask "LeaseLost" 1
END
	is(value("SELECT status FROM amelia.workflows WHERE issue_id = 'answers'"), 'blocked', 'and it waits for its answer');
	value("SELECT amelia.request_cancel('01970000-0000-7000-8000-000000000001')");

	value("SELECT amelia.create_workflow('transaction', NULL)");
	is(feature('transaction'), "55000 of one's own: my own\nrolled back 2\ncaught: true 2\nevent 3\n", 'transactions of one\'s own');
	return;
}

sub odd_errors
{
	value(q{CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'the operator refuses'; END $$;
		CREATE TRIGGER refuse BEFORE UPDATE ON amelia.workflows FOR EACH ROW
		WHEN (NEW.issue_id = 'refused' AND NEW.status = 'completed') EXECUTE FUNCTION public.refuse()});
	my $out = feature('odd');

	is($out, $language eq 'python' ? "exit 3\n" : '', 'who exits, exits');
	is(value(q{SELECT string_agg(concat_ws(' ', w.issue_id, w.status, w.failures, w.failure_reason), ', ' ORDER BY w.issue_id)
		FROM amelia.workflows AS w WHERE w.issue_id IN ('nul', 'empty')}),
		($language eq 'python' ? 'empty failed 1 RuntimeError' : 'empty failed 1 Error') . ", nul failed 1 a\x{ef}\x{bf}\x{bd}b", 'an error\'s text may have anything');
	is(value(q{SELECT string_agg(concat_ws(' ', w.status, w.failures, w.failure_reason), E'\n' ORDER BY w.issue_id) FROM amelia.workflows AS w
		WHERE w.issue_id IN ('refused', 'retry')}),
		"failed 1 cannot be released as completed: the operator refuses\nfailed 1 cannot be released as failed: retry_after must not be negative or infinite: -00:00:01",
		'an end that is refused is a failure, and the worker goes on');
	value('DROP TRIGGER refuse ON amelia.workflows');
	is(value(q{SELECT w.status FROM amelia.workflows AS w WHERE w.issue_id = 'json'}), 'failed', 'what is no JSON cannot be remembered');
	is(value(q{SELECT w.status || ' ' || w.failures || l.given_back FROM amelia.workflows AS w JOIN amelia.workflow_leases AS l ON l.workflow_id = w.id
		WHERE w.issue_id = 'exit'}), 'in_progress 0true',
		$language eq 'python' ? 'and gives the workflow back' : 'one that does not listen is given back');
	value(q{SELECT amelia.request_cancel(w.id) FROM amelia.workflows AS w WHERE w.status IN ('failed', 'in_progress')});
	return;
}

# Given, and what it comes to: as dict or object, and as an object with attributes.
my @usages = (
	[ q({"prompt_tokens": 1000, "completion_tokens": 300, "total_tokens": 1300,
		"prompt_tokens_details": {"cached_tokens": 800, "audio_tokens": 5},
		"completion_tokens_details": {"reasoning_tokens": 200, "audio_tokens": 7, "accepted_prediction_tokens": 0}}),
		'{"cache_read_tokens":800,"input_audio_tokens":5,"input_includes_cached":true,"input_tokens":1000,"output_audio_tokens":7,"output_tokens":300,"reasoning_tokens":200}' ],
	[ q({"id": "chatcmpl-1", "model": "gpt-x", "service_tier": "flex", "usage": {"prompt_tokens": 10, "completion_tokens": 3, "prompt_tokens_details": null}}),
		'{"input_includes_cached":true,"input_tokens":10,"model":"gpt-x","output_tokens":3,"service_tier":"flex"}' ],
	[ q({"model": "gpt-x", "service_tier": "auto", "usage": {"prompt_tokens": 10, "total_tokens": 10}}),
		'{"input_includes_cached":true,"input_tokens":10,"model":"gpt-x"}' ],
	[ q({"model": "gpt-x", "service_tier": "default", "usage": {"input_tokens": 1000, "output_tokens": 300, "total_tokens": 1300,
		"input_tokens_details": {"cached_tokens": 800}, "output_tokens_details": {"reasoning_tokens": 200}}}),
		'{"cache_read_tokens":800,"input_includes_cached":true,"input_tokens":1000,"model":"gpt-x","output_tokens":300,"reasoning_tokens":200,"service_tier":"default"}' ],
	[ q({"model": "claude-x", "usage": {"input_tokens": 200, "output_tokens": 300, "cache_creation_input_tokens": 100, "cache_read_input_tokens": 800,
		"cache_creation": {"ephemeral_5m_input_tokens": 60, "ephemeral_1h_input_tokens": 40}, "service_tier": "batch"}}),
		'{"cache_creation_1h_tokens":40,"cache_creation_tokens":100,"cache_read_tokens":800,"input_includes_cached":false,"input_tokens":200,"model":"claude-x","output_tokens":300,"service_tier":"batch"}' ],
	[ q({"input_tokens": 200, "output_tokens": 300, "cache_creation_input_tokens": null, "cache_read_input_tokens": null, "service_tier": "standard"}),
		'{"input_includes_cached":false,"input_tokens":200,"output_tokens":300,"service_tier":"standard"}' ],
	[ q({"content": "hello", "response_metadata": {"model_name": "claude-x"}, "usage_metadata": {"input_tokens": 1100, "output_tokens": 300, "total_tokens": 1400,
		"input_token_details": {"cache_read": 800, "cache_creation": 100}, "output_token_details": {"reasoning": 20}}}),
		'{"cache_creation_tokens":100,"cache_read_tokens":800,"input_includes_cached":true,"input_tokens":1100,"model":"claude-x","output_tokens":300,"reasoning_tokens":20}' ],
	[ q({"input_tokens": 20, "output_tokens": 3, "input_token_details": {"cached_tokens": 10}}), 'ValueError' ],
	[ q({"promptTokenCount": 10, "candidatesTokenCount": 3}), 'ValueError' ],
	[ q({"input_tokens": 10}), 'ValueError' ],
	[ q({}), 'ValueError' ],
	[ q({"prompt_tokens": 1.5, "completion_tokens": 3}), 'TypeError' ],
	[ q({"input_tokens": "10", "output_tokens": 3}), 'TypeError' ],
	[ q({"input_tokens": true, "output_tokens": 3}), 'TypeError' ]);

sub usage
{
	my $file = PostgreSQL::Test::Utils::tempdir() . '/usages.json';

	append_to_file($file, '[' . join(', ', map { $_->[0] } @usages) . ']');
	is(feature('usage', $file), join('', map { "$_->[1]\n" x ($language eq 'python' ? 2 : 1) } @usages), 'usage of every form');
	return;
}

# Starts a feed reader on a server.
sub start_reader
{
	my ($server, @options) = @_;
	my $program = program_file($language, $features);
	my %reader = (said => '');

	local %ENV = (%ENV, DATABASE_URL => client_url($server, scalar getpwuid($<)));
	$reader{run} = IPC::Run::start([ client_command($language, $program, 'feed', @options) ], '<', \undef, '>&', \$reader{said},
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	$reader{name} = "@options";
	return \%reader;
}

# Readers that are killed again and again while many write, and a restart of the server.
sub killed_readers
{
	my $file = PostgreSQL::Test::Utils::tempdir() . '/cursor';
	my $all = q{(SELECT count(*) FROM amelia.workflow_log AS e JOIN amelia.workflows AS w ON w.id = e.workflow_id AND w.issue_id = 'K')};

	for my $case ([ 'file', $file ], [ 'table', 'one' ], [ 'table', 'two', 'each' ])
	{
		my $held = q{EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep')};
		my $seen = q{(SELECT count(DISTINCT (s.workflow_id, s.sequence)) FROM seen AS s WHERE s.sequence IS NOT NULL)};

		value(q{TRUNCATE seen; DELETE FROM amelia.workflows WHERE issue_id = 'K'});
		# It begins here.
		feature('feed', @$case, 'once');
		value('TRUNCATE seen');
		for my $round (1 .. 3)
		{
			my $reader = start_reader($node, @$case);

			# In the midst of a page of seven.
			value(q{INSERT INTO hold SELECT count(*) + 10 FROM seen;
				SELECT amelia.append_event(w.id, 'note', n::text)
				FROM amelia.create_workflow('K', NULL) AS w, generate_series(1, 40) AS n});
			wait_for($held);
			if ($round == 2)
			{
				$node->restart;
				wait_for($held);
			}
			kill_worker($reader);
			value('DELETE FROM hold');
		}
		feature('feed', @$case, 'once');
		is(value("SELECT $seen = $all, $all"), 't|123', "@$case: nothing is missed over kills and a restart");
		is(value(q{SELECT count(*) FROM seen AS s WHERE s.sequence IS NOT NULL}), 123, 'and each is written once') if $case->[2];
	}

	# Where a loop is left, what was given out last comes again.
	feature('feed', 'file', $file, 'once');
	value(q{SELECT amelia.create_workflow('K', NULL); SELECT amelia.create_workflow('K', NULL)});
	is(feature('feed', 'file', $file, 'once', 'two'), "2\n", 'a loop that is left');
	is(feature('feed', 'file', $file, 'once'), "3\n", 'goes on there');
	is(feature('feed', 'file', $file, 'once'), "0\n", 'and nothing is left');
	is(feature('callbacks'), "0 true\n2 0\n", 'a cursor that two functions keep') if $language eq 'node';
	is(feature('callbacks'), "0 True\n2 0\n", 'a cursor that two functions keep') if $language eq 'python';

	# With no more rights than a reader has.
	value('CREATE ROLE reader LOGIN; GRANT INSERT, SELECT ON seen, hold TO reader; SELECT amelia.grant_reader($$reader$$)');
	for my $shown ("0\n", "2\n")
	{
		my ($out, $err) = run_program($language, $features, client_url($node, 'reader'), 'feed', 'file', "$file.reader", 'once');

		is($out, $shown, 'as a role that may only read') or diag($err);
		value(q{SELECT amelia.create_workflow('K', NULL)});
	}

	# A cursor of somewhere else.
	my ($id) = value(q{SELECT id FROM amelia.create_workflow('K', NULL)});
	unlink $file;
	append_to_file($file, '1.2;1:1:;0/0');
	my $out = feature('feed', 'file', $file, 'anew', $id);
	like($out, qr/^CursorRefused: the cursor is of another database/, 'a cursor of another database');
	like($out, qr/^\['?workflow created for issue K'?\]/m, 'then what happened before is read by workflow');
	is(feature('feed', 'file', $file, 'once'), "0\n", 'and the feed goes on from now');
	return;
}

# A reader that goes to a standby with a cursor of the primary's waits for it.
sub standby_behind
{
	my $file = PostgreSQL::Test::Utils::tempdir() . '/cursor';
	my $standby = PostgreSQL::Test::Cluster->new('standby');

	$node->backup('b');
	$standby->init_from_backup($node, 'b', has_streaming => 1);
	$standby->start;
	feature('feed', 'file', $file, 'once');
	$node->wait_for_catchup($standby);
	$standby->safe_psql('postgres', 'SELECT pg_wal_replay_pause()');
	$standby->poll_query_until('postgres', q{SELECT pg_get_wal_replay_pause_state() = 'paused'}) or die;
	value(q{TRUNCATE seen; SELECT amelia.create_workflow('K', NULL)});
	feature('feed', 'file', $file, 'once');
	my $reader = start_reader($standby, 'standby', $file);
	$reader->{run}->pump until $reader->{said} =~ /has not come as far/;
	$standby->safe_psql('postgres', 'SELECT pg_wal_replay_resume()');
	ends_well($reader, 'a standby that is behind is waited for');
	like($reader->{said}, qr/^0$/m, 'and then read');
	$standby->stop;
	return;
}

sub saver
{
	my $attempt = q{SELECT w.status || ' ' || l.worker FROM amelia.workflows AS w JOIN amelia.workflow_leases AS l ON l.workflow_id = w.id
		WHERE w.issue_id = 'saver'};

	return node_saver($attempt) if $language eq 'node';
	value(q{CREATE SCHEMA lg; SET search_path = lg; } . checkpoint_tables() . q{; SELECT amelia.fence_checkpoints('lg')});
	value(q{SELECT amelia.create_workflow('saver', NULL)});
	is(feature('saver'), "in time 1\nlate 1\n", 'LangGraph\'s statements carry the lease');
	is(value($attempt), 'in_progress thief', 'and the attempt ends without a word');
	value(q{SELECT amelia.release_workflow(l.workflow_id, l.lease_token, 'completed') FROM amelia.workflow_leases AS l WHERE l.expires_at > now()});

  SKIP:
	{
		my (undef, undef, $there) = run_program('python', 'import langgraph.checkpoint.postgres', '');

		# Debian has no package of it.
		skip 'langgraph-checkpoint-postgres is not installed', 2 if !$there;
		value(q{CREATE SCHEMA "real"; SELECT amelia.create_workflow('real', NULL)});
		is(feature('real_saver'), <<'END', 'LangGraph\'s own saver carries the lease, and reads after pruning what it read before');
deleted (0, 0, 0)
{'inline': 4, 'list': [4]} ['4 a', '4 b', '4 c']
['1 a', '1 b', '1 c', '2 a', '2 b', '2 c', '3 a', '3 b', '3 c']
4 3 (4, 4, 12)
put 55000 True True
put_writes 55000 True True
upsert 55000 True True
delete_thread 55000 True True
reads True
pruned 0 3 None (4, 4, 12) True
pruned 2 1 None (2, 2, 12) True
END
		value(q{SELECT amelia.claim_workflow('somebody'); SELECT amelia.release_workflow(l.workflow_id, l.lease_token, 'completed')
			FROM amelia.workflow_leases AS l WHERE l.expires_at > now()});
	}
	return;
}

sub node_saver
{
	my ($attempt) = @_;

  SKIP:
	{
		my $reason = lacks_langgraph();

		skip $reason, 2 if $reason;
		value(q{CREATE SCHEMA lg; SELECT amelia.create_workflow('saver', NULL)});
		is(feature('saver'), "55000 true\nfirst under 1, second under 3\n", 'LangGraph: a saver carries the lease, and the next one goes on from there');
		like(value($attempt), qr/^completed /, 'to the end');
	}
	return;
}

# The blocks of README.md, in their order, in a database of their own.
sub readme
{
	my $readme = slurp_file("$top/client/$language/README.md");
	my $tag = $language eq 'node' ? 'js' : 'python';
	my $programs = 0;

	$node->safe_psql('postgres', 'CREATE DATABASE readme');
	$node->safe_psql('readme', 'CREATE EXTENSION amelia');
	while ($readme =~ /^```(sql|$tag)\n(.*?)^```\n(?:\n```\n(.*?)^```\n)?/gms)
	{
		my ($kind, $text, $shown) = ($1, $2, $3 // '');
		my $title = $text =~ /issue_id|step\(|def (\w+)/ ? $& : '';

		if ($kind eq 'sql')
		{
			$node->safe_psql('readme', $text);
			next;
		}
		my ($out, $err, $ok) = run_readme_program($text);
		$programs++;
		ok($ok, "README.md, program $programs: it ends well") or diag($err);
		is($out, $shown, 'and prints what is shown');
	}
	cmp_ok($programs, '>=', 7, 'README.md has programs');
	return $readme;
}

# One that would run for ever is ended by SIGTERM when there is nothing left to do.
sub run_readme_program
{
	my ($text) = @_;
	my $url = client_url($node, scalar getpwuid($<), 'readme');

	return run_program($language, $text, $url) if $text !~ /\.run\(\)/;
	my ($out, $err) = ('', '');
	local %ENV = (%ENV, DATABASE_URL => $url);
	my $run = IPC::Run::start([ client_command($language, program_file($language, $text)) ], '<', \undef, '>', \$out, '2>', \$err,
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	$node->poll_query_until('readme', q{SELECT NOT EXISTS (SELECT FROM amelia.workflows WHERE status <> 'completed')}) or die $err;
	$run->signal('TERM');
	$run->finish;
	return ($out, $err, $run->result(0) == 0);
}

sub client_features
{
	($language) = @_;

	need_client($language);
	$features = slurp_file("$top/test/clients/features." . ($language eq 'node' ? 'mjs' : 'py'));
	$node = new_node('features', preload => 1, allows_streaming => 1);
	value(q{CREATE EXTENSION amelia;
		CREATE TABLE notes (id uuid);
		CREATE TABLE seen (workflow_id uuid, status text, sequence integer);
		CREATE TABLE feed_cursors (reader text PRIMARY KEY, cursor text NOT NULL);
		CREATE TABLE hold (after integer);
		CREATE FUNCTION wait_there() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			WHILE (SELECT count(*) FROM public.seen) >= (SELECT h.after FROM public.hold AS h) LOOP
				PERFORM pg_sleep(0.05);
			END LOOP;
			RETURN NEW;
		END $$;
		CREATE TRIGGER wait_there BEFORE INSERT ON seen FOR EACH ROW EXECUTE FUNCTION public.wait_there()});
	lost_leases();
	odd_errors();
	usage();
	saver();
	killed_readers();
	standby_behind();
	my $readme = readme();
	types($readme);
	$node->stop;
	done_testing();
	return;
}

# What a checker of types says of the package, and of README.md's programs.
sub types
{
	my ($readme) = @_;
	my ($out, $number, $ok) = ('', 0);

  SKIP:
	{
		if ($language eq 'python')
		{
			my $missing = !IPC::Run::run([ 'sh', '-c', 'command -v mypy' ], '>', \my $path, '2>', \my $said);

			die 'mypy is not installed' if $missing && $ENV{CI};
			skip 'mypy is not installed', 1 if $missing;
			$ok = IPC::Run::run([ 'mypy', '--strict', '--python-executable', '/usr/bin/python3', '--cache-dir', PostgreSQL::Test::Utils::tempdir(),
					'--config-file', "$top/client/python/pyproject.toml", "$top/client/python/amelia" ], '>', \$out, '2>&1');
			ok($ok, 'mypy --strict has nothing to say') or diag($out);
		}
		else
		{
			my $folder = node_folder();
			my ($nodejs) = client_command('node');
			my @files = map { program_file('node', $_, 'readme' . ++$number) } $readme =~ /^```js\n(.*?)^```/gms;

			push @files, program_file('node', q{
				import { Worker } from 'amelia';
				import { saver } from 'amelia/langgraph';
				new Worker('', async (workflow) => { await (await saver(workflow, { schema: 'x' })).end(); });}, 'saver') if !lacks_langgraph();
			# Somebody without a network may have older ones.
			my $missing = !-d "$folder/node_modules/typescript";
			die 'npm\'s typescript is not installed' if $missing && $ENV{CI};
			skip 'npm\'s typescript is not installed', 2 if $missing;
			$ok = IPC::Run::run([ $nodejs, "$folder/node_modules/typescript/bin/tsc", '--noEmit', '--strict', '--noImplicitAny', 'false', '--checkJs',
					'--target', 'es2022', '--module', 'nodenext', '--types', 'node', '--typeRoots', "$folder/node_modules/\@types", @files ], '>', \$out, '2>&1');
			ok($ok, 'README.md\'s programs have the types that index.d.ts says') or diag($out);
			# The classes, methods and functions that it declares are those that there are.
			($out) = run_program('node', q{import * as amelia from 'amelia'; for (const name of Object.keys(amelia).sort()) {
				const own = Object.entries(Object.getOwnPropertyDescriptors(amelia[name].prototype ?? {}));
				console.log([name, ...own.filter(([n, { value }]) => value && n !== 'constructor').map(([n]) => n).sort()].join(' '));
			}}, '');
			my $declared = slurp_file("$top/client/node/index.d.ts");
			my @shown;
			while ($declared =~ /^export (?:class (\w+)[^\n]*\{(.*?)^?\}\n|function (\w+))/gms)
			{
				my ($name, $body) = ($1 // $3, $2 // '');

				push @shown, join(' ', $name, sort grep { $_ ne 'constructor' } $body =~ /^\t(\w+)(?:<\w+>)?\(/gm);
			}
			is(join("\n", sort(@shown), ''), $out, 'index.d.ts declares what there is');
		}
	}
	return;
}

1;
