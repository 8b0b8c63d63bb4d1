# amelia-dashboard for tests: a server that asks for passwords, the program, and
# a client of HTTP that keeps its cookie.
package Dashboard;

use strict;
use warnings;

use File::Basename qw(dirname);
use HTTP::Tiny;
use IO::Socket::INET;
use IO::Select;
use IPC::Run;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

# Where the dashboard finds the server, when something stands between them.
our $through;
our $limit = $PostgreSQL::Test::Utils::timeout_default;

# A server with the extension, and roles that log in with their name as password.
sub server
{
	my ($name, %roles) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
	$node->append_conf('postgresql.conf', "listen_addresses = '127.0.0.1'\nshared_preload_libraries = 'amelia'\namelia.enabled = off\n");
	unlink $node->data_dir . '/pg_hba.conf';
	$node->append_conf('pg_hba.conf', "local all all trust\nhost all trusted 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n");
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION amelia; CREATE ROLE trusted LOGIN');
	for my $role (sort keys %roles)
	{
		$node->safe_psql('postgres', qq{SET log_statement = 'none'; CREATE ROLE "$role" LOGIN PASSWORD '$role-secret'});
		$node->safe_psql('postgres', qq{SELECT amelia.grant_$roles{$role}('$role')}) if $roles{$role};
	}
	return $node;
}

# start(node, as: the role of its own connection, options…)
sub start
{
	my ($class, $node, $as, @options) = @_;
	my $self = bless { node => $node, out => '', err => '' }, $class;
	my $by_role = grep { /^--role/ } @options;
	my @connection = ('-d', 'dbname=postgres host=127.0.0.1 port=' . $node->port);

	@connection = ('-d', 'dbname=postgres host=' . $node->host . ' port=' . $node->port) if $by_role;
	@connection = ('-d', "dbname=postgres host=127.0.0.1 port=$through") if $through;
	# Whom a connection string names is nobody who logs in.
	$connection[1] .= " user=$as" if !$by_role;
	@options = ('--listen=127.0.0.1:0', @options) unless grep { /^--listen/ } @options;
	delete local $ENV{PGAPPNAME};
	local $ENV{PGPASSWORD} = $as ? "$as-secret" : '';
	$self->{run} = IPC::Run::start([ dirname(__FILE__) . '/../../client/amelia-dashboard', @connection, @options ],
		'<', \undef, '>', \$self->{out}, '2>', \$self->{err});
	my $until = time + $limit;
	while ($self->{out} !~ /listening on (\S+)/)
	{
		die "amelia-dashboard: $self->{out}$self->{err}" if time > $until || !$self->{run}->pumpable;
		$self->{run}->pump_nb;
		sleep 0.02;
	}
	($self->{url}) = $self->{out} =~ /listening on (\S+)\//;
	($self->{port}) = $self->{url} =~ /:(\d+)$/;
	return $self;
}

sub url { return $_[0]{url} . ($_[1] // '') }

# What it has said so far.
sub said
{
	my ($self) = @_;
	$self->{run}->pump_nb while $self->{run}->pumpable && _ready($self);
	return "$self->{out}$self->{err}";
}

sub _ready
{
	my ($self) = @_;
	my $before = length "$self->{out}$self->{err}";
	$self->{run}->pump_nb;
	return length("$self->{out}$self->{err}") > $before;
}

sub pid { return $_[0]{run}{KIDS}[0]{PID} }

sub kill_it
{
	my ($self, $signal) = @_;
	$self->{run}->signal($signal // 'TERM');
	return $self->{run}->finish ? 0 : $self->{run}->full_result(0);
}

# request(method, path, form or undef, headers): status, body, headers
sub request
{
	my ($self, $method, $path, $form, $headers) = @_;
	my $http = HTTP::Tiny->new(max_redirect => 0, timeout => $limit, proxy => undef, http_proxy => undef, verify_SSL => 0);
	my %options = (headers => { %{ $headers // {} } });

	$options{headers}{Cookie} = $self->{cookie} if $self->{cookie} && !exists $options{headers}{Cookie};
	delete $options{headers}{Cookie} if exists $options{headers}{Cookie} && !defined $options{headers}{Cookie};
	if ($form)
	{
		$options{content} = ref $form ? $http->www_form_urlencode($form) : $form;
		$options{headers}{'Content-Type'} = 'application/x-www-form-urlencoded';
	}
	my $answer = $http->request($method, $self->{url} . $path, \%options);
	# Of several, the last one counts; a redirect keeps it.
	$self->{cookie} = $1 if ($answer->{headers}{'set-cookie'} // '') =~ /^([^;]+)/;
	return ($answer->{status}, $answer->{content}, $answer->{headers});
}

sub get { my ($self, @args) = @_; return $self->request('GET', $args[0], undef, $args[1]) }

sub log_in
{
	my ($self, $role, $password) = @_;
	delete $self->{cookie};
	my ($status) = $self->request('POST', '/login', { role => $role, password => $password // "$role-secret" });
	my (undef, $page) = $self->get('/');
	($self->{token}) = $page =~ /name="token" content="([0-9a-f]{64})"/;
	return $status;
}

# Does something with the token of the session.
sub post
{
	my ($self, $path, $form, $headers) = @_;
	return $self->request('POST', $path, { token => $self->{token}, %$form }, $headers);
}

# A process between the dashboard and the server, which can be cut: its port and its id.
sub between
{
	my ($node, $port) = @_;
	my $door = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port // 0, Listen => 20, ReuseAddr => 1) or die "listen: $!";
	my $pid = fork // die "fork: $!";

	return ($door->sockport, $pid) if $pid;
	$SIG{TERM} = 'DEFAULT';
	my %other;
	my $select = IO::Select->new($door);
	while (my @ready = $select->can_read)
	{
		for my $from (@ready)
		{
			if ($from == $door)
			{
				my $client = $door->accept or next;
				my $server = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $node->port) or do { close $client; next };
				@other{ $client, $server } = ($server, $client);
				$select->add($client, $server);
				next;
			}
			my $to = $other{$from} or next;
			my $data = '';
			next if sysread($from, $data, 65536) && syswrite($to, $data);
			$select->remove($from, $to);
			delete @other{ $from, $to };
			close $_ for $from, $to;
		}
	}
	POSIX::_exit(0);
}

# The status of a page under another name.
sub status_under
{
	my ($self, $host) = @_;
	my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port}) or die "connect: $!";

	print $socket "GET / HTTP/1.1\r\nHost: $host\r\nConnection: close\r\n\r\n";
	my ($status) = <$socket> =~ / (\d+) /;
	return $status;
}

# Opens a stream of events; read_until() reads it. after: 'none' for a page that wants no events.
sub listen
{
	my ($self, $page, $after, $last_id) = @_;
	my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port}) or die "connect: $!";
	my $address = $page =~ s/([^A-Za-z0-9\/])/sprintf '%%%02X', ord $1/ger;

	$address .= '&after=' . ($after // 0) if ($after // 0) ne 'none';
	print $socket "GET /live?page=$address HTTP/1.1\r\nHost: 127.0.0.1\r\n" .
	  ($self->{cookie} ? "Cookie: $self->{cookie}\r\n" : '') . (defined $last_id ? "Last-Event-ID: $last_id\r\n" : '') . "\r\n";
	$socket->autoflush(1);
	return { socket => $socket, text => '' };
}

# Until a pattern is there; what came, without the marks of its chunks. Nothing: the stream is over.
sub read_until
{
	my ($stream, $pattern) = @_;
	my $until = time + $limit;

	while (1)
	{
		my $plain = $stream->{text} =~ s/\r\n[0-9a-f]+\r\n//gr;
		return $plain if $plain =~ $pattern;
		my $select = '';
		vec($select, fileno $stream->{socket}, 1) = 1;
		return if time > $until || !select($select, undef, undef, $until - time);
		sysread($stream->{socket}, $stream->{text}, 1 << 20, length $stream->{text}) or return;
	}
}

1;
