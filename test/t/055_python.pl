# What Python's driver makes of a float, an integer, None and a dict finds the
# functions that book usage and take prices, and what they answer can be read.
use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# Debian's package belongs to Debian's Python.
my ($python) = grep { system("$_ -c 'import psycopg' >/dev/null 2>&1") == 0 } '/usr/bin/python3', 'python3';
plan skip_all => 'python3-psycopg is not installed' if !$python;

my $node = PostgreSQL::Test::Cluster->new('python');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION amelia');

my $script = <<'PYTHON';
import sys, decimal, psycopg
from psycopg.types.json import Json, Jsonb

connection = psycopg.connect(sys.argv[1], autocommit=True)

def ask(sql, *values):
    try:
        return connection.execute(sql, values).fetchall()
    except psycopg.Error as error:
        return error.sqlstate + " " + error.diag.message_primary

w = ask("SELECT id FROM amelia.create_workflow('A-1', '/a')")[0][0]
record = "SELECT amelia.record_usage(%s, %s, %s, %s, %s, cost_usd => %s, id => %s)"
u = ["00000000-0000-0000-0000-00000000000%d" % n for n in range(10)]
for n, cost in enumerate([0.0123, 0.1 + 0.2, decimal.Decimal("0.0123"), 1, 0, 9999.999999, "0.5"]):
    print(n, ask(record, w, "a", "m", 1000, 2**31 - 1, cost, u[n])[0][0], ask("SELECT cost_usd FROM amelia.token_usage WHERE id = %s", u[n])[0][0])
print("again", ask(record, w, "a", "m", 1000, 2**31 - 1, 0.1 + 0.2, u[1])[0][0])
print("other", ask(record, w, "a", "m", 1000, 2**31 - 1, 0.31, u[1]))
print("large", ask(record, w, "a", "m", 2**31, 1, 0.5, u[8]))
print("larger", ask(record, w, "a", "m", 1, 2**40, 0.5, u[8]))
print("nan", ask(record, w, "a", "m", 1, 1, float("nan"), u[8]))
print("infinity", ask(record, w, "a", "m", 1, 1, float("inf"), u[8]))
print("none", ask(record, w, "a", "m", 1, 1, None, u[8]).split(" at ")[0])
print("list", ask("SELECT stored, unchanged, passed_over FROM amelia.load_prices(%s)",
    Jsonb({"m": {"input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06}, "n": {}})))
print("priced", ask(record, w, "a", "m", 1000, 500, None, u[8])[0][0], ask("SELECT cost_usd FROM amelia.token_usage WHERE id = %s", u[8])[0][0])
print("price", ask("SELECT model, valid_from, valid_to, input, rates FROM amelia.find_price('m')"))
print("reckoned", ask("SELECT amelia.price_usage(%s, %s, %s, service_tier => %s, num_turns => %s)", "m", 1000, 2**40, None, 3))
print("budget", connection.execute("INSERT INTO amelia.budgets (scope, period, limit_usd, action) VALUES ('everything', 'total', %s, 'warn')", [0.25]).rowcount,
    ask("SELECT period, period_start, period_end, limit_usd, is_spent FROM amelia.budget_status()"))
ask("INSERT INTO amelia.profiles (id, working_dir, agents) VALUES ('p', '/', '{}') RETURNING id")
ask("INSERT INTO amelia.brainstorm_sessions (id, profile_id) VALUES ('s', 'p') RETURNING id")
print("chat", ask("SELECT cost_usd FROM amelia.add_brainstorm_message('s', 'user', 'c', input_tokens => %s, cost_usd => %s)", 2**20, 0.0123))
print("spark", ask("SELECT amelia.sparkline(%s)", [0.5, 1.0]))
PYTHON

$ENV{PYTHONIOENCODING} = 'utf-8';
my ($out, $err) = ('', '');
IPC::Run::run([ $python, '-', $node->connstr('postgres') ], '<', \$script, '>', \$out, '2>', \$err);
is($err, '', 'no exception');
is($out, <<'EXPECTED', 'every number arrives, or the error says what it is');
0 00000000-0000-0000-0000-000000000000 0.012300
1 00000000-0000-0000-0000-000000000001 0.300000
2 00000000-0000-0000-0000-000000000002 0.012300
3 00000000-0000-0000-0000-000000000003 1.000000
4 00000000-0000-0000-0000-000000000004 0.000000
5 00000000-0000-0000-0000-000000000005 9999.999999
6 00000000-0000-0000-0000-000000000006 0.500000
again 00000000-0000-0000-0000-000000000001
other 23505 usage 00000000-0000-0000-0000-000000000001 exists already, with other content
large 22003 input_tokens is out of range: 2147483648
larger 22003 output_tokens is out of range: 1099511627776
nan 22023 cost_usd must be a number of US dollars that is not negative: NaN
infinity 22003 cost_usd is out of range: Infinity
none P0002 no price for model "m"
list [(1, 0, {'it has no price per token': ['n']})]
priced 00000000-0000-0000-0000-000000000008 0.002000
price [('m', None, None, Decimal('1'), {})]
reckoned [(Decimal('2199023.256552'),)]
budget 1 [('total', None, None, Decimal('0.25'), True)]
chat [(Decimal('0.012300'),)]
spark [('▄█',)]
EXPECTED

$node->stop;
done_testing();
