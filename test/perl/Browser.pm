# Chromium, driven by its own protocol (DevTools) over a pipe: pages are opened,
# asked with JavaScript, measured, and pictures taken of them.
package Browser;

use strict;
use warnings;

use Encode qw(decode_utf8 encode_utf8);
use IO::Handle;
use IO::Select;
use JSON::PP ();
use MIME::Base64 qw(decode_base64);
use POSIX ();
use Time::HiRes qw(sleep time);

my $json = JSON::PP->new->utf8->canonical->allow_nonref;

# Where it is; nothing when it is not installed.
sub program
{
	my ($found) = grep { -x } map { ("$_/chromium", "$_/chromium-browser", "$_/google-chrome") } split(/:/, $ENV{PATH} // ''), '/usr/bin';
	return $found;
}

# new(folder for its profile, seconds that anything may take)
sub new
{
	my ($class, $folder, $limit) = @_;
	my $self = bless { limit => $limit // 180, id => 0, buffer => '', events => [], errors => [] }, $class;

	pipe(my $in, my $to) or die "pipe: $!";
	pipe(my $from, my $out) or die "pipe: $!";
	$self->{pid} = fork // die "fork: $!";
	if ($self->{pid} == 0)
	{
		# It reads from 3 and writes to 4; both ends may stand there already.
		my $high_in = POSIX::dup2(fileno $in, 60);
		my $high_out = POSIX::dup2(fileno $out, 61);
		POSIX::dup2(60, 3);
		POSIX::dup2(61, 4);
		open STDERR, '>', "$folder/browser.log";
		open STDOUT, '>', '/dev/null';
		{ no warnings; exec program(), qw(--headless --no-sandbox --disable-gpu --disable-quic --no-first-run
			--disable-background-networking --hide-scrollbars --remote-debugging-pipe), "--user-data-dir=$folder/profile", 'about:blank'; }
		POSIX::_exit(127);
	}
	CORE::close $in;
	CORE::close $out;
	$to->autoflush(1);
	@{$self}{qw(to from)} = ($to, $from);
	$self->{select} = IO::Select->new($from);
	$self->open_tab;
	return $self;
}

# The next message of the browser; dies when none comes.
sub message
{
	my ($self, $until) = @_;

	my $end;

	while (($end = index $self->{buffer}, "\0") < 0)
	{
		my $left = $until - time;
		die "the browser says nothing\n" if $left <= 0 || !$self->{select}->can_read($left);
		sysread($self->{from}, $self->{buffer}, 1 << 20, length $self->{buffer}) or die "the browser is gone\n";
	}
	my $message = substr($self->{buffer}, 0, $end);
	substr($self->{buffer}, 0, $end + 1) = '';
	return $json->decode($message);
}

sub note_event
{
	my ($self, $message) = @_;
	my ($method, $params) = @{$message}{qw(method params)};

	push @{ $self->{errors} }, "exception: $params->{exceptionDetails}{text} " . ($params->{exceptionDetails}{exception}{description} // '')
	  if $method eq 'Runtime.exceptionThrown';
	push @{ $self->{errors} }, "console: " . join(' ', map { $_->{value} // $_->{description} // '' } @{ $params->{args} })
	  if $method eq 'Runtime.consoleAPICalled' && $params->{type} =~ /error|warning|assert/;
	push @{ $self->{errors} }, "log: $params->{entry}{text} " . ($params->{entry}{url} // '')
	  if $method eq 'Log.entryAdded' && $params->{entry}{level} eq 'error';
	return;
}

# call(method, parameters…): its result
sub call
{
	my ($self, $method, %params) = @_;
	my $id = ++$self->{id};
	my $until = time + $self->{limit};
	my $request = { id => $id, method => $method, params => \%params };

	$request->{sessionId} = $self->{session} if $self->{session} && $method !~ /^(?:Target|Browser)\./;
	print { $self->{to} } $json->encode($request) . "\0" or die "the browser does not listen: $!";
	while (1)
	{
		my $message = $self->message($until);

		if (!$message->{id})
		{
			$self->note_event($message);
			next;
		}
		next if $message->{id} != $id;
		die "$method: $message->{error}{message}\n" if $message->{error};
		return $message->{result};
	}
}

# Waits until a page has said something on its console. Where it is about to be
# left, it cannot be asked.
sub hear
{
	my ($self, $words) = @_;
	my $until = time + $self->{limit};

	while (my $message = eval { $self->message($until) })
	{
		next if $message->{id};
		return 1 if $message->{method} eq 'Runtime.consoleAPICalled' && ($message->{params}{args}[0]{value} // '') eq $words;
		$self->note_event($message);
	}
	return;
}

sub open_tab
{
	my ($self) = @_;
	my $target = $self->call('Target.createTarget', url => 'about:blank')->{targetId};

	$self->{session} = $self->call('Target.attachToTarget', targetId => $target, flatten => JSON::PP::true)->{sessionId};
	$self->call("$_.enable") for qw(Page Runtime Log);
	push @{ $self->{tabs} }, $self->{session};
	return $#{ $self->{tabs} };
}

sub use_tab
{
	my ($self, $tab) = @_;
	$self->{session} = $self->{tabs}[$tab];
	return;
}

# The value of an expression in the page; a promise's, when it is kept.
sub value
{
	my ($self, $expression) = @_;
	my $result = $self->call('Runtime.evaluate', expression => decode_utf8($expression), returnByValue => JSON::PP::true,
		awaitPromise => JSON::PP::true);

	die "$expression: " . ($result->{exceptionDetails}{exception}{description} // $result->{exceptionDetails}{text}) . "\n" if $result->{exceptionDetails};
	my $value = $result->{result}{value};
	return ref $value || !defined $value ? $value : JSON::PP::is_bool($value) ? ($value ? 1 : 0) : encode_utf8($value);
}

# Waits until an expression is true, over whatever pages come meanwhile.
sub wait_for
{
	my ($self, $expression) = @_;
	my $until = time + $self->{limit};

	while (time < $until)
	{
		my $value = eval { $self->value($expression) };
		return $value if $value;
		die $@ if $@ && $@ =~ /SyntaxError|browser/;
		sleep 0.03;
	}
	return;
}

# Opens an address, and waits until it is there.
sub go
{
	my ($self, $url) = @_;

	$self->value('window.leaving = true');
	my $result = $self->call('Page.navigate', url => $url);
	# Within a page nothing is loaded.
	return 1 if !$result->{loaderId};
	return $self->wait_for(q{!window.leaving && document.readyState === 'complete'});
}

# Does something that leads to another page, and waits for that.
sub leave
{
	my ($self, $expression) = @_;

	$self->value("window.leaving = true; $expression; 1");
	return $self->wait_for(q{!window.leaving && document.readyState === 'complete'});
}

sub size
{
	my ($self, $width, $height, $scheme) = @_;

	$self->call('Emulation.setDeviceMetricsOverride', width => $width, height => $height, deviceScaleFactor => 1,
		mobile => JSON::PP::false);
	$self->call('Emulation.setEmulatedMedia', features => [ { name => 'prefers-color-scheme', value => $scheme // 'light' } ]);
	return;
}

sub picture
{
	my ($self, $file) = @_;

	open(my $out, '>:raw', $file) or die "$file: $!";
	print $out decode_base64($self->call('Page.captureScreenshot', format => 'png')->{data});
	CORE::close $out or die "$file: $!";
	return;
}

# What went wrong since the last time that somebody asked.
sub errors
{
	my ($self) = @_;

	$self->value('1');
	my @errors = @{ $self->{errors} };
	$self->{errors} = [];
	return @errors;
}

sub close
{
	my ($self) = @_;

	return if !$self->{pid};
	eval { $self->call('Browser.close') };
	kill 'KILL', $self->{pid};
	waitpid $self->{pid}, 0;
	$self->{pid} = 0;
	return;
}

sub DESTROY
{
	my ($self) = @_;
	local ($?, $@);
	$self->close;
	return;
}

1;
