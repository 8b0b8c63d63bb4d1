# Runs client/example-worker/worker.py.
package ExampleWorker;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use FindBin;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(has_example_worker need_example_worker start_worker ends_well kill_worker);

# Debian's Python, for which its package of psycopg is.
my $python = '/usr/bin/python3';
my $program = "$FindBin::RealBin/../../client/example-worker/worker.py";

sub has_example_worker
{
	return 1 if -x $python && IPC::Run::run([ $python, '-c', 'import psycopg' ], '>', \my $out, '2>', \my $err);
	# Somebody may do without, the project may not.
	die "there is no psycopg for $python" if $ENV{CI};
	return 0;
}

sub need_example_worker
{
	plan skip_all => 'python3-psycopg is not installed' if !has_example_worker();
	return;
}

# Returns a worker, with its process in run and what it says in said.
sub start_worker
{
	my ($url, $name, @options) = @_;
	my %worker = (name => $name, said => '');

	local $ENV{DATABASE_URL} = $url;
	$worker{run} = IPC::Run::start([ $python, $program, '--name', $name, '--idle', '0.1', @options ],
		'<', \undef, '>&', \$worker{said},
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	return \%worker;
}

sub ends_well
{
	my ($worker, $what) = @_;

	$worker->{run}->finish;
	is($worker->{run}->result(0), 0, "$worker->{name}: $what") or diag($worker->{said});
	return;
}

sub kill_worker
{
	my ($worker) = @_;

	$worker->{run}->signal('KILL');
	$worker->{run}->finish;
	return;
}

1;
