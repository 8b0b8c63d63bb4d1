# amelia-import and those who may create schemas: what somebody else has put in
# the place of its ledger never runs with the rights of who loads.
use strict;
use warnings;

use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use SqliteSource;

my $files = PostgreSQL::Test::Utils::tempdir();
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->start;
my $source = amelia_source("$files/app.db", 'events');
amelia_rows($source, 3);

# Whoever may create a schema makes the one of the ledger before, and waits for somebody with more rights.
$node->safe_psql('postgres', 'CREATE ROLE planter; CREATE DATABASE planted; GRANT CREATE ON DATABASE planted TO planter');
$node->safe_psql('planted', 'CREATE EXTENSION amelia');
my $ledger = slurp_file("$FindBin::RealBin/../../client/import/ledger.c");
my ($schema_sql) = $ledger =~ /schema_sql\[\] =\n(.*?);\n\n/s;
$schema_sql = join '', map { s/\\"/"/gr } $schema_sql =~ /^"(.*)"$/mg;
$node->safe_psql('planted', "SET ROLE planter; $schema_sql; SET ROLE planter;" . q{
	CREATE FUNCTION amelia_import.trap() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN ALTER ROLE planter SUPERUSER; RETURN NEW; END';
	CREATE TRIGGER trap BEFORE INSERT ON amelia_import.sources FOR EACH ROW EXECUTE FUNCTION amelia_import.trap()});
like(import_is($node, 'planted', 1, 'a ledger that somebody else has made is not written', $source),
	qr/belongs to "planter", who has not the rights of/, 'and it says whose it is');
is($node->safe_psql('planted', q{SELECT rolsuper FROM pg_roles WHERE rolname = 'planter'}), 'f', 'nobody got more rights by it');

# Nor is it read: a view there would run with them too.
foreach my $mode ('--verify', '--dry-run', '--rollback', '--status')
{
	like(import_is($node, 'planted', 1, $mode, $mode, $source), qr/belongs to "planter"/, "$mode says so");
}

# One's own is, and a superuser's.
$node->safe_psql('planted', 'DROP SCHEMA amelia_import CASCADE');
import_is($node, 'planted', 0, 'without it all is loaded', $source);
import_is($node, 'planted', 0, 'and again', '--verify', $source);

$node->stop;
done_testing();
