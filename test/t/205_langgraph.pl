# LangGraph's own client: graphs with subgraphs, questions to a person and
# errors, in threads that belong to workflows of every kind. After retention each
# thread that stays goes on as if nothing had been, and of the others nothing is left.
#
# test/langgraph/run.mjs runs the graphs, with the packages in the folder
# AMELIA_LANGGRAPH, which scripts/setup-packages installs.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use IPC::Run;
use JSON::PP;
use LangGraph;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($nodejs, $script) = langgraph_script('run.mjs');

my $node = PostgreSQL::Test::Cluster->new('langgraph');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off\n");
$node->start;

# The application owns its database, and nothing of Amelia's.
$node->safe_psql('postgres', 'CREATE ROLE app LOGIN; CREATE DATABASE app OWNER app');
$node->safe_psql('app', q{CREATE EXTENSION amelia; SELECT amelia.grant_worker('app')});
my $url = 'postgresql://app@localhost/app?host=' . $node->host . '&port=' . $node->port;

# Each workflow: its status in the end, the schema and the name of each of its
# threads (its own id when there is none), where the first turn stops, and
# whether retention takes the threads.
my %workflows = (
	waiting => { status => 'blocked', stop => 'person', threads => [['public'], ['Agents', 'chat 7']] },
	waiting_elsewhere => { status => 'blocked', stop => 'person', threads => [['Agents']] },
	running => { status => 'in_progress', stop => 'end', threads => [['public'], ['Agents']] },
	failed => { status => 'failed', stop => 'failure', threads => [['public']] },
	failed_elsewhere => { status => 'failed', stop => 'failure', threads => [['Agents'], ['public', 'another try']] },
	failed_for_good => { status => 'failed', stop => 'failure', threads => [['public'], ['Agents']] },
	late => { status => 'completed', stop => 'end', threads => [['public']] },
	completed => { status => 'completed', stop => 'end', goes => 1, threads => [['public'], ['Agents', "Gespr\x{e4}ch/8"]] },
	completed_elsewhere => { status => 'completed', stop => 'end', goes => 1, threads => [['Agents'], ['public']] },
	cancelled => { status => 'cancelled', stop => 'person', goes => 1, threads => [['public'], ['Agents']] },
	of_nobody => { stop => 'end', threads => [['public', 'of nobody'], ['Agents', 'of nobody']] });

my $n = 0;
my @threads;
for my $name (sort keys %workflows)
{
	my $workflow = $workflows{$name};

	$workflow->{id} = sprintf('a0000000-0000-4000-8000-%012x', ++$n);
	for my $thread (@{ $workflow->{threads} })
	{
		push @threads, { workflow => $name, stop => $workflow->{stop}, goes => $workflow->{goes},
			schema => $thread->[0], thread => $thread->[1] // $workflow->{id} };
	}
}

sub threads_of
{
	my %names = map { $_ => 1 } @_;

	return grep { $names{ $_->{workflow} } } @threads;
}

sub title
{
	my ($spec) = @_;
	my $title = "$spec->{workflow} in $spec->{schema}, $spec->{thread}";

	utf8::encode($title);
	return $title;
}

# A command of run.mjs for some threads: the result of each, by its title.
sub langgraph
{
	my ($command, @specs) = @_;
	my $json = JSON::PP->new->utf8->canonical;
	my ($out, $err, %results);
	my $ok = IPC::Run::run(
		[ $nodejs, $script, $command, $url,
			$json->encode([ map { { schema => $_->{schema}, thread => $_->{thread}, stop => $_->{stop} } } @specs ]) ],
		'<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));

	ok($ok, "LangGraph: $command") or die $err;
	for my $line (split(/\n/, $out))
	{
		my ($schema, $thread, $result) = @{ $json->decode($line) };
		my ($spec) = grep { $_->{schema} eq $schema && $_->{thread} eq $thread } @specs;

		$results{ title($spec) } = $json->encode($result);
	}
	return \%results;
}

# What is in the tables of each thread, by its title: how many rows, and a digest.
sub rows
{
	my (@specs) = @_;
	my $sql = join(";\n", map {
		my $spec = $_;

		q{SELECT concat_ws(' ', } . join(', ', map {
			qq{(SELECT count(*) || ':' || md5(COALESCE(string_agg(t::text, ',' ORDER BY t::text), ''))
				FROM "$spec->{schema}".$_ AS t WHERE thread_id = '$spec->{thread}')}
		} qw(checkpoints checkpoint_blobs checkpoint_writes)) . ')'
	} @specs);
	my %rows;

	utf8::encode($sql);
	@rows{ map { title($_) } @specs } = split(/\n/, $node->safe_psql('app', $sql));
	return %rows;
}

my $no_rows = join(' ', ('0:d41d8cd98f00b204e9800998ecf8427e') x 3);

sub set_status
{
	my ($status, @names) = @_;

	$node->safe_psql('app', join(';', map { "SELECT amelia.set_workflow_status('$workflows{$_}{id}', '$status')" } @names));
	return;
}

sub retention
{
	my ($name, %settings) = @_;
	my $settings = encode_json(\%settings);

	is(run_retention($node, 'app', "SELECT amelia.update_settings('$settings')"), '', $name);
	is(last_run($node, 'app', q{outcome || ' ' || batches_failed}), 'completed 0', "$name: it completed");
	return;
}

# The saver makes its tables, and their owner registers those that are not in public.
langgraph('setup', @threads);
is($node->safe_psql('app', q{SET ROLE app; SELECT amelia.register_checkpoints('"Agents"');
	SELECT string_agg(concat(schema_name, problem), ', ') FROM amelia.checkpoint_sources()}),
	"\nAgents, public", 'the tables are as retention expects them');

my @names = grep { $workflows{$_}{status} } sort keys %workflows;
$node->safe_psql('app', join(';', map { "SELECT amelia.create_workflow('I', '/w/$_', id => '$workflows{$_}{id}')" } @names));
for my $spec (grep { $_->{thread} !~ /^a0000000/ } threads_of(@names))
{
	my $sql = "SET ROLE app; SELECT amelia.link_thread('$workflows{$spec->{workflow}}{id}', '$spec->{thread}')";

	utf8::encode($sql);
	$node->safe_psql('app', $sql);
}
set_status('in_progress', @names);
langgraph('start', @threads);
set_status($workflows{$_}{status}, $_) for grep { $workflows{$_}{status} ne 'in_progress' } @names;
is($node->safe_psql('app', qq{SELECT count(DISTINCT t.schema || t.thread_id)
	FROM (
		SELECT 'public' AS schema, thread_id, checkpoint_ns FROM public.checkpoint_blobs
		UNION ALL SELECT 'Agents', thread_id, checkpoint_ns FROM "Agents".checkpoint_blobs) AS t
	WHERE t.checkpoint_ns ~ '^reviewing:.'}), scalar(@threads), 'every thread has a subgraph');

# A run right after the end: what goes, and what stays as it is. The client
# writes on in a thread of a workflow that has ended.
my $late = langgraph('finish', threads_of('late'));
my %stays = map { title($_) => $_ } grep { !$_->{goes} } @threads;
my %goes = map { title($_) => $_ } grep { $_->{goes} } @threads;
my $before = langgraph('state', @threads);
my %rows_before = rows(@threads);
unlike($rows_before{$_}, qr/\b0:/, "$_: rows in all three tables") for sort keys %rows_before;
like($before->{$_}, qr/"interrupts":1,"next":\["reviewing"/, "$_: waits for a person")
  for map { title($_) } threads_of('waiting', 'waiting_elsewhere', 'cancelled');
like($before->{$_}, qr/"next":\["publish"\]/, "$_: has failed")
  for map { title($_) } threads_of(grep { /failed/ } @names);

retention('a run');
my $after = langgraph('state', @threads);
my %rows_after = rows(@threads);
for my $title (sort keys %stays)
{
	is($rows_after{$title}, $rows_before{$title}, "$title: keeps its rows");
	is($after->{$title}, $before->{$title}, "$title: has the state it had");
}
for my $title (sort keys %goes)
{
	is($rows_after{$title}, $no_rows, "$title: its rows are gone");
	like($after->{$title}, qr/^\{"checkpoints":0,.*"next":\[\]\}$/, "$title: the saver knows nothing of it");
}
my $gone = 0;
$gone += $_ for map { $rows_before{$_} =~ /(\d+):/g } keys %goes;
is(last_run($node, 'app', q{checkpoint_threads || ' ' || checkpoint_rows}), keys(%goes) . " $gone", 'the run counts them');

# The digest would have told: each kind of row is looked at.
for my $table ('checkpoints', 'checkpoint_blobs', 'checkpoint_writes')
{
	my ($spec) = threads_of('waiting');
	my $of_thread = "FROM public.$table WHERE thread_id = '$spec->{thread}' AND checkpoint_ns ~ '^reviewing'
		AND type IS DISTINCT FROM 'empty'";

	$node->safe_psql('app', qq{CREATE TABLE public.kept AS SELECT * $of_thread AND ctid = (SELECT max(ctid) $of_thread);
		DELETE $of_thread AND ctid = (SELECT max(ctid) $of_thread)});
	isnt(langgraph('state', $spec)->{ title($spec) }, $before->{ title($spec) }, "a row less in $table is seen");
	$node->safe_psql('app', "INSERT INTO public.$table SELECT * FROM public.kept; DROP TABLE public.kept");
	is(+{ rows($spec) }->{ title($spec) }, $rows_before{ title($spec) }, 'and put back');
}

# The threads that stayed go on to their end, the failed ones too, and do another
# turn: with the result of a graph that nobody interrupted.
my @resumed = threads_of(qw(waiting waiting_elsewhere running failed failed_elsewhere of_nobody));
my $control = langgraph('control', @resumed, threads_of('late'));
set_status('in_progress', qw(waiting waiting_elsewhere failed failed_elsewhere));
my $finished = langgraph('finish', @resumed);
is($finished->{$_}, $control->{$_}, "$_: goes on to the end") for map { title($_) } @resumed;
is($late->{$_}, $control->{$_}, "$_: went on to the end") for map { title($_) } threads_of('late');

# Their workflows end, the failed one is given up, and all of it goes, but for
# what was written after the end and what belongs to no workflow.
my @ended = qw(waiting waiting_elsewhere running failed failed_elsewhere);
my %rows_at_end = rows(threads_of('late', 'of_nobody'));
set_status('completed', @ended);
retention('a later run', recovery_hours => 0);
%rows_after = rows(@threads);
is($rows_after{$_}, $no_rows, "$_: gone at the end") for map { title($_) } threads_of(@ended, 'failed_for_good');
is($rows_after{$_}, $rows_at_end{$_}, "$_: left alone") for map { title($_) } threads_of('late', 'of_nobody');

# No grace for what was written after the end.
retention('a run without grace', checkpoint_grace_minutes => 0);
%rows_after = rows(@threads);
is($rows_after{$_}, $no_rows, "$_: gone after all") for map { title($_) } threads_of('late');
is($rows_after{$_}, $rows_at_end{$_}, "$_: still there") for map { title($_) } threads_of('of_nobody');

# Nor for threads of nobody: then the tables are empty, and the saver is content.
retention('a run for orphans', orphan_thread_retention_days => 0);
is($node->safe_psql('app', join(' UNION ALL ', map {
	my $schema = $_;
	map { qq{SELECT count(*) FROM "$schema".$_} } qw(checkpoints checkpoint_blobs checkpoint_writes)
} qw(public Agents))), join("\n", (0) x 6), 'nothing is left');
langgraph('setup', @threads);
is(langgraph('finish', threads_of('of_nobody'))->{$_} =~ /"published":\["the second of/, 1, "$_: can begin anew")
  for map { title($_) } (threads_of('of_nobody'))[0];

$node->stop;
done_testing();
