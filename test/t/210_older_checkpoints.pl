# The rule of older checkpoints: by run_retention() and by the maintenance worker,
# as the preview says; what is passed over, and where the worker goes on.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use LangGraph;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('older');
$node->init;
$node->append_conf('postgresql.conf', q{
fsync = off
shared_preload_libraries = 'amelia'
amelia.enabled = off
amelia.naptime = '1s'
});
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION amelia;' . checkpoint_tables() . checkpoint_helpers());

# A chain of checkpoints, the newest of which is so many days old.
$node->safe_psql('postgres', q{CREATE FUNCTION public.chain(thread text, days integer, n integer DEFAULT 3, type text DEFAULT 'json') RETURNS void LANGUAGE sql AS $$
	INSERT INTO checkpoints SELECT thread, '', uuid6_at(now() - make_interval(days => days) - (n - i) * interval '1 minute'),
		CASE WHEN i > 1 THEN uuid6_at(now() - make_interval(days => days) - (n - i + 1) * interval '1 minute') END, NULL,
		jsonb_build_object('v', 4, 'channel_versions', jsonb_build_object('m', i)), '{"source": "loop", "parents": {}}' FROM generate_series(1, n) AS i;
	INSERT INTO checkpoint_blobs SELECT thread, '', 'm', i::text, type, 'x' FROM generate_series(1, n) AS i $$;
	CREATE FUNCTION public.counts() RETURNS text LANGUAGE sql AS $$
		SELECT string_agg(thread_id || ' ' || n, ', ' ORDER BY thread_id) FROM (SELECT thread_id, count(*) AS n FROM checkpoints GROUP BY 1) AS t $$;
	SELECT chain('idle', 10), chain('lively', 2), chain('odd', 10, 3, 'pickle'), chain('many', 9, 7)});

sub preview
{
	return $node->safe_psql('postgres', q{SELECT threads, row_count, bytes, waits_for FROM amelia.retention_preview() WHERE rule = 'older checkpoints'});
}
sub pruned { return last_run($node, 'postgres', q{concat_ws(' ', pruned_threads, pruned_rows, pruned_bytes, batches_failed, outcome, ':', error)}) }

is(preview(), '0|0|0|', 'by default there is nothing to do');
is(run_retention($node, 'postgres'), '', 'nor does a run do anything');
is(pruned(), '0 0 0 0 completed :', 'as it says');
$node->safe_psql('postgres', q{SELECT amelia.update_settings('{"keep_latest_days": 5, "keep_latest": 2}')});
is(preview(), '0|0|0|there is no fence on the checkpoint tables in schema "public"', 'without the fence it waits');
is(run_retention($node, 'postgres'), '', 'a run');
is(pruned(), '0 0 0 0 completed :', 'does nothing');

$node->safe_psql('postgres', q{SELECT amelia.fence_checkpoints('public');
	INSERT INTO amelia.workflows (id, issue_id, worktree_path, created_at) VALUES ('aaaaaaaa-0000-7000-8000-000000000001', 'I', '/w', now());
	SELECT amelia.link_thread('aaaaaaaa-0000-7000-8000-000000000001', 'many'), amelia.claim_workflow('worker')});
my ($threads, $rows, $bytes) = split(/\|/, preview());
is("$threads $rows", '1 2', 'what is idle, and neither under a lease nor odd');
is(run_retention($node, 'postgres'), '', 'a run');
is(pruned(), "1 2 $bytes 0 completed : thread \"odd\" in schema \"public\": a blob of channel \"m\" is of type \"pickle\", which cannot be read",
	'frees what the preview said, and names what it passes over');
is($node->safe_psql('postgres', 'SELECT counts()'), 'idle 2, lively 3, many 7, odd 3', 'the others are whole');

# A thread that is due as a whole is not pruned before.
$node->safe_psql('postgres', q{SELECT chain('orphan', 20), amelia.update_settings('{"orphan_thread_retention_days": 15, "keep_latest": 1}')});
is((split(/\|/, preview()))[0], 1, 'orphans are counted by their own rule');
run_retention($node, 'postgres');
is(last_run($node, 'postgres', q{concat_ws(' ', orphan_threads, checkpoint_rows, pruned_threads, pruned_rows)}), '1 6 1 2', 'and deleted by it');

# What a delta channel is made from is folded once it has been idle for squash_idle_days, a long past in parts.
$node->safe_psql('postgres', q{SELECT chain('delta', 10, 6), chain('long delta', 10, 11000);
	UPDATE checkpoints SET metadata = metadata || '{"counters_since_delta_snapshot": {"m": [1, 1]}}' WHERE thread_id LIKE '%delta';
	UPDATE checkpoint_blobs SET type = 'empty', blob = NULL WHERE thread_id LIKE '%delta';
	INSERT INTO checkpoint_writes SELECT thread_id, '', checkpoint_id, 'a task', 0, 'm', 'json', convert_to(checkpoint_id, 'UTF8') FROM checkpoints WHERE thread_id LIKE '%delta';
	CREATE FUNCTION public.written(thread text) RETURNS text LANGUAGE sql AS $$
		SELECT md5(string_agg(convert_from(w.blob, 'UTF8'), ',' ORDER BY w.checkpoint_id, w.task_id, w.idx)) FROM checkpoint_writes AS w WHERE w.thread_id = thread $$});
my $written = $node->safe_psql('postgres', q{SELECT written('long delta')});
is((split(/\|/, preview()))[1], 0, 'nothing of delta channels goes');
$node->safe_psql('postgres', q{SELECT amelia.update_settings('{"squash_idle_days": 20}')});
is((split(/\|/, preview()))[1], 0, 'nor before it is time to squash');
$node->safe_psql('postgres', q{SELECT amelia.update_settings('{"squash_idle_days": 7}')});
($threads, $rows, $bytes) = split(/\|/, preview());
is("$threads $rows", '2 ' . 2 * (4 + 10998), 'then all but the newest and one');
is(run_retention($node, 'postgres'), '', 'a run that squashes');
is(last_run($node, 'postgres', q{concat_ws(' ', pruned_rows, pruned_bytes, batches_failed)}), "$rows $bytes 0", 'frees what the preview said');
is($node->safe_psql('postgres', q{SELECT string_agg(concat_ws(' ', thread_id, c.n, w.n), ', ' ORDER BY thread_id) FROM (SELECT thread_id, count(*) AS n FROM checkpoints GROUP BY 1) AS c
	JOIN (SELECT thread_id, count(*) AS n FROM checkpoint_writes GROUP BY 1) AS w USING (thread_id) WHERE thread_id LIKE '%delta'}), 'delta 2 6, long delta 2 11000', 'and keeps what was written');
is($node->safe_psql('postgres', q{SELECT written('long delta')}), $written, 'in its order');
is(run_retention($node, 'postgres'), '', 'another run');
is(last_run($node, 'postgres', 'pruned_rows'), 0, 'finds nothing more');
$node->safe_psql('postgres', q{SELECT amelia.delete_thread('delta'), amelia.delete_thread('long delta'), amelia.update_settings('{"squash_idle_days": -1}')});

# Somebody who writes is not disturbed; a thread with very many rows goes by and by.
$node->safe_psql('postgres', q{SELECT amelia.update_settings('{"orphan_thread_retention_days": -1}'), chain('busy', 9), chain('big', 9, 15000)});
my $writer = $node->background_psql('postgres');
$writer->query_safe(q{BEGIN; INSERT INTO checkpoint_writes SELECT thread_id, '', max(checkpoint_id), 't', 0, 'm', 'json', '' FROM checkpoints WHERE thread_id = 'busy' GROUP BY 1});
is(run_retention($node, 'postgres'), '', 'a run beside a writer');
is($node->safe_psql('postgres', 'SELECT counts()'), 'big 1, busy 3, idle 1, lively 3, many 7, odd 3', 'leaves its thread alone');
is(last_run($node, 'postgres', 'concat_ws($$ $$, pruned_threads > 1, pruned_rows, batches_failed)'), 't 29998 0', 'and takes a big one in parts');
$writer->query_safe('COMMIT');
$writer->quit;
is($node->safe_psql('postgres', q{SELECT count(*), count(parent_checkpoint_id) FROM checkpoints WHERE thread_id = 'big'}), '1|0', 'of which the newest is left');

# The worker does it by itself, where it stopped the last time: behind what lies before.
$node->safe_psql('postgres', q{UPDATE amelia.workflow_leases SET expires_at = now() - interval '1 s';
	INSERT INTO amelia.checkpoint_walks VALUES ('public', 'older checkpoints', 'idle'); DELETE FROM amelia.retention_runs});
$node->safe_psql('postgres', 'ALTER SYSTEM SET amelia.enabled = on');
$node->reload;
ok($node->poll_query_until('postgres', q{SELECT counts() = 'big 1, busy 1, idle 1, lively 3, many 1, odd 3'}), 'the worker prunes');
ok($node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM amelia.retention_runs WHERE worker AND pruned_threads > 0 AND outcome = 'completed'}), 'and says so');
ok($node->poll_query_until('postgres', q{SELECT string_agg(pruned_threads::text, ' ' ORDER BY id) = '1 1' FROM amelia.retention_runs WHERE worker AND pruned_threads > 0}),
	'first what lay behind, then what lay before');
ok($node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM amelia.checkpoint_walks'), 'the way is forgotten at its end');

# And goes on doing it, while checkpoints come.
for my $turn (1 .. 3)
{
	$node->safe_psql('postgres', "SELECT chain('turn $turn', 6, 4)");
	ok($node->poll_query_until('postgres', qq{SELECT count(*) = 1 FROM checkpoints WHERE thread_id = 'turn $turn'}), "turn $turn");
}

# On a server with room for few locks, a transaction prunes as many threads as leave some to the others, and
# names the rest, for another one.
$node->append_conf('postgresql.conf', "amelia.enabled = off\nmax_connections = 10\nmax_locks_per_transaction = 10\n");
$node->restart;
for my $from (1, 51, 101, 151)
{
	$node->safe_psql('postgres', "SELECT chain('lock ' || i, 1, 2) FROM generate_series($from, $from + 49) AS i");
}
my $prune_locks = q{SELECT count(*) FILTER (WHERE checkpoints = 1), count(*) FILTER (WHERE problem LIKE 'this transaction holds%'),
	count(*) FILTER (WHERE checkpoints = 0 AND problem IS NULL) FROM amelia.prune((SELECT array_agg('lock ' || i) FROM generate_series(1, 200) AS i))};
my ($went, $named, $nothing) = split(/\|/, $node->safe_psql('postgres', $prune_locks));

cmp_ok($went, '>', 10, 'many threads are pruned at once');
cmp_ok($named, '>', 10, 'not so many that no locks are left');
is($went + $named, 200, 'each is pruned or named');
for (2 .. 10)
{
	my ($more) = split(/\|/, $node->safe_psql('postgres', $prune_locks));

	$went += $more;
}
is($went, 200, 'and other transactions prune those that were named');
$node->stop;
done_testing();
