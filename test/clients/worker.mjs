// The worker that test/t/521_node_worker.pl kills; worker.py is its like in Python,
// and says what the steps are.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs, promisify } from 'node:util';
import { Cancelled, Retry, Worker } from 'amelia';

const { values: options } = parseArgs({
	options: {
		name: { type: 'string' },
		lease: { type: 'string', default: '60' },
		step: { type: 'string', default: '1' },
		idle: { type: 'string', default: '1' },
		once: { type: 'boolean', default: false },
		until: { type: 'string' },
	},
});
const say = (text) => console.error(text);
// setTimeout() knows no longer one.
const sleep = (workflow) => delay(Math.min(options.step * 1000, 2 ** 31 - 1), undefined, { signal: workflow.signal });

async function act(workflow, step) {
	say(`${workflow.id}: begins ${step}`);
	if (step === 'fail') throw new Error('this step always fails');
	if (step === 'retry') throw new Retry('rate limit', 86400);
	if (step === 'write') {
		await workflow.transact((client) => client.query('INSERT INTO notes VALUES ($1)', [workflow.id]));
	} else if (step === 'child') {
		await promisify(execFile)('sh', ['-c', 'echo $$ > "$0"; exec sleep 1000000', options.until], { signal: workflow.signal });
	} else if (step === 'deaf') {
		// Blocks the event loop.
		while (!existsSync(options.until)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
	} else {
		await sleep(workflow);
	}
	await workflow.book(workflow.worker, { prompt_tokens: 100, completion_tokens: 10 }, { model: 'example', costUsd: 0.001 });
	return { did: step };
}

async function work(workflow) {
	for (const [number, step] of (workflow.issue?.steps ?? ['look', 'edit', 'test']).entries()) {
		const name = String(number);

		if ((await workflow.results()).has(name)) continue;
		for (let paused = false; ;) {
			for (const { kind } of await workflow.messages()) {
				say(`${workflow.id}: message ${kind}`);
				paused = { pause: true, resume: false }[kind] ?? paused;
			}
			if (!paused) break;
			await workflow.sleep(0.5);
		}
		if (step.startsWith('approve:')) {
			const { approved, comment } = await workflow.ask(step.slice('approve:'.length).trim(), { step: name });

			if (!approved) throw new Cancelled(comment);
			await workflow.step(name, () => null, { agent: workflow.worker });
		} else {
			await workflow.step(name, () => act(workflow, step), { agent: workflow.worker });
		}
		say(`${workflow.id}: did ${step}`);
	}
}

const worker = new Worker(process.env.DATABASE_URL, work, {
	name: options.name, lease: Number(options.lease), idle: Number(options.idle), log: { info: say, warn: say },
});
await worker.run({ once: options.once });
