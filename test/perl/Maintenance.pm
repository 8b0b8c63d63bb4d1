# What the tests of the background workers share.
package Maintenance;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use IPC::Run;
use Polls;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

our @EXPORT = qw(maintained_node set_naptime add_database add_old_workflows old_workflows
  status wait_for_status wait_for_round wait_until_clean
  slow_deletes close_gate open_gate wait_for_delete strike take launcher_pid wait_until_back);

# A server with the library preloaded and a naptime of one second.
sub maintained_node
{
	my ($name, $conf, %init) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(%init);
	$node->append_conf('postgresql.conf', <<"CONF");
shared_preload_libraries = 'amelia'
amelia.naptime = 1s
restart_after_crash = on
autovacuum = off
@{[ $conf // '' ]}
CONF
	$node->start;
	return $node;
}

sub set_naptime
{
	my ($node, $naptime) = @_;

	$node->safe_psql('postgres', "ALTER SYSTEM SET amelia.naptime = '$naptime'");
	$node->reload;
	return;
}

# A database with the extension, and the given name.
sub add_database
{
	my ($node, $database) = @_;

	$node->safe_psql('postgres', qq(CREATE DATABASE "$database"));
	$node->safe_psql($database, 'CREATE EXTENSION amelia');
	return;
}

# Workflows that ended long ago, with events: all of it is due to go.
sub add_old_workflows
{
	my ($node, $database, $workflows, $events) = @_;

	$node->safe_psql(
		$database, qq(
		WITH w AS (
			INSERT INTO amelia.workflows (issue_id, worktree_path, status, started_at, completed_at)
			SELECT 'OLD', '/old/' || n, 'completed', now() - interval '101 days', now() - interval '100 days'
			FROM generate_series(1, $workflows) AS n
			RETURNING id)
		INSERT INTO amelia.workflow_log (workflow_id, level, event_type, message)
		SELECT w.id, 'info', 'task_started', 'old'
		FROM w, generate_series(1, $events)));
	return;
}

# How many of them are left.
sub old_workflows
{
	my ($node, $database) = @_;

	return $node->safe_psql($database, q(
		SELECT count(*) FROM amelia.workflows WHERE issue_id = 'OLD'));
}

# A column, or an expression over the columns, of maintenance_status().
sub status
{
	my ($node, $database, $expression) = @_;

	return $node->safe_psql($database,
		"SELECT $expression FROM amelia.maintenance_status() AS s");
}

sub wait_for_status
{
	my ($node, $database, $condition, $name) = @_;

	ok($node->poll_query_until($database,
			"SELECT $condition FROM amelia.maintenance_status() AS s"), $name)
	  or diag($node->safe_psql($database, 'SELECT * FROM amelia.maintenance_status()', extra_params => ['-x']));
	return;
}

# Wait for a round that began after this moment and came to its end.
sub wait_for_round
{
	my ($node, $database, $name) = @_;
	my $now = $node->safe_psql($database, 'SELECT clock_timestamp()');

	wait_for_status($node, $database,
		"COALESCE(s.state = 'waiting' AND s.last_round > '$now' AND s.last_round_finished > '$now', false)",
		$name);
	return;
}

# Wait until no workflow is left that is due to go.
sub wait_until_clean
{
	my ($node, $database, $name) = @_;

	ok( $node->poll_query_until(
			$database, q(SELECT NOT EXISTS (SELECT FROM amelia.workflows WHERE issue_id = 'OLD'))),
		$name)
	  or diag($node->safe_psql($database, 'SELECT * FROM amelia.maintenance_status()',
			extra_params => ['-x']));
	return;
}

# Make the delete of an event a slow affair: each one takes so many seconds
# and, while the gate is closed, waits for it to open. The worker waits for no
# lock meanwhile, so only the batch's own time limit would end that.
sub slow_deletes
{
	my ($node, $database, $seconds) = @_;

	$node->safe_psql(
		$database, qq(
		CREATE TABLE public.gate (closed boolean);
		CREATE SEQUENCE public.deletes;
		CREATE FUNCTION public.delete_slowly() RETURNS trigger LANGUAGE plpgsql AS \$\$
		BEGIN
			PERFORM nextval('public.deletes');
			PERFORM pg_sleep($seconds);
			WHILE EXISTS (SELECT FROM public.gate) LOOP
				PERFORM pg_sleep(0.01);
			END LOOP;
			RETURN OLD;
		END \$\$;
		CREATE TRIGGER delete_slowly BEFORE DELETE ON amelia.workflow_log
			FOR EACH ROW EXECUTE FUNCTION public.delete_slowly()));
	return;
}

sub close_gate
{
	my ($node, $database) = @_;

	$node->safe_psql($database, 'INSERT INTO public.gate VALUES (true)');
	return;
}

sub open_gate
{
	my ($node, $database) = @_;

	$node->safe_psql($database, 'DELETE FROM public.gate');
	return;
}

# Wait until a round is in its midst: at a slow delete that began after this
# moment.
sub wait_for_delete
{
	my ($node, $database, $name) = @_;
	my $last = 'COALESCE((SELECT last_value FROM pg_sequences WHERE sequencename = \'deletes\'), 0)';
	my $before = $node->safe_psql($database, "SELECT $last");

	# Behind a closed gate the counter stands still.
	ok( $node->poll_query_until(
			$database, qq(SELECT ($last > $before OR EXISTS (SELECT FROM public.gate))
				AND EXISTS (SELECT FROM pg_stat_activity
					WHERE backend_type = 'amelia maintenance worker'
						AND datname = current_database() AND wait_event = 'PgSleep'))),
		$name);
	return;
}

# Call a function, if one is named, with the process of a round that is in its
# midst; returns its number. In one statement, because a batch is given up after
# a while, and on a slow machine that may come between two.
sub strike
{
	my ($node, $database, $function) = @_;

	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		my $pid = $node->safe_psql($database, qq(SELECT pid FROM (
			SELECT pid, $function(pid) AS answer FROM pg_stat_activity
			WHERE backend_type = 'amelia maintenance worker'
				AND datname = current_database() AND wait_event = 'PgSleep' LIMIT 1 OFFSET 0) AS s));
		return $pid if $pid ne '';
		usleep(100_000);
	}
	die 'no round is in its midst';
}

# A statement that wants a database for itself. PostgreSQL waits five seconds for
# it to be free, which may be too short where even a process that leaves at once
# takes its time: so it is asked again, but not for as long as the process would
# be there that is to leave.
sub take
{
	my ($node, $statement, $name) = @_;

	for (1 .. 5)
	{
		my ($status, $out, $err) = $node->psql('postgres', $statement);

		return pass($name) if $status == 0;
		die $err if $err !~ /being accessed by other users/;
		note("once more: $err");
	}
	return fail($name);
}

sub launcher_pid
{
	my ($node) = @_;

	return $node->safe_psql('postgres', q(SELECT pid FROM pg_stat_activity
		WHERE backend_type = 'amelia launcher'));
}

# Wait until the server has started over for a process that was killed, which
# it notices when it reaps that process. Not with poll_query_until: a psql that
# is turned away may be gone before its input is written to it.
sub wait_until_back
{
	my ($node, $database, $killed) = @_;
	my $output = '';

	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		IPC::Run::run([ 'psql', '-XAtq', '-d', $node->connstr($database), '-c',
				"SELECT count(*) FROM pg_stat_activity WHERE pid = $killed" ],
			'<', '/dev/null', '>', \$output, '2>', \my $error);
		return 1 if $output eq "0\n";
		usleep(100_000);
	}
	return 0;
}

1;
