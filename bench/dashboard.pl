# What bench/dashboard measures; it says with what arguments.
use strict;
use warnings;

use Browser;
use File::Temp;
use IO::Handle;
use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Time::HiRes qw(sleep time);

my ($url, $pid, $conninfo, $psql, $workflows, $pages, $rate, $seconds, $rounds) = @ARGV;
my ($port) = $url =~ /:(\d+)/;
my $ticks = POSIX::sysconf(POSIX::_SC_CLK_TCK()) || 100;
my @newest = map { sprintf '%08x-%04x-%04x-%04x-%012x', 0, 0, 0, 0, $workflows - $_ } 0 .. 19;

open(my $sql, '|-', $psql, '-Xq', '-d', $conninfo, '-o', '/dev/null') or die "$psql: $!";
$sql->autoflush(1);

sub ask { my @lines = split /\n/, qx{$psql -XqAt -d '$conninfo' -c "$_[0]"}; return @lines }

sub spread
{
	my @sorted = sort { $a <=> $b } @_;
	return sprintf '%.1f (%.1f–%.1f)', $sorted[ @sorted / 2 ], $sorted[0], $sorted[-1];
}

sub open_page
{
	my ($path) = @_;
	my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or die "connect: $!";
	print $socket "GET $path HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
	return $socket;
}

# Milliseconds until all of a page is there.
sub page_time
{
	my ($path) = @_;
	my $start = time;
	my $socket = open_page($path);
	my $text = '';

	while ($text !~ /\r\n\r\n/ || length($text =~ s/^.*?\r\n\r\n//sr) < ($text =~ /Content-Length: (\d+)/)[0])
	{
		sysread($socket, $text, 1 << 20, length $text) or die "no page $path";
	}
	die "$path: $text" unless $text =~ /^HTTP\/1.1 200/;
	return 1000 * (time - $start);
}

# Pages, by turns with what SQL takes in psql: the same rows.
my %path = ('the list' => '/', 'the list, a search' => '/?q=issue-99', 'one workflow' => "/workflow/$newest[3]", 'decisions' => '/decisions', 'the queue' => '/queue', 'cost' => '/cost');
my %time;
page_time($_) for values %path;
for my $round (1 .. 20)
{
	push @{ $time{$_} }, page_time($path{$_}) for sort keys %path;
}
print "Pages, ms: $_: ", spread(@{ $time{$_} }), "\n" for sort keys %path;

# From the commit to the screen: the page notes when it has an event, by the same clock.
my $folder = File::Temp->newdir;
my $browser = Browser->new("$folder", 60);
$browser->go("${url}workflow/$newest[3]");
$browser->wait_for('source && source.readyState === 1');
$browser->value(q{window.seen = {}; new MutationObserver(changes => { requestAnimationFrame(() => { for (const c of changes) for (const n of c.addedNodes)
	if (n.id) seen[n.querySelector('.text').textContent] = Date.now(); }); }).observe(log, { childList: true }); 1});
my %committed;
for my $n (1 .. 100)
{
	my ($at) = ask("SELECT extract(epoch FROM clock_timestamp()) * 1000 FROM (SELECT amelia.append_event('$newest[3]', 'note', 'event $n')) AS a");
	# psql comes back after the commit.
	$committed{"event $n"} = $at;
	sleep 0.05 + rand 0.2;
}
$browser->wait_for(q{'event 100' in seen});
my $seen = $browser->value('seen');
my @delay = sort { $a <=> $b } map { $seen->{$_} - $committed{$_} } keys %committed;
printf "An event on the screen, ms after it was written: p50 %.0f, p95 %.0f, max %.0f\n", @delay[ 49, 94, 99 ];
$browser->close;

# Seconds of processor time that a process has used.
sub used
{
	my ($process) = @_;

	open(my $stat, '<', "/proc/$process/stat") or return;
	my @fields = split / /, (<$stat> =~ s/^.*\) //r);
	return ($fields[11] + $fields[12]) / $ticks;
}

# What the dashboard's server processes have used since the last call. Some end, and
# others begin, while it runs: what one used after the last look at it is lost.
my %used;
sub used_by_servers
{
	my $sum = 0;
	for my $process (ask("SELECT pid FROM pg_stat_activity WHERE application_name = 'amelia-dashboard'"))
	{
		my $now = used($process) // next;
		$sum += $now - ($used{$process} // 0);
		$used{$process} = $now;
	}
	return $sum;
}

sub memory
{
	open(my $status, '<', "/proc/$pid/status") or return 0;
	return (map { /^VmRSS:\s+(\d+)/ ? $1 / 1024 : () } <$status>)[0];
}

# So many open pages, half of them lists and half workflows, while events come.
sub watch
{
	my ($n) = @_;
	# From where each log ends, as a page that was just loaded.
	my @last = map { ask("SELECT amelia.last_sequence('$_')") } @newest;
	my @sockets = map { open_page('/live?page=' . ($_ % 2 ? '%2F' : "%2Fworkflow%2F$newest[$_ / 2 % 20]&after=$last[$_ / 2 % 20]")) } 1 .. $n;
	my $select = IO::Select->new(@sockets);
	my ($start, $written, $bytes) = (time, 0, 0);
	sleep 0.5;
	used_by_servers();
	my ($own, $theirs) = (used($pid), 0);
	$start = time;
	my $look = $start + 2;
	while (time < $start + $seconds)
	{
		for my $ready ($select->can_read(0.01))
		{
			last if time > $look;
			$bytes += sysread($ready, my $data, 1 << 18) || die 'a page ended';
		}
		if (time > $look)
		{
			$theirs += used_by_servers();
			$look += 2;
		}
		while ($written < (time - $start) * $rate)
		{
			print $sql "SELECT amelia.append_event('$newest[$written++ % 20]', 'note', 'while pages are open');\n";
		}
	}
	return (100 * (used($pid) - $own) / $seconds, 100 * ($theirs + used_by_servers()) / $seconds, $bytes / $seconds / 1024, memory());
}

my (%cpu, %servers, %sent, @memory);
for my $round (1 .. $rounds)
{
	for my $n (1, $pages)
	{
		my ($own, $theirs, $bytes, $memory) = watch($n);
		push @{ $cpu{$n} }, $own;
		push @{ $servers{$n} }, $theirs;
		push @{ $sent{$n} }, $bytes;
		push @memory, $memory if $n == $pages;
	}
}
for my $n (1, $pages)
{
	printf "%d open, %d events a second: dashboard %s %% of a core, its server processes %s %%, sent %s kB/s\n", $n, $rate,
	  map { spread(@$_) } $cpu{$n}, $servers{$n}, $sent{$n};
}
printf "Memory of the dashboard after each turn of %d pages, MB: %s\n", $pages, join ', ', map { sprintf '%.1f', $_ } @memory;
print "Connections: ", join(', ', ask("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'amelia-dashboard'")), "\n";
