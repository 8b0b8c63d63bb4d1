# The maintenance worker prunes and squashes by itself, while LangGraph's own Postgres
# saver goes on writing: threads of many kinds read and go on as their twins do in a
# schema that nobody registered. test/langgraph/prune.mjs has the graphs.
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

my $node = PostgreSQL::Test::Cluster->new('langgraph_worker');
$node->init;
$node->append_conf('postgresql.conf', q{
fsync = off
shared_preload_libraries = 'amelia'
amelia.naptime = '1s'
});
$node->start;
$node->safe_psql('postgres', q{CREATE EXTENSION amelia;
	CREATE ROLE app LOGIN; GRANT CREATE ON DATABASE postgres TO app; SELECT amelia.grant_admin('app')});
my $url = 'postgresql://app@localhost/postgres?host=' . $node->host . '&port=' . $node->port;
my ($out, $err) = ('', '');
my $ok = IPC::Run::run([ $nodejs, $script, $url, 'lg', 'worker' ], '<', \undef, '>', \$out, '2>', \$err,
	IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default * 4));

ok($ok, 'the graphs run') or diag($err);
my $compared = 0;
for my $line (map { decode_json($_) } split(/\n/, $out))
{
	ok($line->{ok}, "$line->{scenario}: $line->{what}") or diag(encode_json($line->{detail}));
	$compared++;
}
cmp_ok($compared, '>', 50, 'much was compared');
is($node->safe_psql('postgres', q{SELECT sum(pruned_threads) >= 12, sum(batches_failed), count(error) FROM amelia.retention_runs WHERE worker}),
	't|0|0', 'the worker says so, and of nothing that it could not do');
is($node->safe_psql('postgres', q{SELECT count(*) > 0 FROM lg.checkpoints WHERE metadata ? 'amelia_anchor'}), 't', 'it squashed, too');
is($node->safe_psql('postgres', q{SELECT problem, detail FROM amelia.verify() WHERE problem NOT LIKE '%nobody registered%'}), '', 'verify() finds nothing wrong');
$node->stop;
done_testing();
