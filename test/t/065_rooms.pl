# scripts/check-rooms says nothing of the library as it is, and names each
# deliberate fault: a call upward, a circle, a declaration in a foreign header, a
# file outside of the rooms.
use strict;
use warnings FATAL => 'all';

use File::Copy qw(copy);
use File::Path qw(make_path);
use FindBin;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = "$FindBin::RealBin/../..";
my $number = 0;

# What the check prints of a copy in which something is appended to some files.
sub faults
{
	my (%added) = @_;
	my $src = PostgreSQL::Test::Utils::tempdir() . '/src' . ++$number;

	for my $file (glob("$top/src/*.c"), glob("$top/src/*/*.[ch]"))
	{
		(my $name = $file) =~ s{^\Q$top\E/src/}{};
		make_path("$src/" . ($name =~ m{^(.*)/} ? $1 : ''));
		copy($file, "$src/$name") or die "$name: $!";
	}
	for my $name (keys %added)
	{
		open(my $file, '>>', "$src/$name") or die "$name: $!";
		print $file $added{$name};
		close $file;
	}
	my ($out, $err);
	IPC::Run::run([ "$top/scripts/check-rooms", $src ], '>', \$out, '2>', \$err);
	return $out . $err;
}

is(faults(), '', 'the rooms keep their order');
like(faults('base/uuid.c' => qq(#include "queue/claim.h"\n)),
	qr{^base/uuid\.c calls upward: it includes queue/claim\.h$}m, 'a call upward is named');
like(faults('base/uuid.h' => qq(#include "base/door.h"\n), 'base/door.h' => qq(#include "base/uuid.h"\n)),
	qr{^circle: base/door -> base/uuid -> base/door$}m, 'a circle is named');
like(faults('feed/wait.h' => "extern void NoSuchFunction(void);\n"),
	qr{^feed/wait\.h declares NoSuchFunction, which feed/wait\.c does not define$}m,
	'so is a header that names what its file does not give');
like(faults('loose.c' => "/* nothing */\n"), qr{^loose\.c lies in no room$}m, 'and a file in no room');
done_testing();
