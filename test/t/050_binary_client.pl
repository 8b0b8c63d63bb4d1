# A client that binds typed parameters in binary through libpq, first with plain
# SQL and "search_path = amelia, public", then with the functions.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

sub pg_config
{
	my $value = qx('@{[ $ENV{PG_CONFIG} // 'pg_config' ]}' --$_[0]);
	chomp $value;
	return $value;
}

my $program = PostgreSQL::Test::Utils::tempdir() . '/plain_client';
my $libdir  = pg_config('libdir');
my ($stdout, $stderr);
my @compile = (
	$ENV{CC} // 'cc', '-std=gnu99', '-Wall', '-Wextra', '-Werror',
	'-I' . pg_config('includedir'),
	'-o', $program, 'test/client/plain_client.c', 'test/client/binary.c',
	"-L$libdir", "-Wl,-rpath,$libdir", '-lpq');
if (!ok(IPC::Run::run(\@compile, '>', \$stdout, '2>', \$stderr), 'the client compiles'))
{
	diag($stderr);
	done_testing();
	exit 1;
}

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION amelia');

ok( IPC::Run::run([ $program, $node->connstr('postgres') ], '>', \$stdout, '2>', \$stderr),
	'the client ends well');
is($stderr, '', 'and complains of nothing');
my @lines = split /\n/, $stdout;
is(pop @lines, 'done', 'it did all that it had to do');
foreach my $line (@lines)
{
	my ($is_ok, $name, $why) = $line =~ /^(ok|not ok) - (.*?)(?: \((.*)\))?$/;
	ok(($is_ok // '') eq 'ok', $name // $line) or diag($why // '');
}

$node->stop;
done_testing();
