# LangGraph's checkpoint tables as its Postgres savers make them, and rows in them;
# and the savers themselves.
package LangGraph;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use File::Copy;
use FindBin;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(langgraph_script checkpoint_tables checkpoint_helpers run_retention last_run);

# Node.js and the path of a script of test/langgraph beside LangGraph's packages, which
# scripts/setup-packages installs into the folder AMELIA_LANGGRAPH. Without them the
# test is skipped.
sub langgraph_script
{
	my ($script) = @_;
	my $client = "$FindBin::RealBin/../langgraph";
	my $packages = $ENV{AMELIA_LANGGRAPH} || $client;
	# A newer Node.js than the system's is among the packages where it is needed.
	my ($nodejs) = (glob("$packages/node_modules/node-linux-*/bin/node"), 'node');

	if (!-d "$packages/node_modules/\@langchain/langgraph-checkpoint-postgres")
	{
		my $reason = 'LangGraph\'s packages are not installed: see scripts/setup-packages';

		# Somebody without a network may do without, the project may not.
		die $reason if $ENV{CI};
		plan skip_all => $reason;
	}
	# Node.js looks for packages beside the script.
	my $run = PostgreSQL::Test::Utils::tempdir;
	copy("$client/$script", $run) or die "$script: $!";
	symlink("$packages/node_modules", "$run/node_modules") or die "node_modules: $!";
	return ($nodejs, "$run/$script");
}

# The statements that make the tables, in the first schema of the search path.
sub checkpoint_tables
{
	return q{
		CREATE TABLE checkpoint_migrations (v integer PRIMARY KEY);
		CREATE TABLE checkpoints (
			thread_id text NOT NULL, checkpoint_ns text NOT NULL DEFAULT '', checkpoint_id text NOT NULL,
			parent_checkpoint_id text, type text, checkpoint jsonb NOT NULL, metadata jsonb NOT NULL DEFAULT '{}',
			PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id));
		CREATE TABLE checkpoint_blobs (
			thread_id text NOT NULL, checkpoint_ns text NOT NULL DEFAULT '', channel text NOT NULL,
			version text NOT NULL, type text NOT NULL, blob bytea,
			PRIMARY KEY (thread_id, checkpoint_ns, channel, version));
		CREATE TABLE checkpoint_writes (
			thread_id text NOT NULL, checkpoint_ns text NOT NULL DEFAULT '', checkpoint_id text NOT NULL,
			task_id text NOT NULL, idx integer NOT NULL, channel text NOT NULL, type text, blob bytea NOT NULL,
			PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id, task_id, idx));
	};
}

# Functions in schema public: uuid6_at() is an id as LangGraph makes it at a
# time; put_thread() writes a checkpoint, a blob and a write of a thread;
# thread_rows() counts those of all three tables.
sub checkpoint_helpers
{
	return q{
		CREATE FUNCTION public.uuid6_at(at timestamptz) RETURNS text LANGUAGE sql AS $$
		SELECT substr(h, 1, 8) || '-' || substr(h, 9, 4) || '-6' || substr(h, 13, 3) || '-8000-000000000001'
		FROM (SELECT lpad(to_hex((extract(epoch FROM at) * 10000000)::bigint + 122192928000000000), 15, '0')) AS x (h)
		$$;
		CREATE FUNCTION public.put_thread(tables text, thread text, at timestamptz,
			namespace text DEFAULT '', id text DEFAULT NULL, ts text DEFAULT NULL) RETURNS void LANGUAGE plpgsql AS $$
		BEGIN
			id := COALESCE(id, public.uuid6_at(at));
			EXECUTE format('INSERT INTO %I.checkpoints (thread_id, checkpoint_ns, checkpoint_id, checkpoint)
				VALUES ($1, $2, $3, jsonb_build_object(''ts'', $4))', tables)
			USING thread, namespace, id, COALESCE(ts, at::text);
			EXECUTE format('INSERT INTO %I.checkpoint_blobs VALUES ($1, $2, ''c'', $3, ''t'', ''blob'')', tables)
			USING thread, namespace, id;
			EXECUTE format('INSERT INTO %I.checkpoint_writes VALUES ($1, $2, $3, ''task'', 0, ''c'', NULL, ''write'')', tables)
			USING thread, namespace, id;
		END $$;
		CREATE FUNCTION public.thread_rows(tables text, thread text) RETURNS bigint LANGUAGE plpgsql AS $$
		DECLARE
			number bigint;
		BEGIN
			EXECUTE format('SELECT (SELECT count(*) FROM %1$I.checkpoints WHERE thread_id = $1)
				+ (SELECT count(*) FROM %1$I.checkpoint_blobs WHERE thread_id = $1)
				+ (SELECT count(*) FROM %1$I.checkpoint_writes WHERE thread_id = $1)', tables)
			INTO number USING thread;
			RETURN number;
		END $$;
	};
}

# Run retention; returns what was written to standard error.
sub run_retention
{
	my ($node, $db, $setup) = @_;
	my ($result, $out, $err) = $node->psql($db, ($setup // '') . '; CALL amelia.run_retention()');

	return $err;
}

# An expression over the newest row of retention_runs.
sub last_run
{
	my ($node, $db, $expression) = @_;

	return $node->safe_psql($db, "SELECT $expression FROM amelia.retention_runs AS r ORDER BY r.id DESC LIMIT 1");
}

1;
