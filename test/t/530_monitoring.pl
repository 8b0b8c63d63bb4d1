# The files in monitoring/: every query runs, by a role that only monitors, and
# gives what its file says; they name what metrics() returns, and all of it.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use AmeliaTest;
use CPAN::Meta::YAML;
use Dashboard;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('monitored', preload => 1);
$node->safe_psql('postgres', q{
	CREATE EXTENSION amelia;
	INSERT INTO amelia.workflows (issue_id, worktree_path) SELECT n, '/' || n FROM generate_series(1, 3) AS n;
	INSERT INTO amelia.workflows (issue_id, status, failures, max_failures, completed_at) VALUES ('dead', 'failed', 3, 3, now());
	INSERT INTO amelia.budgets (scope, period, limit_usd, action) VALUES ('everything', 'total', 10, 'warn');
	SELECT amelia.claim_workflow('w');
	SELECT amelia.record_usage(id, 'a', 'm', 1, 1, cost_usd => 2) FROM amelia.workflows LIMIT 1;
	CALL amelia.run_retention();
	CREATE ROLE monitor LOGIN;
	SELECT amelia.grant_monitor('monitor');
	CREATE ROLE reader LOGIN;
	SELECT amelia.grant_reader('reader')});

# A query's rows, with the names of its columns.
sub ask
{
	my ($query, $role) = @_;

	return decode_json($node->safe_psql('postgres', "SELECT COALESCE(json_agg(r), '[]') FROM ($query) AS r",
		extra_params => [ '-U', $role ]));
}

sub yaml
{
	my ($name) = @_;

	return CPAN::Meta::YAML->read_string(slurp_file("monitoring/$name"))->[0];
}

# A figure, in a form in which two can be compared.
sub figure
{
	my ($name, $labels) = @_;
	return join(' ', $name, map { "$_=" . ($labels->{$_} // '') } sort keys %$labels);
}

my %wanted = map { figure($_->{name}, decode_json($_->{labels})) => $_ }
  @{ ask('SELECT name, labels::text AS labels, help FROM amelia.metrics()', 'monitor') };
my %named = map { $_->{name} => $_->{help} } values %wanted;
ok(exists $named{"amelia_$_"}, "there is $_")
  for qw(cost_today_usd budget_spent_usd dead_workflows_last_day worker_leases retention_last_run_completed);

# postgres_exporter: names are those of the query and of the column.
my $custom = yaml('postgres_exporter.yaml');
my %found;
for my $key (sort keys %$custom)
{
	my %column = map { %$_ } @{ $custom->{$key}{metrics} };
	my @labels = grep { $column{$_}{usage} eq 'LABEL' } keys %column;

	for my $row (@{ ask($custom->{$key}{query}, 'monitor') })
	{
		is_deeply([ sort keys %$row ], [ sort keys %column ], "postgres_exporter: the columns of $key")
		  unless $found{$key}++;
		for my $value (grep { $column{$_}{usage} ne 'LABEL' && defined $row->{$_} } keys %column)
		{
			my $name = "${key}_$value";

			$found{ figure($name, { map { $_ => $row->{$_} } @labels }) } = 1;
			is($column{$value}{description}, $named{$name}, "postgres_exporter: $name") unless $found{$name}++;
			is($column{$value}{usage}, $name =~ /_total$/ ? 'COUNTER' : 'GAUGE', "its kind") if $found{$name} == 1;
		}
	}
}
is_deeply([ grep { !$found{$_} } sort keys %wanted ], [], 'postgres_exporter has every figure');
is_deeply([ grep { / /  && !$wanted{$_} } sort keys %found ], [], 'and no other');

# sql_exporter: a metric names its query, its labels and its column.
my $collector = yaml('sql_exporter.yaml');
my %query = map { $_->{query_name} => $_->{query} } @{ $collector->{queries} };
my %metric = map { $_->{metric_name} => $_ } @{ $collector->{metrics} };
is_deeply([ sort keys %metric ], [ sort keys %named ], 'sql_exporter has every figure');
for my $name (sort keys %metric)
{
	my $metric = $metric{$name};
	my @rows = @{ ask($query{ $metric->{query_ref} }, 'monitor') };
	my @got = map { my $row = $_; figure($name, { map { $_ => $row->{$_} } @{ $metric->{key_labels} // [] } }) }
	  grep { defined $_->{ $metric->{values}[0] } } @rows;

	is_deeply([ sort @got ], [ grep { $wanted{$_}{name} eq $name } sort keys %wanted ], "sql_exporter: $name");
	is($metric->{help}, $named{$name}, 'its help');
	is($metric->{type}, $name =~ /_total$/ ? 'counter' : 'gauge', 'its kind');
}

# Alerts: they are over figures that there are, and the query that each names runs.
my @rules = @{ yaml('alerts.yaml')->{groups}[0]{rules} };
cmp_ok(scalar @rules, '>=', 8, 'there are alerts');
for my $rule (@rules)
{
	my @names = $rule->{expr} =~ /\b(amelia_[a-z_]+)/g;

	ok(@names && !grep({ !exists $named{$_} } @names), "$rule->{alert}: $rule->{expr}");
	like($rule->{annotations}{summary}, qr/\.$/, 'it says what is wrong');
	is($node->psql('postgres', $rule->{annotations}{action}, extra_params => [ '-U', 'reader' ]), 0, 'and what to look at');
	like(slurp_file('docs/monitoring.md'), qr/`$rule->{alert}`/, 'docs/monitoring.md has it');
}

# Grafana: its macros as its data source for PostgreSQL writes them.
my $dashboard = decode_json(slurp_file('monitoring/grafana.json'));
cmp_ok(scalar @{ $dashboard->{panels} }, '>=', 10, 'there are panels');
for my $panel (@{ $dashboard->{panels} })
{
	my $query = $panel->{targets}[0]{rawSql};

	$query =~ s/\$__timeFilter\(([^)]*)\)/$1 BETWEEN '2020-01-01T00:00:00Z' AND '2100-01-01T00:00:00Z'/g;
	$query =~ s/\$__timeFrom\(\)/'2026-01-01T00:00:00Z'/g;
	$query =~ s/\$__timeTo\(\)/'2026-12-31T00:00:00Z'/g;
	unlike($query, qr/\$/, "Grafana: $panel->{title}");
	ok(ref ask($query, 'reader') eq 'ARRAY', 'its query runs');
}

# amelia-dashboard --metrics: the same in Prometheus' text.
$node->safe_psql('postgres', q{INSERT INTO amelia.budgets (scope, target, period, limit_usd, action)
	VALUES ('profile', E'a "b" \\\\ c\nd', 'total', 7, 'warn')});
my $site = Dashboard->start($node, undef, '--role=reader', '--metrics');
my ($status, $text, $headers) = $site->get('/metrics');
is($status, 200, 'amelia-dashboard serves figures');
is($headers->{'content-type'}, 'text/plain; version=0.0.4; charset=utf-8', '... in Prometheus\' format');
my %shown = map { $_ => 1 } $text =~ /^(\w+)(?:\{.*\})? [-+.\w]+$/mg;
is_deeply([ sort keys %shown ], [ sort keys %named ], '... each that there is');
is(() = $text =~ /^# TYPE (\w+) (?:gauge|counter)$/mg, scalar keys %named, '... with its type once');
is(() = $text =~ /^# HELP \w+ .+$/mg, scalar keys %named, '... and what it is');
like($text, qr/^amelia_budget_limit_usd\{.*target="a \\"b\\" \\\\ c\\nd"\} 7$/m, '... labels with quotes, backslashes and line feeds');
is((grep { !/^(?:# (?:HELP|TYPE) \w+ .*|\w+(?:\{(?:\w+="(?:[^"\\]|\\.)*",?)+\})? [-+.\w]+)$/ } split /\n/, $text), 0, '... and nothing else');
$node->safe_psql('postgres', 'REVOKE EXECUTE ON FUNCTION amelia.metrics() FROM reader');
($status, $text) = $site->get('/metrics');
is("$status $text", "503 the figures could not be read\n", 'without the right to read them there are none');
$node->safe_psql('postgres', 'GRANT EXECUTE ON FUNCTION amelia.metrics() TO reader');
$site = Dashboard->start($node, undef, '--role=reader');
is(($site->get('/metrics'))[0], 404, 'and none where they were not asked for');

# The page has every name.
my $page = slurp_file('docs/monitoring.md');
like($page, qr/`\Q$_\E`/, "docs/monitoring.md: $_") for sort keys %named;
done_testing();
