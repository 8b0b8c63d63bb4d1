# Writers of all kinds, two who close days, and readers at the same time: in
# every snapshot the functions answer what the rows say.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('usage');
$node->init;
$node->append_conf('postgresql.conf', 'max_prepared_transactions = 5');
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION amelia;
	INSERT INTO amelia.workflows (id, issue_id, worktree_path, profile_id)
	SELECT lpad(n::text, 32, '0')::uuid, 'I', '/' || n, 'p' || n % 3 FROM generate_series(1, 20) AS n;
	-- The number of rows that differ between the functions and plain queries.
	CREATE FUNCTION differences() RETURNS bigint LANGUAGE sql STABLE AS $$
	SELECT (SELECT count(*) FROM (
			(SELECT t.date, t.cost_usd, t.workflows FROM amelia.usage_trend('2020-01-01', '2020-01-20') AS t)
			EXCEPT
			(SELECT (u."timestamp" AT TIME ZONE 'UTC')::date, sum(u.cost_usd), count(DISTINCT u.workflow_id)
			FROM amelia.token_usage AS u GROUP BY 1)) AS x)
		+ (SELECT count(*) FROM (
			(SELECT m.model, m.cost_usd, m.workflows FROM amelia.usage_by_model('2020-01-01', '2020-01-20') AS m)
			EXCEPT
			(SELECT u.model, sum(u.cost_usd), count(DISTINCT u.workflow_id)
			FROM amelia.token_usage AS u GROUP BY 1)) AS y)
		+ (SELECT count(*) FROM amelia.usage_summary('2020-01-01', '2020-01-20') AS s
			WHERE ROW(s.total_cost_usd, s.total_workflows) IS DISTINCT FROM
				(SELECT ROW(COALESCE(sum(u.cost_usd), 0), count(DISTINCT u.workflow_id)) FROM amelia.token_usage AS u))
	$$;
	-- Raises when they differ.
	CREATE FUNCTION look() RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		IF differences() > 0 THEN
			RAISE EXCEPTION 'the functions and the rows differ';
		END IF;
	END
	$$;
});

my $write = q{
\set day random(0, 19)
\set hour random(0, 23)
\set workflow random(1, 20)
\set model random(1, 3)
};
my $insert = q{INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd, "timestamp")
	VALUES (lpad(:workflow::text, 32, '0')::uuid, 'a', 'm' || :model, 1, 1, 0.000001 * :hour, '2020-01-01Z'::timestamptz + :day * interval '1 day' + :hour * interval '1 hour');
};
my %scripts = (
	insert => $write . $insert,
	pair => $write . "BEGIN;\n$insert SAVEPOINT s; $insert ROLLBACK TO s; $insert SELECT look();\nCOMMIT;\n",
	# a snapshot that is older than what is closed meanwhile
	old => $write . "BEGIN ISOLATION LEVEL REPEATABLE READ;\nSELECT look();\nSELECT pg_sleep(0.02);\n$insert SELECT look();\nCOMMIT;\n",
	change => $write . q{UPDATE amelia.token_usage SET cost_usd = cost_usd + 0.5, "timestamp" = '2020-01-01Z'::timestamptz + :day * interval '1 day'
		WHERE id = (SELECT id FROM amelia.token_usage WHERE model = 'm' || :model ORDER BY id DESC LIMIT 1 FOR UPDATE SKIP LOCKED);
	},
	delete => q{DELETE FROM amelia.token_usage WHERE id = (SELECT id FROM amelia.token_usage ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED);
	},
	undo => $write . "BEGIN;\n$insert ROLLBACK;\n",
	read => "SELECT look();\n",
	close => "CALL amelia.close_days();\n",
);
my $dir = PostgreSQL::Test::Utils::tempdir;
my %weights = (insert => 6, pair => 3, old => 2, change => 3, delete => 3, undo => 2, read => 6, close => 3);
my @files;
for my $name (sort keys %scripts)
{
	append_to_file("$dir/$name.sql", $scripts{$name});
	push @files, '-f', "$dir/$name.sql\@$weights{$name}";
}

$node->command_ok([ 'pgbench', '--no-vacuum', '--client=8', '--transactions=150', @files, 'postgres' ],
	'every snapshot shows the same to the functions and to plain queries');
is($node->safe_psql('postgres', 'SELECT differences()'), '0', 'and so does the last one');
$node->safe_psql('postgres', 'CALL amelia.close_days()');
is($node->safe_psql('postgres', 'SELECT differences(), (SELECT count(*) FROM amelia.usage_dirty_days),
	(SELECT count(DISTINCT day) = (SELECT count(*) FROM amelia.usage_days WHERE state = $$closed$$) FROM amelia.usage_workflow_days)'),
	'0|0|t', 'all days are closed, and right');

# A prepared transaction wrote before the close, which waits for it.
$node->safe_psql('postgres', q{BEGIN;
	INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd, "timestamp")
	VALUES (lpad('1', 32, '0')::uuid, 'a', 'm1', 1, 1, 7, '2020-01-21Z');
	PREPARE TRANSACTION 'late'});
$node->safe_psql('postgres', q{INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd, "timestamp")
	VALUES (lpad('1', 32, '0')::uuid, 'a', 'm1', 1, 1, 1, '2020-01-21Z')});
my ($result, $stdout, $stderr) = $node->psql('postgres', 'CALL amelia.close_days()', extra_params => [ '-v', 'VERBOSITY=sqlstate' ],
	connstr => $node->connstr('postgres') . " options='-c lock_timeout=100'");
like($stderr, qr/55P03/, 'the close waits for a prepared transaction');
is($node->safe_psql('postgres', q{SELECT state FROM amelia.usage_days WHERE day = '2020-01-21'}), 'closing', 'its day is announced');
$node->safe_psql('postgres', q{COMMIT PREPARED 'late'; CALL amelia.close_days()});
is($node->safe_psql('postgres', q{SELECT d.state, t.cost_usd FROM amelia.usage_days AS d, amelia.usage_trend('2020-01-21', '2020-01-21') AS t
	WHERE d.day = t.date}), 'closed|8.000000', 'and counts once it has committed');

# A crash between the announcement and the sums loses nothing.
$node->safe_psql('postgres', q{INSERT INTO amelia.usage_days (day) VALUES ('2020-01-22');
	INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd, "timestamp")
	VALUES (lpad('1', 32, '0')::uuid, 'a', 'm1', 1, 1, 3, '2020-01-22Z')});
$node->stop('immediate');
$node->start;
is($node->safe_psql('postgres', q{SELECT cost_usd FROM amelia.usage_trend('2020-01-22', '2020-01-22')}), '3.000000', 'a day that is half closed is read from its rows');
$node->safe_psql('postgres', 'CALL amelia.close_days()');
is($node->safe_psql('postgres', q{SELECT d.state, t.cost_usd, (SELECT count(*) FROM amelia.usage_dirty_days)
	FROM amelia.usage_days AS d, amelia.usage_trend('2020-01-22', '2020-01-22') AS t WHERE d.day = t.date}),
	'closed|3.000000|0', 'and the next close ends what was begun');

done_testing();
