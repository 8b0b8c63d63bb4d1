# Pruning of threads that are made by chance, from seeds that do not change: chains,
# forks, namespaces of every kind, delta channels, old formats. A plain model of how
# LangGraph reads a checkpoint, and of what is to be kept, stands in this file and
# shares nothing with the server's: what is left must be what the model keeps, and
# read as before. The model itself is tested by faults that are put in on purpose,
# and the server's own proof by triggers that put them in while it works.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use JSON::PP;
use LangGraph;
use List::Util qw(max);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $threads = $ENV{AMELIA_PRUNE_THREADS} // 40;
my $json = JSON::PP->new->canonical->allow_nonref;
my $node = PostgreSQL::Test::Cluster->new('generated');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION amelia;' . checkpoint_tables() . "SELECT amelia.fence_checkpoints('public')");

# A generator of our own: the same numbers everywhere.
my $seed;
sub chance
{
	my ($n) = @_;

	$seed = ($seed * 1103515245 + 12345) % 2147483648;
	return int($seed / 65536) % $n;
}
sub one_of { return $_[ chance(scalar @_) ] }

# A namespace without ids of tasks and counters.
sub family { return join('|', map { /^([^:]*)/ } grep { !/^\d+$/ } split(/\|/, $_[0])) }

sub lasts { return $_[0] !~ /:/ }

# A thread: rows as the tables have them, and which channels are delta channels.
sub make_thread
{
	my ($number) = @_;
	my ($clock, %rows, %blobs, @writes, %delta, %newest) = (0);
	my $id = sub { return sprintf('1f0%05x-0000-6000-8000-%012x', $clock++, $number) };
	my $format = one_of(4, 4, 4, 4, 3, 2);
	my $versioned = chance(2);
	my $snapshots = one_of(1, 3, 5, 1000);
	my @lasting = ('', grep { chance(2) } 'memory', 'memory|inner');
	my @channels = ('messages', 'count', 'branch:to:x');

	$seed = $number * 7919 + 1;
	for my $family ('', 'memory', 'memory|inner', 'work', 'work|deep')
	{
		$delta{$family} = { map { $_ => 1 } grep { chance(3) == 0 } 'messages', 'notes' };
	}
	my $put = sub {
		my ($ns, %more) = @_;
		my $mine = $rows{$ns} //= [];
		my $family = family($ns);
		my $parent = !@$mine || $more{first} ? undef : chance(8) == 0 ? one_of(@$mine) : $mine->[-1];
		my $row = { ns => $ns, id => $id->(), parent => $parent && $parent->{id}, v => $format,
			versions => { $parent ? %{ $parent->{versions} } : () }, values => {}, counters => {},
			source => $parent && chance(6) == 0 ? one_of('update', 'fork') : one_of('loop', 'input'), parents => $more{parents} // {} };

		for my $channel (@channels, keys %{ $delta{$family} })
		{
			next if $channel eq 'notes' && !$delta{$family}{notes};
			my $is_delta = $delta{$family}{$channel};
			my $before = $parent ? $parent->{since}{$channel} // 0 : 0;
			$row->{since}{$channel} = $before;
			next if chance(3) == 0;
			my $snapshot = $is_delta && $before + 1 >= $snapshots;
			my $version = ($row->{versions}{$channel} // 0) + 1;
			my $kind = !$is_delta ? one_of('json', 'json', 'inline', 'empty', 'none') : $snapshot ? one_of('snapshot', 'msgpack', 'marked') : 'empty';

			$row->{versions}{$channel} = $version;
			$row->{since}{$channel} = $snapshot ? 0 : $before + 1;
			$row->{values}{$channel} = $version * 10 if $kind eq 'inline';
			$row->{values}{$channel} = JSON::PP::true if $kind eq 'marked';
			next if $kind eq 'inline' || $kind eq 'none';
			$blobs{$ns}{$channel}{$version} //= {
				type => $kind eq 'empty' ? 'empty' : $kind eq 'msgpack' || $kind eq 'marked' ? 'msgpack' : 'json',
				blob => $kind eq 'empty' ? undef : $kind eq 'msgpack' ? sprintf('\xc70%d07%s', 2, '9101') : $kind eq 'marked' ? '\x9102' :
					'\x' . unpack('H*', $kind eq 'snapshot' ? qq({"lc":2,"type":"delta_snapshot","value":["$ns $channel $version"]}) : qq(["$ns $channel $version"])) };
		}
		# What tells that they are delta channels.
		$row->{counters}{$_} = [ 1, 1 ] for keys %{ $delta{$family} };
		for my $task (1 .. chance(3))
		{
			my $n = 0;
			push @writes, { ns => $ns, id => $row->{id}, task => "task $task", idx => $n++, channel => $_, blob => sprintf('\x%04x', chance(65536)) }
				for grep { chance(2) } ($format < 4 ? '__pregel_tasks' : ()), @channels, keys %{ $delta{$family} };
		}
		push @$mine, $row;
		$newest{$ns} = $row->{id};
		return $row;
	};
	for my $turn (1 .. 2 + chance(12))
	{
		my $root = $put->('');
		for my $ns (@lasting[ 1 .. $#lasting ])
		{
			$put->($ns, parents => { '' => $root->{id} }) for 1 .. chance(3);
		}
		next if chance(2);
		my $work = sprintf('work:%08x', $clock);
		my $row;
		$row = $put->($work, first => !$row, parents => chance(10) == 0 ? {} : { '' => $root->{id} }) for 1 .. 1 + chance(3);
		my $deep = $work . one_of('', '|2') . sprintf('|deep:%08x', $clock);
		$put->($deep, parents => { '' => $root->{id}, $work => $row->{id} }) if chance(2);
	}
	# Writes to a checkpoint that is on its way, and to one that never came.
	push @writes, { ns => '', id => $id->(), task => 'early', idx => 0, channel => 'messages', blob => '\x01' } if chance(2);
	push @writes, { ns => '', id => '1ef00000-0000-6000-8000-000000000000', task => 'lost', idx => 0, channel => 'messages', blob => '\x02' } if chance(3) == 0;
	return { rows => [ map { @$_ } values %rows ], blobs => \%blobs, writes => \@writes, delta => \%delta, versioned => $versioned };
}

sub quote { return !defined $_[0] ? 'NULL' : q(') . ($_[0] =~ s/'/''/gr) . q(') }

sub store
{
	my ($name, $thread) = @_;
	my @sql = ('BEGIN', 'SET LOCAL session_replication_role = replica');

	for my $row (@{ $thread->{rows} })
	{
		my %metadata = (source => $row->{source}, parents => $row->{parents}, %{ $row->{counters} } ? (counters_since_delta_snapshot => $row->{counters}) : (),
			$thread->{versioned} ? (delta_writes_versioned => JSON::PP::true) : ());

		push @sql, 'INSERT INTO checkpoints VALUES (' . join(', ', map { quote($_) } $name, @$row{qw(ns id parent)}, undef,
			$json->encode({ v => $row->{v}, id => $row->{id}, channel_versions => $row->{versions}, channel_values => $row->{values} }), $json->encode(\%metadata)) . ')';
	}
	for my $ns (sort keys %{ $thread->{blobs} })
	{
		for my $channel (sort keys %{ $thread->{blobs}{$ns} })
		{
			my $versions = $thread->{blobs}{$ns}{$channel};

			push @sql, 'INSERT INTO checkpoint_blobs VALUES (' . join(', ', map { quote($_) } $name, $ns, $channel, $_, @{ $versions->{$_} }{qw(type blob)}) . ')'
				for sort keys %$versions;
		}
	}
	push @sql, 'INSERT INTO checkpoint_writes VALUES (' . join(', ', map { quote($_) } $name, @$_{qw(ns id task idx channel)}, 'json', $_->{blob}) . ')'
		for @{ $thread->{writes} };
	return join(";\n", @sql, 'COMMIT');
}

# The statement that reads a thread, as JSON in one line.
sub fetching
{
	my ($name) = @_;

	return qq{SELECT jsonb_build_object(
		'rows', (SELECT jsonb_agg(to_jsonb(c)) FROM checkpoints AS c WHERE c.thread_id = '$name'),
		'blobs', (SELECT jsonb_agg(to_jsonb(b)) FROM checkpoint_blobs AS b WHERE b.thread_id = '$name'),
		'writes', (SELECT jsonb_agg(to_jsonb(w) ORDER BY w.task_id, w.idx) FROM checkpoint_writes AS w WHERE w.thread_id = '$name'))};
}

sub fetch { return image_of($node->safe_psql('postgres', fetching($_[0]))) }

# What the tables hold of a thread.
sub image_of
{
	my $data = $json->decode($_[0]);
	my %image;

	$image{rows}{ $_->{checkpoint_ns} }{ $_->{checkpoint_id} } = $_ for @{ $data->{rows} // [] };
	$image{blobs}{ $_->{checkpoint_ns} }{ $_->{channel} }{ $_->{version} } = $_ for @{ $data->{blobs} // [] };
	push @{ $image{writes}{ $_->{checkpoint_ns} }{ $_->{checkpoint_id} } }, $_ for @{ $data->{writes} // [] };
	return \%image;
}

# The model of the reader.

sub blob_of
{
	my ($image, $row, $channel) = @_;
	my $version = $row->{checkpoint}{channel_versions}{$channel};

	return defined $version ? $image->{blobs}{ $row->{checkpoint_ns} }{$channel}{$version} : undef;
}

sub value_of
{
	my ($image, $row, $channel) = @_;
	my $blob = blob_of($image, $row, $channel);

	return [ $blob->{type}, $blob->{blob} ] if $blob && $blob->{type} ne 'empty';
	return $row->{checkpoint}{channel_values}{$channel};
}

# The ancestors of a row that a channel is read from, the nearest first.
sub walk
{
	my ($image, $row, $channel) = @_;
	my @path;

	while (defined $row->{parent_checkpoint_id})
	{
		$row = $image->{rows}{ $row->{checkpoint_ns} }{ $row->{parent_checkpoint_id} } or last;
		push @path, $row;
		last if defined value_of($image, $row, $channel);
	}
	return @path;
}

sub writes_of { my ($image, $row) = @_; return @{ $image->{writes}{ $row->{checkpoint_ns} }{ $row->{checkpoint_id} } // [] } }

# The newest of a namespace before an id.
sub partner
{
	my ($image, $ns, $before) = @_;

	return (sort grep { $_ lt $before } keys %{ $image->{rows}{$ns} })[-1];
}

sub replay_bound
{
	my ($row) = @_;

	return $row->{metadata}{source} =~ /^(?:update|fork)$/ && defined $row->{parent_checkpoint_id} ? $row->{parent_checkpoint_id} : $row->{checkpoint_id};
}

sub state_of
{
	my ($image, $delta, $ns, $id) = @_;
	my $row = $image->{rows}{$ns}{$id} or return 'it is gone';
	my %state = (row => { %$row{qw(checkpoint metadata)} }, writes => [ map { [ @$_{qw(task_id idx channel blob)} ] } writes_of($image, $row) ]);

	$state{channels}{$_} = value_of($image, $row, $_) for keys %{ $row->{checkpoint}{channel_versions} };
	for my $channel (grep { !defined value_of($image, $row, $_) } keys %{ $delta->{ family($ns) } })
	{
		# Where it is said that this can be told, it was never written to.
		next if $row->{metadata}{delta_writes_versioned} && !defined $row->{checkpoint}{channel_versions}{$channel};
		my @path = walk($image, $row, $channel);

		$state{channels}{$channel} = [ @path ? value_of($image, $path[-1], $channel) : undef,
			map { my $at = $_; map { $_->{blob} } grep { $_->{channel} eq $channel } writes_of($image, $at) } reverse @path ];
	}
	if ($row->{checkpoint}{v} < 4 && defined $row->{parent_checkpoint_id})
	{
		for my $other (sort keys %{ $image->{writes} })
		{
			push @{ $state{sends} }, map { [ @$_{qw(task_id idx blob)} ] } grep { $_->{channel} eq '__pregel_tasks' }
				@{ $image->{writes}{$other}{ $row->{parent_checkpoint_id} } // [] };
		}
	}
	if ($ns eq '')
	{
		$state{partners}{$_} = partner($image, $_, replay_bound($row)) for grep { $_ ne '' && lasts($_) } keys %{ $image->{rows} };
	}
	return $json->encode(\%state);
}

# The model of what is to be kept: {ns}{id} => 'kept' or 'anchor'.
sub to_keep
{
	my ($image, $delta, $keep) = @_;
	my (%kept, %live);
	my $newest_of = sub { my ($ns) = @_; my @ids = sort keys %{ $image->{rows}{$ns} // {} }; return @ids <= $keep ? @ids : @ids[ -$keep .. -1 ] };

	for my $ns (grep { lasts($_) } keys %{ $image->{rows} })
	{
		$kept{$ns}{$_} = 'kept' for $newest_of->($ns);
	}
	for my $root (map { $image->{rows}{''}{$_} } keys %{ $kept{''} // {} })
	{
		for my $ns (grep { $_ ne '' && lasts($_) } keys %{ $image->{rows} })
		{
			for my $partner (grep { defined } map { partner($image, $ns, $_) } $root->{checkpoint_id}, replay_bound($root))
			{
				$kept{$ns}{$partner} = 'kept';
			}
		}
	}
	TASK: for my $ns (grep { !lasts($_) } keys %{ $image->{rows} })
	{
		my ($newest) = (sort keys %{ $image->{rows}{$ns} })[-1];
		my $parents = $image->{rows}{$ns}{$newest}{metadata}{parents};

		for my $other (keys %$parents)
		{
			my ($last) = (sort keys %{ $image->{rows}{$other} // {} })[-1];

			next if !defined $last || $parents->{$other} gt $last || ($kept{$other} // {})->{ $parents->{$other} };
			next if grep { $_ eq $parents->{$other} } $newest_of->($other);
			next TASK;
		}
		$live{$ns} = 1;
	}
	for my $ns (keys %live)
	{
		$kept{$ns}{$_} = 'kept' for $newest_of->($ns);
	}
	for my $ns (keys %kept)
	{
		for my $row (map { $image->{rows}{$ns}{$_} } grep { $kept{$ns}{$_} eq 'kept' } keys %{ $kept{$ns} })
		{
			for my $channel (grep { !defined value_of($image, $row, $_) } keys %{ $delta->{ family($ns) } })
			{
				my @path = walk($image, $row, $channel);

				if (!defined $row->{checkpoint}{channel_versions}{$channel})
				{
					next if $row->{metadata}{delta_writes_versioned};
					# Only what something was written to, or that has a value.
					pop @path while @path && !defined value_of($image, $path[-1], $channel)
						&& !grep { $_->{channel} eq $channel } writes_of($image, $path[-1]);
				}
				$kept{$ns}{ $_->{checkpoint_id} } //= 'anchor' for @path;
			}
		}
	}
	return \%kept;
}

# The model of what is folded: of the survivors those that are gone after squashing.
sub to_fold
{
	my ($image, $delta, $kept) = @_;
	my (%children, %folded);

	for my $ns (keys %$kept)
	{
		my $rows = $image->{rows}{$ns};

		for my $row (map { $rows->{$_} } sort keys %{ $kept->{$ns} })
		{
			push @{ $children{$ns}{ $row->{parent_checkpoint_id} } }, $row if defined $row->{parent_checkpoint_id};
		}
		my $lonely = sub {
			my ($id) = @_;

			return ($kept->{$ns}{$id} // '') eq 'anchor' && $rows->{$id}{checkpoint}{v} >= 4 && @{ $children{$ns}{$id} } == 1;
		};
		for my $id (grep { $lonely->($_) } reverse sort keys %{ $kept->{$ns} })
		{
			my $row = $rows->{$id};
			my ($child) = @{ $children{$ns}{$id} };

			next if !defined $row->{parent_checkpoint_id} || !$lonely->($row->{parent_checkpoint_id});
			next if $child->{checkpoint}{v} < 4
				|| ($ns eq '' && $child->{metadata}{source} =~ /^(?:update|fork)$/ && !$folded{$ns}{ $child->{checkpoint_id} });
			next if grep { defined value_of($image, $row, $_) } keys %{ $delta->{ family($ns) } };
			$folded{$ns}{$id} = 1;
		}
	}
	return \%folded;
}

# The rows and blobs and writes that are to be left.
sub left_over
{
	my ($image, $kept) = @_;
	my (%left, %senders, %named);

	for my $ns (keys %{ $image->{rows} })
	{
		for my $row (values %{ $image->{rows}{$ns} })
		{
			my $stays = ($kept->{$ns} // {})->{ $row->{checkpoint_id} };
			my $versions = $row->{checkpoint}{channel_versions};

			$left{"row $ns $row->{checkpoint_id}"} = 1 if $stays;
			$senders{ $row->{parent_checkpoint_id} } = 1 if $stays && $row->{checkpoint}{v} < 4 && defined $row->{parent_checkpoint_id};
			$named{ $stays ? 'stays' : 'goes' }{$ns}{$_}{ $versions->{$_} } = 1 for keys %$versions;
		}
	}
	for my $ns (keys %{ $image->{blobs} })
	{
		my $dead = $image->{rows}{$ns} && !$kept->{$ns};

		for my $blob (map { values %$_ } values %{ $image->{blobs}{$ns} })
		{
			my ($channel, $version) = @$blob{qw(channel version)};
			my $goes = ($dead || $named{goes}{$ns}{$channel}{$version}) && !$named{stays}{$ns}{$channel}{$version};

			$left{"blob $ns $channel $version"} = 1 if !$goes;
		}
	}
	for my $ns (keys %{ $image->{writes} })
	{
		my $newest = (sort keys %{ $image->{rows}{$ns} // $image->{rows}{''} })[-1];

		for my $write (map { @$_ } values %{ $image->{writes}{$ns} })
		{
			my $id = $write->{checkpoint_id};

			$left{"write $ns $id $write->{task_id} $write->{idx}"} = 1
				if ($kept->{$ns} // {})->{$id} || $id gt $newest || ($senders{$id} && $write->{channel} eq '__pregel_tasks');
		}
	}
	return join("\n", sort keys %left);
}

sub contents
{
	my ($image) = @_;
	my %there;

	for my $ns (keys %{ $image->{rows} }) { $there{"row $ns $_"} = 1 for keys %{ $image->{rows}{$ns} } }
	for my $ns (keys %{ $image->{blobs} }) { $there{"blob $ns $_->{channel} $_->{version}"} = 1 for map { values %$_ } values %{ $image->{blobs}{$ns} } }
	for my $ns (keys %{ $image->{writes} }) { $there{"write $ns $_->{checkpoint_id} $_->{task_id} $_->{idx}"} = 1 for map { @$_ } values %{ $image->{writes}{$ns} } }
	return join("\n", sort keys %there);
}

# The checkpoints whose state differs.
sub differences
{
	my ($before, $after, $delta, $kept) = @_;

	return grep { my ($ns, $id) = @$_; state_of($before, $delta, $ns, $id) ne state_of($after, $delta, $ns, $id) }
		map { my $ns = $_; map { [ $ns, $_ ] } grep { $kept->{$ns}{$_} eq 'kept' } sort keys %{ $kept->{$ns} } } sort keys %$kept;
}

# Parents that are not there, other than those that are needed to be named.
sub dangling
{
	my ($image) = @_;

	return grep { defined $_->{parent_checkpoint_id} && !$image->{rows}{ $_->{checkpoint_ns} }{ $_->{parent_checkpoint_id} }
		&& $_->{checkpoint}{v} >= 4 && $_->{metadata}{source} !~ /^(?:update|fork)$/ } map { values %$_ } values %{ $image->{rows} };
}

my %seen;
for my $number (1 .. $threads)
{
	my $name = "thread $number";
	my $keep = 1 + $number % 3;

	$seed = $number;
	my $thread = make_thread($number);
	my @lines = split(/\n/, $node->safe_psql('postgres', join(";\n", store($name, $thread), fetching($name),
		"SELECT * FROM amelia.prune('{$name}', keep => $keep, dry_run => true)", fetching($name),
		"SELECT * FROM amelia.prune('{$name}', keep => $keep)", fetching($name),
		"SELECT * FROM amelia.prune('{$name}', keep => $keep, squash => true, dry_run => true)",
		"SELECT * FROM amelia.prune('{$name}', keep => $keep, squash => true)", fetching($name),
		"SELECT * FROM amelia.prune('{$name}', keep => $keep, squash => true)")));
	my ($before, $between, $after, $squashed) = map { image_of($_) } @lines[ 0, 2, 4, 7 ];
	my ($dry, $done, $squash_dry, $squash_done, $again) = @lines[ 1, 3, 5, 6, 8 ];
	my $kept = to_keep($before, $thread->{delta}, $keep);

	is(contents($between), contents($before), "$name: a dry run deletes nothing");
	my @differ = differences($before, $after, $thread->{delta}, $kept);

	is($done, $dry, "$name: it deletes what the dry run said");
	like($done, qr/\|$/, "$name: without a problem");
	is(contents($after), left_over($before, $kept), "$name: what the model keeps is left");
	is(join("\n", map { state_of($after, $thread->{delta}, @$_) } @differ), join("\n", map { state_of($before, $thread->{delta}, @$_) } @differ),
		"$name: all that is kept reads as before");
	is(scalar(dangling($after)), 0, "$name: no parent is named that is gone");

	# The same once more, squashed.
	my $folded = to_fold($after, $thread->{delta}, $kept);
	my @left = grep { /^row (.*) (\S+)$/ && !$folded->{$1}{$2} } split(/\n/, contents($after));

	is($squash_done, $squash_dry, "$name: squashing does what its dry run said");
	is(join("\n", grep { /^row/ } split(/\n/, contents($squashed))), join("\n", @left), "$name: what the model folds is gone");
	@differ = differences($before, $squashed, $thread->{delta}, $kept);
	is(join("\n", map { state_of($squashed, $thread->{delta}, @$_) } @differ), join("\n", map { state_of($before, $thread->{delta}, @$_) } @differ),
		"$name: squashed, all that is kept reads as before");
	is(scalar(dangling($squashed)), 0, "$name: squashed, no parent is named that is gone");
	like($again, qr/\|0\|0\|0\|0\|\d+\|$/, "$name: nothing is left to squash");
	$seen{folded} += map { keys %$_ } values %$folded;
	$seen{ $_ =~ s/:.*//r }++ for map { $_->{checkpoint}{v} < 4 ? 'old format' : 'new format' } map { values %$_ } values %{ $after->{rows} };
	$seen{anchors} += grep { $_ eq 'anchor' } map { values %$_ } values %$kept;
	$seen{kept} += grep { $_ eq 'kept' } map { values %$_ } values %$kept;
	$seen{gone} += (map { values %$_ } values %{ $before->{rows} }) - (map { values %$_ } values %{ $after->{rows} });
}
cmp_ok($seen{$_} // 0, '>', 10, "there was enough of: $_") for 'old format', 'new format', qw(anchors kept gone folded);

# A thread as Python's saver (langgraph-checkpoint-postgres 3) stores it: simple values stand in the
# checkpoint, others in msgpack beside it; a snapshot of a delta channel is an extension of type 7, with
# a mark in the checkpoint; a channel without a value has a version and nothing else; versions are texts,
# and writes have the path of their task.
sub store_python
{
	my ($name) = @_;
	my @sql = ('BEGIN', 'SET LOCAL session_replication_role = replica');
	my (%version, %counters, $parent);
	my $insert = sub { my ($table, @values) = @_; push @sql, "INSERT INTO $table VALUES (" . join(', ', map { quote($_) } @values) . ')' };
	my %values = (topic => 'pruning', turn => 0);

	for my $step (-1 .. 25)
	{
		my $id = sprintf('1f05a%03x-%04x-6b%02x-8000-0123456789ab', 500 + $step, 4096 + $step * 11, $step + 1);
		my $new = sub {
			my ($channel) = @_;
			my $next = substr($version{$channel} // '0', 0, 32) + 1;

			$version{$channel} = sprintf('%032d.0.%016d', $next, $next * 7919 + length($channel));
			return ($channel, $version{$channel});
		};
		# What this step updated, and what of it was stored.
		my %stored = map { $_ => $values{$_} } keys %values;
		for my $channel ('messages', $step % 4 == 0 ? 'files' : ())
		{
			my ($updates, $steps) = @{ $counters{$channel} // [ 0, 0 ] };

			$new->($channel);
			$counters{$channel} = [ $updates + 1, $steps + 1 ];
			next if $channel ne 'messages' || $updates + 1 < 5;
			$stored{$channel} = JSON::PP::true;
			$insert->('checkpoint_blobs', $name, '', $channel, $version{$channel}, 'msgpack', sprintf('\xc70607%012x', $step + 1));
			delete $counters{$channel};
		}
		if ($step % 3 == 0)
		{
			$insert->('checkpoint_blobs', $name, '', $new->('docs'), 'msgpack', sprintf('\x91cd%04x', $step));
			$values{turn}++;
			$new->('turn');
		}
		$new->($step % 3 == 0 ? 'branch:to:think' : 'branch:to:speak');
		$insert->('checkpoints', $name, '', $id, $parent, undef,
			$json->encode({ v => 4, ts => '2025-07-06T10:00:00.000000+00:00', id => $id, channel_values => \%stored,
				channel_versions => {%version}, versions_seen => { __input__ => {} }, updated_channels => ['messages'] }),
			$json->encode({ source => $step < 0 ? 'input' : 'loop', step => $step, parents => {}, %counters ? (counters_since_delta_snapshot => {%counters}) : () }));
		# Two tasks, whose paths have another order than their ids.
		for my $task ([ 'f00dcafe', 'a_first' ], [ '0badcafe', 'z_last' ])
		{
			my $task_id = sprintf('%s-%04x-5000-8000-0123456789ab', $task->[0], $step + 1);
			my $n = 0;

			$insert->('checkpoint_writes', $name, '', $id, $task_id, $n++, $_->[0], $_->[1], $_->[2], "~__pregel_pull, $task->[1]")
				for [ 'messages', 'msgpack', sprintf('\x91a2%02x%02x', 65 + $step, ord($task->[1])) ], [ 'branch:to:speak', 'null', '\x' ],
				$step % 4 == 3 ? [ 'files', 'msgpack', sprintf('\x91cd%04x', 600 + $step) ] : ();
		}
		$insert->('checkpoint_writes', $name, '', $id, '0badcafe-0000-5000-8000-0123456789ab', -3, '__interrupt__', 'msgpack', '\x90', '~__pregel_pull, z_last') if $step == 25;
		$parent = $id;
	}
	return join(";\n", @sql, 'COMMIT');
}

$node->safe_psql('postgres', q{ALTER TABLE checkpoint_writes ADD COLUMN task_path text NOT NULL DEFAULT ''});
for my $keep (1, 3)
{
	my %anchors;

	for my $squash ('false', 'true')
	{
		my $name = "Python keep $keep" . ($squash eq 'true' ? ' squashed' : '');
		my $delta = { '' => { messages => 1, files => 1 } };

		$node->safe_psql('postgres', store_python($name));
		my $before = fetch($name);
		my $kept = to_keep($before, $delta, $keep);
		my ($checkpoints, $left, $problem) = split(/\|/, $node->safe_psql('postgres', "SELECT checkpoints, anchors, problem FROM amelia.prune('{$name}', keep => $keep, squash => $squash)"), -1);
		my $after = fetch($name);

		is($problem, '', "$name: it is pruned");
		is(join(' ', map { join('/', @$_) } differences($before, $after, $delta, $kept)), '', "$name: all that is kept reads as before");
		is($checkpoints + $left + $keep, 27, "$name: what goes and what stays");
		$anchors{$squash} = $left;
		is(contents($after), left_over($before, $kept), "$name: what the model keeps is left") if $squash eq 'false';
	}
	cmp_ok($anchors{true}, '<', $anchors{false} / 2, "Python keep $keep: most anchors are folded");
}
is($node->safe_psql('postgres', q{SELECT count(DISTINCT task_path) FROM checkpoint_writes WHERE thread_id LIKE '%squashed' AND task_id ~ '^0000'}), 1, 'paths do not tell another order');
is($node->safe_psql('postgres', q{SELECT problem, detail FROM amelia.verify() WHERE detail LIKE '%Python%'}), '', 'verify() finds nothing wrong with that');
$node->safe_psql('postgres', 'ALTER TABLE checkpoint_writes DROP COLUMN task_path');

# Faults on purpose: in what is left (the model finds them), and while the server
# works (its own proof does).
my %faults = (
	'an anchor less' => q{DELETE FROM checkpoints WHERE thread_id = '%s' AND checkpoint_id = 'c2'},
	'writes of an anchor less' => q{DELETE FROM checkpoint_writes WHERE thread_id = '%s' AND checkpoint_id = 'c3' AND channel = 'd'},
	'writes of an anchor more' => q{INSERT INTO checkpoint_writes VALUES ('%s', '', 'c3', 'u', 0, 'd', 'json', '[7]')},
	'a blob less' => q{DELETE FROM checkpoint_blobs WHERE thread_id = '%s' AND channel = 'm' AND version = '5'},
	'a blob changed' => q{UPDATE checkpoint_blobs SET blob = '[8]' WHERE thread_id = '%s' AND channel = 'm' AND version = '5'},
	'a snapshot less' => q{DELETE FROM checkpoint_blobs WHERE thread_id = '%s' AND channel = 'd' AND version = '2'},
	'a pending write less' => q{DELETE FROM checkpoint_writes WHERE thread_id = '%s' AND checkpoint_id = 'c5'},
	'a parent less' => q{UPDATE checkpoints SET parent_checkpoint_id = NULL WHERE thread_id = '%s' AND checkpoint_id = 'c4'},
	'metadata changed' => q{UPDATE checkpoints SET metadata = metadata || '{"step": 9}' WHERE thread_id = '%s' AND checkpoint_id = 'c5'},
	'the newest less' => q{DELETE FROM checkpoints WHERE thread_id = '%s' AND checkpoint_id = 'c5'},
	'a partner less' => q{DELETE FROM checkpoints WHERE thread_id = '%s' AND checkpoint_id = 'c4a'},
	'a partner more' => q{INSERT INTO checkpoints SELECT thread_id, checkpoint_ns, 'c4b', NULL, type, checkpoint, metadata
		FROM checkpoints WHERE thread_id = '%s' AND checkpoint_id = 'c4a'});

# Stores five checkpoints, a snapshot at the second one; a subgraph that lasts.
sub storing_chain
{
	my ($name) = @_;

	return qq{SET session_replication_role = replica;
		INSERT INTO checkpoints SELECT '$name', '', 'c' || n, CASE WHEN n > 1 THEN 'c' || n - 1 END, NULL,
			jsonb_build_object('v', 4, 'channel_versions', jsonb_build_object('m', n, 'd', n)),
			'{"source": "loop", "parents": {}, "counters_since_delta_snapshot": {"d": [1, 1]}}' FROM generate_series(1, 5) AS n;
		INSERT INTO checkpoints SELECT '$name', 'memory', 'c' || n || 'a', NULL, NULL, '{"v": 4}', '{"source": "loop", "parents": {}}' FROM generate_series(1, 6) AS n;
		INSERT INTO checkpoint_blobs SELECT '$name', '', c, n::text, CASE WHEN c = 'd' AND n <> 2 THEN 'empty' ELSE 'json' END, '[]'
		FROM generate_series(1, 5) AS n, unnest('{m,d}'::text[]) AS c;
		INSERT INTO checkpoint_writes SELECT '$name', '', 'c' || n, 't', 0, 'd', 'json', convert_to('[' || n || ']', 'UTF8') FROM generate_series(1, 5) AS n;
		RESET session_replication_role};
}

# The same while anchors are folded.
my %squash_faults = (
	'a folded write less' => q{DELETE FROM checkpoint_writes WHERE thread_id = '%s' AND checkpoint_id = 'c2' AND task_id = '00000002'},
	'another order' => q{UPDATE checkpoint_writes SET task_id = '00000009' WHERE thread_id = '%s' AND checkpoint_id = 'c2' AND task_id = '00000002'},
	'a folded write twice' => q{INSERT INTO checkpoint_writes SELECT thread_id, checkpoint_ns, checkpoint_id, '00000009', idx, channel, type, blob
		FROM checkpoint_writes WHERE thread_id = '%s' AND checkpoint_id = 'c2' AND task_id = '00000003'},
	'a folded write changed' => q{UPDATE checkpoint_writes SET blob = '[9]' WHERE thread_id = '%s' AND checkpoint_id = 'c2' AND task_id = '00000001'},
	'another parent' => q{UPDATE checkpoints SET parent_checkpoint_id = NULL WHERE thread_id = '%s' AND checkpoint_id = 'c5'},
	'the snapshot less' => $faults{'a snapshot less'});

my %delta = ('' => { d => 1 });
for my $case (map({ [ $_, $faults{$_}, 'false', '5|2|1|\d+|3' ] } sort keys %faults), map({ [ $_, $squash_faults{$_}, 'true', '7|6|1|\d+|1' ] } sort keys %squash_faults))
{
	my ($fault, $does, $squash, $result) = @$case;
	my $name = "with $fault";

	my $sabotage = sprintf($does, $name);
	my ($before, $problem, $between, $pruned, $after) = split(/\n/, $node->safe_psql('postgres', join(";\n", storing_chain($name), fetching($name),
		qq{CREATE FUNCTION sabotage() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS \$f\$
		BEGIN
			IF pg_trigger_depth() = 1 AND OLD.checkpoint_id = 'c1' AND OLD.thread_id = '$name' THEN $sabotage; END IF;
			RETURN NULL;
		END \$f\$;
		CREATE TRIGGER sabotage AFTER DELETE ON checkpoints FOR EACH ROW EXECUTE FUNCTION sabotage()},
		"SET amelia.lease = ''", "SELECT problem FROM amelia.prune('{$name}', squash => $squash)", fetching($name),
		'DROP FUNCTION sabotage() CASCADE', "SELECT * FROM amelia.prune('{$name}', squash => $squash)",
		"SET session_replication_role = replica; $sabotage", fetching($name))));

	$_ = image_of($_) for $before, $between, $after;
	like($problem, qr/would not be what it was|rows were to be changed|came back/, "$fault while it works: the proof finds it");
	is(contents($between), contents($before), "$fault while it works: nothing is deleted");
	like($pruned, qr/\|@{[ $result =~ s{\|}{\\|}gr ]}\|$/, "without $fault it is pruned");
	cmp_ok(scalar(differences($before, $after, \%delta, to_keep($before, \%delta, 1))), '>', 0, "$fault: the model finds it");
}
$node->stop;
done_testing();
