# Tables that belong to a role that is no superuser: such dumps, and what that
# role can restore itself. The functions in C are a superuser's to make.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use AmeliaTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('owner');
my $dir = PostgreSQL::Test::Utils::tempdir;
my @as_landlord = ('-U', 'landlord');
my $nothing = 'schema version 1 is complete, nothing to do';

# What triggers and defaults call, their owner must be allowed to call; and who
# is to grant it to others needs to be allowed that.
my $allow = 'GRANT USAGE ON SCHEMA amelia_internal TO landlord WITH GRANT OPTION;
	GRANT EXECUTE ON ALL ROUTINES IN SCHEMA amelia, amelia_internal TO landlord WITH GRANT OPTION';

sub as_landlord
{
	my ($db, $sql) = @_;

	return $node->safe_psql($db, $sql, extra_params => [@as_landlord]);
}

$node->safe_psql('postgres', 'CREATE ROLE landlord LOGIN');
new_database($node, 'source', owner => 'landlord');
$node->safe_psql('source', 'CREATE EXTENSION amelia');
fill($node, 'source');
operator_changes($node, 'source');
# Everything in the schema but the members.
my $hand_over = q{
	DO $$
	DECLARE
		statement text;
	BEGIN
		FOR statement IN
			SELECT format('ALTER TABLE %s OWNER TO landlord', oid::regclass)
			FROM pg_class WHERE relnamespace = 'amelia'::regnamespace AND relkind IN ('r', 'v', 'm')
			UNION ALL
			SELECT format('ALTER ROUTINE %s OWNER TO landlord', oid::regprocedure)
			FROM pg_proc AS p WHERE pronamespace IN ('amelia'::regnamespace, 'amelia_internal'::regnamespace)
				AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = p.oid AND d.deptype = 'e')
			UNION ALL
			SELECT format('ALTER STATISTICS amelia.%I OWNER TO landlord', stxname)
			FROM pg_statistic_ext WHERE stxnamespace = 'amelia'::regnamespace
			UNION ALL
			SELECT 'ALTER SCHEMA amelia OWNER TO landlord'
		LOOP
			EXECUTE statement;
		END LOOP;
	END
	$$};
$node->safe_psql('source', $allow);
$node->safe_psql('source', $hand_over);
my $sums = table_sums($node, 'source');
my $catalog = catalog($node, 'source');

# The owner migrates, and what a superuser's migrate() makes is the owner's.
is(as_landlord('source', 'SELECT amelia.migrate()'), $nothing, 'the owner calls migrate()');
foreach my $who ([ 'landlord', [@as_landlord] ], [ 'a superuser', [] ])
{
	$node->safe_psql('source', q{
		DROP TRIGGER zzz_allocate_sequence ON amelia.workflow_log;
		ALTER TABLE amelia.workflows ALTER COLUMN id DROP DEFAULT;
		DROP FUNCTION amelia.event_exists(uuid)});
	is( $node->safe_psql('source', 'SELECT amelia.migrate()', extra_params => $who->[1]),
		'functions, triggers and defaults made anew', "$who->[0] mends");
	$node->safe_psql('source', q{
		GRANT EXECUTE ON FUNCTION amelia.event_exists(uuid) TO landlord WITH GRANT OPTION;
		GRANT EXECUTE ON FUNCTION amelia.event_exists(uuid) TO dashboard, runner, boss});
	same_database($node, 'source', $sums, $catalog, "mended by $who->[0]");
}

# Who was given the tables but no function: a superuser's migrate() sees to it.
new_database($node, 'given', owner => 'landlord', extension => 1);
$node->safe_psql('given', $hand_over);
fails_with($node, 'given', q{INSERT INTO amelia.workflows (issue_id, worktree_path) VALUES ('A', '/a')},
	'42501', 'uuid_v7', 'an owner who may call nothing', @as_landlord);
$node->safe_psql('given', 'DROP TRIGGER zzz_allocate_sequence ON amelia.workflow_log');
is($node->safe_psql('given', 'SELECT amelia.migrate()'), 'functions, triggers and defaults made anew',
	'a superuser mends what an owner has who may call nothing');
is(as_landlord('given', q{SELECT amelia.append_event((amelia.create_workflow('A', '/a')).id, 'x', 'm');
		SELECT amelia.migrate()}),
	"2\n$nothing", '… who can work then');

# The owner dumps, a superuser restores: the same, owners included.
$node->command_ok([ 'pg_dump', @as_landlord, '-Fc', '-f', "$dir/owned", 'source' ], 'the owner dumps');
new_database($node, 'by_superuser', owner => 'landlord');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-j4', '-d', 'by_superuser', "$dir/owned" ], 'a superuser restores');
same_database($node, 'by_superuser', $sums, $catalog, 'restored by a superuser');
is(as_landlord('by_superuser', 'SELECT amelia.migrate()'), $nothing, 'the owner calls migrate() there');

# The owner restores alone: not the extension.
new_database($node, 'by_owner', owner => 'landlord');
$node->command_fails_like(
	[ 'pg_restore', '--exit-on-error', @as_landlord, '-d', 'by_owner', "$dir/owned" ],
	qr/permission denied to create extension "amelia"/, 'the owner alone cannot make the extension');

# A superuser makes the schema and the extension, as a dump does, and says who
# may call its functions; the owner restores all the rest.
$node->safe_psql('by_owner', qq{
	DROP SCHEMA IF EXISTS amelia CASCADE;
	CREATE SCHEMA amelia AUTHORIZATION landlord;
	SET row_security = off;
	CREATE EXTENSION amelia;
	$allow});
{
	my ($list, $error) = run_command([ 'pg_restore', '-l', "$dir/owned" ]);
	my $me = $node->safe_psql('postgres', 'SELECT current_user');

	PostgreSQL::Test::Utils::append_to_file("$dir/list",
		join "\n", grep { !/ SCHEMA - amelia | EXTENSION (?:- )?amelia | ACL - SCHEMA amelia_internal | ACL amelia(?:_internal)? (?:FUNCTION|PROCEDURE) .* \Q$me\E$/ } split /\n/, $list);
}
$node->command_ok(
	[ 'pg_restore', '--exit-on-error', @as_landlord, '-L', "$dir/list", '-j4', '-d', 'by_owner', "$dir/owned" ],
	'the owner restores all but the extension');
# Who granted what on a member is not the same; the rest is.
sub without_members
{
	my ($catalog) = @_;
	my $members = $node->safe_psql(
		'source', q{
		SELECT string_agg(quotemeta, '|') FROM (SELECT regexp_replace(p.oid::regprocedure::text, '(\W)', '\\\\\1', 'g')
			FROM pg_proc AS p JOIN pg_depend AS d ON d.objid = p.oid AND d.deptype = 'e'
			WHERE p.pronamespace IN ('amelia'::regnamespace, 'amelia_internal'::regnamespace)) AS m (quotemeta)});

	return join "\n", grep { !/^acl\|routine (?:$members)\|/ } split /\n/, $catalog;
}
is(table_sums($node, 'by_owner'), $sums, 'restored by the owner: every row of every table');
same_lines(without_members(catalog($node, 'by_owner')), without_members($catalog), 'restored by the owner: the catalog');
verify_is($node, 'by_owner', '', 'restored by the owner: verify() finds nothing');
is(as_landlord('by_owner', 'SELECT amelia.migrate()'), $nothing, 'restored by the owner: nothing to migrate');
is( as_landlord('by_owner', q{
		SELECT amelia.append_event(id, 'task_started', 'go on') FROM amelia.workflows WHERE issue_id = 'ISSUE-30';
		INSERT INTO amelia.workflow_log (workflow_id, event_type, message)
		SELECT id, 'task_started', 'go on' FROM amelia.workflows WHERE issue_id = 'ISSUE-30' RETURNING sequence}),
	"68\n69", 'restored by the owner: who goes on');
fails_with($node, 'by_owner', q{SELECT amelia.grant_worker('runner')}, '42501', 'must be owner',
	'the owner cannot grant what a superuser owns', @as_landlord);
$node->safe_psql('by_owner', q{SELECT amelia.grant_worker('runner')});
is( $node->safe_psql('by_owner', q{
		SET SESSION AUTHORIZATION runner;
		SELECT amelia.append_event(id, 'task_started', 'go on') FROM amelia.workflows WHERE issue_id = 'ISSUE-30'}),
	'70', '… but a superuser can, and then they work');

# The extension is a superuser's still: the owner of the schema cannot drop it.
fails_with($node, 'by_owner', 'DROP EXTENSION amelia CASCADE', '42501', 'owner of extension', 'DROP EXTENSION by the owner', @as_landlord);

done_testing();
