# Each program has a manual page that says what --help says, and both are in
# Debian's package, which needs what `make quickstart` installs to build.
use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Utils;
use Test::More;

my ($programs) = slurp_file('client/Makefile') =~ /^PROGRAMS = (.*)$/m;
my @programs = sort split(' ', $programs);
cmp_ok(scalar @programs, '>=', 5, 'there are programs');

my $installed = PostgreSQL::Test::Utils::tempdir;
command_ok([ 'make', '-s', '-C', 'client', 'install', "DESTDIR=$installed" ], 'make install');
chomp(my $bindir = `$ENV{PG_CONFIG} --bindir`);
chomp(my $mandir = `$ENV{PG_CONFIG} --mandir`);

for my $program (@programs)
{
	my ($help) = run_command([ "$installed$bindir/$program", '--help' ]);
	my ($page, $warnings) = run_command([ 'env', 'MANWIDTH=200', 'man', '--warnings', '-l', "$installed$mandir/man1/$program.1" ]);
	my ($does) = $help =~ /\A$program (.*?)\.\n\n/s;

	is($warnings, '', "$program: its page is well formed");
	$page =~ s/.\x08//g;
	$page =~ s/\x{e2}\x{80}\x{90}\n\s*//g;
	s/\s+/ /g for $page, $does;
	like($page, qr/NAME $program - \Q$does\E DESCRIPTION/, "$program: what it is");
	for my $option ($help =~ /^\s{2,6}(?:-., )?(--[a-z-]+)/mg)
	{
		like($page, qr/\Q$option\E\b/, "$program: $option");
	}
	like(slurp_file('docs/packages.md'), qr/`$program`/, "$program: docs/packages.md names it");
}
is(slurp_file('debian/amelia-client.install'), join('', map { "client/$_ usr/bin\n" } @programs), 'Debian\'s package has the programs');
is(slurp_file('debian/amelia-client.manpages'), join('', map { "client/$_.1\n" } @programs), 'and their pages');

my ($packages) = slurp_file('scripts/setup') =~ /^packages=\((.*?)\)/m;
my $control = slurp_file('debian/control.in');
like($control, qr/^ $_,$/m, "it needs $_ to build") for grep { /^lib.*-dev$/ && !/^libc6-dev$/ } split(' ', $packages);
done_testing();
