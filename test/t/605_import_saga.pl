# amelia-import with a source of the memory of conversations: what is odd in it,
# what is refused, and that all is found afterwards as FTS5 finds it.
use strict;
use warnings FATAL => 'all';

use FindBin;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SqliteSource;
use Test::More;

my $files = PostgreSQL::Test::Utils::tempdir();
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->start;
$node->safe_psql('postgres', "CREATE DATABASE $_") foreach qw(without target);
$node->safe_psql('without', 'CREATE EXTENSION amelia');
$node->safe_psql('target', 'CREATE EXTENSION amelia_saga CASCADE');

my $source = "$files/saga.db";
sqlite($source, q{
CREATE TABLE messages (id TEXT PRIMARY KEY, provider TEXT NOT NULL, role TEXT NOT NULL, content TEXT NOT NULL, tags TEXT, timestamp DATETIME NOT NULL,
	metadata TEXT, session_id TEXT, created_at DATETIME DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE files (id TEXT PRIMARY KEY, filename TEXT NOT NULL, filepath TEXT NOT NULL, file_type TEXT NOT NULL, extracted_text TEXT, tags TEXT,
	file_size INTEGER, uploaded_at DATETIME NOT NULL, metadata TEXT, created_at DATETIME DEFAULT CURRENT_TIMESTAMP);
CREATE VIRTUAL TABLE messages_fts USING fts5(id UNINDEXED, content, tags);
CREATE VIRTUAL TABLE files_fts USING fts5(id UNINDEXED, filename, extracted_text, tags);
WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 200)
INSERT INTO messages SELECT 'msg_' || n, 'openai', 'user', 'Der Café ' || n || ' in src/cart.py — ' || char(128512),
	CASE n % 3 WHEN 0 THEN '["bug", "Käse brot"]' WHEN 1 THEN NULL ELSE '[]' END, '2025-01-01T10:00:00.' || (n % 4) || '00000',
	CASE n % 3 WHEN 0 THEN '' WHEN 1 THEN '{"k": 1.50, "n": 1152921504606846977}' END, CASE WHEN n % 7 THEN 's' || (n / 12) END, '2025-01-01 10:00:00' FROM n;
INSERT INTO messages_fts (id, content, tags) SELECT id, content, CASE WHEN tags LIKE '%bug%' THEN 'bug Käse brot' ELSE '' END FROM messages;
INSERT INTO files VALUES ('f1', 'cart.py', 'src/cart.py', 'text/x-python', NULL, NULL, NULL, '2025-01-01 10:00:00', '', '2025-01-01 10:00:00'),
	('f2', 'a b', '/a', 'text/plain', 'words', '["x"]', 5, '2025-01-01T10:00:00+01:00', '{}', '2025-01-01 10:00:00');
});

like(import_is($node, 'without', 1, 'no extension', $source), qr/has not the extension amelia_saga; .*CREATE EXTENSION amelia_saga CASCADE/, 'no extension: says so');
my $plan = import_is($node, 'target', 0, 'the plan', '--dry-run', $source);
like($plan, qr/a database of saga, /, 'plan: what the source is');
like($plan, qr/messages -> "amelia_saga"\."messages": 200 rows/, 'plan: where it goes');
like($plan, qr/^  messages\.tags: NULL became the default, 67 times$/m, 'plan: tags that are NULL');
like($plan, qr/^  messages\.metadata: empty text became NULL, 66 times$/m, 'plan: metadata that is empty');
like($plan, qr/table messages_fts is left: a full-text index/, 'plan: the index of FTS5 is left');

my $said = import_is($node, 'target', 0, 'load', $source);
like($said, qr/every row is there as the source has it/, 'load: proved');
import_is($node, 'target', 0, 'verify', '--verify', $source);
is( $node->safe_psql('target', q{
		SELECT count(*), count(*) FILTER (WHERE tags = '[]'), count(*) FILTER (WHERE metadata = '{}'), min(metadata ->> 'n') FROM amelia_saga.messages;
		SELECT id, extracted_text, tags, file_size, uploaded_at AT TIME ZONE 'UTC', metadata FROM amelia_saga.files ORDER BY id}),
	"200|134|133|1152921504606846977\nf1||[]||2025-01-01 10:00:00|{}\nf2|words|[\"x\"]|5|2025-01-01 09:00:00|{}", 'values');
is( $node->safe_psql('target', q{SELECT string_agg(id, ' ' ORDER BY arrival) FROM amelia_saga.messages}),
	join(' ', map { "msg_$_" } 1 .. 200), 'messages arrive in the order of the source');
for my $query ('cafe', '"cart py" NOT tags : bug', 'tags : (käse OR kase)', '19* OR ^der 7*')
{
	is( join(' ', split /\n/, $node->safe_psql('target', "SELECT id FROM amelia_saga.search_messages('$query', row_limit => 500) ORDER BY id COLLATE \"C\"")),
		join(' ', split /\n/, sqlite($source, "SELECT id FROM messages_fts WHERE messages_fts MATCH '$query' ORDER BY id")), "found: $query");
}

# What the tables refuse is named, and the rest can be loaded.
sqlite($source, q{
INSERT INTO messages VALUES ('blank', 'openai', 'user', '  ', NULL, '2025-01-02 10:00:00', NULL, NULL, '2025-01-02 10:00:00'),
	('tags', 'openai', 'user', 'x', '{"a": 1}', '2025-01-02 10:00:00', NULL, NULL, '2025-01-02 10:00:00'),
	('time', 'openai', 'user', 'x', NULL, 'soon', NULL, NULL, '2025-01-02 10:00:00'),
	('new', 'openai', 'user', 'brand new', NULL, '2025-01-02 10:00:00', NULL, 's0', '2025-01-02 10:00:00');
UPDATE messages SET content = 'changed' WHERE id = 'msg_5'});
like(import_is($node, 'target', 2, 'delta', '--delta', '--max-rejects=3', $source), qr/3 rows are rejected/, 'delta: three are refused');
like(slurp_file("$source.rejects.ndjson"), qr/"blank".*23514|23514.*"blank"/, 'delta: the blank one with its SQLSTATE');
is( $node->safe_psql('target', q{SELECT count(*) FROM amelia_saga.messages; SELECT id FROM amelia_saga.search_messages('changed OR "brand new"') ORDER BY id}),
	"201\nmsg_5\nnew", 'delta: what is new and what changed is there, and found');
import_is($node, 'target', 0, 'rollback', '--rollback', '--force', $source);
is($node->safe_psql('target', 'SELECT count(*) FROM amelia_saga.verify()'), '0', 'verify() finds nothing');

$node->stop;
done_testing();
