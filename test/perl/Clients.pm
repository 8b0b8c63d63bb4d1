# Runs programs that use client/python or client/node: as they would be installed,
# beside their drivers. A language is 'python' or 'node'.
package Clients;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use FindBin;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(lacks_client lacks_langgraph need_client node_folder client_url client_command program_file run_program start_worker ends_well kill_worker);

my $top = "$FindBin::RealBin/../..";
# Debian's Python, for which its package of psycopg is.
my $python = '/usr/bin/python3';
# And what the caller has besides, LangGraph for one.
my $pythonpath = join(':', "$top/client/python", grep { $_ } $ENV{PYTHONPATH});
my $node_folder;

# Where programs for Node.js find the package and its driver, and LangGraph's where they
# are installed; undef without a driver.
sub node_folder
{
	my @modules = map { "$_/node_modules" } grep { $_ } @ENV{qw(AMELIA_CLIENTS AMELIA_LANGGRAPH)};

	return $node_folder if $node_folder;
	return if !grep { -d "$_/pg" } @modules;
	$node_folder = PostgreSQL::Test::Utils::tempdir();
	mkdir $_ or die "$_: $!" for map { "$node_folder/$_" } 'node_modules', 'node_modules/@types', 'node_modules/@langchain';
	for my $package (map { glob "$_/* $_/\@types/* $_/\@langchain/*" } @modules)
	{
		my ($name) = $package =~ m{node_modules/(.*)};

		symlink($package, "$node_folder/node_modules/$name") if !-e "$node_folder/node_modules/$name";
	}
	# Not a link: Node.js would look for the driver beside what it leads to.
	system('cp', '-r', "$top/client/node", "$node_folder/node_modules/amelia") == 0 or die 'cp';
	return $node_folder;
}

# Why a language's client cannot be tried, if it cannot.
sub lacks_client
{
	my ($language) = @_;
	my $reason;

	$reason = 'python3-psycopg is not installed'
	  if $language eq 'python' && !(-x $python && IPC::Run::run([ $python, '-c', 'import psycopg' ], '>', \my $out, '2>', \my $err));
	$reason = 'npm\'s packages are not installed: see scripts/setup-packages' if $language eq 'node' && !node_folder();
	# Somebody may do without, the project may not.
	die $reason if $reason && $ENV{CI};
	return $reason;
}

# Why LangGraph's own saver cannot be tried in Node.js, if it cannot.
sub lacks_langgraph
{
	return if -d node_folder() . '/node_modules/@langchain/langgraph-checkpoint-postgres';
	die 'LangGraph\'s packages are not installed' if $ENV{CI};
	return 'LangGraph\'s packages are not installed: see scripts/setup-packages';
}

sub need_client
{
	my $reason = lacks_client(@_);

	plan skip_all => $reason if $reason;
	return;
}

# A URL that both drivers understand.
sub client_url
{
	my ($node, $user, $database) = @_;

	# The socket's directory stands in for the host, which a URL must have.
	return "postgresql://$user\@localhost/" . ($database // 'postgres') . '?host=' . $node->host . '&port=' . $node->port;
}

# The command that runs a program; %ENV is set for it.
sub client_command
{
	my ($language, $program, @options) = @_;

	# A newer Node.js than the system's is among the packages where it is needed.
	my ($nodejs) = $language eq 'node' ? (glob(node_folder() . '/node_modules/node-linux-*/bin/node'), 'node') : ();

	$ENV{PYTHONPATH} = $pythonpath;
	$ENV{PYTHONDONTWRITEBYTECODE} = 1;
	$ENV{PYTHONIOENCODING} = 'utf-8';
	$ENV{NO_COLOR} = 1;
	return ($language eq 'node' ? $nodejs : $python, $program, @options);
}

# A file with the text of a program, where it finds the package.
sub program_file
{
	my ($language, $text, $name) = @_;
	my $folder = $language eq 'node' ? node_folder() : PostgreSQL::Test::Utils::tempdir();
	my $program = "$folder/" . ($name // 'program') . '.' . ($language eq 'node' ? 'mjs' : 'py');

	unlink $program;
	append_to_file($program, $text);
	return $program;
}

# Runs the text of a program; what it printed, its errors, and whether it ended well.
sub run_program
{
	my ($language, $text, $url, @options) = @_;
	my $program = program_file($language, $text);
	my ($out, $err) = ('', '');

	local %ENV = (%ENV, DATABASE_URL => $url);
	my $ok = IPC::Run::run([ client_command($language, $program, @options) ], '<', \undef, '>', \$out, '2>', \$err,
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	return ($out, $err, $ok);
}

# Returns test/clients/worker.*, with its process in run and what it says in said.
sub start_worker
{
	my ($language, $url, $name, @options) = @_;
	my %worker = (name => $name, said => '');
	my $program = "$top/test/clients/worker." . ($language eq 'node' ? 'mjs' : 'py');

	if ($language eq 'node')
	{
		system('cp', $program, node_folder()) == 0 or die 'cp';
		$program = node_folder() . '/worker.mjs';
	}
	local %ENV = (%ENV, DATABASE_URL => $url);
	$worker{run} = IPC::Run::start([ client_command($language, $program, '--name', $name, '--idle', '0.1', @options) ],
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
