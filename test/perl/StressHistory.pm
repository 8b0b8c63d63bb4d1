# Checks what the processes of the stress test wrote down against the database.
# Each check returns what is wrong, line by line; nothing when all is well.
package StressHistory;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use PostgreSQL::Test::Utils;

our @EXPORT = qw(read_history history_lines workflow_model model_against_tables
  stored_as_told messages_once holders limits streams);

# All lines of all files, as { at, by, what, fields }.
my @lines;

sub read_history
{
	my ($dir) = @_;

	@lines = ();
	for my $file (glob("$dir/*.history"))
	{
		my ($by) = $file =~ m{([^/]+)\.history$};

		for (split /\n/, slurp_file($file))
		{
			my ($at, $what, @fields) = split /\t/, $_, -1;

			push @lines, { at => $at, by => $by, what => $what, fields => \@fields };
		}
	}
	return scalar @lines;
}

# The lines of a kind; as text, when asked for a scalar.
sub history_lines
{
	my ($what) = @_;
	my @found = grep { $_->{what} eq $what } @lines;

	return @found if wantarray;
	return join("\n", map { join("\t", $_->{by}, $what, @{ $_->{fields} }) } @found);
}

sub told { my ($what) = @_; return map { $_->{fields} } history_lines($what); }

sub table_rows { my ($node, $sql) = @_; return map { [ split /\|/, $_, -1 ] } split /\n/, $node->safe_psql('postgres', $sql); }

# Walks through each workflow's log, as a workflow may live: who holds it, under
# which token, in which status. An event that has no place there is wrong.
my %log_of_status = (
	workflow_completed => [ 'in_progress', 'completed' ],
	workflow_failed => [ 'in_progress', 'failed' ],
	approval_required => [ 'in_progress', 'blocked' ],
	approval_granted => [ 'blocked', 'pending' ],
	approval_rejected => [ 'blocked', 'pending' ]);

sub workflow_model
{
	my ($node) = @_;
	my (%model, @wrong);

	for (table_rows($node, q{SELECT w.id FROM amelia.workflows AS w}))
	{
		$model{ $_->[0] } = { status => 'pending', token => 0, failures => 0, sequence => 0, moves => [], ends => {}, events => [] };
	}
	for (table_rows($node, q{SELECT e.workflow_id, e.sequence, e.id, e.event_type,
			COALESCE(e.data ->> 'token', e.data ->> 'lease_token'), e.data ->> 'from', e.data ->> 'worker', e.message
		FROM amelia.workflow_log AS e ORDER BY e.workflow_id, e.sequence}))
	{
		my ($id, $sequence, $event, $type, $token, $from, $worker, $message) = @$_;
		my $w = $model{$id};
		my $place = "$id $sequence $type";

		push @wrong, "$place: follows $w->{sequence}" if $sequence != ++$w->{sequence};
		$w->{sequence} = $sequence;
		push @{ $w->{events} }, $event;
		if ($type eq 'work')
		{
			push @wrong, "$place: under token $token, and the workflow is $w->{status} under $w->{token}"
			  if $w->{status} ne 'in_progress' || $token != $w->{token};
		}
		elsif ($type eq 'workflow_started')
		{
			push @wrong, "$place: token $token follows $w->{token}" if $token != $w->{token} + 1;
			push @wrong, "$place: from $from, and the workflow is $w->{status}"
			  if $from ne $w->{status} || $from !~ /^(pending|in_progress|failed)$/;
			if ($from eq 'in_progress')
			{
				my $lost = $message =~ /ran out/;

				$w->{failures}++ if $lost;
				$w->{ends}{ $w->{token} } = $lost ? 'lost' : 'given back';
			}
			move($w, 'in_progress');
			@$w{qw(token worker)} = ($token, $worker);
			$w->{workers}{$token} = $worker;
		}
		elsif ($log_of_status{$type})
		{
			my ($before, $after) = @{ $log_of_status{$type} };

			push @wrong, "$place: the workflow is $w->{status}" if $w->{status} ne $before;
			$w->{ends}{ $w->{token} } = $after if $before eq 'in_progress';
			$w->{failures}++ if $after eq 'failed';
			move($w, $after);
		}
		elsif ($type eq 'workflow_cancelled')
		{
			push @wrong, "$place: the workflow is $w->{status}" if $w->{status} !~ /^(pending|in_progress|blocked)$/;
			$w->{ends}{ $w->{token} } = 'cancelled' if $w->{status} eq 'in_progress';
			# Whom nobody took over counts as a failure, unless it was given back.
			$w->{may_differ} = 1 if $message =~ /its cancellation was requested/;
			move($w, 'cancelled');
		}
		elsif ($type eq 'workflow_created')
		{
			push @wrong, "$place: not the first" if $sequence != 1;
			push @{ $w->{moves} }, 'pending';
		}
		elsif ($type ne 'note')
		{
			push @wrong, "$place: nobody writes that";
		}
	}
	return (\%model, join("\n", @wrong));
}

sub move
{
	my ($w, $status) = @_;

	push @{ $w->{moves} }, $status if $status ne $w->{status};
	$w->{status} = $status;
	return;
}

# What the log says and what the tables say.
sub model_against_tables
{
	my ($node, $model) = @_;
	my @wrong;

	for (table_rows($node, q{SELECT w.id, w.status, w.failures, COALESCE(l.lease_token, 0), l.expires_at IS NOT NULL
		FROM amelia.workflows AS w LEFT JOIN amelia.workflow_leases AS l ON l.workflow_id = w.id}))
	{
		my ($id, $status, $failures, $token, $is_open) = @$_;
		my $w = $model->{$id};

		push @wrong, "$id is $status, by its log $w->{status}" if $status ne $w->{status};
		push @wrong, "$id failed $failures times, by its log $w->{failures}" if $failures != $w->{failures} && !$w->{may_differ};
		push @wrong, "$id has token $token, by its log $w->{token}" if $token != $w->{token};
		push @wrong, "$id is $status with a lease" if $status ne 'in_progress' && $is_open eq 't';
	}
	# Each is under the token that it says, from its claim to the next one: the
	# claim needs the lock that the writer holds to his commit.
	for my $table ('token_usage AS t', 'workflow_inbox AS t')
	{
		my $token = $table =~ /usage/ ? 't.agent::bigint' : 't.lease_token';

		push @wrong, map { "$table: $_->[0] was written outside of the lease that it is of" } table_rows($node, qq{
			SELECT t.id FROM amelia.$table
			JOIN amelia.workflow_log AS e ON e.workflow_id = t.workflow_id AND e.event_type = 'workflow_started'
				AND (e.data ->> 'lease_token')::bigint IN ($token, $token + 1)
			WHERE ((e.data ->> 'lease_token')::bigint = $token) <>
				(pg_xact_commit_timestamp(e.xmin) <= pg_xact_commit_timestamp(t.xmin))});
	}
	return join("\n", @wrong);
}

# What was acknowledged is there, what was refused is not, and nothing is there
# that nobody asked for.
sub stored_as_told
{
	my ($node, $model) = @_;
	my (%asked, @wrong);
	my %stored = (
		event => { map { $_->[0] => [ @$_[ 1, 2 ] ] } table_rows($node, q{SELECT e.id, e.workflow_id, e.data ->> 'token'
			FROM amelia.workflow_log AS e WHERE e.event_type IN ('work', 'note')}) },
		usage => { map { $_->[0] => [ @$_[ 1, 2 ] ] } table_rows($node, q{SELECT u.id, u.workflow_id, u.agent FROM amelia.token_usage AS u}) });

	for (told('ask'))
	{
		my ($kind, $id, $workflow, $token) = @$_;

		$asked{$kind}{$id} = "$workflow $token";
	}
	push @wrong, map { "$_->[0] $_->[1] was acknowledged and is not there" } grep { !$stored{ $_->[0] }{ $_->[1] } } told('ok');
	push @wrong, map { "$_->[0] $_->[1] was refused ($_->[2]) and is there" } grep { $stored{ $_->[0] }{ $_->[1] } } told('no');
	for my $kind (sort keys %stored)
	{
		for my $id (sort keys %{ $stored{$kind} })
		{
			my $is = join(' ', @{ $stored{$kind}{$id} });

			push @wrong, "$kind $id of $is was asked as " . ($asked{$kind}{$id} // 'nothing') if $is ne ($asked{$kind}{$id} // '');
		}
	}
	push @wrong, map { "workflow $_->[0] was created and is not there" } grep { !$model->{ $_->[0] } } told('created');
	for (told('claimed'))
	{
		my ($workflow, $token) = @$_;

		push @wrong, "claim $token of $workflow is not in its log" if !$model->{$workflow}{workers}{$token};
	}
	for (told('ended'), told('kept'))
	{
		my ($workflow, $token, $how, $refused) = @$_;
		my $end = defined $workflow ? $model->{$workflow}{ends}{$token} // 'nothing' : next;

		if (!defined $refused)
		{
			# What was given back need not have been claimed again.
			push @wrong, "$token of $workflow: $how was acknowledged, it ended with $end"
			  if $end ne $how && !($how eq 'given back' && $end =~ /^(nothing|cancelled)$/);
		}
		elsif ($how =~ /^(completed|blocked)$/ && $end eq $how)
		{
			push @wrong, "$token of $workflow: $how was refused and happened";
		}
	}
	my %decided = map { $_->[0] => $_->[1] } table_rows($node, q{SELECT e.workflow_id, count(*) FROM amelia.workflow_log AS e
		WHERE e.event_type IN ('approval_granted', 'approval_rejected') GROUP BY 1});
	# The same answer to the same question again is acknowledged, and no decision more.
	my (%told, %answered);
	for (told('decided'))
	{
		$told{ $_->[0] }++ if !$answered{ $_->[0], $_->[2] // '' }++;
	}
	push @wrong, map { "$_: " . ($decided{$_} // 0) . " decisions of $told{$_}" } grep { ($decided{$_} // 0) < $told{$_} } sort keys %told;
	return join("\n", @wrong);
}

# Each message once, to the one who held the lease.
sub messages_once
{
	my ($node) = @_;
	my (%taken, @wrong);
	my %stored = map { $_->[0] => "$_->[1] $_->[2]" } table_rows($node, q{SELECT i.id, i.workflow_id, i.lease_token FROM amelia.workflow_inbox AS i});

	for (told('took'))
	{
		my ($workflow, $token, $message) = @$_;

		push @wrong, "message $message was given out twice" if $taken{$message}++;
		push @wrong, "message $message was given to $workflow $token, it is " . ($stored{$message} // 'gone')
		  if ($stored{$message} // '') ne "$workflow $token";
	}
	push @wrong, map { "message $_->[0] is gone" } grep { !$stored{ $_->[0] } } told('sent');
	return join("\n", @wrong);
}

# From when to when each lease was in force for certain, by the server's word: from
# the answer to the claim to the end that was told last, or to the request
# that may have ended it. The clock is the same for all.
sub holds
{
	my %holds;

	for (sort { $a->{at} <=> $b->{at} } map { history_lines($_) } 'claimed', 'beat', 'ending')
	{
		my ($workflow, $token, @more) = @{ $_->{fields} };
		my $key = "$workflow $token";

		if ($_->{what} eq 'claimed')
		{
			$holds{$key} = { workflow => $workflow, token => $token, profile => $more[0], from => $_->{at}, to => $more[1] };
		}
		elsif ($_->{what} eq 'beat')
		{
			$holds{$key}{to} = $more[0] if !$holds{$key}{ended};
		}
		else
		{
			$holds{$key}{ended} = 1;
			$holds{$key}{to} = $_->{at} if $_->{at} < $holds{$key}{to};
		}
	}
	return grep { $_->{from} < $_->{to} } values %holds;
}

# No two who held the same workflow at the same time.
sub holders
{
	my (%last, @wrong);

	for (sort { $a->{from} <=> $b->{from} } holds())
	{
		my $before = $last{ $_->{workflow} };

		push @wrong, "$_->{workflow} was held under $before->{token} and $_->{token} at the same time"
		  if $before && $before->{to} > $_->{from};
		$last{ $_->{workflow} } = $_ if !$before || $_->{to} > $before->{to};
	}
	return join("\n", @wrong);
}

# Nor more at the same time than the limits allow. Returns the most, too.
sub limits
{
	my ($all, %profiles) = @_;
	my (%held, %most, @wrong);
	my %limits = ('' => $all, %profiles);

	for my $change (sort { $a->[0] <=> $b->[0] || $a->[1] <=> $b->[1] }
		map { [ $_->{from}, 1, $_->{profile} ], [ $_->{to}, -1, $_->{profile} ] } holds())
	{
		my ($at, $more, $profile) = @$change;

		for my $scope ('', $profile eq '' ? () : $profile)
		{
			$held{$scope} += $more;
			$most{$scope} = $held{$scope} if $held{$scope} > ($most{$scope} // 0);
		}
	}
	for (sort keys %limits)
	{
		push @wrong, "$most{$_} were held of \"$_\" at the same time, $limits{$_} may be" if ($most{$_} // 0) > $limits{$_};
	}
	return (join("\n", @wrong), \%most);
}

# What a reader saw of each workflow is what its log has, in its order.
sub streams
{
	my ($reader, $model) = @_;
	my (%events, %moves, @wrong);
	my $follows_all = 0;

	for (grep { $_->{by} eq $reader } @lines)
	{
		my ($workflow, @more) = @{ $_->{fields} };

		push @{ $events{$workflow} }, "$more[0] $more[1]" if $_->{what} =~ /^(event|read)$/;
		push @{ $moves{$workflow} }, $more[0] if $_->{what} eq 'status';
		$follows_all = 1 if $_->{what} eq 'event';
	}
	for my $id ($follows_all ? sort keys %$model : sort keys %events)
	{
		my @logged = @{ $model->{$id}{events} };
		my $log = join(', ', map { $_ + 1 . " $logged[$_]" } 0 .. $#logged);
		my $seen = join(', ', @{ $events{$id} // [] });
		my $moved = join(', ', @{ $model->{$id}{moves} });
		my $heard = join(', ', @{ $moves{$id} // [] });

		push @wrong, "$id: saw $seen\n\tof $log" if $seen ne $log;
		push @wrong, "$id: heard $heard\n\tof $moved" if $follows_all && $heard ne $moved;
	}
	push @wrong, 'saw nothing' if !%events;
	return join("\n", @wrong);
}

1;
