# Cursors of the feed on a standby, after crashes, a failover and a restore: a
# reader misses nothing, or is told to begin anew.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use AmeliaTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# A server is known by its system identifier: a restore is into another one.
delete $ENV{AMELIA_TEST_CLUSTERS};
my $primary = new_node('primary', preload => 1, allows_streaming => 1,
	conf => "max_prepared_transactions = 5\nautovacuum = off\n");
new_database($primary, 'feed', extension => 1);
$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;
my $w = '00000000-0000-7000-8000-000000000001';
my $other = '00000000-0000-7000-8000-000000000002';
$primary->safe_psql('feed', qq(INSERT INTO amelia.workflows (id, issue_id, worktree_path) VALUES ('$w', 'I', '/w'), ('$other', 'I', '/o')));

# The messages behind a cursor, which moves on.
sub follow
{
	my ($node, $cursor) = @_;
	my @rows = split /\n/, $node->safe_psql('feed', "SELECT next_cursor, (event).message FROM amelia.feed_after('$$cursor')");

	$$cursor = (split /\|/, $rows[-1])[0];
	return join q( ), grep { defined && $_ ne q() } map { (split /\|/)[1] } @rows;
}

sub now_cursor { return $_[0]->safe_psql('feed', 'SELECT next_cursor FROM amelia.feed_after()'); }
sub append
{
	my ($node, $message, $workflow) = @_;

	$node->safe_psql('feed', "SELECT amelia.append_event('@{[ $workflow // $w ]}', 'x', '$message')");
	return;
}

# A reader on a standby begins while a transaction is open that commits later.
my $writer = $primary->background_psql('feed');
$writer->query_safe("BEGIN; SELECT amelia.append_event('$other', 'x', 'late')");
append($primary, 'early');
$primary->wait_for_catchup($standby);
my $there = now_cursor($standby);
append($primary, 'between');
$primary->wait_for_catchup($standby);
is(follow($standby, \$there), 'between', 'a reader on a standby reads what is new');
$writer->query_safe('COMMIT');
$writer->quit;
$primary->wait_for_catchup($standby);
is(follow($standby, \$there), 'late', 'and what commits late');

# A cursor goes from server to server; a standby that is behind says so.
append($primary, 'moved');
is(follow($primary, \$there), 'moved', 'the cursor of a standby is good on the primary');
$standby->safe_psql('feed', 'SELECT pg_wal_replay_pause()');
append($primary, 'ahead');
my $ahead = now_cursor($primary);
fails_with($standby, 'feed', "SELECT amelia.feed_after('$ahead')", '55000', 'has not come as far',
	'a standby refuses a cursor that it has not come to');
$standby->safe_psql('feed', 'SELECT pg_wal_replay_resume()');
$primary->wait_for_catchup($standby);
is(follow($standby, \$ahead), '', 'and takes it when it has');

# A crash takes back what was not flushed, and ids with it: here those of
# transactions that were rolled back, or committed without waiting.
my $cursor = now_cursor($primary);
for my $crash (1 .. 3)
{
	$primary->safe_psql('feed', "BEGIN; SELECT amelia.append_event('$w', 'x', 'undone'); ROLLBACK");
	$primary->safe_psql('feed', "SET synchronous_commit = off; SELECT amelia.append_event('$w', 'x', 'quick')");
	like(follow($primary, \$cursor), qr/quick/, 'what is read');
	$primary->stop('immediate');
	$primary->start;
	is($primary->safe_psql('feed', "SELECT message FROM amelia.recent_events('$w', 1)"), 'quick', 'has survived the crash');
	append($primary, "after$crash");
	is(follow($primary, \$cursor), "after$crash", 'and the cursor goes on');
}

# Pruned on the primary: readers on the standby are told too.
$there = now_cursor($standby);
append($primary, 'pruned');
$primary->safe_psql('feed', q(SELECT amelia.prune_feed('0')));
$primary->wait_for_catchup($standby);
fails_with($standby, 'feed', "SELECT amelia.feed_after('$there')", '55000', 'pruned', 'what was pruned is missed on a standby too');

# A transaction that was prepared long ago is not pruned before it was seen.
$cursor = now_cursor($primary);
$primary->safe_psql('feed', "BEGIN; SELECT amelia.append_event('$other', 'x', 'prepared'); PREPARE TRANSACTION 'p'");
$primary->safe_psql('feed', q(SELECT amelia.prune_feed('1 hour'); UPDATE amelia.feed_snapshots SET taken_at = taken_at - interval '2 hours'));
my $between = now_cursor($primary);
$primary->safe_psql('feed', q(COMMIT PREPARED 'p'));
is($primary->safe_psql('feed', q(SELECT amelia.prune_feed('1 hour'))), 0, 'what was prepared long ago is new');
is(follow($primary, \$between), 'prepared', 'and read');

# A failover: ids of transactions come back, so the old cursor is refused.
$cursor = now_cursor($primary);
$primary->wait_for_catchup($standby);
$primary->stop('fast');
$standby->promote;
append($standby, 'on the new primary');
fails_with($standby, 'feed', "SELECT amelia.feed_after('$cursor')", '22023', 'the cursor is of another database', 'after a failover the cursor is refused');
$cursor = now_cursor($standby);
append($standby, 'next');
is(follow($standby, \$cursor), 'next', 'and a new one is good');

# A restore brings rows of another cluster, whose ids lie ahead.
my $restored = new_node('restored', preload => 1);
new_database($restored, 'feed');
my $dump = $standby->basedir . '/dump.sql';
$standby->command_ok([ 'pg_dump', '-f', $dump, 'feed' ], 'a dump is made');
$restored->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', 'feed', '-f', $dump ], 'and restored');
cmp_ok($restored->safe_psql('feed', 'SELECT count(*) FROM amelia.workflow_feed'), '>', 0, 'with rows of the feed');
fails_with($restored, 'feed', "SELECT amelia.feed_after('$cursor')", '22023', 'the cursor is of another database', 'there the cursor is refused');
$cursor = now_cursor($restored);
$restored->safe_psql('feed', q(UPDATE amelia.workflow_feed SET xid = pg_snapshot_xmax(pg_current_snapshot())::text::xid8));
append($restored, 'here');
is(follow($restored, \$cursor), 'here', 'what was restored is no news, whatever its ids are');
$restored->safe_psql('feed', q(SELECT amelia.prune_feed()));
is($restored->safe_psql('feed', 'SELECT count(*) FROM amelia.workflow_feed'), 1, 'and is pruned');

# A copy of the database is another one.
$restored->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE feed');
fails_with($restored, 'copy', "SELECT amelia.feed_after('$cursor')", '22023', 'the cursor is of another database', 'so it is in a copy of the database');
$_->stop for $restored, $standby;
done_testing();
