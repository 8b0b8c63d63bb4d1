# Workflows that are deleted, come back and are forgotten, their usage changed
# and deleted meanwhile, days closed by several at once: in every snapshot
# the functions answer what a ledger says that is kept by hand.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('ledger');
$node->init;
$node->append_conf('postgresql.conf', "max_prepared_transactions = 10\ndeadlock_timeout = 100ms\ndefault_transaction_isolation = 'read committed'");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION amelia;
	CREATE SCHEMA s;
	-- is_live: it is in token_usage, or its workflow in workflows
	CREATE TABLE s.usage (id uuid PRIMARY KEY, workflow_id uuid, agent text, model text, tokens bigint, cost numeric(10,6),
		ms bigint, at timestamptz, is_live boolean NOT NULL DEFAULT true);
	CREATE TABLE s.workflows (id uuid PRIMARY KEY, profile text, completed_at timestamptz, is_live boolean NOT NULL DEFAULT true,
		kept_until timestamptz);
	CREATE FUNCTION s.w(n integer) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$SELECT lpad(n::text, 32, '0')::uuid$$;

	CREATE FUNCTION s.begin(n integer) RETURNS void LANGUAGE sql AS $$
	INSERT INTO amelia.workflows (id, issue_id, worktree_path, profile_id, status, completed_at)
	VALUES (s.w(n), 'I', '/' || n, (ARRAY['work', 'home', NULL])[1 + n % 3], 'completed', '2020-01-05Z');
	INSERT INTO s.workflows (id, profile, completed_at) SELECT w.id, w.profile_id, w.completed_at FROM amelia.workflows AS w WHERE w.id = s.w(n);
	$$;
	SELECT s.begin(n) FROM generate_series(1, 12) AS n;

	CREATE FUNCTION s.use(n integer, hour integer, model integer, cost numeric) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		new_id uuid := amelia.uuid_v7();
		at timestamptz := '2020-01-01Z'::timestamptz + hour * interval '1 hour';
	BEGIN
		PERFORM FROM amelia.workflows AS w WHERE w.id = s.w(n) FOR KEY SHARE;
		-- what comes before the end of what was kept is known already
		IF NOT FOUND OR at <= (SELECT w.kept_until FROM s.workflows AS w WHERE w.id = s.w(n)) THEN
			RETURN;
		END IF;
		INSERT INTO amelia.token_usage (id, workflow_id, agent, model, input_tokens, output_tokens, cost_usd, duration_ms, "timestamp")
		VALUES (new_id, s.w(n), 'a' || model % 2, 'm' || model, n, model, cost, hour, at);
		INSERT INTO s.usage VALUES (new_id, s.w(n), 'a' || model % 2, 'm' || model, n + model, cost, hour, at);
	END $$;
	CREATE FUNCTION s.change(pick integer, hour integer, new_cost numeric) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		picked uuid;
	BEGIN
		SELECT u.id INTO picked FROM amelia.token_usage AS u ORDER BY md5(u.id::text || pick) LIMIT 1 FOR UPDATE SKIP LOCKED;
		IF NOT FOUND OR (SELECT w.kept_until IS NOT NULL FROM s.usage AS u JOIN s.workflows AS w ON w.id = u.workflow_id WHERE u.id = picked) THEN
			RETURN;
		END IF;
		IF new_cost IS NULL THEN
			DELETE FROM amelia.token_usage WHERE id = picked;
			DELETE FROM s.usage WHERE id = picked;
		ELSE
			UPDATE amelia.token_usage SET "timestamp" = '2020-01-01Z'::timestamptz + hour * interval '1 hour', cost_usd = new_cost WHERE id = picked;
			UPDATE s.usage SET at = '2020-01-01Z'::timestamptz + hour * interval '1 hour', cost = new_cost WHERE id = picked;
		END IF;
	END $$;
	CREATE FUNCTION s.delete(n integer) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		DELETE FROM amelia.workflows WHERE id = s.w(n);
		IF FOUND THEN
			UPDATE s.workflows SET is_live = false, kept_until = GREATEST(kept_until,
				(SELECT max(u.at) FROM s.usage AS u WHERE u.workflow_id = s.w(n) AND u.is_live)) WHERE id = s.w(n);
			UPDATE s.usage SET is_live = false WHERE workflow_id = s.w(n);
		END IF;
	END $$;
	-- with nothing, with all it had, or with every other day
	CREATE FUNCTION s.return(n integer, how integer) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		known s.workflows;
	BEGIN
		SELECT * INTO known FROM s.workflows WHERE id = s.w(n) FOR UPDATE;
		IF NOT FOUND OR known.is_live THEN
			RETURN;
		END IF;
		INSERT INTO amelia.workflows (id, issue_id, worktree_path, profile_id, status, completed_at)
		VALUES (known.id, 'I', '/' || n, known.profile, 'completed', known.completed_at);
		UPDATE s.workflows SET is_live = true WHERE id = known.id;
		WITH back AS (UPDATE s.usage SET is_live = true
			WHERE workflow_id = known.id AND (how = 1 OR (how = 2 AND extract(day FROM at AT TIME ZONE 'UTC')::integer % 2 = 0)) RETURNING *)
		INSERT INTO amelia.token_usage (id, workflow_id, agent, model, input_tokens, output_tokens, cost_usd, duration_ms, "timestamp")
		SELECT b.id, b.workflow_id, b.agent, b.model, b.tokens, 0, b.cost, b.ms, b.at FROM back AS b;
	END $$;
	CREATE FUNCTION s.forget(n integer) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM FROM s.workflows WHERE id = s.w(n) FOR UPDATE;
		PERFORM amelia.forget_workflow(s.w(n));
		DELETE FROM s.usage WHERE workflow_id = s.w(n);
		DELETE FROM s.workflows WHERE id = s.w(n);
		PERFORM s.begin(n);
	EXCEPTION WHEN no_data_found THEN
		NULL;
	END $$;

	CREATE VIEW s.entries AS SELECT (u.at AT TIME ZONE 'UTC')::date AS day, u.*, w.profile
	FROM s.usage AS u JOIN s.workflows AS w ON w.id = u.workflow_id;
	-- Raises when an answer is another than the ledger's. STABLE: all of it in one snapshot.
	CREATE FUNCTION s.look() RETURNS void LANGUAGE plpgsql STABLE AS $$
	DECLARE
		r record;
		answer text;
		ledger text;
	BEGIN
		FOR r IN SELECT * FROM (VALUES ('2020-01-01'::date, '2020-01-31'::date, NULL), ('2020-01-03', '2020-01-05', NULL),
			('2019-12-01', '2020-02-20', 'work'), ('2020-01-07', '2020-01-07', 'home')) AS v (a, b, p) LOOP
			SELECT ROW(x.total_cost_usd, x.total_workflows, x.total_tokens, x.total_duration_ms, x.previous_period_cost_usd, x.finished_workflows)::text
			INTO answer FROM amelia.usage_summary(r.a, r.b, r.p) AS x;
			SELECT ROW(COALESCE(sum(e.cost) FILTER (WHERE e.day >= r.a), 0), count(DISTINCT e.workflow_id) FILTER (WHERE e.day >= r.a),
				COALESCE(sum(e.tokens) FILTER (WHERE e.day >= r.a), 0)::bigint, COALESCE(sum(e.ms) FILTER (WHERE e.day >= r.a), 0)::bigint,
				COALESCE(sum(e.cost) FILTER (WHERE e.day < r.a), 0),
				(SELECT count(*) FROM s.workflows AS w WHERE (w.completed_at AT TIME ZONE 'UTC')::date BETWEEN r.a AND r.b
					AND (r.p IS NULL OR w.profile = r.p)))::text
			INTO ledger FROM s.entries AS e WHERE e.day BETWEEN r.a - (r.b - r.a + 1) AND r.b AND (r.p IS NULL OR e.profile = r.p);
			IF answer <> ledger THEN
				RAISE EXCEPTION 'summary %: %, but the ledger %', r, answer, ledger;
			END IF;
			SELECT string_agg(x::text, ' ' ORDER BY x.date) INTO answer FROM amelia.usage_trend(r.a, r.b, r.p, 'week') AS x;
			SELECT string_agg(ROW(d.week, d.cost, (SELECT count(DISTINCT e.workflow_id) FROM s.entries AS e WHERE e.day BETWEEN r.a AND r.b
					AND date_trunc('week', e.day::timestamp)::date = d.week AND (r.p IS NULL OR e.profile = r.p)), d.by_model)::text, ' ' ORDER BY d.week)
			INTO ledger FROM (SELECT m.week, sum(m.cost) AS cost, jsonb_object_agg(m.model, m.cost) AS by_model
				FROM (SELECT date_trunc('week', e.day::timestamp)::date AS week, e.model, sum(e.cost) AS cost
					FROM s.entries AS e WHERE e.day BETWEEN r.a AND r.b AND (r.p IS NULL OR e.profile = r.p) GROUP BY 1, 2) AS m GROUP BY 1) AS d;
			IF answer IS DISTINCT FROM ledger THEN
				RAISE EXCEPTION 'trend %: %, but the ledger %', r, answer, ledger;
			END IF;
			SELECT string_agg(concat_ws(' ', x.model, x.workflows, x.tokens, x.cost_usd, (SELECT sum(t) FROM unnest(x.trend) AS t)), ', ' ORDER BY x.model)
			INTO answer FROM amelia.usage_by_model(r.a, r.b, r.p) AS x;
			SELECT string_agg(concat_ws(' ', m.model, m.workflows, m.tokens, m.cost, m.cost), ', ' ORDER BY m.model)
			INTO ledger FROM (SELECT e.model, count(DISTINCT e.workflow_id) AS workflows, sum(e.tokens) AS tokens, sum(e.cost) AS cost
				FROM s.entries AS e WHERE e.day BETWEEN r.a AND r.b AND (r.p IS NULL OR e.profile = r.p) GROUP BY 1) AS m;
			IF answer IS DISTINCT FROM ledger THEN
				RAISE EXCEPTION 'by model %: %, but the ledger %', r, answer, ledger;
			END IF;
		END LOOP;
		SELECT string_agg(ROW(d.day, d.agent, d.model, d.cost_usd)::text, ' ' ORDER BY d.day, d.agent, d.model) INTO answer FROM amelia.usage_daily AS d;
		SELECT string_agg(x::text, ' ' ORDER BY x.day, x.agent, x.model) INTO ledger
		FROM (SELECT e.day, e.agent, e.model, sum(e.cost) FROM s.entries AS e GROUP BY 1, 2, 3) AS x;
		IF answer IS DISTINCT FROM ledger THEN
			RAISE EXCEPTION 'by day: %, but the ledger %', answer, ledger;
		END IF;
	END $$;
});

my $pick = q{
\set n random(1, 12)
\set hour random(0, 400)
\set model random(1, 4)
\set pick random(1, 100000)
\set cost random(0, 100000)
\set how random(0, 2)
};
my $use = 'SELECT s.use(:n, :hour, :model, 0.000001 * :cost);';
my %scripts = (
	'use@10' => $use,
	'look@2' => 'SELECT s.look();',
	'undo@3' => "BEGIN; $use SAVEPOINT s; $use SELECT s.delete(:n); ROLLBACK TO s; $use SELECT s.look(); COMMIT;",
	# its snapshot is older than what is closed, deleted and booked meanwhile
	'old@3' => "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT s.look(); SELECT pg_sleep(0.02); $use SELECT s.look(); COMMIT;",
	'old_delete@2' => 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT s.look(); SELECT pg_sleep(0.02); SELECT s.delete(:n); SELECT s.look(); COMMIT;',
	'change@4' => 'SELECT s.change(:pick, :hour, 0.00001 * :cost);',
	# open for a while, so that a deletion of the workflow comes upon it
	'change_slowly@3' => 'BEGIN; SELECT s.change(:pick, :hour, 0.5); SELECT pg_sleep(0.01); COMMIT;',
	'remove@4' => 'SELECT s.change(:pick, 0, NULL);',
	'delete@3' => 'BEGIN; SELECT s.delete(:n); SELECT s.look(); COMMIT;',
	'return@4' => 'BEGIN; SELECT s.return(:n, :how); SELECT s.look(); COMMIT;',
	'around@3' => "BEGIN; SELECT s.return(:n, :how); SAVEPOINT s; $use SELECT s.delete(:n); SELECT s.look(); ROLLBACK TO s; SELECT s.look(); SELECT s.delete(:n); COMMIT;",
	'forget@1' => 'SELECT s.forget(:n);',
	'prepared@2' => "BEGIN; $use PREPARE TRANSACTION 'p:client_id'; SELECT pg_sleep(0.02); COMMIT PREPARED 'p:client_id';",
	'close@4' => 'CALL amelia.close_days();',
	'anew@1' => 'CALL amelia.close_days(anew => true);',
);
my $dir = PostgreSQL::Test::Utils::tempdir;
my @files;
for my $name (sort keys %scripts)
{
	my ($file) = $name =~ /^(\w+)/;
	append_to_file("$dir/$file", $pick . join('', map { "$_;\n" } grep { /\S/ } split(/;/, $scripts{$name})));
	push @files, '-f', "$dir/$name";
}
$node->command_ok([ 'pgbench', '--no-vacuum', '--random-seed=20', '--client=8', '--transactions=150', @files, 'postgres' ],
	'in every snapshot the functions answer what the ledger says');
is($node->safe_psql('postgres', 'SELECT s.look()'), '', 'and in the last one');
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM amelia.usage_history'), '>', 0, 'some of it is history');
$node->safe_psql('postgres', 'CALL amelia.close_days()');
is($node->safe_psql('postgres', 'SELECT s.look()'), '', 'once more when all days are closed');
is($node->safe_psql('postgres', 'SELECT count(*) FROM amelia.usage_dirty_days'), '0', 'which they are');
$node->safe_psql('postgres', 'CALL amelia.close_days(anew => true)');
is($node->safe_psql('postgres', 'SELECT s.look()'), '', 'and summed up anew');

done_testing();
