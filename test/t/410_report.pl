# amelia-report: the page says what the database does, is text where users
# wrote markup, and is rendered by a browser as its numbers say.
use strict;
use warnings;

use FindBin;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $program = $ENV{AMELIA_REPORT} || "$FindBin::RealBin/../../client/amelia-report";
my $dir = PostgreSQL::Test::Utils::tempdir();
my $node = PostgreSQL::Test::Cluster->new('report');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->append_conf('postgresql.conf', qq{timezone = 'Asia/Tokyo'\ndatestyle = 'SQL, DMY'\n});
$node->start;

sub report
{
	my (@args) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run([ $program, '-d', $node->connstr('postgres'), @args ], '<', \'', '>', \$out, '2>', \$err);
	return ($? >> 8, $out, $err);
}

my ($status, $out, $err) = report();
is($status, 2, 'without the extension there is no page');
like($err, qr/^amelia-report: error: .*the extension amelia is not there/m, 'and it says so');

like($err, qr/^amelia-report: hint: Run CREATE EXTENSION amelia in it/m, 'a superuser is told to make it');
$node->safe_psql('postgres', 'CREATE ROLE nobody LOGIN');
($status, $out, $err) = report('-U', 'nobody');
like($err, qr/^amelia-report: hint: Let .* run CREATE EXTENSION amelia in it/m, 'and others whom to ask');

$node->safe_psql('postgres', 'CREATE EXTENSION amelia');
($status, $out, $err) = report();
is($status, 0, 'an empty database has a page');
is($err, '', 'without complaint');
like($out, qr/Nothing was used in this time/, 'that says that there is nothing');

$node->safe_psql('postgres', q{
	INSERT INTO amelia.workflows (id, issue_id, worktree_path, status, profile_id, completed_at)
	SELECT lpad(n::text, 32, '0')::uuid, '<img src=x onerror=alert(' || n || ')>', '/' || n,
		(ARRAY['completed', 'pending'])[1 + n % 2], '"><b>' || n % 2, '2020-01-15Z'
	FROM generate_series(1, 12) AS n;
	INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd, "timestamp")
	SELECT lpad(n::text, 32, '0')::uuid, 'a & b' || repeat('-long', 30),
		(ARRAY['opus', 'haiku', '<script>document.title = "owned"</script>' || repeat('x', 900)])[1 + (n + i) % 3],
		1000, 100, 0.25 * n, '2020-01-01Z'::timestamptz + i * interval '1 day'
	FROM generate_series(1, 12) AS n, generate_series(0, 29) AS i WHERE i % 7 < 5;
	INSERT INTO amelia.budgets (scope, target, period, limit_usd, action) VALUES ('profile', '"><b>1', 'total', 10, 'block'),
		('everything', NULL, 'total', 1e15, 'warn');
	CALL amelia.close_days();
	CALL amelia.run_retention();
	INSERT INTO amelia.workflows (issue_id, status, profile_id, completed_at, failure_reason, failures)
	SELECT 'broken-' || n, 'failed', 'p' || n, '2020-01-30Z', CASE n WHEN 1 THEN 'no <disk> left' END, n FROM generate_series(1, 2) AS n;
	SELECT amelia.append_event(id, 'task_failed', 'the last <error>') FROM amelia.workflows WHERE issue_id = 'broken-2';
});
my $page = "$dir/report.html";
($status, $out, $err) = report('--days=31', '--until=2020-01-31', '-o', $page);
is("$status$out$err", '0', 'a page is written to a file');
my $html = slurp_file($page);
my $cost = $node->safe_psql('postgres', q{SELECT to_char(total_cost_usd, 'FM999,990.00') FROM amelia.usage_summary('2020-01-01', '2020-01-31')});
like($html, qr/\$\Q$cost\E</, 'it has the cost');
like($html, qr/2020-01-01 to 2020-01-31/, 'and the days, whatever the DateStyle');
unlike($html, qr/<script|<img|<b>\d|onerror=alert\(1\)>/, 'no markup of a user is markup');
unlike($html, qr/https?:/, 'it fetches nothing');
like($html, qr/&lt;script&gt;/, 'it is shown as text');
like($html, qr/>spent</, 'a spent budget is named');
like($html, qr/>1,000,000,000,000,000\.00</, 'a limit that is as good as none is a number');
like($html, qr/Retention<.*Checkpoints</s, 'retention and checkpoints are there');
# deleted by retention, the workflows are among the dearest
like($html, qr/\(deleted\)/, 'deleted workflows are named as such');
like($html, qr/&lt;img src=x onerror=alert\(11\)&gt;/, 'and the others by their issue');

# Budgets first, today and the day before, what failed and why.
like($html, qr/<h2>Budgets<.*<span>Last day<\/span><strong>\$0\.00<.*>Day before<.*<h2>Cost per day</s, 'budgets come first, then the last days');
like($html, qr/<h2>What failed, and why<.*broken-1.*no &lt;disk&gt; left.*broken-2.*the last &lt;error&gt;/s, 'what failed, by its reason or its last error');
($status, $out, $err) = report('--days=31', '--until=2020-01-31', '--profile=p1', '--title=Shop & <b>more</b>');
is("$status$err", '0', 'a page of one profile');
like($out, qr/<title>Shop &amp; &lt;b&gt;more&lt;\/b&gt;<.*profile p1</s, 'with a title of its own');
like($out, qr/broken-1/, 'has what is of the profile');
unlike($out, qr/broken-2|haiku|By profile/, 'and nothing else');
my $day = (report('--days=1', '--until=2020-01-02'))[1];
my ($last, $before) = map { $node->safe_psql('postgres', qq{SELECT to_char(total_cost_usd, 'FM999,990.00') FROM amelia.usage_summary('$_', '$_')}) } '2020-01-02', '2020-01-01';
like($day, qr/Last day<\/span><strong>\$\Q$last\E<.*Day before<\/span><strong>\$\Q$before\E</s, 'the last day and the one before cost what they cost');
like((report('--days=1'))[1], qr/>Today<.*>Yesterday</s, 'which may be today and yesterday');

# More models than there are colours: the last is that of all others.
$node->safe_psql('postgres', q{
	INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd, "timestamp")
	SELECT (SELECT min(id::text)::uuid FROM amelia.workflows), 'a', 'model-' || n, 1, 1, 100 - n, '2021-01-01Z'::timestamptz + i * interval '1 day'
	FROM generate_series(1, 12) AS n, generate_series(0, 1) AS i});
($status, $out, $err) = report('--days=31', '--until=2021-01-31');
is_deeply([ $out =~ /<li><i class="(c\d)"><\/i>([^<]*)/g ],
	[ (map { ("c$_", 'model-' . ($_ + 1)) } 0 .. 6), 'c7', '5 others' ], 'the dearest models have a colour each');
is_deeply([ $out =~ /<rect class="(c\d)"[^>]* data-cost="(\d+)/g ], [ ((map { ("c$_", 99 - $_) } 0 .. 6), 'c7', 450) x 2 ],
	'and the others one together');

$node->safe_psql('postgres', q{CREATE ROLE dashboard LOGIN; SELECT amelia.grant_reader('dashboard')});
($status, $out, $err) = report('-U', 'dashboard', '--days=31', '--until=2020-01-31');
is($status, 0, 'a reader can have it');
($status, $out, $err) = report('-U', 'nobody');
is($status, 1, 'others cannot');
like($err, qr/permission denied/, 'and are told why');
like($err, qr/^amelia-report: hint: .*SELECT amelia\.grant_reader\('nobody'\)/m, 'and who can change that');

# A database is named as for psql and pg_dump.
{
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	my @named = ([ 'postgres' ], [ '--days=31', 'postgres' ], [ 'dbname=postgres' ], [ '-d', 'postgres' ]);

	ok(IPC::Run::run([ $program, @$_ ], '<', \'', '>', \$out, '2>', \$err), "amelia-report @$_") for @named;
	ok(!IPC::Run::run([ $program, 'postgres', 'template1' ], '<', \'', '>', \$out, '2>', \$err), 'but one of them');
}

# Yesterday's page stays until there is another.
my $site = "$dir/site";
mkdir $site or die $!;
append_to_file("$site/page.html", 'yesterday');
chmod 0640, "$site/page.html" or die $!;
symlink('page.html', "$site/index.html") or die $!;
is((report('-U', 'nobody', '-o', "$site/index.html"))[0], 1, 'no page');
is(slurp_file("$site/page.html"), 'yesterday', 'yesterday\'s stays');
is((report('-o', "$site/index.html"))[0], 0, 'a page');
like(slurp_file("$site/page.html"), qr/What agents cost/, 'takes its place, behind the link');
is((stat "$site/page.html")[2] & 0777, 0640, 'with its rights');
is_deeply([ sort map { s{.*/}{}r } glob("$site/*") ], [ 'index.html', 'page.html' ], 'and leaves nothing beside');
is((report('-o', '/dev/null'))[0], 0, 'what is no file is written to');
ok(-c '/dev/null', 'and stays what it is');
for my $wrong ([ '--days=0' ], [ '--days=x' ], [ '--days=367' ], [ 'file' ], [ '-w', '-W' ], [ '--strange' ])
{
	is((report(@$wrong))[0], 3, "wrong usage: @$wrong");
}
is((report('--until=tomorrowish'))[0], 1, 'a date that is none');
is((report('-o', '/nonexistent/x'))[0], 1, 'a file that cannot be written');
like((report('--help'))[1], qr/--until=DATE/, 'help');

# In a browser, unchanged, inside a frame of a phone's width and a screen's.
my ($browser) = grep { -x } map { "$_/chromium" } split /:/, $ENV{PATH} . ':/usr/bin';
SKIP:
{
	skip 'chromium is not installed', 12 unless $browser;
	for my $width (360, 1000)
	{
		my $frame = "$dir/frame$width.html";
		append_to_file($frame, <<"HTML" . <<'SCRIPT');
<body style="margin:0"><iframe id="f" src="report.html" style="border:0;width:${width}px;height:900px"></iframe>
HTML
<pre id="m"></pre><script>
addEventListener('load', () => {
	const page = document.getElementById('f').contentDocument, svg = page.querySelector('svg');
	const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
	const bars = [...svg.querySelectorAll('rect')], days = {};
	for (const bar of bars)
		days[bar.getAttribute('x')] = (days[bar.getAttribute('x')] || 0) + Number(bar.dataset.cost);
	const highest = Math.max(...Object.values(days)), plot = 182 * scale;
	const off = Math.max(...bars.map(bar =>
		Math.abs(bar.getBoundingClientRect().height - plot * Number(bar.dataset.cost) / highest)));
	const cut = [...page.body.querySelectorAll('*')].filter(e =>
		e.getBoundingClientRect().right > page.documentElement.clientWidth + 1).length;
	document.getElementById('m').textContent = `bars=${bars.length} exact=${off < 0.1} cut=${cut}`
		+ ` wider=${page.documentElement.scrollWidth > page.documentElement.clientWidth}`
		+ ` thin=${[...page.querySelectorAll('.t')].filter(e => e.getBoundingClientRect().height > 60).length}`
		+ ` title=${page.title} scripts=${page.scripts.length} head=${getComputedStyle(page.querySelector('thead')).display}`;
});
</script>
SCRIPT
		my ($dom, $log) = ('', '');
		IPC::Run::run([ $browser, '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
			'--disable-background-networking', '--allow-file-access-from-files', '--enable-logging=stderr',
			"--user-data-dir=$dir/profile", '--window-size=1100,1000', '--dump-dom', "file://$frame" ],
			'<', \'', '>', \$dom, '2>', \$log, IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
		my ($measured) = $dom =~ /<pre id="m">([^<]*)/;
		$measured //= '';
		note $measured;
		like($measured, qr/bars=66 exact=true/, "$width: a bar for each cost, as high as it says");
		like($measured, qr/cut=0 wider=false/, "$width: nothing is cut off");
		like($measured, qr/thin=0/, "$width: a long name leaves room for the trend");
		like($measured, qr/title=What agents cost scripts=0/, "$width: a hostile name is text");
		is(() = ($log =~ /CONSOLE/g), 0, "$width: nothing on the console") or diag $log;
		like($measured, $width < 600 ? qr/head=none/ : qr/head=table-header-group/, "$width: tables fit the width");
	}
}

done_testing();
