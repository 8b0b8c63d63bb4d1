# Many queries in one session. PostgreSQL's own poll_query_until() starts a psql for
# each look, ten times a second: on two cores half of one does nothing else while a
# test waits. Whoever uses this module has the method replaced; and ask() does
# what safe_psql() does, for a test that asks a hundred times.
package Polls;

use strict;
use warnings FATAL => 'all';

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $original = \&PostgreSQL::Test::Cluster::poll_query_until;
my $end = 'the end of what this look has seen';

# What a query says, in a session that is begun when there is none: its output
# and errors; nothing when the session ended over it. Each look is a
# transaction of its own.
sub look
{
	my ($node, $database, $session, $query) = @_;

	if (!$session->{psql})
	{
		$session->{$_} = '' foreach qw(in out err);
		$session->{psql} = IPC::Run::start(
			[ $node->installed_command('psql'), '-XAtq', '-d', $node->connstr($database), '-f', '-' ],
			'<', \$session->{in}, '>', \$session->{out}, '2>', \$session->{err});
	}
	$session->{$_} = '' foreach qw(out err);
	$session->{in} = "$query\n;\n\\echo $end\n\\warn $end\n";
	my $answered = eval {
		$session->{psql}->pump until $session->{out} =~ s/\Q$end\E\n\z//;
		$session->{psql}->pump until $session->{err} =~ s/\Q$end\E\n\z//;
		1;
	};
	return @{$session}{qw(out err)} if $answered;
	eval { $session->{psql}->finish };
	delete $session->{psql};
	return;
}

# What a query answers, in a session that is kept for the next one and forgets
# what was set in it. Dies of an error.
my %kept;

sub ask
{
	my ($node, $database, $query) = @_;
	my $session = $kept{ $node->name . " $database" } //= {};
	my @answer;

	local $SIG{PIPE} = 'IGNORE';
	# It has ended since where the server was started again.
	for (1 .. 2)
	{
		@answer = look($node, $database, $session, "$query\n;\nDISCARD ALL") and last;
	}
	my ($out, $err) = @answer or die "no session for: $query";
	die "$err\nin: $query" if $err =~ /(?:ERROR|FATAL|PANIC): /;
	chomp($out);
	return $out;
}

# Ends the session, and waits until psql is gone.
sub leave
{
	my ($session) = @_;

	eval { $session->{psql}->finish } if $session->{psql};
	return;
}

sub poll_query_until
{
	my ($node, $database, $query, $expected) = @_;
	my ($session, $out, $err) = ({});

	return $original->(@_) if !defined $query;
	$expected //= 't';
	# Who is gone, as a psql whose server crashes, is not written to for ever.
	local $SIG{PIPE} = 'IGNORE';
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		($out, $err) = look($node, $database, $session, $query);
		if (defined $out)
		{
			chomp($out, $err);
			if ($out eq $expected && $err eq '')
			{
				leave($session);
				return 1;
			}
		}
		usleep(100_000);
	}
	leave($session);
	diag("it is never so: $query\nexpected: $expected\nlast: " . ($out // 'no session') . "\n" . ($err // ''));
	return 0;
}

{
	no warnings 'redefine';
	*PostgreSQL::Test::Cluster::poll_query_until = \&poll_query_until;
}

1;
