# Workers behind PgBouncer in transaction mode, where the next transaction on the
# server's connection is somebody else's: with one server connection for all, so
# that whatever one client leaves behind is met by the next.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AmeliaTest;
use Clients;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($pgbouncer) = grep { -x } '/usr/sbin/pgbouncer', '/usr/bin/pgbouncer', '/usr/local/bin/pgbouncer';

if (!$pgbouncer)
{
	die 'pgbouncer is not installed' if $ENV{CI};
	plan skip_all => 'pgbouncer is not installed';
}

my $node = new_node('pooled', preload => 1);
my $port = PostgreSQL::Test::Cluster::get_free_port();
my $dir = PostgreSQL::Test::Utils::tempdir_short();
my $user = getpwuid($<);
my ($mine, $yours) = map { "01970000-0000-7000-8000-00000000000$_" } 1, 2;
my $bouncer;

$node->safe_psql('postgres', 'CREATE EXTENSION amelia');

# Start it, with one server connection.
sub start_bouncer
{
	my ($more) = @_;

	unlink "$dir/ini";
	append_to_file("$dir/ini", <<"INI" . ($more // ''));
[databases]
postgres = host=@{[ $node->host ]} port=@{[ $node->port ]} user=$user
[pgbouncer]
pool_mode = transaction
default_pool_size = 1
listen_port = $port
unix_socket_dir = $dir
auth_type = any
admin_users = $user
logfile = $dir/log
INI
	$bouncer = IPC::Run::start([ $pgbouncer, '-q', "$dir/ini" ], '<', \undef, '>&', \my $out);
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return if IPC::Run::run([ 'psql', '-XAt', '-c', 'SELECT 1', '-d', url() ], '>', \my $one, '2>', \my $err);
		select undef, undef, undef, 0.1;
	}
	die 'PgBouncer does not answer: ' . slurp_file("$dir/log");
}

sub stop_bouncer
{
	$bouncer->signal('INT');
	$bouncer->finish;
	return;
}

sub url { return "host=$dir port=$port dbname=" . ($_[0] // 'postgres') . " user=$user"; }

# A client that stays connected to PgBouncer.
sub open_client
{
	my %client = (in => '', out => '', said => 0);

	$client{run} = IPC::Run::start([ 'psql', '-XAtq', '-d', url() ], '<', \$client{in}, '>', \$client{out}, '2>&1',
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	return \%client;
}

# Send it something; what it prints then.
sub send_sql { my ($client, $sql) = @_; $client->{in} .= "$sql;\n\\echo end of that\n"; return; }

sub printed
{
	my ($client) = @_;

	$client->{run}->pump until $client->{out} =~ /end of that\n/;
	$client->{out} =~ s/^(.*?)\n?end of that\n//s or die;
	return $1;
}

sub client_says { send_sql(@_); return printed($_[0]); }

sub close_client { $_[0]{in} .= "\\q\n"; $_[0]{run}->finish; return; }

start_bouncer();
my ($one, $two) = (open_client(), open_client());
is(client_says($one, 'SELECT pg_backend_pid()'), client_says($two, 'SELECT pg_backend_pid()'), 'both clients have the same server connection');
is(client_says($one, "SELECT status FROM amelia.create_workflow('I', '/w1', id => '$mine')"), 'pending', 'a workflow');
is(client_says($two, "SELECT status FROM amelia.create_workflow('I', '/w2', id => '$yours')"), 'pending', 'and another');
my $cursor = client_says($two, 'SELECT next_cursor FROM amelia.feed_after()');

# The round of a worker, by turns.
is(client_says($one, "SELECT id, lease_token FROM amelia.claim_workflow('one')"), "$mine|1", 'one claims');
is(client_says($two, "SELECT id, lease_token FROM amelia.claim_workflow('two')"), "$yours|1", 'two claims the other');
is(client_says($one, "SELECT cancel_requested FROM amelia.heartbeat('$mine', 1)"), 'f', 'heartbeat');
is(client_says($one, "SELECT amelia.append_event('$mine', 'work', 'by token', lease_token => 1)"), 3, 'append_event');
is(client_says($two, "SELECT amelia.append_events('$yours', '[{\"event_type\": \"work\", \"message\": \"m\"}]', 1)"), '[3,4)', 'append_events');
is(client_says($two, "SELECT amelia.record_usage('$yours', 'a', 'm', 1, 1, cost_usd => 0) IS NOT NULL"), 't', 'record_usage');

# A lease that was said holds to the end of that transaction, and no further.
is(client_says($one, "BEGIN; SELECT amelia.set_worker('$mine', 1);
	INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES ('$mine', 'work', 'plain'); COMMIT"), '', 'set_worker()');
$node->safe_psql('postgres', "UPDATE amelia.workflow_leases SET expires_at = now() WHERE workflow_id = '$mine'");
is($node->safe_psql('postgres', "SELECT lease_token FROM amelia.claim_workflow('three')"), 2, 'the workflow is taken over');
is(client_says($two, "INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES ('$mine', 'note', 'of two') RETURNING sequence"),
	6, 'the next client is not refused for the lease of the one before');
like(client_says($one, "BEGIN; SELECT amelia.set_worker('$mine', 1)"), qr/ERROR:  lease 1 of workflow $mine is lost/, 'who says it is');
is(client_says($one, 'ROLLBACK'), '', 'and rolls back');
is(client_says($two, "BEGIN; SELECT amelia.set_worker('$yours', 1); ROLLBACK"), '', 'nor does one that was rolled back');
is(client_says($one, 'SHOW idle_in_transaction_session_timeout'), '0', 'leave a limit behind');
$node->safe_psql('postgres', 'ALTER DATABASE postgres SET amelia.require_lease = on');
stop_bouncer();
close_client($_) for $one, $two;
start_bouncer();
($one, $two) = (open_client(), open_client());
is(client_says($two, "BEGIN; SELECT amelia.set_worker('$yours', 1);
	INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES ('$yours', 'work', 'plain'); COMMIT"), '', 'with amelia.require_lease, set_worker()');
like(client_says($one, "INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES ('$yours', 'work', 'plain')"),
	qr/ERROR:  workflow $yours is held by a worker/, 'lets nobody else in');
is(client_says($two, "BEGIN; SELECT amelia.set_worker('$yours', 1)"), '', 'one more');
close_client($two);
like(client_says($one, "INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES ('$yours', 'work', 'plain')"),
	qr/ERROR:  workflow $yours is held by a worker/, 'nor does a client that went away in the middle');
$node->safe_psql('postgres', 'ALTER DATABASE postgres RESET amelia.require_lease');

# A client that stalls is sent away with its lease, and the connection is free.
$two = open_client();
is(client_says($two, 'SELECT 1'), 1, 'a client that is connected already');
is(client_says($one, "SELECT cancel_requested FROM amelia.heartbeat('$yours', 1, '6 s')"), 'f', 'a short lease');
is(client_says($two, "BEGIN; SELECT amelia.set_worker('$yours', 1)"), '', 'a transaction that stalls');
is(client_says($one, 'SELECT 1'), 1, 'ends with the lease, and the next client goes on');
close_client($two);
is($node->safe_psql('postgres', "SELECT lease_token FROM amelia.claim_workflow('four')"), 2, 'and the workflow is taken over');

# The setting of a session stays on the server's connection: it is for those who
# have one of their own.
stop_bouncer();
close_client($one);
start_bouncer();
($one, $two) = (open_client(), open_client());
client_says($one, "SET amelia.lease = '$mine 1'");
is(client_says($two, 'SHOW amelia.lease'), "$mine 1", 'amelia.lease, set through PgBouncer, is the next client\'s');
like(client_says($two, "INSERT INTO amelia.workflow_log (workflow_id, event_type, message) VALUES ('$mine', 'note', 'of two')"),
	qr/ERROR:  lease 1 of workflow $mine is lost/, 'who is refused what was not theirs');
client_says($one, 'RESET amelia.lease');
is(client_says($one, "BEGIN; SET LOCAL amelia.lease = '$yours 2'; SHOW amelia.lease; COMMIT"), "$yours 2", 'set for a transaction');
is(client_says($two, 'SHOW amelia.lease'), '', 'it is gone with that');
ok(!IPC::Run::run([ 'psql', '-XAt', '-c', 'SHOW amelia.lease', '-d', url() . " options='-c amelia.lease=$mine\\\\ 1'" ], '>', \my $out, '2>', \my $err),
	'as an option of the connection PgBouncer refuses it');
like($err, qr/unsupported startup parameter/, 'and says so');

# Following along. A reader who waits has the server's connection all the while.
like(client_says($two, "SELECT string_agg((f.event).message, ', ' ORDER BY (f.event).sequence) FROM amelia.feed_after('$cursor') AS f WHERE f.workflow_id = '$mine'"),
	qr/^claimed by one, by token, plain, claimed by three.*, of two$/, 'feed_after()');
my $last = client_says($one, "SELECT amelia.last_sequence('$mine')");
send_sql($one, "CALL amelia.wait_events('$mine', $last, '10 min')");
$one->{run}->pump_nb;
$node->poll_query_until('postgres', q{SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query ~ '^CALL amelia.wait_events' AND state = 'active')})
  or die 'nobody waits';
send_sql($two, 'SELECT 1');
$two->{run}->pump_nb;
my $waiting = '';
for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
{
	IPC::Run::run([ 'psql', '-XA', '-c', 'SHOW POOLS', '-d', url('pgbouncer') ], '>', \$out, '2>', \$err) or die $err;
	my ($head, @pools) = map { [ split /\|/ ] } split /\n/, $out;
	my ($column) = grep { $head->[$_] eq 'cl_waiting' } 0 .. $#$head;

	($waiting) = map { $_->[$column] } grep { $_->[0] eq 'postgres' } @pools;
	last if $waiting;
	select undef, undef, undef, 0.1;
}
is($waiting, 1, 'while one waits for events, the other waits for a connection');
$node->safe_psql('postgres', "SELECT amelia.append_event('$mine', 'note', 'at last')");
is(printed($one), '', 'wait_events() returns');
is(printed($two), 1, 'and the other goes on');
is(client_says($one, "SELECT message FROM amelia.events_after('$mine', $last)"), 'at last', 'events_after()');
is(client_says($two, "SELECT status FROM amelia.release_workflow('$yours', 2, 'completed')"), 'completed', 'release_workflow()');
close_client($_) for $one, $two;

# With a reset after each transaction not even that setting stays.
stop_bouncer();
start_bouncer("server_reset_query = DISCARD ALL\nserver_reset_query_always = 1\n");
($one, $two) = (open_client(), open_client());
client_says($one, "SET amelia.lease = '$mine 1'");
is(client_says($two, 'SHOW amelia.lease'), '', 'server_reset_query_always takes the setting away');
is(client_says($two, "SELECT amelia.append_event('$mine', 'note', 'after a reset', lease_token => 2)"), $last + 2, 'and the functions work');
close_client($_) for $one, $two;

# Workers, two of each language.
for my $language ('python', 'node')
{
  SKIP:
	{
		my $lacks = lacks_client($language);

		skip $lacks, 3 if $lacks;
		$node->safe_psql('postgres', "SELECT amelia.release_workflow(l.workflow_id, l.lease_token, 'completed')
			FROM amelia.workflow_leases AS l WHERE l.expires_at > now();
			SELECT count(amelia.create_workflow('I-' || n, NULL)) FROM generate_series(1, 6) AS n");
		my @workers = map { start_worker($language, "postgresql://$user\@localhost/postgres?host=$dir&port=$port", $_, '--once', '--step', '0') } 'first', 'second';
		ends_well($_, "works through PgBouncer, in $language") for @workers;
		is($node->safe_psql('postgres', q{SELECT string_agg(DISTINCT status, ' ') FROM amelia.workflows}), 'completed', 'all is done');
	}
}
stop_bouncer();
$node->stop;
done_testing();
