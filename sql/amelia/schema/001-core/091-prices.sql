-- What models cost.

CREATE TABLE amelia.model_prices (
	id uuid PRIMARY KEY,
	model text NOT NULL CHECK (model ~ '^[^*]+[*]?$' OR model = '*'),
	-- NULL is an open end, as in the range of both: clients cannot read infinities
	valid_from timestamptz,
	valid_to timestamptz,
	-- NaN and Infinity are greater than every price; from the limit on, one
	-- token would cost more than may be booked
	input numeric NOT NULL CHECK (input >= 0 AND input < 10000000000),
	output numeric NOT NULL CHECK (output >= 0 AND output < 10000000000),
	cache_read numeric NOT NULL CHECK (cache_read >= 0 AND cache_read < 10000000000),
	cache_creation numeric NOT NULL CHECK (cache_creation >= 0 AND cache_creation < 10000000000),
	input_includes_cached boolean NOT NULL DEFAULT false,
	rates jsonb NOT NULL DEFAULT '{}',
	CHECK (COALESCE(valid_from, '-infinity') < COALESCE(valid_to, 'infinity')),
	-- each beginning of a name is looked for
	CHECK (model !~ '[*]$' OR length(model) <= 256),
	CONSTRAINT model_prices_rates CHECK (jsonb_typeof(rates) = 'object' AND NOT jsonb_path_exists(rates, '$.keyvalue() ? (
		!(@.key like_regex "^((batch|flex|priority)[.])?(above_[1-9][0-9]{0,8}[.])?(input|output|cache_read|cache_creation|cache_creation_1h|reasoning|input_audio|output_audio)$")
		|| @.value.type() != "number" || @.value < 0 || @.value >= 10000000000)')),
	-- GiST has no equality for text without another extension, but it compares
	-- ranges: the range of one number, a 64-bit hash of the model, stands for
	-- it. Two models with the same hash could not have prices at one time.
	CONSTRAINT model_prices_periods EXCLUDE USING gist (
		int8range(hashtextextended(model, 0), hashtextextended(model, 0), '[]') WITH &&,
		tstzrange(valid_from, valid_to) WITH &&)
);
CREATE INDEX idx_model_prices_model ON amelia.model_prices (model);
COMMENT ON TABLE amelia.model_prices IS
'What a million tokens of a model cost in US dollars, in periods that do not overlap. record_usage() without a cost looks here; what is booked stays as it is when prices change.';
COMMENT ON COLUMN amelia.model_prices.model IS
'The model''s name as usage is booked with it, or the beginning of names followed by *. The exact name goes first, then the longest beginning.';
COMMENT ON COLUMN amelia.model_prices.valid_from IS 'The price holds for usage from then on; NULL: from ever.';
COMMENT ON COLUMN amelia.model_prices.valid_to IS 'And before then; NULL: for ever.';
COMMENT ON COLUMN amelia.model_prices.input_includes_cached IS
'Whether the provider counts cached tokens among the input tokens too, as OpenAI and Google do and Anthropic does not: then they are taken off before input is charged.';
COMMENT ON COLUMN amelia.model_prices.rates IS
'What else has a price per million tokens: cache_creation_1h, reasoning, input_audio, output_audio; and any of these, input, output, cache_read and cache_creation in a tier of service or for prompts longer than so many tokens: batch.input, above_200000.output, priority.above_200000.input.';

-- No foreign key to the usage: TRUNCATE of token_usage would be refused, and
-- each row that is deleted there would be looked up here.
CREATE TABLE amelia.unpriced_usage (
	usage_id uuid PRIMARY KEY,
	workflow_id uuid NOT NULL REFERENCES amelia.workflows (id) ON DELETE CASCADE,
	model text NOT NULL,
	recorded_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_unpriced_usage_workflow ON amelia.unpriced_usage (workflow_id);
COMMENT ON TABLE amelia.unpriced_usage IS
'Usage that was booked with cost 0 because its model had no price, where server_settings.record_unpriced_usage allows that.';
