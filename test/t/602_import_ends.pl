# amelia-import that ends in the middle: killed, interrupted, or with its server
# gone. The same command goes on, no row is there twice, and all is proved.
use strict;
use warnings;

use FindBin;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use SqliteSource;

my $files = PostgreSQL::Test::Utils::tempdir();
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->start;

my $source = amelia_source("$files/app.db", 'events');
amelia_rows($source, 40);
sqlite($source, "UPDATE events SET parent_id = '${\ev(5)}' WHERE id = '${\ev(6)}'");
my $whole = 'SELECT (SELECT count(*) FROM amelia.workflows), (SELECT count(*) FROM amelia.workflow_log),
	(SELECT count(*) FROM amelia.token_usage), (SELECT count(*) FROM amelia.prompts), (SELECT count(*) FROM amelia_import.ledger),
	(SELECT count(DISTINCT (table_id, source_key)) FROM amelia_import.ledger), (SELECT count(*) FROM amelia.workflow_log WHERE parent_id IS NOT NULL)';
my $expected = '40|120|40|2|251|251|1';

# A database whose row number N of a table waits for the lock of a session.
sub fresh
{
	my ($database, $table, $n) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, qq{
		CREATE EXTENSION amelia;
		CREATE SEQUENCE public.nth;
		CREATE FUNCTION public.wait() RETURNS trigger LANGUAGE plpgsql AS \$\$
		BEGIN
			IF nextval('public.nth') = $n THEN
				PERFORM pg_advisory_lock_shared(42);
			END IF;
			RETURN NEW;
		END \$\$;
		CREATE TRIGGER wait BEFORE INSERT ON amelia.$table FOR EACH ROW EXECUTE FUNCTION public.wait()}) if $table;
	$node->safe_psql($database, 'CREATE EXTENSION amelia') unless $table;
	return;
}

# The program up to where it waits for that lock, with a handle on both.
sub until_it_waits
{
	my ($database, @args) = @_;
	my $holder = $node->background_psql($database);
	my ($out, $err) = ('', '');

	$holder->query_safe('SELECT pg_advisory_lock(42)');
	my $run = IPC::Run::start([ "$FindBin::RealBin/../../client/amelia-import", '-d', $node->connstr($database), '--batch=10', @args, $source ],
		'<', \'', '>', \$out, '2>', \$err);
	$node->poll_query_until($database, q{SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 42 AND NOT granted)})
	  or die 'it does not wait';
	return ($holder, $run);
}

sub goes_on
{
	my ($database, $name, @args) = @_;
	my $said = import_is($node, $database, 0, "$name: the same command goes on", '--batch=10', @args, $source);

	like($said, qr/\d+ from earlier runs/, "$name: from where it was");
	is($node->safe_psql($database, $whole), $expected, "$name: no row is missing, and none there twice");
	is($node->safe_psql($database, 'SELECT count(*) FROM amelia.verify()'), 0, "$name: verify() finds nothing");
	return;
}

# killed with a batch on its way, in the middle of a table; the server goes on with what it has
foreach ([ 'events', 'workflow_log', 55 ], [ 'usage', 'token_usage', 1 ], [ 'jobs', 'workflow_log', 25, '--jobs=3' ])
{
	my ($database, $table, $n, @args) = @$_;

	fresh($database, $table, $n);
	my ($holder, $run) = until_it_waits($database, @args);
	$run->kill_kill(grace => 0);
	$holder->query_safe('SELECT pg_advisory_unlock(42)');
	$holder->quit;
	$node->poll_query_until($database, q{SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'amelia-import')});
	like(import_is($node, $database, 0, "$database: status", '--status'), qr/run 1: load of amelia, killed/, "$database: status says that it was killed");
	goes_on($database, "killed in $table", @args);
}

# the server is killed with it
fresh('crash', 'workflow_log', 70);
my ($holder, $run) = until_it_waits('crash');
$node->stop('immediate');
$run->finish;
is($run->result(0), 4, 'server killed: exit status 4');
eval { $holder->quit };
$node->start;
goes_on('crash', 'server killed');

# interrupted: ends at a batch's end, and says how it goes on
fresh('stop');
{
	local $ENV{AMELIA_IMPORT_STOP_AFTER} = 6;
	my $said = import_is($node, 'stop', 4, 'interrupted', '--batch=10', $source);
	like($said, qr/Stopped\. What is loaded stays; the same command goes on, --rollback takes it back\./, 'interrupted: says how it goes on');
}
goes_on('stop', 'interrupted');
fresh('signal', 'workflow_log', 15);
($holder, $run) = until_it_waits('signal');
$run->signal('INT');
$holder->query_safe('SELECT pg_advisory_unlock(42)');
$holder->quit;
$run->finish;
is($run->result(0), 4, 'a signal: exit status 4');
is($node->safe_psql('signal', 'SELECT count(*) % 10 FROM amelia.workflow_log'), 0, 'a signal: at the end of a batch');
# the source has changed meanwhile, and its rowids with it
sqlite($source, "INSERT INTO workflows SELECT '${\wf(99)}', 'SHOP-99', '/t/99', 'pending', created_at, NULL, NULL, NULL, 'full', NULL, NULL, NULL FROM workflows LIMIT 1;
	DELETE FROM brainstorm_artifacts; VACUUM");
$expected = '41|120|40|2|251|251|1';
goes_on('signal', 'a source that changed');
$expected = '41|120|40|2|251|251|1';

# an error that is no row's: it stops, and goes on when that is mended
fresh('no_room');
$node->safe_psql('no_room', q{CREATE FUNCTION public.full() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		RAISE EXCEPTION USING ERRCODE = '53100', MESSAGE = 'could not extend file: No space left on device';
	END $$;
	CREATE TRIGGER f BEFORE INSERT ON amelia.token_usage FOR EACH STATEMENT EXECUTE FUNCTION public.full()});
like(import_is($node, 'no_room', 4, 'a full disk', $source), qr/No space left on device \(SQLSTATE 53100\)/, 'a full disk: says so');
$node->safe_psql('no_room', 'DROP TRIGGER f ON amelia.token_usage');
goes_on('no_room', 'a full disk');

# two at a time
fresh('two', 'workflow_log', 5);
($holder, $run) = until_it_waits('two');
like(import_is($node, 'two', 1, 'a second one', $source), qr/another amelia-import works on database "two"/, 'a second one: says so');
$holder->query_safe('SELECT pg_advisory_unlock(42)');
$holder->quit;
$run->finish;
is($run->result(0), 0, 'the first one is not disturbed');

done_testing();
