# What amelia-dashboard's open pages are told: each event once and in order, over
# the ends of the server, of the dashboard and of the network between them; by
# one connection that reads for all of them; and to nobody what he may not see.
use strict;
use warnings;

use Dashboard;
use IO::Socket::INET;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = Dashboard::server('live', lena => 'reader', mia => 'reader', watcher => 'reader');
my $id = '00000000-0000-4000-8000-000000000001';
$node->safe_psql('postgres', "SELECT amelia.create_workflow('A-1', '/one', id => '$id')");
my $written = 1;

# So many events more, in transactions of their own.
sub append
{
	my ($n) = @_;

	$node->safe_psql('postgres', qq{SELECT format('SELECT amelia.append_event(''$id'', ''note'', ''number %s'');', n)
		FROM generate_series(1, $n) AS n \\gexec});
	$written += $n;
	return;
}

# A page's log: it connects again as a browser does, from the event that it had.
my ($site, $stream, %seen, @order, $last);
($last, $stream) = (0, undef);
sub upto
{
	my ($wanted) = @_;
	my $until = time + $Dashboard::limit;

	while (time < $until && !$seen{$wanted})
	{
		my $plain = $stream && Dashboard::read_until($stream, qr/id="e$wanted".*\n\n/s);
		my $text = ($plain // ($stream ? $stream->{text} : '')) =~ s/\r\n[0-9a-f]+\r\n//gr;

		for my $message ($text =~ /^event: events\n(.*?)\n\n/msg)
		{
			$last = $1 if $message =~ /^id: (\d+)/m;
			push @order, grep { !$seen{$_}++ } $message =~ /<li id="e(\d+)"/g;
		}
		next if defined $plain;
		$stream = eval { $site->listen("/workflow/$id", 0, $last) };
		sleep 0.05 if !$stream;
	}
	return join(' ', @order) eq join(' ', 1 .. $wanted);
}

my ($port, $between) = Dashboard::between($node);
$Dashboard::through = $port;
local $ENV{PGPASSWORD} = 'lena-secret';
$site = Dashboard->start($node, 'lena', '--role=lena');
ok(upto(1), 'what was there before');
append(5);
ok(upto(6), 'events as they come');
append(700);
ok(upto($written), 'many at once');

my $before = $site->{port};
$node->stop('immediate');
my $other = $site->listen('/');
like(Dashboard::read_until($other, qr/event: away/), qr/event: away\ndata: /, 'pages are told that the server is away');
$node->start;
append(30);
like(Dashboard::read_until($other, qr/event: back/), qr/event: back/, 'and that it is back');
ok(upto($written), 'over the end of the server nothing is missed');

kill 'TERM', $between;
waitpid $between, 0;
append(30);
(undef, $between) = Dashboard::between($node, $port);
ok(upto($written), 'nor over the end of the network');

$site->kill_it('KILL');
append(30);
$site = Dashboard->start($node, 'lena', '--role=lena', "--listen=127.0.0.1:$before");
append(3);
ok(upto($written), 'nor over the end of the dashboard');

# What is deleted is passed over, and nothing waits for it.
$stream = undef;
$node->safe_psql('postgres', "DELETE FROM amelia.workflow_log WHERE workflow_id = '$id' AND sequence < 500");
$stream = $site->listen("/workflow/$id", 490);
append(1);
like(Dashboard::read_until($stream, qr/id="e$written"/), qr/id="e500".*id="e$written"/s, 'where events were deleted, it goes on behind them');
$stream = $site->listen("/workflow/$id?level=error", $written);
$node->safe_psql('postgres', qq{SELECT amelia.append_event('$id', 'note', 'no error'), amelia.append_event('$id', 'task_failed', 'an error')});
$written += 2;
my $text = Dashboard::read_until($stream, qr/an error.*\n\n/s);
unlike($text, qr/no error/, 'a page of errors is told of errors');
append(2001);
$stream = $site->listen("/workflow/$id?level=trace", $written);
Dashboard::read_until($stream, qr/event: part/);
my $late = $site->listen("/workflow/$id?level=trace", 1);
like(Dashboard::read_until($late, qr/event: reload/), qr/event: reload/, 'a page that is far behind is to be loaded again');
$node->safe_psql('postgres', qq{SELECT amelia.append_event('$id', 'note', 'a line' || chr(13) || 'ended oddly' || chr(10) || 'event: end')});
$written++;
$stream = $site->listen("/workflow/$id", $written - 1);
$text = Dashboard::read_until($stream, qr/ended oddly.*\n\n/s);
like($text, qr/data: [^\n]*a line&#13;ended oddly\ndata: event: end</, 'text is no message of its own, whatever ends its lines');
# A page that is not at the log's end wants no events, and is never far behind.
my @apart = map { $site->listen("/workflow/$id?at=600", 'none') } 1, 2;
Dashboard::read_until($_, qr/event: part/) for @apart;
$node->safe_psql('postgres', "SELECT amelia.append_event('$id', 'task_failed', 'seen from afar')");
$written++;
for my $page (@apart)
{
	like(Dashboard::read_until($page, qr/seen from afar/), qr/seen from afar/, 'a page that is elsewhere is told what its head says');
	unlike($page->{text}, qr/event: (?:events|reload)/, 'and no event');
}

# Where all events are deleted, a page that has none is as far as the others.
my $other_id = '00000000-0000-4000-8000-000000000002';
$node->safe_psql('postgres', qq{SELECT amelia.create_workflow('A-2', '/two', id => '$other_id');
	SELECT amelia.append_event('$other_id', 'note', 'number ' || n) FROM generate_series(1, 5) AS n});
my $has = $site->listen("/workflow/$other_id", 6);
Dashboard::read_until($has, qr/event: part/);
$node->safe_psql('postgres', "DELETE FROM amelia.workflow_log WHERE workflow_id = '$other_id'");
my $has_none = $site->listen("/workflow/$other_id", 0);
like(Dashboard::read_until($has_none, qr/^:$/m), qr/^:$/m, 'it rests where there is nothing to be told');
$node->safe_psql('postgres', "SELECT amelia.append_event('$other_id', 'note', 'the next one')");
like(Dashboard::read_until($_, qr/the next one/), qr/id="e7"/, 'and the next event comes to both') for $has, $has_none;
unlike($has->{text}, qr/event: reload/, 'which what was deleted has not set back');

# The database was set back: pages that know more than it are loaded again, and keep nothing from the others.
my $ahead = $site->listen("/workflow/$other_id", 2147483647);
like(Dashboard::read_until($ahead, qr/event: reload/), qr/event: reload/, 'a page that is ahead of the log is to be loaded again');
$node->safe_psql('postgres', qq{BEGIN; DELETE FROM amelia.workflows WHERE id = '$other_id'; SELECT amelia.create_workflow('A-2', '/two', id => '$other_id'); COMMIT});
like(Dashboard::read_until($has, qr/event: reload/), qr/event: reload/, 'so is one whose log has begun anew');
$has_none = $site->listen("/workflow/$other_id", 0);
$node->safe_psql('postgres', "SELECT amelia.append_event('$other_id', 'note', 'begun anew')");
like(Dashboard::read_until($has_none, qr/begun anew/), qr/id="e2"/, 'and others are told what comes');

# What the server says is no message of its own either.
$node->safe_psql('postgres', q{CREATE FUNCTION public.refuse() RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION USING MESSAGE = E'no\revent: part\rdata: owned'; END$$;
	ALTER TABLE amelia.workflows ENABLE ROW LEVEL SECURITY; CREATE POLICY refuse ON amelia.workflows USING (public.refuse())});
like(Dashboard::read_until($has_none, qr/event: away.*\n\n/s), qr/event: away\ndata: [^\r\n]*no\ndata: event: part\ndata: data: owned\n\n/, 'nor is an error, whatever ends its lines');
$node->safe_psql('postgres', 'ALTER TABLE amelia.workflows DISABLE ROW LEVEL SECURITY; DROP POLICY refuse ON amelia.workflows');
$site->kill_it;
is(Dashboard::read_until($stream, qr/never/), undef, 'when it is stopped, streams end');

# One connection reads for all, and each role asks once for all of its own.
$Dashboard::through = undef;
$site = Dashboard->start($node, 'watcher', '--connections=3', '--idle=1');
my @streams;
for my $role ('lena', 'mia')
{
	is($site->log_in($role), 303, "$role is in");
	push @streams, map { $site->listen("/workflow/$id", $written) } 1 .. 15;
}
append(1);
is((grep { defined Dashboard::read_until($_, qr/id="e$written"/) } @streams), 30, 'thirty pages are told');
is($node->safe_psql('postgres', q{SELECT string_agg(n, ' ' ORDER BY n) FROM (SELECT usename || CASE WHEN usename = 'watcher' THEN ' ' || count(*) WHEN count(*) <= 2 THEN ' few' END AS n
	FROM pg_stat_activity WHERE application_name = 'amelia-dashboard' GROUP BY usename) AS c}) , 'lena few mia few watcher 1', 'by one connection that reads, and few that ask');

# To nobody what he may not see: a policy that comes meanwhile holds too.
$node->safe_psql('postgres', q{ALTER TABLE amelia.workflows ENABLE ROW LEVEL SECURITY;
	CREATE POLICY not_mia ON amelia.workflows USING (current_user <> 'mia');
	ALTER TABLE amelia.workflow_log ENABLE ROW LEVEL SECURITY;
	CREATE POLICY not_mia ON amelia.workflow_log USING (current_user <> 'mia')});
$node->safe_psql('postgres', "SELECT amelia.append_event('$id', 'note', 'not for mia')");
like(Dashboard::read_until($streams[0], qr/not for mia/), qr/not for mia/, 'who may see it is told');
like(Dashboard::read_until($streams[15], qr/event: reload/), qr/event: reload/, 'who may not any more is to load the page again');
unlike($streams[15]{text}, qr/not for mia/, 'and is told nothing of it');

# A password that is not valid any more opens nothing, whoever logs in with the new one.
is($site->log_in('lena'), 303, 'lena is in');
my $before_change = $site->listen("/workflow/$id", $written + 1);
Dashboard::read_until($before_change, qr/event: part/);
$node->safe_psql('postgres', q{SET log_statement = 'none'; ALTER ROLE lena PASSWORD 'changed'});
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'lena'});
is($site->log_in('lena', 'changed'), 303, 'and again, with another password');
my @after_change = map { $site->listen("/workflow/$id", $written + 1) } 1 .. 15;
Dashboard::read_until($_, qr/event: part/) for @after_change;
$node->safe_psql('postgres', "SELECT amelia.append_event('$id', 'note', 'for the new password')");
like(Dashboard::read_until($after_change[0], qr/for the new password/), qr/for the new password/, 'who has it is told');
like(Dashboard::read_until($before_change, qr/event: end/), qr/event: end/, 'who has the old one is to log in');
unlike($before_change->{text}, qr/for the new password/, 'and is told nothing');

# A session ends, and its pages with it.
is($site->log_in('mia'), 303, 'mia is in again');
is(($site->post('/logout', {}))[0], 303, 'mia leaves');
my $mine = $site->listen("/workflow/$id");
like(Dashboard::read_until($mine, qr/ 401 /), qr/ 401 /, 'her pages get no further');
$site->kill_it;
kill 'TERM', $between;
waitpid $between, 0;

done_testing();
