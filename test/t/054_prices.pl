# amelia-prices: a list of the size and the shapes that are published goes in
# whole, to the digit; what cannot be used is told; what is no list is refused.
use strict;
use warnings;

use FindBin;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $program = $ENV{AMELIA_PRICES} || "$FindBin::RealBin/../../client/amelia-prices";
my $dir = PostgreSQL::Test::Utils::tempdir();
my $node = PostgreSQL::Test::Cluster->new('prices');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->start;

# Exit status, standard output, standard error.
sub prices
{
	my ($stdin, @args) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run([ $program, '-d', $node->connstr('postgres'), @args ], '<', \$stdin, '>', \$out, '2>', \$err);
	return ($? >> 8, $out, $err);
}

sub query { return $node->safe_psql('postgres', $_[0]) }

sub write_list
{
	my ($name, $text) = @_;
	append_to_file("$dir/$name", $text);
	return "$dir/$name";
}

# LiteLLM's list: 3,000 models in the proportions of the real one. The numbers
# are made up, and written as that file writes them, 3.75e-06 and 0.04. What is
# to be stored of it comes along, as SQL that knows nothing of load_prices().
sub litellm
{
	my ($models) = @_;
	my @entries = (
		'"sample_spec": {"code_interpreter_cost_per_session": 0.0, "input_cost_per_token": 0.0, "litellm_provider": "one of many",'
		  . ' "max_tokens": "LEGACY parameter", "mode": "one of: chat, embedding", "supports_vision": true}',
		map { "\"bedrock/*/$_-month-commitment/some.command-text\": {\"input_cost_per_second\": 0.0$_, \"output_cost_per_second\": 0.0$_,"
			  . ' "litellm_provider": "bedrock", "max_tokens": 4096, "mode": "chat"}' } 1, 6);
	my @providers = qw(openai anthropic bedrock bedrock_converse azure openrouter gemini vertex_ai-language-models
	  deepseek xai fireworks_ai dashscope);
	for my $n (1 .. $models)
	{
		my $provider = $providers[ $n % @providers ];
		my $price = sub { sprintf '%de-%02d', 1 + ($n * $_[0]) % 89, 7 + $n % 3 };
		my %entry = (
			input_cost_per_token => $price->(7), output_cost_per_token => $price->(13),
			litellm_provider => qq{"$provider"}, max_input_tokens => 128000 + $n, max_output_tokens => 8192, max_tokens => 8192,
			mode => '"chat"', source => '"https://example.com/pricing"', supported_modalities => '["text", "image"]',
			supports_function_calling => 'true', supports_vision => 'true', supports_response_schema => 'true',
			supports_tool_choice => 'true', deprecation_date => '"2027-02-28"');
		$entry{cache_read_input_token_cost} = $price->(3) if $n % 4 == 0;
		$entry{cache_creation_input_token_cost} = $price->(5) if $n % 12 == 0;
		$entry{cache_creation_input_token_cost_above_1hr} = $price->(17) if $n % 24 == 0;
		$entry{"${_}_above_200k_tokens"} = $price->(19)
		  for $n % 27 == 0 ? qw(input_cost_per_token output_cost_per_token cache_read_input_token_cost) : ();
		$entry{"${_}_batches"} = $price->(23) for $n % 25 == 0 ? qw(input_cost_per_token output_cost_per_token) : ();
		$entry{"${_}_priority"} = $price->(29) for $n % 40 == 0 ? qw(input_cost_per_token output_cost_per_token) : ();
		$entry{output_cost_per_reasoning_token} = $price->(31) if $n % 70 == 0;
		$entry{input_cost_per_audio_token} = $price->(37) if $n % 30 == 0;
		$entry{search_context_cost_per_query} = '{"search_context_size_high": 0.05, "search_context_size_low": 0.03}' if $n % 9 == 0;
		# One in six is paid for by the picture, the page, the second.
		if ($n % 6 == 5)
		{
			delete @entry{ grep { /_token(?:_|\z)|token_cost/ && /cost/ } keys %entry };
			@entry{qw(mode output_cost_per_image)} = ('"image_generation"', '0.04');
		}
		push @entries, "\"$provider/model-$n\": {\n        "
		  . join(",\n        ", map { "\"$_\": $entry{$_}" } sort keys %entry) . "\n    }";
	}
	return "{\n    " . join(",\n    ", @entries) . "\n}\n";
}

my $list = write_list('model_prices_and_context_window.json', litellm(3000));
cmp_ok(-s $list, '>', 1_000_000, 'a list of more than 1 MB');

my ($status, $out, $err) = prices('', $list);
is($status, 2, 'without the extension it is not loaded');
like($err, qr/the extension amelia is not there/, 'and it says so');
$node->safe_psql('postgres', 'CREATE EXTENSION amelia');

($status, $out, $err) = prices('', $list);
is($status, 0, 'the list is loaded') or diag($err);
is($err, '', 'without complaint');
like($out, qr/^\Q$list\E: 2500 new prices, 0 known already$/m, 'it says how many prices are new');
like($out, qr/^\Q$list\E: 500 passed over, it has no price per token: \S+, \S+, \S+ and 497 more$/m, 'and what was passed over');
like($out, qr{^\Q$list\E: 2 passed over, its name is empty, or has a \* that is not at its end: bedrock/\*/1-\S+, bedrock/\*/6-\S+$}m,
	'also by its name');
my $stored = query('SELECT md5(string_agg(p::text, chr(10) ORDER BY p.id)) FROM amelia.model_prices AS p');
is(query(
		qq{SELECT count(*), count(*) FILTER (WHERE
			(p.input, p.output, p.cache_read, p.cache_creation, p.rates -> 'cache_creation_1h', p.rates -> 'above_200000.input',
				p.rates -> 'above_200000.cache_read', p.rates -> 'batch.output', p.rates -> 'priority.input', p.rates -> 'reasoning', p.rates -> 'input_audio')
			IS DISTINCT FROM
			((e.value ->> 'input_cost_per_token')::numeric * 1000000, (e.value ->> 'output_cost_per_token')::numeric * 1000000,
				COALESCE((e.value ->> 'cache_read_input_token_cost')::numeric, (e.value ->> 'input_cost_per_token')::numeric) * 1000000,
				COALESCE((e.value ->> 'cache_creation_input_token_cost')::numeric, (e.value ->> 'input_cost_per_token')::numeric) * 1000000,
				to_jsonb((e.value ->> 'cache_creation_input_token_cost_above_1hr')::numeric * 1000000),
				to_jsonb((e.value ->> 'input_cost_per_token_above_200k_tokens')::numeric * 1000000
					) , to_jsonb((e.value ->> 'cache_read_input_token_cost_above_200k_tokens')::numeric * 1000000),
				to_jsonb((e.value ->> 'output_cost_per_token_batches')::numeric * 1000000), to_jsonb((e.value ->> 'input_cost_per_token_priority')::numeric * 1000000),
				to_jsonb((e.value ->> 'output_cost_per_reasoning_token')::numeric * 1000000), to_jsonb((e.value ->> 'input_cost_per_audio_token')::numeric * 1000000)))
		FROM jsonb_each(pg_read_file('$list')::jsonb) AS e JOIN amelia.model_prices AS p ON p.model = e.key
		WHERE p.model NOT LIKE 'xai/%'}),
	'2250|0', 'each price is what is written, to the digit');
is(query(q{SELECT string_agg(DISTINCT split_part(model, '/', 1), ' ') FROM amelia.model_prices WHERE NOT input_includes_cached}),
	'anthropic bedrock bedrock_converse', 'and says what its provider reports');

($status, $out, $err) = prices('', '-v', $list);
is($status, 0, 'the same again');
like($out, qr/: 0 new prices, 2500 known already$/m, 'brings nothing new');
like($out, qr{: it has no price per token: (?:\S+, ){499}\S+$}m, '--verbose names all that was passed over');
is(query('SELECT md5(string_agg(p::text, chr(10) ORDER BY p.id)) FROM amelia.model_prices AS p'), $stored, 'so nothing is changed');

my $changed = write_list('changed.json', slurp_file($list) =~ s/"output_cost_per_token": /"output_cost_per_token": 1/r);
($status, $out, $err) = prices('', '--valid-from=2026-01-01', $changed);
like($out, qr/: 1 new price, 2499 known already$/m, 'one that is another price');
is(query(q{SELECT count(*) FROM amelia.model_prices WHERE valid_to IS NOT NULL AND valid_to::date = '2026-01-01'}), '1', 'holds from the time that was given');

# Of the other two, of which test/sql/price_lists.sql has the details.
my $models_dev = write_list('api.json', JSON::PP->new->encode({ map { my $p = $_; ("provider-$p" => {
	id => "provider-$p", env => ['KEY'], npm => $p % 2 ? '@ai-sdk/anthropic' : '@ai-sdk/openai-compatible', name => "P $p", doc => 'https://example.com',
	models => { map { ("m-$_" => { id => "m-$_", name => "M $_", attachment => JSON::PP::true, reasoning => JSON::PP::false, release_date => '2026-01-01',
		modalities => { input => ['text'], output => ['text'] }, limit => { context => 200000, output => 8192 },
		cost => { input => $_ / 8, output => $_ / 4, cache_read => $_ / 64 } }) } 1 .. 60 } }) } 1 .. 50 }));
($status, $out, $err) = prices('', $models_dev);
is("$status$err", '0', 'the list of models.dev');
like($out, qr/: 3000 new prices, 0 known already$/m, 'with all its models');
my $openrouter = JSON::PP->new->encode({ data => [ map { { id => "maker/m-$_", canonical_slug => "maker/m-$_", name => "M $_", created => 1700000000,
	description => 'd' x 200, context_length => 128000, architecture => { modality => 'text->text', tokenizer => 'GPT' },
	pricing => { prompt => sprintf('%.8f', $_ / 1e8), completion => '0.000001', request => '0', image => '0', internal_reasoning => '0' },
	top_provider => { is_moderated => JSON::PP::false } } } 1 .. 3000 ] });
($status, $out, $err) = prices($openrouter, '-');
is("$status$err", '0', 'the list of OpenRouter, from standard input');
like($out, qr/^standard input: 3000 new prices, 0 known already$/m, 'with all its models');
is(query(q{SELECT count(*) FROM amelia.model_prices WHERE model LIKE 'maker/m-%' AND input = substr(model, 9)::numeric / 100 AND rates = '{}'}), '3000', 'to the digit');

# What is refused: nothing is stored, and the place is named where there is one.
$stored = query('SELECT md5(string_agg(p::text, chr(10) ORDER BY p.id)) FROM amelia.model_prices AS p');
for my $case (
	[ '{"m": {"pricing_config": {"pay_as_you_go": {}}}}', qr/^amelia-prices: error: standard input: this is a price list of Portkey/m ],
	[ '<html>', qr/^amelia-prices: error: standard input:1: invalid input syntax for type json$/m ],
	[ "{\"m\": {\"input_cost_per_token\": 1},\n\n\"n\": }", qr/^amelia-prices: error: standard input:3: /m ],
	[ '', qr/^amelia-prices: error: standard input:1: invalid input syntax/m ],
	[ '[]', qr/: this is no price list that is known, but a JSON array$/m ],
	[ "{\"m\0\": 1}", qr/: contains a NUL byte$/m ],
	[ "{\"m\": \"\xff\"}", qr/invalid byte sequence for encoding "UTF8"/ ])
{
	($status, $out, $err) = prices($case->[0], '-');
	is("$status$out", '1', 'refused: ' . ($case->[0] =~ s/[^ -~]/?/gr));
	like($err, $case->[1], 'and why');
}
($status, $out, $err) = prices('', "$dir/none.json");
is("$status$out", '1', 'a file that is not there');
like($err, qr/none\.json: could not open: No such file or directory/, 'is named');
($status, $out, $err) = prices('', '--valid-from=never', $list);
is($status, 1, 'a time that is none');
like($err, qr/invalid input syntax for type timestamp with time zone: "never"/, 'is named');
is(query('SELECT md5(string_agg(p::text, chr(10) ORDER BY p.id)) FROM amelia.model_prices AS p'), $stored, 'nothing was stored');

# A role that may not is told.
query('CREATE ROLE somebody LOGIN');
($status, $out, $err) = prices('', '-U', 'somebody', $list);
is($status, 1, 'a role without rights');
like($err, qr/permission denied/, 'is refused');
query(q{SELECT amelia.grant_admin('somebody')});
($status, $out, $err) = prices('', '-q', '-U', 'somebody', $list);
is("$status$out$err", '0', 'an admin loads it, and --quiet says nothing');

($status, $out, $err) = prices('', '--help');
like($out, qr/^Usage:\n  amelia-prices \[OPTION\]\.\.\. FILE$/m, '--help');
for my $args ([], [ $list, $list ], [ '-w', '-W', $list ], [ '-q', '-v', $list ], ['--no-such'])
{
	($status, $out, $err) = prices('', @$args);
	is($status, 3, "wrong usage: @$args");
}

$node->stop;
($status, $out, $err) = prices('', $list);
is($status, 2, 'without a server');

done_testing();
