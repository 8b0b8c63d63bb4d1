# Every function of the API, once, while each lookup takes in whatever may have
# changed and builds all caches anew (debug_discard_caches, in servers with
# assertions): a pointer that is used after a call which may do that is met here.
use strict;
use warnings FATAL => 'all';

use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('caches');
$node->init;
$node->append_conf('postgresql.conf', <<'CONF');
shared_preload_libraries = 'amelia'
amelia.enabled = off
track_functions = all
fsync = off
autovacuum = off
CONF
$node->start;
plan skip_all => 'the server has no assertions: see make test-assert'
  if $node->safe_psql('postgres', 'SHOW debug_assertions') ne 'on';

$node->safe_psql('postgres', 'CREATE EXTENSION amelia');
my ($out, $err) = ('', '');
{
	# So slow that retention may give up a batch, of which it warns.
	local $ENV{PGOPTIONS} = '-c debug_discard_caches=1 -c client_min_messages=error';

	ok( IPC::Run::run(
			[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', "$FindBin::RealBin/calls.sql" ],
			'<', \undef, '>', \$out, '2>', \$err),
		'all calls are answered');
}
is($err, '', 'and none with an error');
is( $node->safe_psql(
		'postgres', q{
		SELECT p.oid::regprocedure FROM pg_proc AS p
		WHERE p.pronamespace IN (SELECT n.oid FROM pg_namespace AS n WHERE n.nspname IN ('amelia', 'amelia_internal', 'amelia_saga', 'amelia_platform'))
			AND p.prokind IN ('f', 'p')
			-- text search calls these itself, uncounted
			AND NOT 'internal'::regtype = ANY (p.proargtypes)
			-- what ends with an error is not counted
			AND p.proname NOT IN ('keep_sequence', 'keep_sequence_floor', 'platform_refuse_step', 'platform_refuse_status', 'platform_keep_task')
			AND NOT EXISTS (SELECT FROM pg_stat_user_functions AS f WHERE f.funcid = p.oid)
		ORDER BY 1}),
	'', 'no function was left out');
unlike(slurp_file($node->logfile), qr/TRAP|terminated by signal/, 'no process of the server died');

$node->stop;
done_testing();
