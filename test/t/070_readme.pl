# The README's tour, its move from SQLite and the page on workers: each is run, and what it
# prints is compared with what they show.
use strict;
use warnings;

use FindBin;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $readme = slurp_file("$FindBin::RealBin/../../README.md");
my ($tour) = $readme =~ /^## A tour\n(.*?)^## /ms or die "the README has no tour";
my ($grants) = $readme =~ /^```sql\n([^`]*grant_reader[^`]*)^```/ms or die 'the README grants nothing';

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
	cmp_ok($compared, '>=', 4, "$name: it shows what its statements print");
	return;
}

compare('tour', 'postgres', $tour);
# As they stand, so that they can be tried as they stand.
$node->safe_psql('postgres', $grants);
is($node->safe_psql('postgres', q{SELECT count(*) FROM amelia.workflows}, extra_params => [ '-U', $_ ]) > 0, 1, "the README's grants: $_ reads")
  for $grants =~ /CREATE ROLE (\w+)/g;
my ($conversations) = $readme =~ /^## Conversations\n(.*?)^## /ms or die 'the README has no tour of conversations';
$node->safe_psql('postgres', 'CREATE DATABASE conversations');
compare('conversations', 'conversations', $conversations);
$node->safe_psql('postgres', 'CREATE DATABASE workers');
$node->safe_psql('workers', 'CREATE EXTENSION amelia');
compare('workers', 'workers', slurp_file("$FindBin::RealBin/../../docs/workers.md"));

# The commands of the move from SQLite, in a folder with the sample; only times differ.
my ($session) = $readme =~ /^## From SQLite\n.*?^```console\n(.*?)^```/ms or die 'the README moves nothing';
my @commands = $session =~ /^\$ (.*)$/mg;
my $printed = '';
my $folder = PostgreSQL::Test::Utils::tempdir();
my $top = "$FindBin::RealBin/../..";
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
is($printed, $session, 'From SQLite: what the commands print');

done_testing();
