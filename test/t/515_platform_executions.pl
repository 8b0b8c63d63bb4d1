# A hundred executions at once, each with a choice, three parallel branches of
# different lengths and a join, worked on by eight sessions that take whatever
# task comes next: each step is done once, each join waits for its branches, and
# each execution ends with the results of its own steps.
use strict;
use warnings FATAL => 'all';

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $executions = 100;
my $sessions = 8;

my $node = PostgreSQL::Test::Cluster->new('executions');
$node->init(extra => [ '--no-locale', '--encoding=UTF8' ]);
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'amelia'\namelia.enabled = off\nfsync = off\n");
$node->start;

sub value { return $node->safe_psql('postgres', $_[0]); }

value('CREATE EXTENSION amelia; CREATE EXTENSION amelia_platform');
value(qq{SELECT amelia_platform.register_agent('agent ' || n, 'master_operator',
	id => ('aaaaaaaa-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid) FROM generate_series(1, $sessions) AS n});
value(q{SELECT amelia_platform.create_workflow('flow', jsonb_build_object('steps', (SELECT jsonb_agg(jsonb_build_object('step_id', v.id, 'step_type', v.type,
		'next_steps', to_jsonb(string_to_array(v.next, ',')), 'conditions', v.conditions::jsonb) ORDER BY v.place)
	FROM (VALUES (1, 'choose', 'task', 'even,odd', '[]'),
		(2, 'even', 'task', 'fork', '[{"path": "number", "op": "in", "value": [0, 2, 4, 6, 8]}]'), (3, 'odd', 'task', 'fork', '[]'),
		(4, 'fork', 'parallel', 'a,b,c', '[]'), (5, 'a', 'task', 'j', '[]'), (6, 'b', 'task', 'b2', '[]'),
		(7, 'b2', 'task', 'b3', '[]'), (8, 'b3', 'task', 'j', '[]'), (9, 'c', 'task', 'c2', '[]'), (10, 'c2', 'task', 'j', '[]'),
		(11, 'j', 'join', 'last', '[]'), (12, 'last', 'task', 'end', '[]'), (13, 'end', 'end', '', '[]')) AS v (place, id, type, next, conditions))),
	id => 'dddddddd-0000-7000-8000-000000000001')});

# Half of them begin while work goes on. A session ends when all executions have.
my $work = sub {
	my ($n) = @_;
	my $agent = sprintf('aaaaaaaa-0000-7000-8000-%012d', $n);

	return qq{
DO \$\$
DECLARE
	task record;
BEGIN
	FOR n IN 1 .. $executions / $sessions + 1 LOOP
		IF (n - 1) * $sessions + $n <= $executions THEN
			PERFORM amelia_platform.start_execution('dddddddd-0000-7000-8000-000000000001', jsonb_build_object('number', n % 10));
			COMMIT;
		END IF;
	END LOOP;
	LOOP
		SELECT c.* INTO task FROM amelia_platform.claim_task('$agent') AS c;
		IF FOUND THEN
			PERFORM amelia_platform.complete_task(task.id, task.lease_token,
				jsonb_build_object('step', task.step_id, 'execution', task.execution_id));
		ELSE
			EXIT WHEN (SELECT count(*) FROM amelia_platform.workflow_executions AS e WHERE e.status <> 'running') = $executions;
			PERFORM pg_sleep(0.01);
		END IF;
		COMMIT;
	END LOOP;
END
\$\$};
};
my @runs;
for my $n (1 .. $sessions)
{
	my ($out, $err) = ('', '');

	push @runs, { err => \$err, run => IPC::Run::start(
			[ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-c', $work->($n) ],
			'<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default)) };
}
for my $n (1 .. $sessions)
{
	ok($runs[$n - 1]{run}->finish, "session $n: all that it did went well");
	is(${ $runs[$n - 1]{err} }, '', "session $n: without an error");
}

is(value('SELECT status, count(*) FROM amelia_platform.workflow_executions GROUP BY 1'), "completed|$executions", 'all executions are completed');
is(value('SELECT count(DISTINCT k.assigned_agent_id) > 1 FROM amelia_platform.tasks AS k'), 't', 'by more than one session');
is( value(q{SELECT count(*), bool_and(k.status = 'completed' AND k.attempts = 1), count(DISTINCT (k.execution_id, k.step_id))
		FROM amelia_platform.tasks AS k WHERE k.execution_id IS NOT NULL}),
	$executions * 9 . '|t|' . $executions * 9, 'each task was done, once');
is( value(q{SELECT e.context_data ->> 'number' IN ('0', '2', '4', '6', '8') AS even,
		count(*) FILTER (WHERE s.step_id = 'even' AND s.status = 'completed') = count(DISTINCT e.id) AS went_even,
		count(*) FILTER (WHERE s.step_id = 'odd' AND s.status = 'completed') = count(DISTINCT e.id) AS went_odd
		FROM amelia_platform.workflow_executions AS e JOIN amelia_platform.execution_steps AS s ON s.execution_id = e.id
		GROUP BY 1 ORDER BY 1}),
	"f|f|t\nt|t|f", 'each went the way that its context says');
is( value(q{SELECT count(*) FROM amelia_platform.execution_steps AS b
		JOIN amelia_platform.execution_steps AS j ON j.execution_id = b.execution_id AND j.step_id = 'last'
		WHERE b.step_id IN ('a', 'b3', 'c2') AND b.completed_at > j.started_at}),
	'0', 'no join went on before its branches were through');
is( value(q{SELECT count(*) FROM amelia_platform.workflow_executions AS e, jsonb_each(e.context_data) AS r
		WHERE r.key <> 'number' AND (r.value ->> 'execution' <> e.id::text OR r.value ->> 'step' <> r.key)}),
	'0', 'the results are those of its own steps');
is(value('SELECT count(*) FROM amelia_platform.verify()'), '0', 'verify() finds nothing');

$node->stop;
done_testing();
