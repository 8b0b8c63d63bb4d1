# The fence on LangGraph's tables, with its own Postgres saver: what a saver writes
# under a lease that another worker has by now is refused, with everything that
# belongs to it. test/langgraph/fence.mjs has the savers, with the packages in
# the folder AMELIA_LANGGRAPH, which scripts/setup-packages installs.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AmeliaTest;
use IPC::Run;
use JSON::PP;
use LangGraph;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($nodejs, $script) = langgraph_script('fence.mjs');

my $node = new_node('fence');
my ($workflow, $other) = map { "01970000-0000-7000-8000-00000000000$_" } 1, 2;

# The application owns its tables, and nothing of Amelia's.
$node->safe_psql('postgres', qq{CREATE EXTENSION amelia;
	CREATE ROLE app LOGIN; GRANT CREATE ON DATABASE postgres TO app; SELECT amelia.grant_worker('app');
	SELECT amelia.create_workflow('I', '/w1', id => '$workflow'), amelia.create_workflow('I', '/w2', id => '$other');
	UPDATE amelia.workflows SET available_at = now() + interval '1 day' WHERE id = '$other'});

my ($in, $out, $err) = ('', '', '');
my $savers = IPC::Run::start([ $nodejs, $script ], '<', \$in, '>', \$out, '2>', \$err,
	IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));

# Send a command, or none; the next answer.
sub answer
{
	my (%command) = @_;

	$in .= JSON::PP->new->canonical->encode(\%command) . "\n" if %command;
	$savers->pump until $out =~ /\n/;
	my ($line) = $out =~ s/^(.*?\n)// ? $1 : '';
	chomp $line;
	return $line;
}

# A saver whose connections say the lease of that workflow and token, if any.
sub open_saver
{
	my ($name, @lease) = @_;
	# The socket's directory stands in for the host, which a URL must have.
	my $url = 'postgresql://app@localhost/postgres?host=' . $node->host . '&port=' . $node->port;

	return answer(do => 'open', saver => $name, url => $url, schema => 'lg', @lease ? (lease => \@lease) : ());
}

sub claim
{
	my ($worker) = @_;

	return $node->safe_psql('postgres', "SELECT c.lease_token FROM amelia.claim_workflow('$worker') AS c");
}

# Lets the lease run out, and another worker claim.
sub take_over
{
	my ($worker) = @_;

	$node->safe_psql('postgres', q{UPDATE amelia.workflow_leases SET expires_at = now() WHERE expires_at IS NOT NULL});
	return claim($worker);
}

sub count_rows
{
	my ($thread) = @_;

	return $node->safe_psql('postgres', join(' UNION ALL ', map { "SELECT '$_', count(*) FROM lg.$_ WHERE thread_id = '$thread'" }
		qw(checkpoints checkpoint_blobs checkpoint_writes)));
}

my $lost = qr/^\{"error":"55000","message":"lease 1 of workflow $workflow is lost"\}$/;

is(open_saver('free'), 'null', 'a saver that says nothing');
is(answer(do => 'setup', saver => 'free'), 'null', 'makes its tables');
my ($result, $stdout, $stderr) = $node->psql('postgres', q{SET ROLE app; SELECT amelia.fence_checkpoints('lg')});
like($stderr, qr/permission denied/, 'the fence is not for everybody');
is($node->safe_psql('postgres', q{GRANT EXECUTE ON FUNCTION amelia.fence_checkpoints(name, boolean), amelia_internal.fence_thread() TO app;
	SET ROLE app; SELECT amelia.fence_checkpoints('lg')}), 3, 'the owner of the tables puts it there');

# Under the current lease.
is(claim('one'), 1, 'a worker claims the workflow');
is(open_saver('one', $workflow, 1), 'null', 'its saver carries the lease');
is(answer(do => 'put', saver => 'one', thread => $workflow, value => 'a'), 'null', 'put');
is(answer(do => 'putWrites', saver => 'one', thread => $workflow, value => 'b'), 'null', 'putWrites');
is(answer(do => 'read', saver => 'one', thread => $workflow), '["a","b"]', 'what it wrote is there');
is($node->safe_psql('postgres', 'SELECT starts_until IS NULL FROM amelia.workflow_leases'), 't', 'and counts as seen');

# A graph that is overtaken in its midst.
is(answer(do => 'run', saver => 'one', thread => $workflow), '["first","second"]', 'a graph runs');
is(answer(do => 'run', saver => 'one', thread => $workflow, pause => JSON::PP::true), '"waiting"', 'and once more, to its midst');
is(take_over('two'), 2, 'another worker takes over');
my $before = count_rows($workflow);
like(answer(do => 'go'), $lost, 'the graph ends with an error');
is(count_rows($workflow), $before, 'and nothing was stored');

# Its saver is late from now on; the new one is not.
like(answer(do => 'put', saver => 'one', thread => $workflow, value => 'late'), $lost, 'a late put');
like(answer(do => 'putWrites', saver => 'one', thread => $workflow, value => 'late'), $lost, 'late writes');
like(answer(do => 'deleteThread', saver => 'one', thread => $workflow), $lost, 'a late deletion');
is(count_rows($workflow), $before, 'nothing was stored, and nothing is gone');
like(answer(do => 'read', saver => 'one', thread => $workflow), qr/^\[/, 'it still reads');
is(answer(do => 'put', saver => 'one', thread => $other, value => 'x'), 'null', 'and writes to a thread of another workflow');
is(open_saver('two', $workflow, 2), 'null', 'the new worker\'s saver');
is(answer(do => 'put', saver => 'two', thread => $workflow, value => 'c'), 'null', 'writes');
is(answer(do => 'read', saver => 'two', thread => $workflow), '["c"]', 'and reads');

# A thread that is linked to the workflow.
$node->safe_psql('postgres', "SELECT amelia.link_thread('$workflow', 'a chat')");
like(answer(do => 'put', saver => 'one', thread => 'a chat', value => 'late'), $lost, 'a late put to a linked thread');
is(count_rows('a chat'), "checkpoints|0\ncheckpoint_blobs|0\ncheckpoint_writes|0", 'nothing was stored');
is(answer(do => 'put', saver => 'two', thread => 'a chat', value => 'd'), 'null', 'one in time');
is(answer(do => 'put', saver => 'one', thread => 'of nobody', value => 'e'), 'null', 'a thread of nobody');

# Who says nothing is not restricted, unless the operator says so.
is(answer(do => 'put', saver => 'free', thread => $workflow, value => 'f'), 'null', 'a saver that says nothing writes');
$node->safe_psql('postgres', 'ALTER DATABASE postgres SET amelia.require_lease = on');
is(open_saver('strict'), 'null', 'with amelia.require_lease');
is(answer(do => 'put', saver => 'strict', thread => $workflow, value => 'g'),
	qq({"error":"55000","message":"workflow $workflow is held by a worker"}), 'it is refused');
is(answer(do => 'put', saver => 'strict', thread => 'a chat', value => 'g'),
	qq({"error":"55000","message":"workflow $workflow is held by a worker"}), 'for a linked thread, too');
is(answer(do => 'put', saver => 'strict', thread => $other, value => 'g'), 'null', 'a workflow that nobody holds is free');
is(open_saver('strict two', $workflow, 2), 'null', 'a saver with the lease');
is(answer(do => 'put', saver => 'strict two', thread => $workflow, value => 'h'), 'null', 'writes');
$node->safe_psql('postgres', 'ALTER DATABASE postgres RESET amelia.require_lease');

is($node->safe_psql('postgres', q{SET ROLE app; SELECT amelia.fence_checkpoints('lg', false)}), 3, 'the fence is taken away');
is(answer(do => 'put', saver => 'one', thread => $workflow, value => 'i'), 'null', 'then a late saver writes');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_trigger WHERE tgname ~ 'amelia' AND tgrelid::regclass::text ~ '^lg\.'}), 0, 'no trigger is left');

$savers->finish;
is($savers->result(0), 0, 'the savers end well') or diag($err);
$node->stop;
done_testing();
