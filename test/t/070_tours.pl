# The README's statements, the tours of each system, the move from SQLite and the page on
# workers: each is run, and what it prints is compared with what they show.
use strict;
use warnings;

use FindBin;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = "$FindBin::RealBin/../..";

sub document { return slurp_file("$top/$_[0]") }

# A section of a document, up to the next one.
sub section
{
	my ($file, $heading) = @_;
	my ($text) = document($file) =~ /^## \Q$heading\E\n(.*?)(?:^## |\z)/ms or die "$file has no \"$heading\"";
	return $text;
}

my ($grants) = document('docs/install.md') =~ /^```sql\n([^`]*grant_reader[^`]*)^```/ms or die 'the installation grants nothing';

my $node = PostgreSQL::Test::Cluster->new('readme');
# The tour shows bars, which are one column wide only where they are known as characters.
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$ENV{PGCLIENTENCODING} = 'UTF8';
$node->start;

# Runs the statements of a text, one psql for each block.
sub compare
{
	my ($name, $database, $text) = @_;
	my $compared = 0;

	while ($text =~ /^```sql\n(.*?)^```\n(?:\n```\n(.*?)^```\n)?/gms)
	{
		my ($statements, $shown) = ($1, $2);
		my ($title) = $statements =~ /^(.*)$/m;
		my $printed = '';

		IPC::Run::run([ 'psql', '-X', '-q', '-d', $node->connstr($database) ],
			'<', \$statements, '>', \$printed, '2>&1')
		  or die "psql failed: $printed";
		# Blank lines between results are psql's way, not the text's.
		s/\n+\z/\n/ for $printed, $shown // ();
		is($printed, $shown // '', "$name: $title");
		$compared++ if defined $shown;
	}
	cmp_ok($compared, '>=', 3, "$name: it shows what its statements print");
	return;
}

compare('tour', 'postgres', document('docs/tour.md'));
# As they stand, so that they can be tried as they stand.
$node->safe_psql('postgres', $grants);
is($node->safe_psql('postgres', q{SELECT count(*) FROM amelia.workflows}, extra_params => [ '-U', $_ ]) > 0, 1, "the grants of docs/install.md: $_ reads")
  for $grants =~ /CREATE ROLE (\w+)/g;
$node->safe_psql('postgres', "CREATE DATABASE $_") for qw(front saga platform workers);
compare('README', 'front', section('README.md', 'The main job'));
compare('saga', 'saga', section('docs/saga.md', 'A tour'));
$node->safe_psql($_, 'CREATE EXTENSION amelia') for qw(platform workers);
compare('platform', 'platform', section('docs/platform.md', 'A tour'));
compare('workers', 'workers', document('docs/workers.md'));

# The commands of the move from SQLite, in a folder with the sample; only times differ.
my ($session) = section('docs/import.md', 'With the sample') =~ /^```console\n(.*?)^```/ms or die 'docs/import.md moves nothing';
my @commands = $session =~ /^\$ (.*)$/mg;
my $printed = '';
my $folder = PostgreSQL::Test::Utils::tempdir();
$node->safe_psql('postgres', 'CREATE DATABASE shop');
$node->safe_psql('shop', 'CREATE EXTENSION amelia');
$ENV{PATH} = "$top/client:$ENV{PATH}";
($ENV{PGHOST}, $ENV{PGPORT}) = ($node->host, $node->port);
symlink("$top/samples", "$folder/samples") or die "symlink: $!";
for my $command (@commands)
{
	my $output = '';

	IPC::Run::run([ 'sh', '-c', 'cd "$1" && eval "$2"', 'sh', $folder, $command ], '>', \$output, '2>&1') or die "$command: $output";
	$printed .= "\$ $command\n$output";
}
s/\d+\.\d s/0.0 s/g for $session, $printed;
is($printed, $session, 'docs/import.md: what the commands print');
my ($short) = section('README.md', 'From SQLite, while the application runs') =~ /^```console\n(.*?)^```/ms or die 'the README moves nothing';
$short =~ s/\d+\.\d s/0.0 s/g;
my %printed = map { $_ => 1 } split /\n/, $printed;
is_deeply([ grep { !$printed{$_} } split /\n/, $short ], [], 'README: lines of what the command prints');

done_testing();
