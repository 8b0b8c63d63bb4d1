# Pruning, with LangGraph's own Postgres saver: threads of many kinds read and go on
# as their clones do that nobody pruned, and who comes with the id of a
# checkpoint that is gone is refused. test/langgraph/prune.mjs has the graphs, with the
# packages in the folder AMELIA_LANGGRAPH, which scripts/setup-packages installs.
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

my ($nodejs, $script) = langgraph_script('prune.mjs');

my $node = PostgreSQL::Test::Cluster->new('langgraph_prune');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\n");
$node->start;

# The application owns its tables, and may administer its own.
$node->safe_psql('postgres', q{CREATE EXTENSION amelia;
	CREATE ROLE app LOGIN; GRANT CREATE ON DATABASE postgres TO app; SELECT amelia.grant_admin('app')});
my $url = 'postgresql://app@localhost/postgres?host=' . $node->host . '&port=' . $node->port;
my ($out, $err) = ('', '');
my $ok = IPC::Run::run([ $nodejs, $script, $url, 'lg' ], '<', \undef, '>', \$out, '2>', \$err,
	IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default * 4));

ok($ok, 'the graphs run') or diag($err);
my (%freed, $compared);
for my $line (map { decode_json($_) } split(/\n/, $out))
{
	if ($line->{freed})
	{
		my $freed = $line->{freed};

		my $name = "$line->{scenario} $line->{keep}" . ($line->{squash} ? ' squashed' : '');

		is($freed->{problem}, undef, "$name: it is pruned");
		$freed{$name} = $freed;
	}
	else
	{
		ok($line->{ok}, "$line->{scenario}: $line->{what}") or diag(encode_json($line->{detail}));
		$compared++;
	}
}
cmp_ok($compared, '>', 400, 'much was compared');
is(scalar(grep { $_->{checkpoints} > 0 } values %freed), keys(%freed) - 2, 'there was something to free in all threads but those of anchors');
is($freed{"a delta channel, hardly a snapshot 1"}{anchors}, 31, 'where every checkpoint is an anchor');
is($node->safe_psql('postgres', 'SELECT problem, detail FROM amelia.verify()'), '', 'verify() finds nothing wrong in what is left');
my $squashed = $freed{'a delta channel, hardly a snapshot 1 squashed'};
is("$squashed->{anchors} $squashed->{checkpoints}", '1 30', 'and all but one are folded');
$node->stop;
done_testing();
