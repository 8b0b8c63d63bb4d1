# amelia-dashboard in Chromium: every view in light and dark, on a screen and on a
# phone, for everybody (axe-core); what it shows as things happen; its buttons; and
# what it does when the server or the dashboard ends.
use strict;
use warnings;

use Browser;
use Dashboard;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $axe = ($ENV{AMELIA_AXE} // '') . '/node_modules/axe-core/axe.min.js';
plan skip_all => 'chromium is not installed' if !Browser::program() && !$ENV{CI};
die 'axe-core is not installed' if $ENV{CI} && !-r $axe;

my $node = Dashboard::server('browser', watcher => 'reader', willi => 'admin');
my $hostile = q{</script><script>window.owned = 1</script>"''><img src=x onerror="window.owned=1">};
my $document = $hostile =~ s/"/\\"/gr;
my ($one, $two, $many) = map { sprintf '00000000-0000-4000-8000-%012d', $_ } 1 .. 3;
my $long = 'x' x 300;

sub sql { return $node->safe_psql('postgres', $_[0]) }

sql(qq{
	SELECT amelia.create_workflow('$hostile', '/$long', profile_id => '$hostile', issue_cache => '{"title": "$document $long"}', id => '$one');
	SELECT amelia.create_workflow('SHOP-2', '/two', id => '$two'), amelia.create_workflow('SHOP-3', '/three', id => '$many');
	INSERT INTO amelia.workflows (issue_id, status, completed_at, failure_reason, failures) VALUES ('F-1', 'failed', now(), '$hostile', 3);
	SELECT amelia.append_event('$one', 'claude_tool_call', '$hostile$long', agent => '$hostile$long', tool_name => '$hostile',
		data => '{"$document$long": ["$document$long", {"deep": 1}]}', tool_input => '["$long"]', is_error => true);
	SELECT amelia.append_event('$one', 'note', 'a warning', level => 'warning');
	SELECT amelia.record_usage('$one', '$hostile$long', '$hostile$long', 10, 10, cost_usd => 1.25);
	INSERT INTO amelia.budgets (scope, target, period, limit_usd, action) VALUES ('profile', '$hostile', 'total', 1, 'warn'), ('everything', NULL, 'month', 1e12, 'warn');
	SELECT amelia.send_to_workflow('$one', '$hostile', '{"text": "$document$long"}');
	SELECT lease_token FROM amelia.claim_workflow('worker-$long');
	SELECT amelia.request_approval(w.id, l.lease_token, 'Merge? $long', '{"files": ["$document"]}')
	FROM amelia.workflows AS w JOIN amelia.workflow_leases AS l ON l.workflow_id = w.id WHERE l.expires_at IS NOT NULL});
is(sql(q{SELECT id FROM amelia.workflows WHERE status = 'blocked'}), $one, 'a workflow asks');

my $site = Dashboard->start($node, 'watcher');
my $url = $site->url;
my $browser = Browser->new(PostgreSQL::Test::Utils::tempdir(), $Dashboard::limit);
$browser->call('Emulation.setTimezoneOverride', timezoneId => 'Asia/Tokyo');
$browser->size(1280, 900);

# As a person does: by the keyboard.
sub type { $browser->call('Input.insertText', text => $_[0]); return }

sub press
{
	my ($key, $code) = @_;
	my %key = (key => $key, code => $key, windowsVirtualKeyCode => $code, $key eq 'Enter' ? (text => "\r") : ());
	$browser->call('Input.dispatchKeyEvent', type => $_, %key) for 'keyDown', 'keyUp';
	return;
}
ok($browser->go("$url/workflow/$two"), 'a page');
is($browser->value('document.activeElement.name'), 'role', 'where one logs in, the role is asked for first');
type('willi');
press(Tab => 9);
type('willi-secret');
press(Enter => 13);
ok($browser->wait_for("location.pathname === '/workflow/$two' && document.readyState === 'complete'"), 'and the page that was wanted follows');
is(join("\n", $browser->errors), '', 'nothing on the console');

# Every view.
my $fits = q{(() => { const page = document.documentElement, out = [...document.body.querySelectorAll('*')].filter(e =>
	!e.closest('.skip') && e.getBoundingClientRect().right > page.clientWidth + 1);
	return page.scrollWidth > page.clientWidth ? 'the page is wider' : out.map(e => e.outerHTML.slice(0, 100)).join(' ') })()};
my $checks = q{axe.run(document, { resultTypes: ['violations', 'passes'] }).then(found => found.passes.length < 5 ? 'it did not look' : found.violations.map(v =>
	v.id + ': ' + v.nodes.slice(0, 3).map(n => n.html.slice(0, 150) + ' ' + (n.any[0] || {}).message).join(' | ')).join('\n'))};
for my $view ('/', '/decisions', '/queue', '/cost', '/retention', '/server', "/workflow/$one", "/workflow/$one/event/2", '/?q=nothing+like+it', '/nothing')
{
	$browser->size(1280, 900);
	ok($browser->go("$url$view"), "$view is there");
	for my $shape ([ 1280, 'light' ], [ 360, 'dark' ])
	{
		$browser->size($shape->[0], 900, $shape->[1]);
		is($browser->value($fits), '', "$view: at $shape->[0] nothing is cut off");
	  SKIP:
		{
			skip 'axe-core is not installed', 1 unless -r $axe;
			$browser->value(slurp_file($axe) . '; 1') if $shape->[0] == 1280;
			is($browser->value($checks), '', "$view: everybody can use it, $shape->[1]");
		}
	}
	is($browser->value('typeof window.owned'), 'undefined', "$view: what users wrote is text");
	is(join("\n", grep { $view ne '/nothing' || !/404/ } $browser->errors), '', "$view: nothing on the console");
}
$browser->size(1280, 900);

# Times are the reader's, and the title's are UTC.
$browser->go("$url/workflow/$one");
is($browser->value(q{(() => { const t = document.querySelector('#log time'); return t.textContent === new Date(t.dateTime).toLocaleTimeString() ||
	t.textContent === new Date(t.dateTime).toLocaleString() })()}), 1, 'times are those of the reader\'s zone');
is($browser->value(q{(() => { const t = document.querySelector('#log time'); return new Date(t.title.replace(' ', 'T').replace(' UTC', 'Z')) - new Date(t.dateTime) < 1000 })()}), 1,
	'and in UTC beside');
is($browser->value(q{document.querySelector('#log details').open}), 0, 'calls of tools are folded');
is($browser->value(q{document.querySelectorAll('#log .tree .tree').length > 0}), 1, 'data is a tree');
$browser->value(q{document.querySelector('#errors a').click(); 1});
ok($browser->wait_for(q{location.hash === '#e2' && document.querySelector(':target').id === 'e2'}), 'a link leads to an error');

# What happens is shown, on the page that is there.
$browser->go("$url/workflow/$two");
ok($browser->wait_for('source && source.readyState === 1'), 'a page listens');
$browser->value('window.mark = 1');
sql(qq{SELECT amelia.append_event('$two', 'note', 'as <i>it</i> happens', data => '{"a": 1}')});
ok($browser->wait_for(q{[...document.querySelectorAll('#log .text')].some(e => e.textContent === 'as <i>it</i> happens')}), 'an event appears');
sql(qq{SELECT amelia.set_workflow_status('$two', 'failed', 'it had to')});
ok($browser->wait_for(q{document.querySelector('#head .status').textContent === 'failed' && document.body.textContent.includes('it had to')}), 'a status changes');
sql(qq{SELECT amelia.append_events('$two', (SELECT jsonb_agg(jsonb_build_object('event_type', 'note', 'message', n::text)) FROM generate_series(1, 450) AS n))});
my $last = sql("SELECT amelia.last_sequence('$two')");
ok($browser->wait_for("document.getElementById('e$last')"), 'many appear');
is($browser->value(q{[...document.querySelectorAll('#log > li')].map(e => e.id.slice(1)).join(' ')}), join(' ', 1 .. $last), 'each once, in their order');
ok($browser->wait_for(q{/new events/.test(document.getElementById('news').textContent)}), 'who is elsewhere on the page is told of them');
$browser->value(q{document.getElementById('news').click(); 1});
ok($browser->wait_for(q{!document.getElementById('news')}), 'and led to them');
is($browser->value('window.mark'), 1, 'all of it on the same page');

# The list, and decisions.
$browser->go("$url/");
$browser->wait_for('source && source.readyState === 1');
sql(q{SELECT amelia.create_workflow('NEW-1', '/new')});
ok($browser->wait_for(q{document.querySelector('tbody').textContent.includes('NEW-1')}), 'a new workflow appears in the list');
$browser->go("$url/decisions");
$browser->wait_for('source && source.readyState === 1');
$browser->value(q{document.querySelector('[name=comment]').focus(); 1});
type(q{it's fine});
my $token = sql(q{SELECT lease_token FROM amelia.claim_workflow('second')});
my $second = sql(q{SELECT workflow_id FROM amelia.workflow_leases WHERE worker = 'second'});
sql(qq{SELECT amelia.request_approval('$second', $token, 'Another question?')});
ok($browser->wait_for(q{document.querySelectorAll('.question').length === 2}), 'a question appears');
is($browser->value(q{document.activeElement.name + ' ' + document.activeElement.value}), q{comment it's fine}, 'while somebody writes');
is($browser->value(q{[...document.querySelectorAll('input[name=token]')].every(e => e.value === token)}), 1, 'with a form that can be sent');
$browser->leave(q{[...document.querySelectorAll('article')].find(a => a.textContent.includes('Another')).querySelector('[value=reject]').click()});
is(sql("SELECT event_type FROM amelia.recent_events('$second', 1)"), 'approval_rejected', 'a rejection is in the database');
like($browser->value('document.body.textContent'), qr/Rejected\./, 'and said');
$browser->wait_for('source && source.readyState === 1');
$browser->value(q{document.querySelector('[name=comment]').focus(); 1});
type(q{it's fine});
$browser->leave(q{document.querySelector('[value=approve]').click()});
is(sql("SELECT event_type || ' ' || message FROM amelia.recent_events('$one', 1)"), q{approval_granted it's fine}, 'so is an approval, with its comment');

# Another question takes the place of the one that is shown, with a form of its own.
$token = sql(q{SELECT lease_token FROM amelia.claim_workflow('third')});
my $third = sql(q{SELECT workflow_id FROM amelia.workflow_leases WHERE worker = 'third'});
sql(qq{SELECT amelia.request_approval('$third', $token, 'The first question?')});
$browser->go("$url/workflow/$third");
$browser->wait_for('source && source.readyState === 1');
is($browser->value(q{document.querySelectorAll('.question').length}), 1, 'a question is shown');
sql(qq{SELECT amelia.append_event('$third', 'approval_required', 'The next question?')});
ok($browser->wait_for(q{document.querySelector('.question').textContent.includes('The next')}), 'then the next');
is($browser->value(q{document.querySelectorAll('.question').length}), 1, 'instead of it');
my $next = sql("SELECT amelia.last_sequence('$third')");
$browser->leave(q{document.querySelector('[value=approve]').click()});
is(sql("SELECT event_type || ' ' || (data ->> 'question') FROM amelia.recent_events('$third', 1)"), "approval_granted $next", 'and it is that one which is answered');

# The other buttons; what takes long shows that it does.
$browser->go("$url/workflow/$many");
$browser->value(q{document.querySelector('#actions summary').click(); document.querySelector('[name=data]').value = 'stop <here>'; 1});
$browser->leave(q{document.querySelector('form[action$="/send"] button').click()});
is(sql("SELECT data ->> 'text' FROM amelia.workflow_inbox WHERE workflow_id = '$many'"), 'stop <here>', 'a message is sent');
my ($in, $out) = ('', '');
my $holder = IPC::Run::start([ 'psql', '-XqAt', '-d', $node->connstr('postgres') ], '<', \$in, '>', \$out);
$in = "BEGIN; SELECT id FROM amelia.workflows WHERE id = '$many' FOR UPDATE;\n";
$holder->pump until $out =~ /$many/;
$browser->value(q{new MutationObserver(() => document.getElementById('spinner') && console.info('it turns')).observe(document.body, { childList: true });
	window.leaving = true; setTimeout(() => document.querySelector('form[action$="/cancel"] button').click()); 1});
ok($browser->hear('it turns'), 'what takes long shows that it does');
$in = "COMMIT;\n\\q\n";
$holder->finish;
ok($browser->wait_for(q{!window.leaving && document.readyState === 'complete'}), 'until it is done');
like(sql("SELECT status || cancel_requested FROM amelia.workflows WHERE id = '$many'"), qr/^(?:cancelledfalse|cancelledtrue|in_progresstrue)$/, 'a workflow is cancelled');
$browser->go("$url/queue");
$browser->leave(q{document.querySelector('form[action$="/requeue"] button').click()});
is(sql(q{SELECT (retry_at <= now())::text FROM amelia.workflows WHERE issue_id = 'F-1'}), 'true', 'one that has failed is requeued');
is(join("\n", $browser->errors), '', 'nothing on the console');

# Without JavaScript.
$browser->call('Emulation.setScriptExecutionDisabled', value => JSON::PP::true);
$browser->go("$url/workflow/$two");
like($browser->value(q{document.querySelector('#log').textContent}), qr/as <i>it<\/i> happens|450/, 'without JavaScript it can be read');
like($browser->value(q{document.querySelector('time').textContent}), qr/ UTC$/, 'with times that say what they are');
$browser->call('Emulation.setScriptExecutionDisabled', value => JSON::PP::false);

# The server ends, and the dashboard.
$browser->go("$url/workflow/$two");
$browser->wait_for('source && source.readyState === 1');
$browser->value('window.mark = 2');
$node->stop('immediate');
ok($browser->wait_for(q{/does not answer/.test(document.getElementById('state').textContent)}), 'that the server is away is said');
$node->start;
sql(qq{SELECT amelia.append_event('$two', 'note', 'after the server')});
ok($browser->wait_for(q{document.querySelector('#log').lastElementChild.textContent.includes('after the server')}), 'when it is back, what happened meanwhile is there');
ok($browser->wait_for(q{document.getElementById('state').textContent === ''}), 'and nothing is said any more');
$site->kill_it('KILL');
ok($browser->wait_for(q{/dashboard does not answer/.test(document.getElementById('state').textContent)}), 'that the dashboard is away is said');
sql(qq{SELECT amelia.append_event('$two', 'note', 'after the dashboard')});
$site = Dashboard->start($node, 'watcher', "--listen=127.0.0.1:$site->{port}");
ok($browser->wait_for(q{/session has ended/.test(document.getElementById('state').textContent)}), 'a new one knows no session, and that is said');
is($browser->value('window.mark'), 2, 'on the page that was there');
$browser->leave(q{document.querySelector('#state a').click()});
$browser->value(q{document.querySelector('[name=role]').value = 'willi'; document.querySelector('[name=password]').value = 'willi-secret'; 1});
$browser->leave(q{document.querySelector('button').click()});
like($browser->value(q{document.querySelector('#log').lastElementChild.textContent}), qr/after the dashboard/, 'who logs in again finds what happened');
$browser->leave(q{document.querySelector('.who button').click()});
is($browser->value('location.pathname'), '/login', 'and leaves');
$browser->close;
$site->kill_it;

done_testing();
