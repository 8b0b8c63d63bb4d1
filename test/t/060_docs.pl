# The documents name what there is: docs/reference.md each table with its
# columns, each function with its signature, errors and grants; docs/functions.md each
# function and setting. Nothing in them is gone from the catalog.
use strict;
use warnings;

use FindBin;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = "$FindBin::RealBin/../..";
my $node = PostgreSQL::Test::Cluster->new('docs');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION amelia');
my $session = $node->background_psql('postgres');
$session->query_safe('SET search_path = pg_catalog');

sub document { return slurp_file("$top/$_[0]") }

sub rows
{
	my ($query) = @_;

	return @{ decode_json($session->query_safe("SELECT COALESCE(json_agg(r), '[]') FROM ($query) AS r")) };
}

# A section: from its heading to the next one that is not below it.
sub section
{
	my ($text, $heading) = @_;
	my ($level) = $heading =~ /^(#+)/;
	my $upto = length $level;
	return $text =~ /^\Q$heading\E\n(.*?)(?=^#{1,$upto} |\z)/ms ? $1 : undef;
}

# The headings of a level in a text, without their backquotes.
sub headings
{
	my ($text, $level) = @_;
	return sort map { s/`//gr } $text =~ /^$level (.*)$/mg;
}

# Lines of a table, split into its cells.
sub cells
{
	my ($text) = @_;
	return map { [ map { s/^\s+|\s+$//gr } split(/\|/, $_, -1) ] } $text =~ /^(\|.*\|)$/mg;
}

sub one_space { return $_[0] =~ s/\s+/ /gr }

my $reference = document('docs/reference.md');

# Tables.
my $tables = section($reference, '## Tables');
my @relations = rows(q{SELECT c.oid::integer AS oid, c.relname AS name
	FROM pg_class AS c WHERE c.relnamespace = 'amelia'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
	ORDER BY c.relname});
cmp_ok(scalar @relations, '>=', 15, 'there are tables');
is_deeply([ headings($tables, '###') ], [ map { $_->{name} } @relations ], 'each table has its section');
for my $relation (@relations)
{
	my $text = section($tables, "### `$relation->{name}`") // '';
	my @columns = rows(qq{SELECT a.attname AS name, a.attnotnull AS filled,
		replace(format_type(a.atttypid, a.atttypmod), 'timestamp with time zone', 'timestamptz') AS type,
		regexp_replace(pg_get_expr(d.adbin, d.adrelid), '^(''.*'')::.*\$', '\\1') AS default
		FROM pg_attribute AS a LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
		WHERE a.attrelid = $relation->{oid} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum});
	my @shown = map { join(' | ', @$_[ 1 .. 4 ]) } grep { $_->[1] =~ /^`/ } cells($text);
	my @wanted = map {
		join(' | ', "`$_->{name}`", $_->{type}, $_->{filled} ? '' : 'yes',
			defined $_->{default} ? "`$_->{default}`" : '')
	} @columns;

	is_deeply(\@shown, \@wanted, "the columns of $relation->{name}");
	for my $index (rows(qq{SELECT c.relname AS name FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
		WHERE i.indrelid = $relation->{oid} AND c.relname LIKE 'idx\\_%'}))
	{
		like($text, qr/`$index->{name}`/, "index $index->{name}");
	}
}

# Functions, with what they are granted to: each kind of role has what the
# kinds before it have, save monitors, who stand apart.
my (%granted_to, %monitored);
for my $privilege (rows('SELECT p.kind, p.functions FROM amelia_internal.role_privileges() AS p'))
{
	my $kind = $privilege->{kind};

	($kind eq 'monitor' ? $monitored{$_} : $granted_to{$_}) = $kind for @{ $privilege->{functions} };
}
my %whom = (
	reader => 'readers, workers, admins',
	worker => 'workers, admins',
	admin => 'admins');
my $functions = section($reference, '## Functions');
my $internal = section($reference, '## Functions that these call');
my @catalog = rows(q{SELECT p.pronamespace::regnamespace AS schema, p.proname AS name, pg_get_function_arguments(p.oid) AS arguments,
	pg_get_function_result(p.oid) AS result, p.prokind AS kind, obj_description(p.oid, 'pg_proc') AS comment,
	p.proargnames[1:p.pronargs] AS names
	FROM pg_proc AS p WHERE p.pronamespace IN ('amelia'::regnamespace, 'amelia_internal'::regnamespace) ORDER BY p.proname});
cmp_ok(scalar @catalog, '>=', 60, 'there are functions');

sub signature
{
	my ($function) = @_;
	my ($arguments, $result) = map {
		s/timestamp with time zone/timestamptz/gr =~ s/(DEFAULT (?:NULL|'[^']*'))::[a-z]+(?: [a-z]+)*(?:\[\])?/$1/gr
	} map { $_ // '' } @{$function}{qw(arguments result)};
	return "CALL $function->{schema}.$function->{name}(" . $arguments =~ s/\bIN //gr . ')'
	  if $function->{kind} eq 'p';
	my @out = $arguments =~ /OUT ([^,]*)/g;

	$result = ($result =~ /^SETOF/ ? 'SETOF ' : '') . 'record(' . join(', ', @out) . ')' if @out;
	$arguments =~ s/(, )?OUT [^,]*//g;
	# A procedure has none.
	return "$function->{schema}.$function->{name}($arguments)" . ($result ne '' ? " → $result" : '');
}

# A long signature stands on several lines.
sub unwrapped { return one_space($_[0]) =~ s/\( /(/gr =~ s/ \)/)/gr }

for my $function (@catalog)
{
	my $name = $function->{name};
	my $text = section($functions, "#### `$name`");
	my $granted = $granted_to{$name} ? $whom{ $granted_to{$name} } : "nobody, it is the owner's";
	$granted .= ', monitors' if $monitored{$name};
	my $wanted = signature($function);

	if ($function->{schema} eq 'amelia_internal')
	{
		my ($row) = grep { $_->[1] =~ /^`amelia_internal\.\Q$name\E\(/ } cells($internal);

		is($row->[1], "`$wanted`", "$name(), which others call");
		is($row->[3], $granted, "$name(): granted to");
		next;
	}
	like(unwrapped($text), qr/^ ``` \Q$wanted\E ``` /, "$name(): signature");
	like($text, qr/^- granted to: \Q$granted\E$/m, "$name(): granted to");
	my ($explained) = $text =~ /\A\n```\n.*?\n```\n(.*)/s;
	like($explained, qr/`$_`/, "$name(): argument $_") for @{ $function->{names} // [] };
	my %states = map { $_ => 1 } $function->{comment} =~ /\b([0-9P][0-9A-Z]{4})\b/g;
	like($explained, qr/`$_`/, "$name(): error $_") for grep { /[0-9]{3}/ && $_ ne '10000' } sort keys %states;
}
my %exists = map { $_->{name} => 1 } @catalog;
is_deeply([ grep { !$exists{$_} } headings($functions, '####') ], [], 'each section is about a function that exists');
is_deeply([ grep { !$exists{$_} } $internal =~ /^\| `amelia\.(\w+)\(/mg ], [], 'so is each row');

# Event types, triggers, the state machine, grants on tables.
my %level_of;
for my $row (cells(section($reference, '## Event types')))
{
	$level_of{$_} = "$row->[1] | $row->[2]" for $row->[3] =~ /`(\w+)`/g;
}
is_deeply(\%level_of,
	{ map { $_->{event_type} => $_->{place} } rows(q{SELECT t.event_type,
		t.level || CASE WHEN t.persisted THEN '' ELSE ', not stored' END || ' | ' || t.domain AS place
		FROM amelia.event_types AS t}) }, 'event types');

is_deeply(
	[ sort map { join(' | ', map { s/`//gr } @$_[ 1 .. 3 ]) }
		  grep { $_->[1] =~ /^`/ } cells(section($reference, '## Triggers')) ],
	[ sort map { $_->{line} } rows(q{SELECT concat_ws(' | ', c.relname, t.tgname,
		concat(CASE WHEN (t.tgtype & 2) <> 0 THEN 'BEFORE ' ELSE 'AFTER ' END,
			CASE WHEN (t.tgtype & 4) <> 0 THEN 'INSERT' WHEN (t.tgtype & 8) <> 0 THEN 'DELETE'
				WHEN (t.tgtype & 16) <> 0 THEN 'UPDATE' ELSE 'TRUNCATE' END,
			CASE WHEN (t.tgtype & 1) <> 0 THEN ', each row' ELSE ', each statement' END)) AS line
		FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
		WHERE c.relnamespace = 'amelia'::regnamespace AND NOT t.tgisinternal}) ],
	'triggers');

$node->safe_psql('postgres', q{CREATE FUNCTION may_move(old_status text, new_status text) RETURNS boolean
	LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM amelia_internal.check_transition(amelia.uuid_v7(), old_status, new_status);
		RETURN true;
	EXCEPTION WHEN object_not_in_prerequisite_state THEN
		RETURN false;
	END $$});
my ($moves) = section($reference, '## The state machine') =~ /^\| from \| to \|\n\|[-|]*\n((?:\|.*\n)*)/m;
my %targets;
for my $row (cells($moves))
{
	$targets{$_} = [ sort $row->[2] =~ /`(\w+)`/g ] for $row->[1] =~ /`(\w+)`/g;
}
is_deeply(\%targets,
	{ map { $_->{status} => $_->{targets} } rows(q{SELECT o.status,
		COALESCE(array_agg(n.status ORDER BY n.status COLLATE "C") FILTER (WHERE public.may_move(o.status, n.status)), '{}') AS targets
		FROM (VALUES ('pending'), ('in_progress'), ('blocked'), ('completed'), ('failed'), ('cancelled')) AS o (status),
			(VALUES ('pending'), ('in_progress'), ('blocked'), ('completed'), ('failed'), ('cancelled')) AS n (status)
		GROUP BY o.status}) }, 'the state machine');

$node->safe_psql('postgres', 'CREATE ROLE a_reader; CREATE ROLE a_worker; CREATE ROLE an_admin;
	SELECT amelia.grant_reader($$a_reader$$), amelia.grant_worker($$a_worker$$), amelia.grant_admin($$an_admin$$)');
is_deeply(
	[ sort map { join(' | ', map { s/`//gr } @$_[ 1 .. 4 ]) }
		  grep { $_->[1] =~ /^`/ } cells(section($reference, '## Roles')) ],
	[ sort map { $_->{line} } rows(q{SELECT concat_ws(' | ', c.relname, r.a, r.b, r.c) AS line
		FROM pg_class AS c, LATERAL (
			SELECT string_agg(p.name, ', ' ORDER BY p.place) FILTER (WHERE has_table_privilege('a_reader', c.oid, p.name)),
				string_agg(p.name, ', ' ORDER BY p.place) FILTER (WHERE has_table_privilege('a_worker', c.oid, p.name)),
				string_agg(p.name, ', ' ORDER BY p.place) FILTER (WHERE has_table_privilege('an_admin', c.oid, p.name))
			FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'])
				WITH ORDINALITY AS p (name, place)) AS r (a, b, c)
		WHERE c.relnamespace = 'amelia'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')}) ],
	'what each role may do with each table');

# The list of settings and functions.
my $list = document('docs/functions.md');
my $named = section($list, '## Functions');
is_deeply([ grep { $named !~ /`$_`/ } map { $_->{name} } grep { $_->{schema} eq 'amelia' } @catalog ], [], 'docs/functions.md names each function');
is_deeply([ grep { !$exists{$_} } map { /`(\w+)`/g } map { $_->[1] } cells($named) ], [], 'and no other');
my %default_of = map { $_->[1] => $_->[2] } cells(section($list, '## Settings'));
is_deeply({ map { $_ => $default_of{$_} } grep { /_/ } keys %default_of },
	{ map { $_->{name} => $_->{value} } rows(q{SELECT s.key AS name, s.value #>> '{}' AS value
		FROM jsonb_each(to_jsonb(amelia.settings())) AS s WHERE s.key NOT IN ('id', 'created_at', 'updated_at')}) },
	'docs/functions.md has each setting with its default');

# Links from one document to another, and to the headings of one.
sub anchors
{
	my ($text) = @_;
	return map { $_ => 1 } map { lc($_) =~ s/[^\w\s-]//gr =~ s/\s/-/gr } $text =~ s/^```.*?^```//gmsr =~ /^#+ (.*)$/mg;
}
for my $file (map { s{^\Q$top\E/}{}r } glob("$top/*.md $top/docs/*.md $top/client/*/*.md"))
{
	my $text = document($file);
	my ($folder) = $file =~ m{^(.*/)?};
	my (%anchors, @dead);

	for my $link (grep { !/^[a-z]+:/ } $text =~ /\]\(([^)\s]+)\)/g)
	{
		my ($path, $anchor) = $link =~ /^([^#]*)#?(.*)/;
		my $target = $path eq '' ? $file : ($folder // '') . $path;

		$anchors{$target} //= { -f "$top/$target" ? anchors(document($target)) : () };
		push @dead, $link if !-e "$top/$target" || $anchor ne '' && !$anchors{$target}{$anchor};
	}
	is_deeply(\@dead, [], "$file: links lead to files and headings that are there");
	is_deeply([ grep { !grep { -e } glob("$top/$_") } $text =~ m{`((?:bench|docs|monitoring|samples|scripts|test)/[\w./*-]+)`}g ],
		[], "$file: it names files that are there");
}

# The platform's page has a part of each kind too.
$node->safe_psql('postgres', 'CREATE EXTENSION amelia_platform');
my $platform = slurp_file("$FindBin::RealBin/../../docs/platform.md");
my ($platform_functions, $platform_tables) = map { section($platform, "## $_") } qw(Functions Tables);
my @platform_catalog = rows(q{SELECT p.pronamespace::regnamespace AS schema, p.proname AS name, pg_get_function_arguments(p.oid) AS arguments,
	pg_get_function_result(p.oid) AS result, p.prokind AS kind, obj_description(p.oid, 'pg_proc') AS comment
	FROM pg_proc AS p WHERE p.pronamespace = 'amelia_platform'::regnamespace ORDER BY p.proname});
cmp_ok(scalar @platform_catalog, '>=', 40, 'there are functions of the platform');
is_deeply([ headings($platform_functions, '####') ], [ map { $_->{name} } @platform_catalog ], 'each has its section');
for my $function (@platform_catalog)
{
	my $text = section($platform_functions, "#### `$function->{name}`");

	like(unwrapped($text), qr/^ ``` \Q@{[ signature($function) ]}\E ``` /, "platform: $function->{name}(): signature");
	like(one_space($text), qr/\Q@{[ one_space($function->{comment}) ]}\E/, "platform: $function->{name}(): what it does");
}
for my $relation (rows(q{SELECT c.oid, c.relname AS name FROM pg_class AS c
	WHERE c.relnamespace = 'amelia_platform'::regnamespace AND c.relkind = 'r' ORDER BY c.relname}))
{
	my @columns = map { $_->{line} } rows(qq{SELECT concat_ws(' | ', '`' || a.attname || '`', format_type(a.atttypid, a.atttypmod)) AS line FROM pg_attribute AS a
		WHERE a.attrelid = $relation->{oid} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum});
	my @shown = map { join(' | ', @$_[ 1, 2 ]) } grep { $_->[1] =~ /^`/ } cells(section($platform_tables, "### `$relation->{name}`") // '');

	is_deeply([ map { s/timestamptz/timestamp with time zone/r =~ s/varchar/character varying/r } @shown ], \@columns, "platform: the columns of $relation->{name}");
}

$session->quit;
done_testing();
