// What a call of a model used, from the usage objects of OpenAI and Anthropic.
// README.md says which number goes to which argument of record_usage().

const number = (of, ...path) => {
	const value = path.reduce((object, name) => object?.[name], of) ?? 0;

	if (!Number.isSafeInteger(value)) throw new TypeError(`${path.join('.')} is no whole number: ${String(value).slice(0, 100)}`);
	return value;
};
const text = (value) => (typeof value === 'string' ? value : null);

export class Usage {
	constructor(given) {
		Object.assign(this, {
			inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheCreationTokens: 0, cacheCreation1hTokens: 0,
			reasoningTokens: 0, inputAudioTokens: 0, outputAudioTokens: 0, serviceTier: null, inputIncludesCached: null, model: null,
		}, given);
	}
}

export function readUsage(used) {
	const usage = used?.usage ?? used?.usage_metadata ?? used;
	const answer = usage === used ? null : used;
	const model = text(answer?.model) ?? text(answer?.response_metadata?.model_name) ?? text(answer?.response_metadata?.model);
	const tier = text(usage?.service_tier) ?? text(answer?.service_tier);
	// What was asked for, or a tier that is paid for in advance: no price of its own.
	const serviceTier = tier === 'auto' || tier === 'scale' ? null : tier;

	if (usage?.prompt_tokens != null) {
		return new Usage({
			inputTokens: number(usage, 'prompt_tokens'),
			outputTokens: number(usage, 'completion_tokens'),
			cacheReadTokens: number(usage, 'prompt_tokens_details', 'cached_tokens'),
			reasoningTokens: number(usage, 'completion_tokens_details', 'reasoning_tokens'),
			inputAudioTokens: number(usage, 'prompt_tokens_details', 'audio_tokens'),
			outputAudioTokens: number(usage, 'completion_tokens_details', 'audio_tokens'),
			serviceTier,
			inputIncludesCached: true,
			model,
		});
	}
	if (usage?.input_tokens == null || usage.output_tokens == null) {
		throw new RangeError(`no usage of OpenAI's or Anthropic's: ${JSON.stringify(used)?.slice(0, 200)}`);
	}
	const both = { inputTokens: number(usage, 'input_tokens'), outputTokens: number(usage, 'output_tokens'), serviceTier, model };

	if (usage.input_tokens_details != null) {
		return new Usage({
			...both,
			cacheReadTokens: number(usage, 'input_tokens_details', 'cached_tokens'),
			reasoningTokens: number(usage, 'output_tokens_details', 'reasoning_tokens'),
			inputIncludesCached: true,
		});
	}
	if (usage.input_token_details != null) {
		if (usage.input_token_details.cached_tokens != null) {
			throw new RangeError("the Realtime API's usage is not read: its cached tokens are sound and text");
		}
		return new Usage({
			...both,
			cacheReadTokens: number(usage, 'input_token_details', 'cache_read'),
			cacheCreationTokens: number(usage, 'input_token_details', 'cache_creation'),
			cacheCreation1hTokens: number(usage, 'input_token_details', 'ephemeral_1h_input_tokens'),
			reasoningTokens: number(usage, 'output_token_details', 'reasoning'),
			inputAudioTokens: number(usage, 'input_token_details', 'audio'),
			outputAudioTokens: number(usage, 'output_token_details', 'audio'),
			inputIncludesCached: true,
		});
	}
	// Without a word about a cache nothing was cached, and both forms mean the same.
	return new Usage({
		...both,
		cacheReadTokens: number(usage, 'cache_read_input_tokens'),
		cacheCreationTokens: number(usage, 'cache_creation_input_tokens'),
		cacheCreation1hTokens: number(usage, 'cache_creation', 'ephemeral_1h_input_tokens'),
		inputIncludesCached: false,
	});
}
