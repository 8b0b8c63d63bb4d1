# docs/clients.md: each program there is run, with its driver, and prints what
# stands below it. A driver that is not installed is skipped, by name; npm's packages
# lie in the folder AMELIA_CLIENTS, where scripts/setup-packages puts them.
use strict;
use warnings;

use FindBin;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $page = slurp_file("$FindBin::RealBin/../../docs/clients.md");
my $packages = $ENV{AMELIA_CLIENTS} // '';
my $node = PostgreSQL::Test::Cluster->new('clients');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->append_conf('postgresql.conf', "listen_addresses = '127.0.0.1'");
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE model');
$node->safe_psql('model', 'CREATE EXTENSION amelia');
# Some drivers know no folder as a host.
my $port = $node->port;
my $user = $node->safe_psql('postgres', 'SELECT current_user');

# The program that runs a language's programs, and whether it knows a module; or why not.
my ($python) = grep { -x } '/usr/bin/python3', split(/\n/, `command -v python3`);
my $folder = PostgreSQL::Test::Utils::tempdir();
symlink("$packages/node_modules", "$folder/node_modules") if $packages ne '';
# A newer Node.js than the system's is among the packages where it is needed.
my ($nodejs) = (glob("$packages/node_modules/node-linux-*/bin/node"), 'node');

sub missing
{
	my ($language, $module) = @_;

	return "$module is not installed"
	  if $language eq 'python' ? !$python || system("$python -c 'import $module' >/dev/null 2>&1") != 0 :
	  $packages eq '' || !-d "$packages/node_modules/$module";
	return;
}

my $databases = 0;
my %seen;
while ($page =~ /^## ([^\n]+)\n(?:(?!^## ).)*?^```(python|js)\n(.*?)^```\n\n```\n(.*?)^```$/gms)
{
	my ($name, $language, $program, $shown) = ($1, $2, $3, $4);
	my ($module) = $language eq 'python' ? $program =~ /^import (psycopg|asyncpg)$/m : $program =~ /^import .* from '([^']+)';$/m;
	my $database = 'd' . ++$databases;
	my ($out, $err) = ('', '');

	$seen{$name} = 1;
  SKIP:
	{
		my $reason = missing($language, $module);
		# Somebody without a network may do without, the project may not.
		die $reason if $reason && $ENV{CI};
		skip("$name: $reason", 2) if $reason;

		$node->safe_psql('postgres', "CREATE DATABASE $database TEMPLATE model");
		my $file = "$folder/$database." . ($language eq 'python' ? 'py' : 'mjs');
		append_to_file($file, $program);
		local $ENV{DATABASE_URL} = "postgresql://$user\@127.0.0.1:$port/$database";
		local $ENV{PYTHONIOENCODING} = 'utf-8';
		local $ENV{NO_COLOR} = 1;
		IPC::Run::run([ $language eq 'python' ? $python : $nodejs, $file ], '>', \$out, '2>', \$err,
			IPC::Run::timeout(180));
		is($err, '', "$name: no exception");
		is($out, $shown, "$name: it prints what the page shows");
	}
}
is(join(', ', sort keys %seen), join(', ', sort grep { !/^What/ } $page =~ /^## (.*)$/mg), 'each driver of the page has its program');

# What all of them meet.
$node->safe_psql('model', q{SELECT * FROM amelia.create_workflow('A-1', '/a')});
is($node->safe_psql('model', q{SELECT count(*) FROM amelia.workflows}), 1, 'in FROM a function is called once');
$node->safe_psql('model', q{SELECT (amelia.create_workflow('A-2', '/b')).*});
is($node->safe_psql('model', q{SELECT count(*) > 1 FROM amelia.workflows WHERE issue_id = 'A-2'}), 't', 'with .* once for each column');
for my $case (
	[ q{SELECT amelia.append_events(w.id, '"[{}]"') FROM amelia.workflows AS w LIMIT 1}, qr/22023.*not a single value.*encoded twice/s, 'JSON that was encoded twice' ],
	[ q{SELECT amelia.append_event(w.id, 'x', 'm', data => '"{}"') FROM amelia.workflows AS w LIMIT 1}, qr/22023.*encoded twice/s, 'of one event' ],
	[ q{SELECT amelia.set_plan_cache(w.id, '"{}"') FROM amelia.workflows AS w LIMIT 1}, qr/22023.*encoded twice/s, 'of a plan' ],
	[ q{SELECT amelia.update_settings('"{}"')}, qr/22023.*encoded twice/s, 'of settings' ],
	[ q{SELECT amelia.append_event(w.id, 'x', 'm', data => '{"a": "\u0000"}') FROM amelia.workflows AS w LIMIT 1}, qr/22P05/, 'no character' ])
{
	my (undef, undef, $message) = $node->psql('model', "\\set VERBOSITY verbose\n$case->[0]");
	like($message, $case->[1], "the error says what to write: $case->[2]");
}
# The path of an operator's trigger.
$node->safe_psql('model', q{
	DELETE FROM amelia.workflows WHERE issue_id = 'A-2';
	CREATE TABLE public.mine (id uuid);
	CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO mine VALUES (NEW.id); RETURN NEW; END';
	CREATE TRIGGER note BEFORE UPDATE ON amelia.workflows FOR EACH ROW EXECUTE FUNCTION public.note();
	UPDATE amelia.workflows SET priority = 1});
is($node->safe_psql('model', q{SET client_min_messages = error; SELECT count(*) FROM amelia.claim_workflow('w')}), 0, 'an unqualified name in a trigger: a claim passes over the row');
like($node->safe_psql('model', q{SELECT passed_over FROM amelia.queue_status()}), qr/relation \\"mine\\" does not exist/, 'and queue_status() says why');
$node->safe_psql('model', q{ALTER FUNCTION public.note() SET search_path = public; DELETE FROM amelia.claim_faults});
is($node->safe_psql('model', q{SELECT count(*) FROM amelia.claim_workflow('w')}), 1, 'with a path of its own it is taken');

$node->stop;
done_testing();
