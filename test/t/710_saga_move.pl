# The move of conversations from SQLite in five steps, under a writer that never
# pauses: docs/saga.md, with client/examples/saga_store.py and amelia-import.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use AmeliaTest;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SqliteSource;
use Test::More;

# Debian's package belongs to Debian's Python.
my ($python) = grep { system("$_ -c 'import psycopg' >/dev/null 2>&1") == 0 } '/usr/bin/python3', 'python3';
if (!$python)
{
	die 'there is no psycopg for python3' if $ENV{CI};
	plan skip_all => 'python3-psycopg is not installed';
}

my $dir = PostgreSQL::Test::Utils::tempdir();
my $old = "$dir/saga.db";
my $node = new_node('move');
new_database($node, 'shop');
$node->safe_psql('shop', 'CREATE EXTENSION amelia_saga CASCADE');

# What the application had: rows of years, as their old versions wrote them.
sqlite($old, q{
CREATE TABLE messages (id TEXT PRIMARY KEY, provider TEXT NOT NULL, role TEXT NOT NULL, content TEXT NOT NULL, tags TEXT, timestamp DATETIME NOT NULL,
	metadata TEXT, session_id TEXT, created_at DATETIME DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE files (id TEXT PRIMARY KEY, filename TEXT NOT NULL, filepath TEXT NOT NULL, file_type TEXT NOT NULL, extracted_text TEXT, tags TEXT,
	file_size INTEGER, uploaded_at DATETIME NOT NULL, metadata TEXT, created_at DATETIME DEFAULT CURRENT_TIMESTAMP);
CREATE VIRTUAL TABLE messages_fts USING fts5(id UNINDEXED, content, tags);
CREATE VIRTUAL TABLE files_fts USING fts5(id UNINDEXED, filename, extracted_text, tags);
WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 3000)
INSERT INTO messages SELECT 'old-' || n, 'openai', CASE n % 2 WHEN 0 THEN 'user' ELSE 'assistant' END, 'old words ' || n || ' in src/cart.py',
	CASE n % 3 WHEN 0 THEN '["bug"]' END, CASE n % 2 WHEN 0 THEN '2025-01-01 10:00:00' ELSE '2025-01-01T10:00:00Z' END, CASE n % 5 WHEN 0 THEN '' ELSE '{"n": ' || n || '}' END,
	'session-' || (n / 10), '2025-01-01 10:00:00' FROM n;
INSERT INTO messages_fts (id, content, tags) SELECT id, content, CASE WHEN tags IS NULL THEN '' ELSE 'bug' END FROM messages;
INSERT INTO files (id, filename, filepath, file_type, extracted_text, file_size, uploaded_at) VALUES ('f1', 'cart.py', 'src/cart.py', 'text/x-python', 'def total(): pass', 21, '2025-01-01 10:00:00'),
	('f2', 'notes.txt', '/notes', 'text/plain', NULL, NULL, '2025-01-02 00:00:00');
});

# The application: saves message after message and notes what it was told, reads
# what it saved, and looks which step it is to be at.
my $application = <<'PYTHON';
import os, sys
sys.path.insert(0, sys.argv[1])
from saga_store import MessageStore

path, url, step_file, saved_file = sys.argv[2:]
store, n, at, missed = None, 0, "", 0
with open(saved_file, "a", buffering=1) as saved:
    while True:
        with open(step_file) as file:
            step = file.read().strip()
        if step == "end":
            break
        if step != at:
            store, at, missed = MessageStore(path, url, int(step.split()[0])), step, 0
            print("step", step, flush=True)
        n += 1
        session = "live-%d" % (n // 20)
        id = store.save("groq", "user", "live message %d of src/app.py" % n, ["live"], {"n": n}, session, "live-%d" % n)
        saved.write("%s\n" % id)
        if id != "live-%d" % n or store.session(session)[-1][0] != id:
            print("lost", n, flush=True)
        if n % 10 == 0 and [row[0] for row in store.search("\"live message %d\"" % n)] != [id]:
            print("not found", n, flush=True)
        if store.missed > missed:
            missed = store.missed
            print("missed", n, flush=True)
PYTHON

sub at_step
{
	my ($step) = @_;

	append_to_file("$dir/step.new", "$step\n");
	rename("$dir/step.new", "$dir/step") or die "rename: $!";
	return;
}
my ($said, $complained) = ('', '');
at_step(1);
append_to_file("$dir/application.py", $application);
my $writer = IPC::Run::start([ $python, "$dir/application.py", "$FindBin::RealBin/../../client/examples", $old, $node->connstr('shop'), "$dir/step", "$dir/saved" ],
	'<', \undef, '>', \$said, '2>', \$complained, IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));

# Until the writer has said something, and has saved so many more messages.
sub writer_goes_on
{
	my ($like, $more) = @_;
	my $from = -e "$dir/saved" ? scalar split /\n/, slurp_file("$dir/saved") : 0;

	until ($said =~ $like && -e "$dir/saved" && split(/\n/, slurp_file("$dir/saved")) >= $from + $more)
	{
		$writer->pumpable or die "the application has ended: $said$complained";
		$writer->pump_nb;
		select(undef, undef, undef, 0.02);
	}
	return;
}
sub move_to
{
	my ($step) = @_;

	at_step($step);
	writer_goes_on(qr/^step $step$/m, 30);
	return;
}

# 1. The storage class is in place, and does what the old code did.
writer_goes_on(qr/^step 1$/m, 30);
is($node->safe_psql('shop', 'SELECT count(*) FROM amelia_saga.messages'), '0', 'step 1: nothing is in PostgreSQL yet');

# 2. Both are written; then what is old is brought, in batches, and compared.
move_to(2);
my $loaded = import_is($node, 'shop', 0, 'step 3: old rows are loaded', '--batch=1000', $old);
like($loaded, qr/messages -> messages: \d{4} loaded, \d+ there before/, '… and those that are there are left');
writer_goes_on(qr/^step 2$/m, 10);
import_is($node, 'shop', 0, 'step 3: both hold the same', '--verify', $old);

# The new one goes away for a while; what was missed is brought.
$node->stop('immediate');
writer_goes_on(qr/^missed \d+$/m, 10);
$node->start;
move_to('2 again');
isnt((import_into($node, 'shop', '--verify', $old))[0], 0, 'step 3: after PostgreSQL was away something is missing');
import_is($node, 'shop', 0, 'step 3: and is brought', '--delta', $old);
import_is($node, 'shop', 0, 'step 3: both hold the same again', '--verify', $old);
$said =~ s/^missed \d+\n//mg;

# 4. PostgreSQL is read, with the old file to fall back on; it is needed once.
move_to(3);
$node->stop('immediate');
writer_goes_on(qr/^missed \d+$/m, 10);
$node->start;
writer_goes_on(qr/^step 3$/m, 30);
# All along it has read what it had saved. When nothing is missing, it reads PostgreSQL again.
import_is($node, 'shop', 0, 'step 4: what was missed is brought', '--delta', $old);
move_to('3 again');
import_is($node, 'shop', 0, 'step 4: both hold the same', '--verify', $old);
$said =~ s/^missed \d+\n//mg;

# 5. PostgreSQL alone; the old file is archived.
move_to(4);
rename($old, "$dir/archived.db") or die "rename: $!";
writer_goes_on(qr/^step 4$/m, 30);
at_step('end');
$writer->finish;
is($complained, '', 'the application met no error');
is($said, "step 1\nstep 2\nstep 2 again\nstep 3\nstep 3 again\nstep 4\n", 'nothing that it saved was lost to it, or not found');

# Every message that was acknowledged, and every old one, once and as it was.
my @saved = split /\n/, slurp_file("$dir/saved");
is( $node->safe_psql('shop', q{
		SELECT count(*), count(DISTINCT content), bool_and(metadata ->> 'n' = substr(id, 6) AND tags = '["live"]') FROM amelia_saga.messages WHERE id LIKE 'live-%'}),
	@saved . '|' . @saved . '|t', 'all ' . @saved . ' new messages are there');
is( $node->safe_psql('shop', q{SELECT count(*), count(DISTINCT content), sum((metadata ->> 'n')::integer) FROM amelia_saga.messages WHERE id LIKE 'old-%'}),
	'3000|3000|3600000', 'all 3000 old ones too');
is($node->safe_psql('shop', q{SELECT id, file_size, extracted_text FROM amelia_saga.files ORDER BY id}), "f1|21|def total(): pass\nf2||", 'and the files');
# Ten messages of one time are in the order in which they came.
is( $node->safe_psql('shop', q{SELECT string_agg(id, ' ') FROM amelia_saga.get_session('session-7')}),
	join(' ', map { "old-7$_" } 0 .. 9), 'a session of one time is in its order');
is( $node->safe_psql('shop', q{SELECT string_agg(id, ' ' ORDER BY id) FROM amelia_saga.search_messages('"old words" + 17* AND cart NOT bug', row_limit => 500)}),
	join(' ', sort map { "old-$_" } grep { /^17/ && $_ % 3 } 1 .. 3000), 'they are found');
is($node->safe_psql('shop', 'SELECT amelia_saga.health_check(); SELECT count(*) FROM amelia_saga.verify()'), "t\n0", 'all is well');

$node->stop;
done_testing();
