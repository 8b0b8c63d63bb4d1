# What the maintenance worker does for usage by itself: it closes days, puts
# together what was spent and leaves the events of warn budgets, whatever
# triggers of users, open transactions and crashes make of it.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/../perl";
use Maintenance;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = maintained_node('main', 'max_prepared_transactions = 5');
my $workflow = '00000000-0000-4000-8000-000000000001';
my $other = '00000000-0000-4000-8000-000000000002';

sub poll
{
	my ($query, $name) = @_;

	ok($node->poll_query_until('one', $query), $name)
	  or diag($node->safe_psql('one', 'SELECT * FROM amelia.maintenance_status()', extra_params => ['-x']));
	return;
}

sub book
{
	my ($day, $cost, $of) = @_;

	return sprintf(q{INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd, "timestamp")
		VALUES ('%s', 'developer', 'm', 1, 1, %s, %s);}, $of // $workflow, $cost, $day eq 'now' ? 'now()' : "'$day 12:00Z'");
}

sub warnings_of
{
	my ($of) = @_;

	return $node->safe_psql('one', qq{SELECT count(*) FROM amelia.workflow_log
		WHERE workflow_id = '$of' AND event_type = 'system_warning'});
}

my $all_closed = q{SELECT NOT EXISTS (SELECT FROM amelia.usage_dirty_days)
	AND (SELECT array_agg(DISTINCT ("timestamp" AT TIME ZONE 'UTC')::date) FROM amelia.token_usage
		WHERE "timestamp" < now() - interval '2 days')
	= (SELECT array_agg(day ORDER BY day) FROM amelia.usage_days WHERE state = 'closed')};

add_database($node, 'one');
$node->safe_psql('one', qq{INSERT INTO amelia.workflows (id, issue_id, worktree_path)
	VALUES ('$workflow', 'A', '/a'), ('$other', 'B', '/b')});

# More days than one announcement takes.
$node->safe_psql('one', qq{INSERT INTO amelia.token_usage (workflow_id, agent, model, input_tokens, output_tokens, cost_usd, "timestamp")
	SELECT '$workflow', 'developer', 'm', 1, 1, 0.5, '2020-01-01 12:00Z'::timestamptz + n * interval '1 day' FROM generate_series(0, 249) AS n});
poll($all_closed, 'days that are over are closed');
is($node->safe_psql('one', q{SELECT count(*), sum(cost_usd) FROM amelia.usage_day_sums}), '250|125.000000', 'with their sums');
$node->safe_psql('one', book('2020-01-05', 1) . book('2019-06-01', 2));
poll($all_closed, 'late usage is summed up too');
is($node->safe_psql('one', q{SELECT sum(cost_usd) FROM amelia.usage_day_sums}), '128.000000', 'and counts');

# A trigger of somebody's, in the midst: it runs in a restricted operation, and
# when it fails, that day waits, and no other.
$node->safe_psql('one', q{
	CREATE TABLE public.seen (message text);
	CREATE FUNCTION public.look() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		BEGIN
			CREATE TEMP TABLE trap (id integer);
			INSERT INTO public.seen VALUES ('it could change the session');
		EXCEPTION WHEN OTHERS THEN
			INSERT INTO public.seen VALUES (SQLERRM);
		END;
		IF NEW.day = '2020-01-06' THEN
			RAISE EXCEPTION 'not this day';
		END IF;
		RETURN NEW;
	END $$;
	CREATE TRIGGER look BEFORE INSERT ON amelia.usage_day_sums FOR EACH ROW EXECUTE FUNCTION public.look()});
$node->safe_psql('one', join('', map { book("2020-01-0$_", 1) } 5 .. 8));
poll(q{SELECT array_agg(DISTINCT day) = '{2020-01-06}' FROM amelia.usage_dirty_days}, 'a day that fails keeps no other');
wait_for_status($node, 'one', q{s.state = 'failing' AND s.last_error = 'not this day'}, 'the status has its error');
is($node->safe_psql('one', 'SELECT DISTINCT message FROM public.seen'),
	'cannot create temporary table within security-restricted operation', 'a trigger runs in a restricted operation');
is($node->safe_psql('one', q{SELECT cost_usd FROM amelia.usage_trend('2020-01-06', '2020-01-06')}), '1.500000',
	'answers are right meanwhile');
add_old_workflows($node, 'one', 2, 2);
wait_until_clean($node, 'one', 'and retention goes on');
$node->safe_psql('one', 'DROP TRIGGER look ON amelia.usage_day_sums');
poll($all_closed, 'it is closed once that is mended');
wait_for_round($node, 'one', 'and rounds are as before');

# Budgets.
$node->safe_psql('one', qq{INSERT INTO amelia.budgets (id, scope, target, period, limit_usd, action)
	VALUES (amelia.uuid_v7(), 'workflow', '$workflow', 'day', 10, 'warn'),
		(amelia.uuid_v7(), 'workflow', '$other', 'total', 10, 'warn')});
$node->safe_psql('one', book('now', 4) . book('now', 4) . book('now', 1, $other));
poll(q{SELECT count(*) = 2 AND sum(amount_usd) = 9 FROM amelia.budget_spending
	WHERE period_start IN ('-infinity', (now() AT TIME ZONE 'UTC')::date)}, 'what was spent is put together');
is(warnings_of($workflow), 0, 'nothing is said before a budget is spent');
$node->safe_psql('one', q{CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN RAISE EXCEPTION 'no event here'; END $$;} . qq{
	CREATE TRIGGER refuse BEFORE INSERT ON amelia.workflow_log FOR EACH ROW
		WHEN (NEW.workflow_id = '$workflow') EXECUTE FUNCTION public.refuse()});
$node->safe_psql('one', book('now', 3) . book('now', 20, $other) . book('2020-01-09', 1));
poll(qq{SELECT EXISTS (SELECT FROM amelia.workflow_log WHERE workflow_id = '$other' AND event_type = 'system_warning')},
	'a budget whose event fails does not keep that of another');
poll($all_closed, 'nor days');
poll(q{SELECT count(*) = 2 FROM amelia.budget_spending WHERE period_start IN ('-infinity', (now() AT TIME ZONE 'UTC')::date)},
	'what was spent under it is put together all the same');
wait_for_status($node, 'one', q{s.state = 'failing' AND s.last_error = 'no event here'}, 'the status has that error');
is(warnings_of($workflow), 0, 'its event is not there');
$node->safe_psql('one', 'DROP TRIGGER refuse ON amelia.workflow_log');
poll(qq{SELECT EXISTS (SELECT FROM amelia.workflow_log WHERE workflow_id = '$workflow' AND event_type = 'system_warning')},
	'and comes when it can');
$node->safe_psql('one', book('now', 30) . book('now', 30, $other));
wait_for_round($node, 'one', 'a round later');
wait_for_round($node, 'one', 'and another one');
is(warnings_of($workflow), 1, 'there is one event per period');
is(warnings_of($other), 1, 'of each budget');
$node->safe_psql('one', 'DELETE FROM amelia.budgets');
poll('SELECT NOT EXISTS (SELECT FROM amelia.budget_spending)', 'of a budget that is gone nothing is kept');

# With the last budget goes the trigger, unless somebody is at the table.
my $trigger = q{SELECT EXISTS (SELECT FROM pg_trigger WHERE tgname = 'zzz_spend_budgets')};
poll("SELECT NOT ($trigger)", 'and nobody adds up what is booked any more');
is($node->safe_psql('one', 'SELECT count(*) FROM amelia.verify()'), 0, 'which is as it should be');
my $budget = qq{INSERT INTO amelia.budgets (scope, target, period, limit_usd, action) VALUES ('workflow', '$workflow', 'day', 1000, 'warn');};
my $day = q{SELECT spent_usd FROM amelia.budget_status() WHERE period = 'day'};
$node->safe_psql('one', $budget);
my $spent = $node->safe_psql('one', $day);
$node->safe_psql('one', book('now', 2));
cmp_ok($node->safe_psql('one', $day), '==', $spent + 2, 'the next budget brings it back');
my $reader = $node->background_psql('one');
$reader->query_safe('BEGIN; SELECT count(*) FROM amelia.token_usage');
$node->safe_psql('one', 'DELETE FROM amelia.budgets');
poll('SELECT NOT EXISTS (SELECT FROM amelia.budget_spending)', 'the next one is gone');
wait_for_round($node, 'one', 'a round while somebody reads usage');
is($node->safe_psql('one', $trigger), 't', 'leaves the trigger');
$node->safe_psql('one', book('now', 1));
$reader->query_safe('COMMIT');
poll("SELECT NOT ($trigger)", 'and a later one does not');
$reader->quit;

# Somebody wrote before the announcement, and is still not done when the
# server crashes.
$node->safe_psql('one', 'BEGIN;' . book('2021-01-01', 7) . q{PREPARE TRANSACTION 'late'});
$node->safe_psql('one', book('2021-01-01', 1));
poll(q{SELECT state = 'closing' FROM amelia.usage_days WHERE day = '2021-01-01'}, 'a day is announced');
wait_for_round($node, 'one', 'the round does not wait for a writer for long');
is($node->safe_psql('one', q{SELECT state FROM amelia.usage_days WHERE day = '2021-01-01'}), 'closing', 'nor sums up without him');
$node->stop('immediate');
$node->start;
is($node->safe_psql('one', q{SELECT state FROM amelia.usage_days WHERE day = '2021-01-01'}), 'closing', 'so a crash finds it');
$node->safe_psql('one', q{COMMIT PREPARED 'late'});
poll($all_closed, 'the worker ends what was begun');
is($node->safe_psql('one', q{SELECT cost_usd FROM amelia.usage_day_sums WHERE day = '2021-01-01'}), '8.000000', 'and the writer counts');
is($node->safe_psql('one', 'SELECT count(*) FROM amelia.verify()'), 0, 'verify() finds nothing');

$node->stop;
done_testing();
