# Retention deletes what SPEC's rules say, and nothing else: every kind of
# workflow there is, under every two settings together; with AMELIA_RETENTION_ALL=1
# under every combination of them. What is expected is told by an oracle that
# reads like the rules, before the run; the preview must tell the same numbers.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use LangGraph;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('rules');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off\n");
$node->start;

$node->safe_psql('postgres', 'CREATE DATABASE matrix');
$node->safe_psql('matrix', 'CREATE EXTENSION amelia; CREATE SCHEMA app;'
	  . checkpoint_tables() . 'SET search_path = app;' . checkpoint_tables() . checkpoint_helpers());
$node->safe_psql('matrix', q{
SELECT amelia.register_checkpoints('app');

-- Every status, with every end; the failed ones with every state of a retry.
-- has_events, and which threads: none, its own, one that is linked, both.
CREATE TABLE public.kinds AS
SELECT row_number() OVER () AS n, s.status, e.ended, e.updated, r.retry_at, r.failures,
	v.has_events, v.threads, v.newest
FROM unnest(ARRAY['pending', 'in_progress', 'blocked', 'completed', 'failed', 'cancelled']) AS s (status),
	(VALUES
		(NULL, now() - interval '1 hour'), (NULL, now() - interval '10 days'), (NULL, now() - interval '40 days'),
		(now() - interval '1 hour', now() - interval '40 days'),
		(now() - interval '23 hours', now()),
		(now() - interval '25 hours', now()),
		(now() - interval '6 days 23 hours', now()), (now() - interval '7 days 1 hour', now()),
		(now() - interval '20 days', now()),
		(now() - interval '29 days 23 hours', now()), (now() - interval '30 days 1 hour', now()),
		(now() - interval '4000 days', now()),
		(now() + interval '1 day', now() - interval '40 days'),
		('infinity', now() - interval '40 days'), ('-infinity', now())) AS e (ended, updated),
	(VALUES (NULL::timestamptz, 0), (now() + interval '1 day', 1), (now() - interval '60 days', 2),
		(now() - interval '60 days', 3)) AS r (retry_at, failures),
	(VALUES (true, 'none', NULL::interval), (true, 'own', '-1 minute'), (false, 'none', NULL), (false, 'own', '-1 hour'),
		(true, 'linked', '-1 minute'), (false, 'both', '-1 minute'), (true, 'own', '5 days'),
		(true, 'own', '1000000 days'), (true, 'unknown', NULL)) AS v (has_events, threads, newest)
WHERE s.status = 'failed' OR r.failures = 0;
ALTER TABLE public.kinds ADD id uuid;
UPDATE public.kinds SET id = ('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid;

INSERT INTO amelia.workflows (id, issue_id, worktree_path, status, completed_at, updated_at, retry_at, failures)
SELECT id, 'I', '/w/' || n, status, ended, updated, retry_at, failures FROM public.kinds;
INSERT INTO amelia.workflow_log (workflow_id, level, event_type, message)
SELECT id, l.level, 'x', 'm' FROM public.kinds, unnest(ARRAY['trace', 'info', 'trace', 'error', 'debug', 'warning']) AS l (level)
WHERE has_events;
INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd)
SELECT id, 'a', 'm', 10, 1, 0.000001 FROM public.kinds;

-- newest says when the last checkpoint was written, from the end; a million days
-- stand for a few minutes ago, which is after the end of most.
CREATE FUNCTION public.written(k public.kinds) RETURNS timestamptz LANGUAGE sql AS $$
SELECT CASE WHEN k.newest = '1000000 days' THEN now() - interval '5 minutes'
	WHEN isfinite(COALESCE(k.ended, k.updated)) THEN COALESCE(k.ended, k.updated) + k.newest
	ELSE now() - interval '2 days' END
$$;
SELECT public.put_thread('public', k.id::text, public.written(k)),
	public.put_thread('public', k.id::text, public.written(k) - interval '1 minute', 'inner:1')
FROM public.kinds AS k WHERE k.threads IN ('own', 'both');
INSERT INTO amelia.workflow_threads (thread_id, workflow_id)
SELECT 'thread ' || n, id FROM public.kinds WHERE threads IN ('linked', 'both');
SELECT public.put_thread('app', 'thread ' || k.n, public.written(k))
FROM public.kinds AS k WHERE k.threads IN ('linked', 'both');
-- of these it cannot be told when they were written
SELECT public.put_thread('public', k.id::text, now(), id => 'x', ts => 'yesterday')
FROM public.kinds AS k WHERE k.threads = 'unknown';
});
is($node->safe_psql('matrix', 'SELECT count(*) > 1000 FROM amelia.workflows'), 't', 'all kinds of workflows');

my $oracle = q{
CREATE TABLE public.expected AS
WITH s AS (
	SELECT recovery_hours, trace_retention_days, log_retention_days, checkpoint_retention_days
	FROM amelia.settings()),
k AS (
	SELECT k.*, s.*, k.status IN ('completed', 'failed', 'cancelled') AS finished,
		CASE COALESCE(k.ended, k.updated) WHEN 'infinity' THEN '-infinity'::float8
			WHEN '-infinity' THEN 'infinity'::float8
			ELSE extract(epoch FROM now() - COALESCE(k.ended, k.updated)) / 86400 END::float8 AS age,
		CASE WHEN k.threads <> 'none' THEN public.written(k) END AS written,
		COALESCE(k.ended, k.updated) AS at
	FROM public.kinds AS k, s),
due AS (
	SELECT k.*, k.finished AND NOT (k.status = 'failed'
			AND (k.age <= k.recovery_hours / 24.0 OR k.retry_at IS NOT NULL AND k.failures < 3)) AS may_go,
		k.threads <> 'none' AS has_threads,
		CASE WHEN k.threads = 'unknown' THEN k.age > 1 / 24.0
			ELSE k.written <= k.at OR k.written < now() - interval '1 hour' END AS quiet
	FROM k),
go AS (
	SELECT due.*,
		may_go AND trace_retention_days >= 0 AND age > trace_retention_days AS traces_go,
		may_go AND log_retention_days >= 0 AND age > log_retention_days AS events_go,
		has_threads AND may_go AND checkpoint_retention_days >= 0 AND age > checkpoint_retention_days AND quiet
			AS threads_go
	FROM due)
SELECT id, CASE WHEN NOT has_events OR events_go THEN 0 WHEN traces_go THEN 4 ELSE 6 END::bigint AS events,
	CASE threads WHEN 'none' THEN 0 WHEN 'own' THEN 6 WHEN 'both' THEN 9 ELSE 3 END
		* CASE WHEN threads_go THEN 0 ELSE 1 END::bigint AS thread_rows,
	NOT (events_go AND (NOT has_threads OR threads_go)) AS stays
FROM go;
CREATE TABLE public.preview AS SELECT * FROM amelia.retention_preview();
};
my $compare = q{
SELECT e.*, 'but', a.* FROM public.expected AS e
FULL JOIN (SELECT k.id, (SELECT count(*) FROM amelia.workflow_log AS l WHERE l.workflow_id = k.id) AS events,
		public.thread_rows('public', k.id::text) + public.thread_rows('app', 'thread ' || k.n) AS thread_rows,
		EXISTS (SELECT FROM amelia.workflows AS w WHERE w.id = k.id) AS stays
	FROM public.kinds AS k) AS a ON (a.id, a.events, a.thread_rows, a.stays) = (e.id, e.events, e.thread_rows, e.stays)
WHERE a.id IS NULL OR e.id IS NULL
ORDER BY COALESCE(a.id, e.id) LIMIT 10};
my $numbers = q{
SELECT string_agg(format('%s %s %s %s', rule,
	CASE WHEN rule IN ('workflows') THEN workflows END, threads,
	CASE WHEN rule IN ('trace events', 'checkpoints', 'events') THEN row_count END), ', ' ORDER BY rule)
FROM public.preview};
my $done = q{
format('checkpoints  %s %s, events   %s, older checkpoints  %s , orphan threads  %s , trace events   %s, workflows %s  ',
	checkpoint_threads, checkpoint_rows, events, pruned_threads, orphan_threads, trace_events, workflows)};

my $database = 'DROP DATABASE IF EXISTS run; CREATE DATABASE run TEMPLATE matrix';
my @traces = (-1, 0, 7);
my @logs = (-1, 0, 30);
my @checkpoints = (-1, 0, 14);
my $count = 0;
for my $t (0 .. 2)
{
	for my $l (0 .. 2)
	{
		for my $c ($ENV{AMELIA_RETENTION_ALL} ? 0 .. 2 : ($t + $l) % 3)
		{
			my ($trace, $log, $checkpoint) = ($traces[$t], $logs[$l], $checkpoints[$c]);
			my $recovery = $count++ % 4 == 0 ? 0 : 24;
			my $settings = "trace $trace, log $log, checkpoint $checkpoint, recovery $recovery";

			$node->safe_psql('postgres', $database);
			is( run_retention($node, 'run', qq{SELECT amelia.update_settings('{"trace_retention_days": $trace,
				"log_retention_days": $log, "checkpoint_retention_days": $checkpoint, "recovery_hours": $recovery}');} . $oracle),
				'', "$settings: a run");
			is($node->safe_psql('run', $compare), '', "$settings: what is left");
			my ($did, $told, $sound) = split /\n/, $node->safe_psql('run', qq{
				SELECT $done FROM amelia.retention_runs AS r ORDER BY r.id DESC LIMIT 1; $numbers;
				SELECT (SELECT sum(cost_usd) FROM amelia.token_usage) + COALESCE((SELECT sum(cost_usd) FROM amelia.usage_history), 0)
						= (SELECT count(*) * 0.000001 FROM public.kinds),
					(SELECT count(*) FROM amelia.workflow_history) = (SELECT count(*) FROM public.expected WHERE NOT stays),
					NOT EXISTS (SELECT FROM amelia.verify() WHERE problem NOT LIKE 'finished without%')});
			is($did, $told, "$settings: the preview told it");
			is($sound, 't|t|t', "$settings: the costs stay, and all is well");
			if ($count % 9 == 0)
			{
				is(run_retention($node, 'run'), '', 'again');
				is(last_run($node, 'run', 'trace_events + checkpoint_rows + events + workflows'), 0,
					"$settings: the next run finds nothing");
			}
		}
	}
}

# Threads that belong to no workflow.
$node->safe_psql('postgres', $database);
$node->safe_psql('run', q{
SELECT amelia.update_settings('{"log_retention_days": -1, "trace_retention_days": -1, "checkpoint_retention_days": -1}');
SELECT public.put_thread('public', 'old', now() - interval '4 days'), public.put_thread('app', 'old', now() - interval '4 days'),
	public.put_thread('public', 'young', now() - interval '2 days'),
	public.put_thread('public', 'mixed', now() - interval '9 days'),
	public.put_thread('public', 'mixed', now() - interval '1 day', 'inner'),
	public.put_thread('public', 'text', now(), id => 'a', ts => to_char(now() AT TIME ZONE 'UTC' - interval '4 days', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"')),
	public.put_thread('public', 'young text', now(), id => 'a', ts => to_char(now() AT TIME ZONE 'UTC' - interval '1 day', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')),
	public.put_thread('public', 'impossible text', now(), id => 'a', ts => '2024-02-30T10:00:00.5+02:00'),
	public.put_thread('public', 'unknown', now(), id => 'a', ts => 'x'),
	public.put_thread('public', 'future', now() + interval '1 year'),
	public.put_thread('public', upper(id::text), now() - interval '9 days')
FROM public.kinds WHERE n = 10;
});
my $orphans = q{SELECT string_agg(DISTINCT thread_id, ', ' ORDER BY thread_id)
	FROM (SELECT thread_id FROM public.checkpoints UNION ALL SELECT thread_id FROM app.checkpoints) AS c
	WHERE thread_id !~ '^(00000000-0000-4000-8000-0|thread )' OR thread_id ~ '[A-Z]'};
my $all = '00000000-0000-4000-8000-00000000000A, future, impossible text, mixed, old, text, unknown, young, young text';
$node->safe_psql('run', q{DELETE FROM public.checkpoint_blobs WHERE thread_id = 'text'});
run_retention($node, 'run');
is($node->safe_psql('run', $orphans), $all, 'orphan threads are left by default');
$node->safe_psql('run', q{SELECT amelia.update_settings('{"orphan_thread_retention_days": 3}')});
is($node->safe_psql('run', q{SELECT threads, row_count FROM amelia.retention_preview() WHERE rule = 'orphan threads'}),
	'5|14', 'a preview of orphan threads');
is(run_retention($node, 'run'), '', 'a run');
is($node->safe_psql('run', $orphans), 'future, mixed, unknown, young, young text', 'by the age of the newest checkpoint');
is(last_run($node, 'run', q{format('%s %s %s', orphan_threads, checkpoint_rows, checkpoint_threads)}), '5 14 0', 'counted apart');
$node->safe_psql('run', q{SELECT amelia.update_settings('{"orphan_thread_retention_days": 0}');
	SELECT public.put_thread('public', 'fresh', now())});
is(run_retention($node, 'run'), '', 'at once');
is($node->safe_psql('run', $orphans), 'fresh, future, unknown', 'but not what is being written, nor what has no age');
is($node->safe_psql('run', q{SELECT count(*) FROM public.kinds AS k WHERE k.threads <> 'none'
	AND public.thread_rows('public', k.id::text) + public.thread_rows('app', 'thread ' || k.n) = 0}), 0,
	'threads of workflows are no orphans');

$node->stop;
done_testing();
