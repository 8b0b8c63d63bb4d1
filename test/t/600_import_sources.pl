# amelia-import and what it is given: sources that are none or that are in
# the middle of something, targets that are not ready, and the plan.
use strict;
use warnings;

use FindBin;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use SqliteSource;

my $files = PostgreSQL::Test::Utils::tempdir();
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->start;
$node->safe_psql('postgres', "CREATE DATABASE $_") foreach qw(empty target);
$node->safe_psql('target', 'CREATE EXTENSION amelia');

my $source = amelia_source("$files/app.db", 'events');
amelia_rows($source, 12);

# ---- files that are none ----
append_to_file("$files/text.db", "hello\n" x 100);
append_to_file("$files/nothing.db", '');
sqlite("$files/other.db", 'CREATE TABLE t (a); INSERT INTO t VALUES (1)');
foreach (
	[ 'a file that is not there', "$files/none.db", qr/No such file/ ],
	[ 'a directory', $files, qr/is a directory/ ],
	[ 'an empty file', "$files/nothing.db", qr/is empty/ ],
	[ 'a file of text', "$files/text.db", qr/is no SQLite 3 database/ ],
	[ 'a database of something else', "$files/other.db", qr/no system that is known/ ])
{
	my ($name, $path, $like) = @$_;
	my $said = import_is($node, 'target', 1, $name, $path);
	like($said, $like, "$name: says why");
	is(scalar(() = $said =~ /\n/g), 1, "$name: in one line");
}
my $whole = slurp_file($source);
append_to_file("$files/truncated.db", substr($whole, 0, 20000));
like(import_is($node, 'target', 1, 'a truncated file', "$files/truncated.db"), qr/is damaged/, 'a truncated file: says so');
my $damaged = $whole;
my $at = index($damaged, '{"action"');
substr($damaged, $at - ($at % 4096), 8) = "\xff" x 8;
append_to_file("$files/damaged.db", $damaged);
like(import_is($node, 'target', 1, 'a damaged page', "$files/damaged.db"), qr/is damaged/, 'a damaged page: says so');

# ---- a generation that is too old, and what no mapping knows ----
amelia_source("$files/old.db", 'events');
sqlite("$files/old.db", 'ALTER TABLE workflows ADD COLUMN state_json TEXT');
like(import_is($node, 'target', 1, 'an old generation', "$files/old.db"),
	qr/workflows\.state_json.*version 0\.12 of its application/, 'an old generation: which version brings it up');
amelia_source("$files/more.db", 'events');
sqlite("$files/more.db", 'CREATE TABLE notes (a); INSERT INTO notes VALUES (1), (2); ALTER TABLE profiles ADD COLUMN colour TEXT');
my $said = import_is($node, 'target', 1, 'something that is not mapped', "$files/more.db");
like($said, qr/table notes is not mapped \(2 rows\)/, 'the table is named');
like($said, qr/column profiles\.colour is not mapped/, 'the column is named');
like(import_is($node, 'target', 0, 'the plan names it too', '--dry-run', "$files/more.db"),
	qr/table notes is not mapped.*--accept-unmapped/s, 'and the way on');

# ---- what the file's own schema would call ----
SKIP:
{
	my ($major, $minor) = split /\./, sqlite(':memory:', 'SELECT sqlite_version()');
	skip 'SQLite trusts every schema before 3.31', 2 if $major < 3 || ($major == 3 && $minor < 31);
	amelia_rows(amelia_source("$files/view.db", 'events'), 1);
	sqlite("$files/view.db", 'ALTER TABLE profiles RENAME TO of_profiles');
	my $columns = join ', ', map { $_ eq 'working_dir' ? '(SELECT file FROM pragma_database_list) AS working_dir' : $_ }
	  split /\n/, sqlite("$files/view.db", q{SELECT name FROM pragma_table_info('of_profiles')});
	sqlite("$files/view.db", "CREATE VIEW profiles AS SELECT $columns FROM of_profiles");
	like(import_is($node, 'target', 1, 'a view that asks where the copy is', '--dry-run', '--accept-unmapped', "$files/view.db"),
		qr/table profiles: .*unsafe use of virtual table/, 'a view that asks where the copy is: gets no answer');
}

# ---- targets that are not ready ----
like(import_is($node, 'empty', 1, 'no extension', $source), qr/the extension amelia is not there\n.*CREATE EXTENSION amelia/, 'no extension: says so');
$node->safe_psql('postgres', 'CREATE ROLE stranger LOGIN');
like(import_is($node, 'target', 1, 'no rights', '-U', 'stranger', $source), qr/permission denied|does not own/, 'no rights: says so');
$node->safe_psql('target', 'GRANT USAGE ON SCHEMA amelia TO stranger; GRANT ALL ON ALL TABLES IN SCHEMA amelia TO stranger;
	GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA amelia TO stranger');
like(import_is($node, 'target', 1, 'not the owner', '-U', 'stranger', $source), qr/"stranger" does not own table amelia\.\w+/, 'not the owner: says so');
$node->safe_psql('postgres', 'CREATE DATABASE older');
$node->safe_psql('older', 'CREATE EXTENSION amelia; ALTER EXTENSION amelia DROP FUNCTION amelia.table_checksum(regclass, name, name[]);
	DROP FUNCTION amelia.table_checksum(regclass, name, name[])');
like(import_is($node, 'older', 1, 'an older schema', $source), qr/older than this program.*amelia\.migrate\(\)/, 'an older schema: says so');
$node->safe_psql('postgres', 'CREATE DATABASE lacking');
$node->safe_psql('lacking', 'CREATE EXTENSION amelia; DROP TABLE amelia.brainstorm_artifacts CASCADE');
like(import_is($node, 'lacking', 1, 'a table is missing', $source), qr/table amelia\.brainstorm_artifacts is not there/, 'a table is missing: says so');
my ($out, $err) = ('', '');
IPC::Run::run([ "$FindBin::RealBin/../../client/amelia-import", '-h', "$files/nowhere", '-d', 'x', $source ], '>', \$out, '2>', \$err);
is($? >> 8, 1, 'no server: exit status 1');
is($node->safe_psql('target', q{SELECT (SELECT count(*) FROM amelia.workflows) || ' ' || (to_regnamespace('amelia_import') IS NULL)}),
	'0 true', 'and nothing was written by any of them');

# ---- usage ----
foreach ([ 'no file' ], [ 'two files', 'a', 'b' ], [ 'a strange word', '--orphans=drop', 'a' ], [ 'a batch of nothing', '--batch=0', 'a' ],
	[ 'two things to do', '--verify', '--rollback', 'a' ], [ 'delete without delta', '--delete-gone', 'a' ], [ 'no such option', '--frobnicate' ])
{
	my ($name, @args) = @$_;
	like(import_is($node, 'target', 1, $name, @args), qr/--help/, "$name: hints at the help");
}
like(import_is($node, 'target', 0, 'help', '--help'), qr/Exit status: 0 .* 4 stopped/s, 'the help has the exit statuses');

# ---- the plan ----
my $before = $node->safe_psql('target', q{SELECT count(*), md5(string_agg(c.oid::text, ',' ORDER BY c.oid)) FROM pg_class AS c});
my $bytes = slurp_file($source);
sqlite($source, "UPDATE workflows SET id = 'wf-12' WHERE id = '${\wf(12)}'; UPDATE events SET workflow_id = 'wf-12' WHERE workflow_id = '${\wf(12)}';
	UPDATE events SET timestamp = '2026-01-06T10:00:00.123456789Z' WHERE id = '${\ev(5)}'; UPDATE events SET data_json = '' WHERE id = '${\ev(6)}';
	DELETE FROM token_usage WHERE workflow_id = '${\wf(12)}'; DELETE FROM workflow_prompt_versions WHERE workflow_id = '${\wf(12)}';
	UPDATE profiles SET is_active = 1, created_at = '2026-02-05 10:00:00' WHERE id = 'home-ü'");
my $plan = import_is($node, 'target', 0, 'the plan', '--dry-run', $source);
like($plan, qr/a database of amelia.*SHA-256 [0-9a-f]{64}; it is whole/, 'plan: what the source is');
like($plan, qr/events -> "amelia"\."workflow_log": 36 rows, .*data_json->data/, 'plan: rows and columns of a table');
like($plan, qr/^  workflows\.id: id that is no UUID replaced, 1 time$/m, 'plan: ids that are replaced');
like($plan, qr/^  events\.workflow_id: id that is no UUID replaced, 3 times$/m, 'plan: and what refers to them');
like($plan, qr/^  events\.timestamp: time rounded to microseconds, 1 time$/m, 'plan: rounded times');
like($plan, qr/^  events\.data_json: empty text became NULL, 1 time$/m, 'plan: empty texts');
like($plan, qr/^  token_usage\.cache_read_tokens: NULL became the default, 11 times$/m, 'plan: defaults');
like($plan, qr/^  profiles\.is_active: active profile is active no more, because a newer one is, 1 time$/m, 'plan: the second active profile');
like($plan, qr/^  column server_settings\.checkpoint_path is left: a setting that exists no longer$/m, 'plan: settings that are gone');
like($plan, qr/^About \d+ s, as a sample took, and .* of disk for the target\. Nothing was written\.$/m, 'plan: time and room');
is($node->safe_psql('target', q{SELECT count(*), md5(string_agg(c.oid::text, ',' ORDER BY c.oid)) FROM pg_class AS c}), $before, 'the plan wrote nothing');

# ---- what is being written to ----
# rows that are in the write-ahead log only; a reader keeps it from being taken in
my $wal = amelia_source("$files/wal.db", 'log');
my ($in, $keeps) = ('', '');
my $keeper = IPC::Run::start([ 'sqlite3', '-batch', $wal ], '<pty<', \$in, '>', \$keeps, IPC::Run::timeout(120));
$in .= "PRAGMA journal_mode = wal;\nPRAGMA wal_autocheckpoint = 0;\nBEGIN; SELECT count(*) || ' rows' FROM workflows;\n";
$keeper->pump until $keeps =~ /0 rows/;
amelia_rows($wal, 4);
my $main = slurp_file($wal);
$node->safe_psql('postgres', 'CREATE DATABASE wal');
$node->safe_psql('wal', 'CREATE EXTENSION amelia');
like(import_is($node, 'wal', 0, 'a source with a write-ahead log', $wal), qr/workflow_log -> workflow_log: 12 loaded/, 'what is in the log is loaded');
is(slurp_file($wal), $main, 'and the source is not written');
$in .= ".quit\n";
$keeper->finish;

# a writer's lock, which does not end
my ($lock_in, $locked) = ('', '');
my $locker = IPC::Run::start([ 'sqlite3', '-batch', $source ], '<pty<', \$lock_in, '>', \$locked, IPC::Run::timeout(120));
$lock_in .= "BEGIN EXCLUSIVE; SELECT 'it is ' || 'mine';\n";
$locker->pump until $locked =~ /it is mine/;
like(import_is($node, 'target', 1, 'a locked file', $source), qr/is locked by another process/, 'a locked file: says so');
$lock_in .= ".quit\n";
$locker->finish;

# no room for the copy: files may not grow beyond a few pages
IPC::Run::run([ 'bash', '-c', 'trap "" XFSZ; ulimit -f 8; exec "$@"', 'x', "$FindBin::RealBin/../../client/amelia-import",
		'-d', $node->connstr('target'), $source ], '>', \$out, '2>', \$err);
is($? >> 8, 1, 'no room for the copy: exit status 1');
like($err, qr/no room for a copy of it|disk I\/O error/, 'no room for the copy: says so');

done_testing();
