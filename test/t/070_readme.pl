# The README's tour: each statement is run, and what it prints is compared with
# what the README shows.
use strict;
use warnings;

use FindBin;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $readme = slurp_file("$FindBin::RealBin/../../README.md");
my ($tour) = $readme =~ /^## A tour\n(.*?)^## /ms or die "the README has no tour";

my $node = PostgreSQL::Test::Cluster->new('readme');
# The tour shows bars, which are one column wide only where they are known as characters.
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$ENV{PGCLIENTENCODING} = 'UTF8';
$node->start;

my $compared = 0;
while ($tour =~ /^```sql\n(.*?)^```\n(?:\n```\n(.*?)^```\n)?/gms)
{
	my ($statements, $shown) = ($1, $2);
	my ($title) = $statements =~ /^(.*)$/m;
	my $printed = '';

	IPC::Run::run([ 'psql', '-X', '-q', '-d', $node->connstr('postgres') ],
		'<', \$statements, '>', \$printed, '2>&1')
	  or die "psql failed: $printed";
	# Blank lines between results are psql's way, not the tour's.
	s/\n+\z/\n/ for $printed, $shown // ();
	is($printed, $shown // '', "tour: $title");
	$compared++ if defined $shown;
}
cmp_ok($compared, '>=', 5, 'the tour shows what its statements print');

done_testing();
