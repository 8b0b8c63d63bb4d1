# META.json is what PGXN's specification of it, version 1.0.0, demands, and says
# of the extensions what their control files say. Each deliberate fault is named.
use strict;
use warnings FATAL => 'all';

use FindBin;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = "$FindBin::RealBin/../..";

my $semantic = qr/\A\d+\.\d+\.\d+(?:-?[A-Za-z][0-9A-Za-z-]*)?\z/;
my $range = qr/\A(?:0|(?:(?:[<>]=?|==|!=)\s*)?\d+\.\d+\.\d+(?:-?[A-Za-z][0-9A-Za-z-]*)?)\z/;

sub a_text { return defined $_[0] && !ref $_[0] && $_[0] =~ /\S/ }
sub a_term { return a_text($_[0]) && length $_[0] >= 2 && $_[0] !~ m{[\s[:cntrl:]/\\]} }
sub a_version { return a_text($_[0]) && $_[0] =~ $semantic }
sub a_url { return a_text($_[0]) && $_[0] =~ m{\A[a-z][a-z0-9+.-]*://[^/\s]+} }
sub a_file { return a_text($_[0]) && $_[0] !~ m{\A/|\\|(?:\A|/)\.\.(?:/|\z)} && -f "$top/$_[0]" }
sub a_tag { return a_text($_[0]) && length $_[0] <= 256 && $_[0] !~ m{[[:cntrl:]/\\]} }
# The specification's word for the one of LICENSE.
sub a_license { return a_text($_[0]) && $_[0] eq 'postgresql' }
sub a_status { return a_text($_[0]) && $_[0] =~ /\A(?:stable|testing|unstable)\z/ }
sub some_of { my ($what) = @_; return sub { return !grep { !$what->($_) } ref $_[0] eq 'ARRAY' ? @{ $_[0] } : $_[0] } }
sub versions { return a_text($_[0]) && !grep { !/$range/ } split(/,\s*/, $_[0], -1) }

sub prerequisites
{
	my ($phases) = @_;

	return 0 if ref $phases ne 'HASH';
	for my $phase (keys %$phases)
	{
		return 0 if $phase !~ /\A(?:configure|build|test|runtime|develop|[xX]_.*)\z/ || ref $phases->{$phase} ne 'HASH';
		while (my ($relation, $needed) = each %{ $phases->{$phase} })
		{
			return 0 if $relation !~ /\A(?:requires|recommends|suggests|conflicts|[xX]_.*)\z/ || ref $needed ne 'HASH';
			return 0 if grep { !a_term($_) || !versions($needed->{$_}) } keys %$needed;
		}
	}
	return 1;
}

# What a map has: of each key whether it must be there, and what its value must be.
my %specification = (version => [ 1, \&a_version ], url => [ 0, \&a_url ]);
my %extension = (file => [ 1, \&a_file ], version => [ 1, \&a_version ], abstract => [ 0, \&a_text ], docfile => [ 0, \&a_file ]);
my %meta = (
	name => [ 1, \&a_term ],
	version => [ 1, \&a_version ],
	abstract => [ 1, \&a_text ],
	maintainer => [ 1, some_of(\&a_text) ],
	license => [ 1, some_of(\&a_license) ],
	provides => [ 1, sub { return ref $_[0] eq 'HASH' && %{ $_[0] } } ],
	'meta-spec' => [ 1, sub { return ref $_[0] eq 'HASH' } ],
	description => [ 0, \&a_text ],
	release_status => [ 0, \&a_status ],
	tags => [ 0, some_of(\&a_tag) ],
	prereqs => [ 0, \&prerequisites ]);

sub faults_of
{
	my ($map, $rules, $where) = @_;
	my @faults = map { "$where$_ is missing" } grep { $rules->{$_}[0] && !defined $map->{$_} } sort keys %$rules;

	for my $key (sort keys %$map)
	{
		next if $key =~ /\A[xX]_/;
		push @faults, "$where$key " . ($rules->{$key} ? 'has a wrong value' : 'is no key of the specification')
		  if !$rules->{$key} || (defined $map->{$key} && !$rules->{$key}[1]->($map->{$key}));
	}
	return @faults;
}

sub faults
{
	my ($meta) = @_;
	my @faults = faults_of($meta, \%meta, '');
	my ($provides, $spec) = @$meta{qw(provides meta-spec)};

	push @faults, faults_of($spec, \%specification, 'meta-spec: ') if ref $spec eq 'HASH';
	return @faults if ref $provides ne 'HASH';
	for my $name (sort keys %$provides)
	{
		push @faults, "provides: $name is no name" if !a_term($name);
		push @faults, faults_of($provides->{$name}, \%extension, "$name: ");
	}
	return @faults;
}

my $text = slurp_file("$top/META.json");
my $meta = decode_json($text);
is_deeply([ faults($meta) ], [], 'META.json is valid');
is($meta->{'meta-spec'}{version}, '1.0.0', 'by the version of the specification that this test knows');

my @controls = map { m{([^/]+)\.control\z} } glob("$top/*.control");
is_deeply([ sort keys %{ $meta->{provides} } ], [ sort @controls ], 'it provides each extension that has a control file');
for my $name (@controls)
{
	my ($version) = slurp_file("$top/$name.control") =~ /^default_version = '([0-9.]+)'/m;

	like($meta->{provides}{$name}{version}, qr/\A\Q$version\E\.\d+\z/, "$name: the version of its control file");
}
# PGXN unpacks what git has: nothing that is built.
my ($ignored) = map { qr/$_/ } '\.(?:so|o|bc)\z|\Asql/[^/]*--[0-9.]+\.sql\z';
is_deeply([ grep { $_ =~ $ignored } map { @$_{qw(file docfile)} } values %{ $meta->{provides} } ], [], 'the files it names are in the archive');

for my $case (
	[ 'name is missing', sub { delete $_[0]{name} } ],
	[ 'license has a wrong value', sub { $_[0]{license} = 'postgres' } ],
	[ 'version has a wrong value', sub { $_[0]{version} = '1.0' } ],
	[ 'release_status has a wrong value', sub { $_[0]{release_status} = 'beta' } ],
	[ 'tags has a wrong value', sub { push @{ $_[0]{tags} }, 'a/b' } ],
	[ 'prereqs has a wrong value', sub { $_[0]{prereqs}{runtime}{requires}{PostgreSQL} = '15' } ],
	[ 'prereqs has a wrong value', sub { $_[0]{prereqs}{later} = {} } ],
	[ 'homepage is no key of the specification', sub { $_[0]{homepage} = 'x' } ],
	[ 'meta-spec: version is missing', sub { delete $_[0]{'meta-spec'}{version} } ],
	[ 'amelia: file has a wrong value', sub { $_[0]{provides}{amelia}{file} = 'sql/no-such.sql' } ],
	[ 'amelia: version is missing', sub { delete $_[0]{provides}{amelia}{version} } ])
{
	my ($fault, $break) = @$case;
	my $broken = decode_json($text);

	$break->($broken);
	is_deeply([ faults($broken) ], [$fault], "a fault is named: $fault");
}
done_testing();
