# Checks what the agents of the platform's stress test were told, and what the tables went
# through (the triggers of audit() write that down), against each other and against what the
# platform promises. Each check returns what is wrong, line by line; nothing when all is well.
package PlatformHistory;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use PostgreSQL::Test::Utils;

our @EXPORT = qw(audit read_agents told_lines held_twice messages_end task_holders tasks_end advanced_twice executions_end);

# All lines of all agents: [ name, microseconds, what, fields … ].
my @lines;

sub read_agents
{
	my ($dir) = @_;

	@lines = ();
	for my $file (glob("$dir/*.history"))
	{
		my ($by) = $file =~ m{([^/]+)\.history$};

		push @lines, map { [ $by, split /\t/, $_, -1 ] } split /\n/, slurp_file($file);
	}
	return scalar @lines;
}

sub told_lines { my ($what) = @_; return grep { $_->[2] eq $what } @lines; }

sub rows_of { my ($node, $sql) = @_; return map { [ split /\|/, $_, -1 ] } split /\n/, $node->safe_psql('postgres', $sql); }
sub wrong { my ($node, $sql) = @_; return $node->safe_psql('postgres', $sql); }

# What becomes of each task, message and step, in the order in which its row changed.
sub audit
{
	my ($node) = @_;

	$node->safe_psql('postgres', <<'SQL');
CREATE TABLE public.audit (place bigint GENERATED ALWAYS AS IDENTITY, kind text, id text, was text, became text, token bigint, agent uuid,
	delivered_at timestamptz, visible_at timestamptz);
CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_TABLE_NAME = 'tasks' THEN
		INSERT INTO public.audit (kind, id, was, became, token, agent) VALUES ('task', NEW.id, OLD.status, NEW.status, NEW.lease_token, NEW.assigned_agent_id);
	ELSIF TG_TABLE_NAME = 'execution_steps' THEN
		INSERT INTO public.audit (kind, id, was, became) VALUES ('step', NEW.execution_id || ' ' || NEW.step_id, OLD.status, NEW.status);
	ELSE
		INSERT INTO public.audit (kind, id, was, became, delivered_at, visible_at)
		VALUES ('message', NEW.id, OLD.status, NEW.status, NEW.delivered_at, NEW.visible_at);
	END IF;
	RETURN NULL;
END
$$;
CREATE TRIGGER audit AFTER UPDATE ON amelia_platform.tasks FOR EACH ROW
	WHEN (OLD.status <> NEW.status OR OLD.lease_token <> NEW.lease_token) EXECUTE FUNCTION audit();
CREATE TRIGGER audit AFTER UPDATE ON amelia_platform.execution_steps FOR EACH ROW
	WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION audit();
CREATE TRIGGER audit AFTER UPDATE ON amelia_platform.agent_messages FOR EACH ROW
	WHEN (OLD.status <> NEW.status OR OLD.delivered_at IS DISTINCT FROM NEW.delivered_at) EXECUTE FUNCTION audit();
SQL
	return;
}

# No message is with two at once: by what agents were told, and by what its row went through.
sub held_twice
{
	my ($node) = @_;
	my (%held, @wrong);

	for my $line (sort { $a->[1] <=> $b->[1] } told_lines('got'), told_lines('failing'))
	{
		my ($by, $at, $what, $message, $from, $until) = @$line;

		if ($what eq 'got')
		{
			push @{ $held{$message} }, [ $from, $until, $by ];
		}
		else
		{
			# Whoever says that it fails has it no longer, from then on.
			for (grep { $_->[2] eq $by && $_->[1] > $at } @{ $held{$message} // [] })
			{
				$_->[1] = $at;
			}
		}
	}
	for my $message (sort keys %held)
	{
		my @holds = sort { $a->[0] <=> $b->[0] } @{ $held{$message} };

		for (1 .. $#holds)
		{
			push @wrong, "message $message is $holds[$_][2]'s while it is $holds[$_ - 1][2]'s"
			  if $holds[$_][0] < $holds[$_ - 1][1];
		}
	}
	push @wrong, wrong($node, q{
		SELECT format('message %s is delivered while it is delivered', d.id)
		FROM (SELECT a.id, a.was, a.became, a.delivered_at, lag(a.visible_at) OVER w AS held_until, lag(a.became) OVER w AS before
			FROM audit AS a WHERE a.kind = 'message' WINDOW w AS (PARTITION BY a.id ORDER BY a.place)) AS d
		WHERE d.became = 'delivered' AND d.before = 'delivered' AND d.delivered_at < d.held_until});
	return join("\n", grep { $_ ne '' } @wrong);
}

# Every message that was sent is there, and acknowledged, dead or expired; what was acknowledged stays so.
sub messages_end
{
	my ($node) = @_;
	my %status = map { @$_ } rows_of($node, 'SELECT m.id, m.status FROM amelia_platform.agent_messages AS m');
	my @wrong = map { "message $_->[3] was sent, and is not there" } grep { !$status{ $_->[3] } } told_lines('sent');

	push @wrong, map { "message $_->[3] was acknowledged, and is " . ($status{ $_->[3] } // 'not there') }
	  grep { ($status{ $_->[3] } // '') ne 'acknowledged' } told_lines('acked');
	push @wrong, map { "message $_ is $status{$_}" } grep { $status{$_} !~ /^(acknowledged|failed|expired)$/ } sort keys %status;
	return join("\n", @wrong);
}

# No task has two holders: each token is begun once, and ends before the next one begins.
sub task_holders
{
	my ($node) = @_;
	my %claimed;

	$claimed{"$_->[3] under $_->[4]"}{ $_->[0] } = 1 for told_lines('claimed');
	return join("\n", grep { $_ ne '' } (map { "task $_ is claimed by " . join(' and ', sort keys %{ $claimed{$_} }) }
		  grep { keys %{ $claimed{$_} } > 1 } sort keys %claimed),
		wrong($node, q{
		SELECT format('task %s is begun under %s, and is in progress under %s', t.id, t.token, t.token_before)
		FROM (SELECT a.id, a.became, a.token, lag(a.became) OVER w AS before, lag(a.token) OVER w AS token_before
			FROM audit AS a WHERE a.kind = 'task' WINDOW w AS (PARTITION BY a.id ORDER BY a.place)) AS t
		WHERE t.became = 'in_progress' AND (t.before = 'in_progress' OR t.token <= t.token_before)}));
}

# Each task is done once, under the token that its agent was told of.
sub tasks_end
{
	my ($node) = @_;
	my %task = map { $_->[0] => $_ } rows_of($node, q{SELECT t.id, t.status, t.lease_token, t.result_data ->> 'token' FROM amelia_platform.tasks AS t});
	my @wrong;

	for (told_lines('completed'))
	{
		my ($id, $token) = @$_[ 3, 4 ];
		my $is = $task{$id};

		push @wrong, "task $id was completed under $token, and is $is->[1] under $is->[2]"
		  if $is->[1] ne 'completed' || $is->[2] != $token || $is->[3] ne $token;
	}
	push @wrong, map { "task $_ is $task{$_}[1]" } grep { $task{$_}[1] !~ /^(completed|failed|cancelled)$/ } sort keys %task;
	push @wrong, wrong($node, q{SELECT format('task %s ended %s times', a.id, count(*)) FROM audit AS a
		WHERE a.kind = 'task' AND a.became IN ('completed', 'cancelled') GROUP BY a.id HAVING count(*) > 1});
	return join("\n", grep { $_ ne '' } @wrong);
}

# No execution is advanced twice: each step begins and ends once, and has one task at most.
sub advanced_twice
{
	my ($node) = @_;

	return wrong($node, q{
		SELECT format('step %s became %s %s times', a.id, a.became, count(*)) FROM audit AS a
		WHERE a.kind = 'step' GROUP BY a.id, a.became HAVING count(*) > 1
		UNION ALL
		SELECT format('step %s %s has %s tasks', t.execution_id, t.step_id, count(*)) FROM amelia_platform.tasks AS t
		WHERE t.execution_id IS NOT NULL GROUP BY t.execution_id, t.step_id HAVING count(*) > 1});
}

# Each execution that was started has ended as its definition says: a step is completed exactly if one led to it,
# goes on to what its conditions choose, and a join begins when all that can come to it has come.
sub executions_end
{
	my ($node) = @_;
	my %there = map { $_->[0] => 1 } rows_of($node, 'SELECT e.id FROM amelia_platform.workflow_executions AS e');
	my @wrong = map { "execution $_->[3] was started, and is not there" } grep { !$there{ $_->[3] } } told_lines('started');

	push @wrong, wrong($node, q{
		CREATE TEMP TABLE steps AS
			SELECT e.id, e.status AS ended, e.context_data, d.value ->> 'step_type' AS type, d.value -> 'next_steps' AS next_steps,
				s.*, d.ordinality = 1 AS is_first
			FROM amelia_platform.workflow_executions AS e, jsonb_array_elements(e.definition -> 'steps') WITH ORDINALITY AS d,
				amelia_platform.execution_steps AS s
			WHERE s.execution_id = e.id AND s.step_id = d.value ->> 'step_id';
		CREATE INDEX ON steps (id);
		ANALYZE steps;
		SELECT format('execution %s is %s', e.id, e.status) FROM amelia_platform.workflow_executions AS e WHERE e.status NOT IN ('completed', 'failed')
		UNION ALL
		SELECT format('step %s %s is %s, and the execution %s', s.id, s.step_id, s.status, s.ended) FROM steps AS s
		WHERE s.status IN ('waiting', 'running') OR s.ended = 'completed' AND s.status = 'failed'
		UNION ALL
		SELECT format('step %s %s is %s, and %s', s.id, s.step_id, s.status, CASE WHEN l.led THEN 'was led to' ELSE 'nothing led to it' END)
		FROM steps AS s, LATERAL (SELECT s.is_first OR EXISTS (SELECT FROM steps AS p WHERE p.id = s.id AND s.step_id = ANY (p.taken)) AS led) AS l
		WHERE s.ended = 'completed' AND l.led <> (s.status = 'completed')
		UNION ALL
		SELECT format('step %s %s has gone on to %s', s.id, s.step_id, s.taken) FROM steps AS s
		WHERE s.status = 'completed' AND s.ended = 'completed' AND s.type <> 'end' AND s.taken <> CASE
			WHEN s.step_id = 'choose' THEN ARRAY[CASE WHEN s.context_data -> 'choose' -> 'go' = 'true' THEN 'yes' ELSE 'no' END]
			ELSE ARRAY(SELECT jsonb_array_elements_text(s.next_steps)) END
		UNION ALL
		SELECT format('join %s %s began before %s was over', s.id, s.step_id, p.step_id) FROM steps AS s JOIN steps AS p ON p.id = s.id AND p.next_steps ? s.step_id
		WHERE s.type = 'join' AND s.started_at < p.completed_at
		UNION ALL
		SELECT format('execution %s has lost what step %s brought', s.id, s.step_id) FROM steps AS s
		WHERE s.status = 'completed' AND s.type = 'task' AND s.context_data -> s.step_id IS DISTINCT FROM s.result_data});
	return join("\n", grep { $_ ne '' } @wrong);
}

1;
