# amelia-import killed at random moments, and its server as well: `make
# import-stress` does so fifty times. Whatever was cut off, the same command
# goes on; nothing is missing, and nothing there twice.
use strict;
use warnings;

use FindBin;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);
use SqliteSource;

my $kills = $ENV{AMELIA_IMPORT_STRESS} || 0;
plan skip_all => 'make import-stress runs it; 602_import_ends.pl kills at moments that are chosen' if !$kills;

my $files = PostgreSQL::Test::Utils::tempdir();
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->start;
my $source = amelia_source("$files/app.db", 'events');
amelia_rows($source, 2000);
my $seed = time;
srand($seed);
diag("seed $seed");

# The children of a postmaster that was killed may hold its memory for a moment.
sub start_again
{
	for (1 .. 200)
	{
		return if $node->start(fail_ok => 1);
		usleep(50_000);
		# a start that failed may have taken the old pid for the server's
		$node->kill9;
	}
	die 'the server does not start';
}

my ($round, $done) = (0, 0);
while ($done < $kills)
{
	my $database = 'round' . ++$round;

	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, 'CREATE EXTENSION amelia');
	for my $kill (1 .. 5)
	{
		my ($out, $err) = ('', '');
		my $run = IPC::Run::start([ "$FindBin::RealBin/../../client/amelia-import", '-d', $node->connstr($database), '--batch=20', '--jobs=2',
				$source ], '<', \'', '>', \$out, '2>', \$err);

		usleep(rand 3_000_000);
		if ($kill % 3 == 0)
		{
			$node->kill9;
			$run->kill_kill(grace => 0);
			start_again();
		}
		else
		{
			$run->kill_kill(grace => 0);
		}
		$done++;
		# who is left of it ends what was sent
		$node->poll_query_until('postgres', q{SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'amelia-import')});
	}
	import_is($node, $database, 0, "round $round: goes on to the end", '--batch=100', $source);
	is($node->safe_psql($database, 'SELECT (SELECT count(*) FROM amelia.workflows), (SELECT count(*) FROM amelia.workflow_log), (SELECT count(*) FROM amelia.token_usage),
		(SELECT count(*) - count(DISTINCT (table_id, source_key)) FROM amelia_import.ledger), (SELECT count(*) FROM amelia.verify())'),
		'2000|6000|2000|0|0', "round $round: nothing is missing, and nothing there twice");
	import_is($node, $database, 0, "round $round: proved again", '--verify', $source);
	$node->safe_psql('postgres', "DROP DATABASE $database");
}
cmp_ok($done, '>=', $kills, "$done kills");

done_testing();
