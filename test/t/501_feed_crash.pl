# A cursor of the feed names transactions. One that was rolled back leaves no trace
# on disk by itself; after a crash the next one may get its number, and the
# reader must not take it for one that it has seen.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";

use AmeliaTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

# Nobody but a commit writes out what is in memory.
my $node = new_node('feed', conf => "wal_writer_delay = 10s\nwal_writer_flush_after = 0\nbgwriter_lru_maxpages = 0\nautovacuum = off\n");
my $workflow = '01970000-0000-7000-8000-000000000001';

$node->safe_psql('postgres', qq{CREATE EXTENSION amelia;
	SELECT amelia.create_workflow('I', '/w', id => '$workflow')});
$node->safe_psql('postgres', 'CHECKPOINT');
my ($cursor) = $node->safe_psql('postgres', qq{
	DO \$\$ BEGIN
		FOR i IN 1 .. 20 LOOP
			PERFORM amelia.append_event('$workflow', 'note', 'rolled back');
			ROLLBACK;
		END LOOP;
	END \$\$;
	SELECT next_cursor FROM amelia.feed_after()}) =~ /(\S+)\z/;
like($cursor, qr{/}, 'a cursor, after transactions that were rolled back');

$node->kill9;
# The children of a postmaster that was killed may hold its memory for a moment.
for (1 .. 100)
{
	last if $node->start(fail_ok => 1);
	usleep(100_000);
	$node->stop('fast', fail_ok => 1);
}
$node->safe_psql('postgres', "SELECT amelia.append_event('$workflow', 'note', '$_')") for 1 .. 30;
my ($result, $seen, $error) = $node->psql('postgres', qq{
	SELECT string_agg((f.event).message, ' ') FROM amelia.feed_after('$cursor') AS f});
is($error, '', 'the cursor is good after a crash');
is($seen, join(' ', 1 .. 30), 'and the reader misses nothing');

$node->stop;
done_testing();
