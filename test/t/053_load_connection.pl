# amelia-load as a program: options, connections, privileges, signals, several
# of it at once, and a connection that is lost.

use strict;
use warnings;

use FindBin;
use IPC::Run;
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
$node->safe_psql('postgres', 'CREATE DATABASE loads');
$node->safe_psql('loads', 'CREATE EXTENSION amelia');

# libpq takes from here what the command line does not say
delete @ENV{qw(PGHOST PGPORT PGDATABASE PGUSER PGAPPNAME)};
my $host = $node->host;
my $port = $node->port;
my $user = $node->safe_psql('postgres', 'SELECT current_user');
my @connection = ('-h', $host, '-p', $port, '-U', $user);

sub run_program
{
	my ($out, $err) = ('', '');
	IPC::Run::run([ $program, @_ ], '<', \'', '>', \$out, '2>', \$err);
	return ($? >> 8, $out, $err);
}

sub query
{
	return $node->safe_psql('loads', $_[0]);
}

my $written = 0;

sub write_lines
{
	my $path = sprintf('%s/file%d.jsonl', $files, ++$written);
	append_to_file($path, join('', map { "$_\n" } @_));
	return $path;
}

sub workflow
{
	my ($number) = @_;
	return sprintf('00000000-0000-4000-8000-%012d', $number);
}

sub line
{
	my ($number, $message) = @_;
	return sprintf('{"workflow_id":"%s","event_type":"x","message":"%s"}', workflow($number), $message);
}

sub events
{
	return query('SELECT count(*) FROM amelia.workflow_log');
}

#
# Options.
#
program_help_ok($program);
program_version_ok($program);
program_options_handling_ok($program);
my ($status, $out, $err) = run_program('--help');
unlike($out, qr/.{81}/, '--help fits a terminal');
is((run_program('-?'))[1], $out, '-? is --help');
like((run_program('-V'))[1], qr/^amelia-load \(Amelia\) \d+\.\d+$/, '-V is --version');
for my $wrong (
	[ [], qr/no file to load/ ],
	[ [ '-F', 'xml', 'x' ], qr/unknown format "xml"/ ],
	[ [ '-w', '-W', 'x' ], qr/-w and -W exclude each other/ ],
	[ [ '-q', '-v', 'x' ], qr/-q and -v exclude each other/ ],
	[ [ '--model=', 'x' ], qr/--model needs a name/ ],
	[ [ '-', '-' ], qr/standard input can be read once only/ ],
	[ ['-z'], qr/invalid option/ ])
{
	my ($args, $reason) = @$wrong;
	($status, $out, $err) = run_program(@$args);
	is($status, 3, "wrong usage: @$args");
	like($err, qr/$reason.*\nTry "amelia-load --help"/s, 'says what is wrong and where to look');
}

#
# Ways to connect.
#
my $uri = "postgresql:///loads?host=$host&port=$port&user=$user";
for my $way (
	[ @connection, '-d', 'loads' ],
	[ "--host=$host", "--port=$port", "--username=$user", '--dbname=loads', '-w' ],
	[ '-d', "host=$host port=$port user=$user dbname=loads" ],
	[ '-d', $uri ])
{
	($status, $out, $err) = run_program(@$way, "$samples/sample-run.traj");
	is("$status|$err", '0|', "connects with @$way");
}
{
	local $ENV{PGHOST} = $host;
	local $ENV{PGPORT} = $port;
	local $ENV{PGUSER} = $user;
	local $ENV{PGDATABASE} = 'loads';
	local $ENV{PGCLIENTENCODING} = 'LATIN1';
	($status, $out, $err) = run_program('--create-workflows', "$samples/sample-run.jsonl");
	is("$status|$err", '0|', 'connects with PG* variables, and reads UTF-8 nevertheless');
}
is( query(q{SELECT count(*) FROM amelia.workflow_log WHERE message LIKE U&'%\201CCSV\201D%'}),
	'1', 'as it is');
my $before = events();
for my $wrong (
	[ [ '-h', "$files/none", '-p', $port, '-d', 'loads' ], qr/could not connect|connection to server/ ],
	[ [ @connection, '-d', 'none' ], qr/database "none" does not exist/ ],
	[ [ @connection, '-d', 'dbname=loads bogus=1' ], qr/invalid connection option "bogus"/ ],
	[ [ @connection, '-d', 'postgres' ], qr/postgres: the extension amelia is not there\n.*hint: .*CREATE EXTENSION amelia/ ])
{
	my ($args, $reason) = @$wrong;
	($status, $out, $err) = run_program(@$args, "$samples/sample-run.traj");
	is($status, 2, "no connection: @$args");
	like($err, qr/^amelia-load: error: .*$reason/, 'says why');
}

#
# A password, on a server that wants one.
#
$node->safe_psql('postgres', q{CREATE ROLE secretive LOGIN PASSWORD 'open sesame'});
my $hba = $node->data_dir . '/pg_hba.conf';
my $trusting = slurp_file($hba);
unlink $hba;
append_to_file($hba, "local all secretive scram-sha-256\n$trusting");
$node->reload;
query('SELECT amelia.grant_worker(\'secretive\')');
{
	local $ENV{PGPASSWORD} = 'open sesame';
	($status, $out, $err) = run_program('-d', "host=$host port=$port user=secretive dbname=loads", "$samples/sample-failed.traj");
	is("$status|$err", '0|', 'a worker with a password loads');
}
($status, $out, $err) = run_program('-w', '-d', "host=$host port=$port user=secretive dbname=loads", "$samples/sample-failed.traj");
is($status, 2, 'without it there is no connection');
like($err, qr/password/, 'and with -w nobody is asked');

#
# Privileges.
#
$node->safe_psql('postgres', 'CREATE ROLE worker LOGIN; CREATE ROLE reader LOGIN; CREATE ROLE nobody LOGIN');
query(q{SELECT amelia.grant_worker('worker'); SELECT amelia.grant_reader('reader')});
my $path = write_lines(line(1, 'by a worker'));
($status, $out, $err) = run_program('-h', $host, '-p', $port, '-U', 'worker', '-d', 'loads', '--create-workflows', $path, "$samples/sample-run.traj");
is("$status|$err", '0|', 'a worker may load');
$before = events();
for my $role (qw(reader nobody))
{
	($status, $out, $err) = run_program('-h', $host, '-p', $port, '-U', $role, '-d', 'loads',
		write_lines(line(1, "by a $role")), write_lines(line(2, "by a $role")));
	is($status, 1, "a $role may not");
	is(() = $err =~ /permission denied .*\(SQLSTATE 42501\)/g, 2, 'and is told so for each file');
	is(() = $err =~ /hint: .*SELECT amelia\.grant_worker\('$role'\)/g, 2, 'and what would help');
}
is(events(), $before, 'nothing was stored');

#
# What is said.
#
($status, $out, $err) = run_program(@connection, '-d', 'loads', '-q', $path);
is("$status|$out|$err", '0||', '--quiet says nothing');
($status, $out, $err) = run_program(@connection, '-d', 'loads', '-v', $path);
like($out, qr/connected to database "loads" as user "\Q$user\E"/, '--verbose says more');
unlike($err, qr/\r/, 'no progress where standard error is no terminal');
($status, $out, $err) = run_program(@connection, '-d', 'loads', '-P', $path);
like($err, qr/\ramelia-load: +\d+ %, \d+ events.*, file 1 of 1: /, 'unless it is asked for');
like($err, qr/\r +\r$/, 'and it is wiped out at the end');
SKIP:
{
	# a bare chroot has none, though the module may be there
	local $SIG{__WARN__} = sub { };
	skip 'no terminal can be made here', 2 unless eval { require IO::Pty; IO::Pty->new };
	my $terminal = '';
	my $nothing = '';
	my $harness = IPC::Run::start([ $program, @connection, '-d', 'loads', $path ], '<', \$nothing, '>', \$out, '2>pty>', \$terminal);
	$harness->finish;
	is($harness->result(0), 0, 'on a terminal');
	like($terminal, qr/events.*file 1 of 1/, 'progress is shown');
}

#
# Several at once, the same recordings and overlapping lines.
#
my @workflows = (100 .. 119);
my @harnesses;
my (@out, @err);
for my $n (0 .. 3)
{
	my @shuffled = $n % 2 ? reverse @workflows : @workflows;
	my $lines = write_lines(map { my $round = $_; map { line($_, "round $round, loader $n") } @shuffled } 1 .. 20);
	push @harnesses, IPC::Run::start(
		[ $program, @connection, '-d', 'loads', '--create-workflows', $lines, glob("'$samples'/*.traj"), "$samples/sample-run.jsonl" ],
		'<', \undef, '>', \$out[$n], '2>', \$err[$n]);
}
$_->finish for @harnesses;
is(join(' ', map { $_->result(0) } @harnesses), '0 0 0 0', 'four loaders at once')
	or diag(@err);
is( query(q{SELECT count(*) FROM amelia.workflow_log AS l
		JOIN amelia.workflows AS w ON w.id = l.workflow_id
		WHERE w.issue_id LIKE '00000000-0000-4000-8000-0000000001__' AND l.event_type = 'x'}),
	20 * 20 * 4, 'store every line once');
is(query('SELECT count(*) FROM amelia.verify()'), '0', 'without gap or duplicate');

#
# Signals. The loader waits for a lock; we know from pg_stat_activity when.
#
sub start_and_wait
{
	my ($stdout, $stderr, @args) = @_;
	my $harness = IPC::Run::start([ $program, @connection, '-d', 'loads', @args ], '<', \undef, '>', $stdout, '2>', $stderr);
	$node->poll_query_until('loads', q{SELECT count(*) = 1 FROM pg_stat_activity
		WHERE application_name = 'amelia-load' AND wait_event_type = 'Lock'})
		or die 'the loader does not wait';
	return $harness;
}

query(q{SELECT amelia.create_workflow('ISSUE-1', '/worktree', id => '} . workflow(1000) . q{')});
$before = events();
$path = write_lines(line(1000, 'interrupted'));
my $second = write_lines(line(1000, 'never tried'));
for my $signal (qw(INT TERM))
{
	my $blocker = $node->background_psql('loads');
	($out, $err) = ('', '');
	$blocker->query_safe(q{BEGIN; SELECT FROM amelia.workflows WHERE id = '} . workflow(1000) . q{' FOR UPDATE});
	my $harness = start_and_wait(\$out, \$err, $path, $second);
	$harness->signal($signal);
	$harness->finish;
	is($harness->full_result(0), $signal eq 'INT' ? 2 : 15, "dies of SIG$signal");
	like($err, qr/\Q$path\E: interrupted\n/, 'says what was interrupted');
	like($err, qr/\Q$second\E: not loaded\n/, 'and what was not tried');
	ok( $node->poll_query_until('loads',
			q{SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'amelia-load'}),
		'its session does not wait on');
	$blocker->query_safe('COMMIT');
	$blocker->quit;
}
is(events(), $before, 'nothing was stored');

#
# A lost connection, in the middle and at COMMIT.
#
{
	my $blocker = $node->background_psql('loads');
	($out, $err) = ('', '');
	my $first = write_lines(line(1001, 'loaded before'));
	query(q{SELECT amelia.create_workflow('ISSUE-2', '/worktree', id => '} . workflow(1001) . q{')});
	$blocker->query_safe(q{BEGIN; SELECT FROM amelia.workflows WHERE id = '} . workflow(1000) . q{' FOR UPDATE});
	my $harness = start_and_wait(\$out, \$err, $first, $path, $second);
	query(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'amelia-load'});
	$harness->finish;
	is($harness->result(0), 2, 'a lost connection ends it');
	like($out, qr/\Q$first\E: 1 event added/, 'what was loaded was told');
	like($err, qr/\Q$path\E: .*(terminating connection|connection to the server lost)/, 'the file in work is named');
	like($err, qr/connection to the server lost; 1 of 3 files are loaded\n/, 'it says that the connection is lost');
	like($err, qr/\Q$second\E: not loaded\n/, 'and what was not tried');
	like($out, qr/3 files: 1 loaded, 0 there already, 2 failed\n/, 'and counts');
	$blocker->query_safe('COMMIT');
	$blocker->quit;
}
$before = events();
query(q{
	CREATE FUNCTION hang_up() RETURNS trigger LANGUAGE plpgsql AS
		'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END';
	CREATE CONSTRAINT TRIGGER hang_up AFTER INSERT ON amelia.workflow_log
		DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION hang_up()});
($status, $out, $err) = run_program(@connection, '-d', 'loads', $path);
is($status, 2, 'a connection that is lost at COMMIT');
like($err, qr/hint: .*may be there or not\. Load it again: nothing is stored twice\./, 'leaves open how it ended');
query('DROP TRIGGER hang_up ON amelia.workflow_log');
is(events(), $before, 'here it was not stored');

# A deadlock is the server's request to try again.
query(q{
	CREATE SEQUENCE attempts;
	CREATE FUNCTION lose_twice() RETURNS trigger LANGUAGE plpgsql AS
		$$BEGIN
			IF nextval('public.attempts') <= 2 THEN
				RAISE EXCEPTION 'deadlock, says the test' USING ERRCODE = '40P01';
			END IF;
			RETURN NULL;
		END$$;
	CREATE TRIGGER lose_twice AFTER INSERT ON amelia.workflow_log
		FOR EACH STATEMENT EXECUTE FUNCTION lose_twice()});
($status, $out, $err) = run_program(@connection, '-d', 'loads', '-v', $path);
is("$status|$err", '0|', 'a deadlock is tried again');
is(() = $out =~ /deadlock, says the test \(SQLSTATE 40P01\); trying again/g, 2, 'as often as it takes');
is(events(), $before + 1, 'and stores once');
query('DROP TRIGGER lose_twice ON amelia.workflow_log; ALTER SEQUENCE attempts INCREMENT -1');
query(q{SELECT setval('attempts', 1); ALTER SEQUENCE attempts MINVALUE -100;
	CREATE TRIGGER lose_always AFTER INSERT ON amelia.workflow_log
		FOR EACH STATEMENT EXECUTE FUNCTION lose_twice()});
($status, $out, $err) = run_program(@connection, '-d', 'loads', $second);
is($status, 1, 'but not for ever');
like($err, qr/\Q$second\E:1: deadlock, says the test/, 'then it is an error of that file');

$node->stop;
done_testing();
