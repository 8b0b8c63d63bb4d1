# What deleted workflows had cost survives every way in which they are deleted,
# and a dump; forget_workflow() erases it.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use LangGraph;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('history');
my $dir = PostgreSQL::Test::Utils::tempdir;
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off\n");
$node->start;

# Five workflows n with random usage over some days, agents and models; whole
# is what a report over all of it says.
my $fill = q{
	SELECT setseed(0.5);
	INSERT INTO amelia.workflows (id, issue_id, worktree_path, status, workflow_type, profile_id, started_at, completed_at)
	SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, n, '/w/' || n,
		CASE n % 3 WHEN 0 THEN 'failed' ELSE 'completed' END, 'review', 'work', '2024-02-28', '2024-03-02 12:00:00+00'
	FROM generate_series(1, 5) AS n;
	INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cache_read_tokens,
		cache_creation_tokens, cost_usd, duration_ms, num_turns, "timestamp")
	SELECT w.id, 'agent ' || n % 2, 'model ' || n % 3, 2147483647, (random() * 1000)::integer, NULLIF(n % 4, 0), n,
		(random() * 10)::numeric(10,6), n, 1, timestamptz '2024-02-28 23:30:00+00' + n * interval '1 hour'
	FROM amelia.workflows AS w, generate_series(1, 60) AS n;
	CREATE VIEW public.whole AS
	SELECT workflow_id, day, agent, model, sum(i) AS i, sum(o) AS o, sum(r) AS r, sum(c) AS c, sum(cost) AS cost, sum(d) AS d, sum(t) AS t
	FROM (SELECT workflow_id, ("timestamp" AT TIME ZONE 'UTC')::date, agent, model, input_tokens::numeric, output_tokens,
				COALESCE(cache_read_tokens, 0), cache_creation_tokens, cost_usd, duration_ms, num_turns
			FROM amelia.token_usage
			UNION ALL
			SELECT workflow_id, day, agent, model, input_tokens, output_tokens, cache_read_tokens, cache_creation_tokens,
				cost_usd, duration_ms, num_turns
			FROM amelia.usage_history) AS u (workflow_id, day, agent, model, i, o, r, c, cost, d, t)
	GROUP BY workflow_id, day, agent, model;
	CREATE VIEW public.ends AS
	SELECT id, profile_id, workflow_type, status, started_at, completed_at FROM amelia.workflows
	UNION ALL
	SELECT workflow_id, profile_id, workflow_type, status, started_at, completed_at FROM amelia.workflow_history;
};
my $state = q{SELECT (SELECT md5(string_agg(h::text, ',' ORDER BY h::text)) FROM public.whole AS h),
	(SELECT md5(string_agg(e::text, ',' ORDER BY e::text)) FROM public.ends AS e),
	(SELECT count(*) FROM public.ends)};

$node->safe_psql('postgres', 'CREATE DATABASE filled');
$node->safe_psql('filled', "CREATE EXTENSION amelia; $fill");
my $before = $node->safe_psql('filled', $state);
like($before, qr/\|5$/, 'five workflows');

for my $way (
	[ 'retention', 'CALL amelia.run_retention()' ],
	[ 'DELETE', 'DELETE FROM amelia.workflows' ],
	[ 'DELETE in a session that is elsewhere', q{SET timezone = 'Asia/Tokyo'; SET search_path = ''; DELETE FROM amelia.workflows} ],
	[ 'a role that may not write the history', q{CREATE ROLE deleter; GRANT USAGE ON SCHEMA amelia TO deleter;
		GRANT SELECT, DELETE ON amelia.workflows TO deleter; SET ROLE deleter; DELETE FROM amelia.workflows} ],
	[ 'DELETE one by one', q{DO $$DECLARE i uuid; BEGIN FOR i IN SELECT id FROM amelia.workflows LOOP
		DELETE FROM amelia.workflows WHERE id = i; END LOOP; END$$} ],
	[ 'TRUNCATE', 'TRUNCATE amelia.workflows CASCADE' ],
	[ 'a trigger of a user that deletes more', q{CREATE FUNCTION public.more() RETURNS trigger LANGUAGE plpgsql AS
		$$BEGIN DELETE FROM amelia.workflows WHERE id > OLD.id; RETURN OLD; END$$;
		CREATE TRIGGER more AFTER DELETE ON amelia.workflows FOR EACH ROW EXECUTE FUNCTION public.more();
		DELETE FROM amelia.workflows WHERE issue_id = '1'} ])
{
	$node->safe_psql('postgres', 'CREATE DATABASE run TEMPLATE filled');
	$node->safe_psql('run', $way->[1]);
	is($node->safe_psql('run', $state), $before, "$way->[0]: costs and ends are as they were");
	is($node->safe_psql('run', 'SELECT (SELECT count(*) FROM amelia.workflows), (SELECT count(*) FROM amelia.token_usage)'), '0|0',
		"$way->[0]: though all are gone");
	$node->safe_psql('postgres', 'DROP DATABASE run');
}

# What does not really go is no history.
$node->safe_psql('filled', q{
	BEGIN; DELETE FROM amelia.workflows; ROLLBACK;
	CREATE FUNCTION public.keep() RETURNS trigger LANGUAGE plpgsql AS
		$$BEGIN IF OLD.issue_id = '2' THEN RETURN NULL; END IF; RETURN OLD; END$$;
	CREATE TRIGGER zzzz_keep BEFORE DELETE ON amelia.workflows FOR EACH ROW EXECUTE FUNCTION public.keep();
	DELETE FROM amelia.workflows WHERE issue_id IN ('1', '2')});
is($node->safe_psql('filled', $state), $before, 'a trigger that comes later and keeps a row');
is($node->safe_psql('filled', 'SELECT count(*) FROM amelia.workflow_history'), 1, 'keeps it out of the history');

# One that comes back, goes on and goes again adds up.
$node->safe_psql('filled', q{
	INSERT INTO amelia.workflows (id, issue_id, worktree_path, status)
	VALUES ('00000000-0000-4000-8000-000000000001', '1', '/w', 'cancelled');
	INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd, "timestamp")
	VALUES ('00000000-0000-4000-8000-000000000001', 'agent 1', 'model 1', 1, 2, 0.5, '2024-03-02 12:00:00+00')});
my $cost = $node->safe_psql('filled', 'SELECT sum(cost), sum(i) FROM public.whole');
$node->safe_psql('filled', q{DELETE FROM amelia.workflows WHERE issue_id = '1'});
is($node->safe_psql('filled', 'SELECT sum(cost), sum(i) FROM public.whole'), $cost, 'a workflow that comes back and goes again');
is($node->safe_psql('filled', q{SELECT status FROM amelia.workflow_history}), 'cancelled', 'ends as it did the last time');

# Forgetting.
$node->safe_psql('filled', checkpoint_tables() . checkpoint_helpers() . q{
	SELECT amelia.link_thread('00000000-0000-4000-8000-000000000003', 'three');
	SELECT public.put_thread('public', 'three', now()), public.put_thread('public', '00000000-0000-4000-8000-000000000003', now()),
		public.put_thread('public', 'four', now());
	SELECT amelia.forget_workflow('00000000-0000-4000-8000-000000000001'),
		amelia.forget_workflow('00000000-0000-4000-8000-000000000003')});
is($node->safe_psql('filled', q{SELECT count(DISTINCT workflow_id) FROM public.whole}), 3, 'what is forgotten has no costs');
is($node->safe_psql('filled', q{SELECT count(*) FROM public.ends}), 3, 'and no end');
is($node->safe_psql('filled', q{SELECT thread_id FROM public.checkpoints}), 'four', 'nor checkpoints');
my ($result, $out, $err) = $node->psql('filled', q{SELECT amelia.forget_workflow('00000000-0000-4000-8000-000000000001')});
like($err, qr/no workflow 00000000/, 'what is not there cannot be forgotten');

# A dump keeps all of it, and what is deleted later adds to it.
$node->safe_psql('filled', q{
	CREATE SCHEMA app;
	DROP TRIGGER zzzz_keep ON amelia.workflows;
	DELETE FROM amelia.workflows WHERE issue_id = '4';
	SELECT amelia.update_settings('{"orphan_thread_retention_days": 5, "checkpoint_grace_minutes": 7, "retention_max_workflows": 8}')});
$node->safe_psql('filled', 'SET search_path = app;' . checkpoint_tables() . q{SELECT amelia.register_checkpoints('app')});
$node->safe_psql('filled', 'CALL amelia.run_retention()');
my $tables = q{
	SELECT md5(string_agg(r, ',' ORDER BY r)) FROM (
		SELECT t::text FROM amelia.retention_runs AS t UNION ALL SELECT t::text FROM amelia.checkpoint_schemas AS t
		UNION ALL SELECT t::text FROM amelia.usage_history AS t UNION ALL SELECT t::text FROM amelia.workflow_history AS t
		UNION ALL SELECT t::text FROM amelia.workflows AS t UNION ALL SELECT t::text FROM amelia.server_settings AS t) AS x (r)};
$before = $node->safe_psql('filled', $tables);
my $count = 0;
for my $form ([ '-Fp' ], [ '-Fc' ], [ '-Fd', '-j2' ])
{
	my $db = 'restored' . ++$count;
	$node->safe_psql('postgres', "CREATE DATABASE $db TEMPLATE template0");
	$node->command_ok([ 'pg_dump', '-d', 'filled', '-f', "$dir/$db", @$form ], "pg_dump @$form");
	$node->command_ok($form->[0] eq '-Fp'
		? [ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $db, '-o', "$dir/out", '-f', "$dir/$db" ]
		: [ 'pg_restore', '-d', $db, '--exit-on-error', @$form[ 1 .. $#$form ], "$dir/$db" ], "restore @$form");
	is($node->safe_psql($db, $tables), $before, "@$form: every row");
	is($node->safe_psql($db, 'SELECT count(*) FROM amelia.verify()'), 0, "@$form: all is well");
	$node->safe_psql($db, 'CALL amelia.run_retention()');
	is($node->safe_psql($db, 'SELECT max(id) - (SELECT max(id) FROM amelia.retention_runs WHERE id < (SELECT max(id) FROM amelia.retention_runs))
		FROM amelia.retention_runs'), 1, "@$form: runs are numbered on");
}
$node->safe_psql('filled', 'DROP EXTENSION amelia CASCADE');
is($node->safe_psql('filled', $tables), $before, 'DROP EXTENSION takes no row');

$node->stop;
done_testing();
