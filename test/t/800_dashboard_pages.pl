# amelia-dashboard without a browser: who gets in, what each role is shown and may
# do, what is refused and how, and that what users wrote is text.
use strict;
use warnings;

use FindBin;
use Dashboard;
use IO::Socket::INET;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = Dashboard::server('dashboard', watcher => 'reader', lena => 'reader', willi => 'worker', boss => 'admin', nobody => '');
my $hostile = q{</script><script>window.owned = 1</script>"'><img src=x onerror="window.owned=1">};
my ($one, $two) = map { sprintf '00000000-0000-4000-8000-%012d', $_ } 1, 2;
my $literal = $hostile =~ s/'/''/gr;
my $document = $hostile =~ s/(["\\])/\\$1/gr =~ s/'/''/gr;

$node->safe_psql('postgres', qq{
	INSERT INTO amelia.profiles (id, working_dir, agents) VALUES ('$literal', '/src', '{}');
	SELECT amelia.create_workflow('$literal', '/$literal', profile_id => '$literal', issue_cache => '{"title": "$document"}', id => '$one');
	SELECT amelia.create_workflow('A-2', '/two', id => '$two');
	INSERT INTO amelia.workflows (issue_id, worktree_path, status, completed_at, failure_reason, failures)
	VALUES ('F-1', '/f', 'failed', now(), '$literal', 3);
	SELECT amelia.append_event('$one', '$literal', '$literal', agent => '$literal', tool_name => '$literal',
		data => '{"$document": ["$document", {"deep": 12345678901234567890123, "exact": 1.50}]}', tool_input => '["$document"]', is_error => true, correlation_id => '$literal');
	SELECT amelia.record_usage('$one', '$literal', '$literal', 10, 10, cost_usd => 1.25);
	INSERT INTO amelia.budgets (scope, target, period, limit_usd, action) VALUES ('profile', '$literal', 'total', 1, 'block');
	SELECT amelia.send_to_workflow('$one', '$literal', '{"text": "$document"}');
	SELECT amelia.link_thread('$one', '$literal');
	SELECT worker FROM amelia.claim_workflow('$literal'), amelia.workflow_leases;
});

# Starting.
sub run_it
{
	my (@args) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run([ "$FindBin::RealBin/../../client/amelia-dashboard", @args ], '<', \undef, '>', \$out, '2>', \$err);
	return ($? >> 8, $out, $err);
}
like((run_it('--help'))[1], qr/--listen=ADDRESS:PORT/, 'help');
for my $wrong ([ '--idle=0' ], [ '--idle=x' ], [ '--connections=0' ], [ '--timeout=-1' ], [ 'a', 'b' ], [ '--role=a', '-U', 'b' ], [ '--strange' ])
{
	is((run_it(@$wrong))[0], 3, "wrong usage: @$wrong");
}
is((run_it('-d', 'host=/nonexistent dbname=x'))[0], 2, 'no connection');
is((run_it('--listen=127.0.0.1', '--role=lena', '-d', $node->connstr('postgres')))[0], 1, 'an address without a port');

my $site = Dashboard->start($node, 'watcher');

# Logging in.
my ($status, $page, $headers) = $site->get('/workflow/x?a=b');
is($status, 303, 'nobody is shown anything');
is($headers->{location}, '/login?next=%2Fworkflow%2Fx%3Fa%3Db', 'but led to the form');
($status, $page, $headers) = $site->get('/login?next=%2Fqueue');
is($status, 200, 'which is there');
like($page, qr/name="next" value="\/queue"/, 'and leads on');
is(($site->get('/live?page=/'))[0], 401, 'a page that lives is told');
is($site->log_in('lena', 'wrong'), 401, 'a wrong password');
is($site->log_in('lena', ''), 400, 'an empty one: libpq would take its own');
is($site->log_in('', 'x'), 400, 'no role');
is($site->log_in('trusted', 'anything'), 401, 'where the server asks for no password, nobody can show who he is');
like(($site->request('POST', '/login', { role => 'trusted', password => 'anything' }))[1], qr/without asking for a password/, 'and that is said');
is($site->log_in('watcher'), 303, 'with its own, the dashboard\'s role can');
($status, $page, $headers) = $site->request('POST', '/login', { role => 'lena', password => 'lena-secret', next => '/queue' }, { Cookie => undef });
is("$status $headers->{location}", '303 /queue', 'a right one leads on');
like($headers->{'set-cookie'}, qr/^amelia-$site->{port}=[0-9a-f]{64}; Path=\/; HttpOnly; SameSite=Lax$/, 'with a cookie that no script reads and no other site sends');
for my $elsewhere ('//evil.example', 'https://evil.example', '/\\evil.example', "/\tx")
{
	($status, $page, $headers) = $site->request('POST', '/login', { role => 'lena', password => 'lena-secret', next => $elsewhere });
	is($headers->{location}, '/', "but to no other site: $elsewhere");
}
is(($site->request('POST', '/login', { role => 'lena', password => 'lena-secret' }, { 'Sec-Fetch-Site' => 'cross-site' }))[0], 403, 'no other site logs somebody in');
for my $origin ('https://evil.example', 'http://127.0.0.1.evil.example', 'http://127.0.0.1@evil.example', 'null', 'http://127.0.0')
{
	is(($site->request('POST', '/login', { role => 'lena', password => 'lena-secret' }, { Origin => $origin }))[0], 403, "nor by a browser that says it by $origin");
}
is(($site->request('POST', '/login', { role => 'lena', password => 'lena-secret' }, { Origin => $site->url }))[0], 303, 'which says so of this one too');
my $beside = Dashboard->start($node, 'watcher');
(undef, undef, $headers) = $beside->request('POST', '/login', { role => 'lena', password => 'lena-secret' });
unlike($headers->{'set-cookie'}, qr/^amelia-$site->{port}=/, 'and that takes no other dashboard of this host for its own');
$beside->kill_it;
is($site->log_in('lena'), 303, 'lena is in');
my $first = $site->{cookie};
is($site->log_in('lena'), 303, 'and again');
isnt($site->{cookie}, $first, 'each session has its own cookie');

# Every view, as the reader.
my @views = ('/', '/decisions', '/queue', '/cost', '/retention', '/server', "/workflow/$one", "/workflow/$one/event/2");
for my $view (@views)
{
	($status, $page, $headers) = $site->get($view);
	is($status, 200, "$view is there");
	unlike($page, qr/<script(?! src="\/dashboard\.js)|<img|onerror="/, "$view: no markup of a user is markup");
	unlike($page, qr/https?:/, "$view: it fetches nothing from elsewhere");
	unlike($page, qr/ style=/, "$view: no style that the policy forbids");
	like($headers->{'content-security-policy'}, qr/^default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'/, "$view: its policy");
	is($headers->{'cache-control'}, 'no-store', "$view: kept nowhere");
	ok(utf8::decode(my $copy = $page), "$view: in UTF-8");
}
is(($site->get('/queue?x'))[0], 200, 'a field without a value');
like(($site->get("/workflow/$one"))[1], qr/12345678901234567890123.*1\.50/s, 'numbers keep their digits');
like(($site->get("/workflow/$one"))[1], qr/&lt;script&gt;window\.owned = 1&lt;\/script&gt;/, 'what users wrote is there as text');
like(($site->get('/'))[1], qr/A-2/, 'the list has workflows');
like(($site->get('/?q=a-2'))[1], qr/A-2/, 'found by text of the issue');
unlike(($site->get('/?q=nothing-like-that'))[1], qr/A-2/, 'and not by another');
like(($site->get('/?q=nothing-like-that'))[1], qr/No workflow is like that/, 'which is said');
unlike(($site->get('/?status=failed'))[1], qr/A-2/, 'by status');
unlike(($site->get('/?worktree=/f'))[1], qr/A-2/, 'by worktree');
unlike(($site->get('/?type=review'))[1], qr/A-2/, 'by type');
unlike(($site->get('/?profile=work'))[1], qr/A-2/, 'by profile');
like(($site->get('/cost'))[1], qr/>Budgets<.*Today.*Yesterday.*What failed, and why/s, 'cost begins with budgets');
like(($site->get('/cost?days=7&until=2020-01-31&profile=x'))[1], qr/2020-01-25 to 2020-01-31.*profile x/, 'another range');

# Pages of the list, by its cursor.
$node->safe_psql('postgres', q{INSERT INTO amelia.workflows (id, issue_id, status, started_at, completed_at)
	SELECT ('2' || lpad(n::text, 31, '0'))::uuid, 'many-' || lpad(n::text, 3, '0'), 'completed', CASE WHEN n > 60 THEN '2020-01-01Z'::timestamptz + n / 2 * interval '1 minute' END, '2020-01-02Z'
	FROM generate_series(1, 160) AS n});
my $next = '/?q=many-';
my @seen;
while ($next)
{
	(undef, $page) = $site->get($next);
	push @seen, $page =~ />(many-\d+)</g;
	($next) = $page =~ /rel="next" href="([^"]+)"/;
	$next =~ s/&amp;/&/g if $next;
}
is(scalar @seen, 160, 'pages have every workflow');
is_deeply(\@seen, [ split /\n/, $node->safe_psql('postgres', q{SELECT issue_id FROM amelia.list_workflows(row_limit => 1000) WHERE issue_id LIKE 'many-%'}) ], 'once, in the order of list_workflows()');

# What is refused, and how.
for my $case (
	[ '/?after=x', 400, qr/no cursor of the list/ ], [ "/?after=yesterdayish,$one", 400, qr/yesterdayish/ ], [ '/?after=-,', 400, qr/no cursor/ ],
	[ '/nothing', 404, qr/no page/ ], [ '/workflow/12345678-0000-0000-0000-000000000000', 404, qr/there is no workflow/ ],
	[ '/workflow/abc', 404, qr/no page/ ], [ "/workflow/$one/event/999", 404, qr/no event 999/ ], [ "/workflow/$one/event/x", 404, qr/no page/ ],
	[ "/workflow/$one/event/99999999999999", 404, qr/no page/ ], [ "/workflow/$one?before=x", 400, qr/no such events/ ],
	[ "/workflow/$one?after=-1", 400, qr/no such events/ ], [ "/workflow/$one?level=loud", 400, qr/no such events/ ],
	[ "/workflow/$one/event/1/tool_input", 404, qr/none of this/ ], [ '/cost?days=0', 400, qr/days/ ], [ '/cost?days=1e9', 400, qr/days/ ],
	[ '/cost?until=tomorrowish', 400, qr/tomorrowish/ ], [ '/?q=%00', 400, qr/malformed/ ], [ '/?q=%zz', 400, qr/malformed/ ], [ '/?q=%f', 400, qr/malformed/ ],
	[ '/?q=%ff', 400, qr/encoding/ ], [ '/?' . join('&', map { "a$_=1" } 1 .. 40), 400, qr/malformed/ ], [ '/live?page=/nothing', 404, qr/lives/ ],
	[ '/live?page=/&after=x', 400, qr/which page/ ], [ "/workflow/$one/decide", 404, qr/no page/ ])
{
	my ($path, $wanted, $says) = @$case;

	($status, $page) = $site->get($path);
	is($status, $wanted, "$path: $wanted");
	like($page, $says, "$path: it says why");
	like($page, qr/<nav|Back/, "$path: and leads back");
}
is(($site->request('PUT', '/'))[0], 405, 'a method that is unknown');
is(($site->request('POST', '/workflow/x/cancel', 'x' x 100_000))[0], 413, 'a form that is too long');
is(($site->request('HEAD', '/'))[0], 200, 'HEAD');

# A reader has no buttons, and gets no further without them.
(undef, $page) = $site->get("/workflow/$one");
unlike($page, qr/action="\/workflow/, 'a reader has no button');
for my $action (qw(cancel requeue send decide))
{
	($status, $page) = $site->post("/workflow/$one/$action", { kind => 'x', question => 1, answer => 'approve' });
	is($status, 403, "a reader may not: $action");
	like($page, qr/permission denied.*SQLSTATE <code>42501/s, "and is told: $action");
}
is($site->log_in('nobody'), 303, 'somebody without a grant may log in');
for my $view ('/', '/decisions', '/queue', '/cost', '/retention', '/server', "/workflow/$one")
{
	($status, $page) = $site->get($view);
	is($status, 403, "but sees nothing: $view");
	like($page, qr/grant_reader\(&#39;nobody&#39;\)/, "and is told who can change that: $view");
}

# Buttons, and what they do.
sub value { return $node->safe_psql('postgres', $_[0]) }
$node->safe_psql('postgres', qq{SELECT lease_token FROM amelia.claim_workflow('w');
	SELECT amelia.request_approval(w.id, l.lease_token, 'Merge ' || w.issue_id || '?', '{"files": 3}')
	FROM amelia.workflows AS w JOIN amelia.workflow_leases AS l ON l.workflow_id = w.id WHERE w.id = '$two' AND l.expires_at IS NOT NULL});
is(value("SELECT status FROM amelia.workflows WHERE id = '$two'"), 'blocked', 'a workflow asks');
is($site->log_in('willi'), 303, 'a worker');
(undef, $page) = $site->get('/decisions');
like($page, qr/Merge A-2\?.*files/s, 'its question is shown, with its data');
my ($question) = $page =~ /name="question" value="(\d+)"/;
my %decision = (question => $question, answer => 'approve', comment => "fine, it's <b>good</b>", back => '/decisions');
for my $case ([ 'no token', { %decision, token => '' } ], [ 'another token', { %decision, token => '0' x 64 } ], [ "another session's", { %decision, token => $first =~ s/.*=//r } ])
{
	is(($site->request('POST', "/workflow/$two/decide", $case->[1]))[0], 403, "$case->[0]: refused");
}
is(($site->post("/workflow/$two/decide", \%decision, { 'Sec-Fetch-Site' => 'cross-site' }))[0], 403, 'another site: refused');
is(($site->post("/workflow/$two/decide", { %decision, answer => 'perhaps' }))[0], 400, 'no answer: refused');
is(($site->post("/workflow/$two/decide", { %decision, question => 'x' }))[0], 400, 'no question: refused');
is(($site->request('POST', "/workflow/$two/decide", { %decision, token => $site->{token} }, { Cookie => undef }))[0], 401, 'no session: refused');
is(value("SELECT status FROM amelia.workflows WHERE id = '$two'"), 'blocked', 'nothing of that was done');
($status, $page, $headers) = $site->post("/workflow/$two/decide", \%decision);
is("$status $headers->{location}", '303 /decisions?done=approved', 'an approval leads back');
like(($site->get($headers->{location}))[1], qr/role="status">Approved\./, 'and that is said');
is(value("SELECT concat_ws('|', w.status, e.event_type, e.message, e.data ->> 'question') FROM amelia.workflows AS w, amelia.recent_events(w.id, 1) AS e WHERE w.id = '$two'"),
	"pending|approval_granted|fine, it's <b>good</b>|$question", 'it is in the database, comment and all');
($status, $page) = $site->post("/workflow/$two/decide", { %decision, answer => 'reject' });
is($status, 409, 'another answer to it is refused');
like($page, qr/has another answer already.*55000/s, 'and why');
is(($site->post("/workflow/$two/send", { kind => 'message', data => 'hello <you>' }))[0], 303, 'a message');
is(($site->post("/workflow/$two/send", { kind => 'pause', data => ' {"until": "noon"}' }))[0], 303, 'one that is a document');
is(($site->post("/workflow/$two/send", { kind => 'stop' }))[0], 303, 'one without data');
is(($site->post("/workflow/$two/send", { kind => 'x', data => '{"until": ' }))[0], 400, 'one that is broken');
is(($site->post("/workflow/$two/send", { data => 'x' }))[0], 400, 'one without a kind');
is(value("SELECT string_agg(concat(kind, data), ' ' ORDER BY id) FROM amelia.workflow_inbox WHERE workflow_id = '$two'"),
	'message{"text": "hello <you>"} pause{"until": "noon"} stop', 'three are in the inbox');
my $failed = value(q{SELECT id FROM amelia.workflows WHERE issue_id = 'F-1'});
is(($site->post("/workflow/$failed/requeue", {}))[0], 403, 'a worker requeues nothing');
is($site->log_in('boss'), 303, 'an admin');
like(($site->get('/queue'))[1], qr/action="\/workflow\/$failed\/requeue"/, 'has the button');
is(($site->post("/workflow/$failed/requeue", { failures => 'many' }))[0], 400, 'no number');
is(($site->post("/workflow/$failed/requeue", { failures => 2 }))[0], 303, 'requeues it');
is(value("SELECT status || ' ' || (retry_at <= now()) || ' ' || max_failures FROM amelia.workflows WHERE id = '$failed'"),
	value(qq{SELECT status || ' true ' || max_failures FROM amelia.workflows WHERE id = '$failed'}), 'it is claimable');
is(($site->post("/workflow/$two/cancel", {}))[0], 303, 'cancels one');
is(value("SELECT status FROM amelia.workflows WHERE id = '$two'"), 'cancelled', 'it is');
is(($site->post("/workflow/$two/cancel", {}))[0], 409, 'once');
is(($site->post('/workflow/12345678-0000-0000-0000-000000000000/cancel', {}))[0], 404, 'none that is not there');
is(($site->post("/workflow/$two/explode", {}))[0], 404, 'nothing else');
($status, $page) = $site->post('/server/verify', {});
is($status, 200, 'verify()');
like($page, qr/Nothing is wrong/, 'says that all is well');

# Row security decides what is seen, in pages and in streams.
$node->safe_psql('postgres', q{ALTER TABLE amelia.workflows ENABLE ROW LEVEL SECURITY;
	CREATE POLICY all_but_lena ON amelia.workflows USING (current_user <> 'lena' OR issue_id LIKE 'many%')});
is($site->log_in('lena'), 303, 'a role under a policy');
unlike(($site->get('/'))[1], qr/A-2|F-1/, 'does not see the others in the list');
is(($site->get("/workflow/$two"))[0], 404, 'nor by their address');
my $stream = $site->listen("/workflow/$two");
like(Dashboard::read_until($stream, qr/event: reload/), qr/event: reload/, 'nor in a stream');
unlike($stream->{text}, qr/Merge/, 'of which nothing comes');
$node->safe_psql('postgres', 'ALTER TABLE amelia.workflows DISABLE ROW LEVEL SECURITY');

# An event of 50 MB, which the list does not load.
$node->safe_psql('postgres', qq{SELECT amelia.append_event('$two', 'note', repeat('long ', 10000000), data => jsonb_build_object('s',
	(SELECT string_agg(md5(n::text), '') FROM generate_series(1, 1600000) AS n)))});
my $big = value("SELECT amelia.last_sequence('$two')");
(undef, $page) = $site->get("/workflow/$two");
cmp_ok(length $page, '<', 100_000, 'its workflow has a page all the same');
like($page, qr/The message is 48 MB long.*Data: \d+ MB stored/s, 'that says how long it is');
(undef, $page) = $site->get("/workflow/$two/event/$big");
cmp_ok(length $page, '<', 5_000_000, 'so has the event');
($status, $page, $headers) = $site->get("/workflow/$two/event/$big/data");
is(length $page, value("SELECT octet_length(data::text) FROM amelia.workflow_log WHERE workflow_id = '$two' AND sequence = $big"), 'it can be saved whole');
is("$headers->{'content-disposition'} $headers->{'content-type'}", 'attachment; filename="event.txt" text/plain; charset=utf-8', 'as a file, and never shown');
is(length(($site->get("/workflow/$two/event/$big/message"))[1]), 50_000_000, 'its message too');

# So have many that are each as long as a list shows them.
$node->safe_psql('postgres', qq{SELECT amelia.append_events('$two', (SELECT jsonb_agg(jsonb_build_object('event_type', 'note', 'message', 'number ' || n || repeat('"', 7000),
	'data', d.list, 'tool_input', d.list)) FROM generate_series(1, 200) AS n, (SELECT jsonb_agg(1) AS list FROM generate_series(1, 2600)) AS d))});
(undef, $page) = $site->get("/workflow/$two");
cmp_ok(length $page, '<', 1_500_000, 'a list is bounded as a whole');
my @items = $page =~ /(<li id="e\d+".*?)(?=<li id="e\d+"|<\/main>)/gs;
is(scalar @items, 200, 'it has all of them');
like($items[0], qr/number 1&quot;.*too long for a list.*\/event\/\d+"/s, 'the oldest shortened, with a link');
like($items[-1], qr/number 200&quot;.*class="tree"/s, 'the newest whole');

# So have decisions.
$node->safe_psql('postgres', qq{INSERT INTO amelia.workflows (id, issue_id, status) SELECT ('3' || lpad(n::text, 31, '0'))::uuid, 'asks-' || n, 'blocked' FROM generate_series(1, 30) AS n;
	SELECT amelia.append_event(('3' || lpad(n::text, 31, '0'))::uuid, 'approval_required', repeat('"', 20000), data => d.list)
	FROM generate_series(1, 30) AS n, (SELECT jsonb_agg(1) AS list FROM generate_series(1, 6000)) AS d});
(undef, $page) = $site->get('/decisions');
cmp_ok(length $page, '<', 1_500_000, 'so is that of decisions');
is(scalar(() = $page =~ />asks-\d+</g), 30, 'which has all of them');
like($page, qr/This list is full: the question is on the workflow's page/, 'or says where they are');
$node->safe_psql('postgres', q{DELETE FROM amelia.workflows WHERE issue_id LIKE 'asks-%'});

# So has a workflow whose every text is long.
my $three = '00000000-0000-4000-8000-000000000003';
$node->safe_psql('postgres', qq{SELECT amelia.create_workflow('A-3', '/three', issue_cache => jsonb_build_object('title', repeat('long ', 1000000)), id => '$three');
	SELECT amelia.append_event('$three', 'note', 'x', agent => repeat('long ', 1000000), tool_name => repeat('long ', 1000000), correlation_id => repeat('long ', 1000000));
	SELECT amelia.send_to_workflow('$three', 'x', jsonb_build_object('a', repeat('long ', 1000000)));
	UPDATE amelia.workflows SET status = 'failed', failure_reason = repeat('long ', 1000000), failures = 9 WHERE id = '$three'});
for my $view ('/', '/queue', '/cost', "/workflow/$three", "/workflow/$three/event/2")
{
	($status, $page) = $site->get($view);
	is($status, 200, "$view with long texts");
	cmp_ok(length $page, '<', 200_000, "$view: they are cut");
}

# Logging out, and sessions that end.
my $old = $site->{cookie};
is(($site->post('/logout', {}))[0], 303, 'logging out');
is(($site->get('/', { Cookie => $old }))[0], 303, 'ends the session');
is(($site->get('/', { Cookie => "amelia-$site->{port}=" . '0' x 64 }))[0], 303, 'a cookie that is none');

# Connections are kept as long as their password is right.
is($site->log_in('lena'), 303, 'lena is in again');
$node->safe_psql('postgres', q{SET log_statement = 'none'; ALTER ROLE lena PASSWORD 'changed'; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'lena'});
is(($site->get('/'))[0], 303, 'when her password has changed, she has to log in');
is($site->log_in('lena', 'changed'), 303, 'with the new one');

# Who has tried too often waits.
is($site->log_in('boss', "wrong$_"), 401, "wrong $_") for 1 .. 5;
is($site->log_in('boss'), 429, 'then the right one is refused too');
is($site->log_in('willi'), 303, 'others are not');

# Also when they come all at once.
sub raw
{
	my ($to, $form, @headers) = @_;
	my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $to->{port}) or die "connect: $!";

	print $socket join("\r\n", 'POST /login HTTP/1.1', 'Host: 127.0.0.1', 'Connection: close', 'Content-Type: application/x-www-form-urlencoded',
		'Content-Length: ' . length $form, @headers, '', $form);
	$socket->flush;
	return $socket;
}
my @at_once = map { raw($site, 'role=mona&password=at-once') } 1 .. 30;
my %answers;
$answers{ (<$_> =~ / (\d+) /)[0] }++ for @at_once;
is_deeply(\%answers, { 401 => 5, 429 => 25 }, 'so are those of a moment');

my $said = $site->said;
like($said, qr/127\.0\.0\.1 logged in as "lena"/, 'it says who logged in');
like($said, qr/"willi": decide of workflow $two: done/, 'and what was done');
unlike($said, qr/-secret|wrong1|changed|window\.owned/, 'no password, and no text of a user, is in what it says');
unlike($node->safe_psql('postgres', 'SELECT string_agg(query, chr(10)) FROM pg_stat_activity'), qr/-secret/, 'nor in the server\'s list of sessions');
unlike(slurp_file($node->logfile), qr/-secret/, 'nor in its log');
SKIP:
{
	skip 'no /proc here', 2 unless -r "/proc/" . $site->pid . '/cmdline';
	ok(!open(my $environment, '<', '/proc/' . $site->pid . '/environ'), 'its memory is nobody else\'s, and no core is made of it');
	unlike(slurp_file('/proc/' . $site->pid . '/cmdline'), qr/-secret/, 'nor in the list of processes');
}
is($site->kill_it, 0, 'it ends when it is told');

# One role for all.
my $open = Dashboard->start($node, '', '--role=boss', '--name=agents.example');
($status, $page) = $open->get('/');
is($status, 200, '--role: nobody logs in');
($open->{token}) = $page =~ /name="token" content="([0-9a-f]{64})"/;
unlike($page, qr/Log out/, 'nor out');
is($open->status_under('agents.example:5488'), 200, 'the name that was given is served');
is($open->status_under('LOCALHOST:1'), 200, 'localhost too');
is($open->status_under($_), 403, "no other: $_") for 'evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', 'agents.example.evil';
is(($open->request('POST', "/workflow/$one/cancel", {}))[0], 403, 'without a token nothing is done');
is(($open->post("/workflow/$one/cancel", {}))[0], 303, 'with it, it is');
# The server is away, and comes back.
my $closed = Dashboard->start($node, 'watcher');
$node->stop('immediate');
($status, $page) = $closed->request('POST', '/login', { role => 'lena', password => 'lena-secret' });
is($status, 503, 'without the database nobody gets in');
like($page, qr/does not answer/, 'and that is said');
my $server_port = $node->port;
unlike($page, qr/$server_port|127\.0\.0\.1/, 'but not where it is');
like($closed->said, qr/to log in as "lena": connection to server at "127\.0\.0\.1", port $server_port failed/, 'which its log does');
$closed->kill_it;
($status, $page) = $open->get('/');
is($status, 503, 'without the database');
like($page, qr/The database does not answer/, 'that is said');
$node->start;
is(($open->get('/'))[0], 200, 'and when it is back, so is the page');
$open->kill_it;

# Behind a proxy.
my $behind = Dashboard->start($node, 'watcher', '--proxy');
(undef, undef, $headers) = $behind->request('POST', '/login', { role => 'willi', password => 'willi-secret' });
like($headers->{'set-cookie'}, qr/^__Host-amelia=[0-9a-f]{64}; Path=\/; HttpOnly; SameSite=Lax; Secure$/, 'its cookie goes over TLS alone');
$behind->request('POST', '/login', { role => 'willi', password => "wrong$_" }, { 'X-Forwarded-For' => "1.1.1.$_, 10.0.0.1" }) for 1 .. 5;
is(($behind->request('POST', '/login', { role => 'willi', password => 'willi-secret' }, { 'X-Forwarded-For' => '9.9.9.9, 10.0.0.1' }))[0], 429, 'attempts count by whom the proxy saw');
is(($behind->request('POST', '/login', { role => 'willi', password => 'willi-secret' }, { 'X-Forwarded-For' => '10.0.0.2' }))[0], 303, 'and not for others');
like(readline(raw($behind, 'role=willi&password=willi-secret', 'X-Forwarded-For: 9.9.9.9', 'X-Forwarded-For: 10.0.0.1')), qr/ 429 /, 'a proxy that adds a header of its own is believed, and not its client');
$behind->request('POST', '/login', { role => 'willi', password => "wrong$_" }, { 'X-Forwarded-For' => "2001:db8::$_" }) for 1 .. 5;
is(($behind->request('POST', '/login', { role => 'willi', password => 'willi-secret' }, { 'X-Forwarded-For' => '2001:db8::ffff:6' }))[0], 429, 'of IPv6 the network counts');
is(($behind->request('POST', '/login', { role => 'willi', password => 'willi-secret' }, { 'X-Forwarded-For' => '2001:db8:0:1::1' }))[0], 303, 'and not another one');
$behind->kill_it;

done_testing();
