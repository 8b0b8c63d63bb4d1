// Graphs of LangGraph in threads that are pruned, beside clones that are not, for
// test/t/208_langgraph_prune.pl and 211_langgraph_worker.pl. Prints a line of JSON for each thing that was
// compared: {scenario, what, ok, detail}, and for each thread {scenario, keep, freed}.
//
//   node prune.mjs URL SCHEMA          prunes by hand
//   node prune.mjs URL SCHEMA worker   lets the maintenance worker do it, and goes on
//
// What is compared is what LangGraph says of both threads: the state with that of
// subgraphs and pending tasks, each checkpoint that was kept, what a fork from each
// of them comes to, and where the thread goes from there.
import { Annotation, Command, DeltaChannel, END, START, StateGraph, interrupt } from '@langchain/langgraph';
import { PostgresSaver } from '@langchain/langgraph-checkpoint-postgres';
import pg from 'pg';

const [url, schema, mode] = process.argv.slice(2);
const saver = PostgresSaver.fromConnString(url, { schema });
const pool = new pg.Pool({ connectionString: url, max: 2 });
const say = (line) => console.log(JSON.stringify(line));
const at = (thread, more = {}) => ({ configurable: { thread_id: thread, ...more } });

const list = () => Annotation({ reducer: (a, b) => a.concat(b), default: () => [] });
const delta = (snapshotFrequency) => () => new DeltaChannel((state, writes) => (state ?? []).concat(...writes), { snapshotFrequency });
const padding = 'x'.repeat(500);

// Squashing leaves alone what was made within the last hour, by its id.
const now = Date.now;
let hoursBack = 0;
Date.now = () => now() - hoursBack * 3600 * 1000;

// Each scenario: a graph, how its turns are taken, and how it goes on.
function chat(channel, options = {}) {
	const State = Annotation.Root({ messages: channel, count: Annotation() });

	return {
		turns: 8,
		options,
		graph: new StateGraph(State)
			.addNode('think', (state) => ({ count: state.messages.length, messages: [`thought ${state.messages.length} ${padding}`] }))
			.addNode('speak', (state) => ({ messages: [`said ${state.count}`] }))
			.addEdge(START, 'think').addEdge('think', 'speak').addEdge('speak', END),
		input: (n) => ({ messages: [`turn ${n}`] }),
		next: () => ({ messages: ['one more'] }),
	};
}

// Two nodes ask a person, a third one has done its work.
function asking() {
	const State = Annotation.Root({ log: list() });

	return {
		turns: 3,
		finish: new Command({ resume: 'yes' }),
		graph: new StateGraph(State)
			.addNode('one', () => ({ log: [`one ${interrupt('one?')}`] }))
			.addNode('two', () => ({ log: [`two ${interrupt('two?')}`] }))
			.addNode('done', () => ({ log: ['done'] }))
			.addNode('end', (state) => ({ log: [`end ${state.log.length}`] }))
			.addEdge(START, 'one').addEdge(START, 'two').addEdge(START, 'done')
			.addEdge(['one', 'two', 'done'], 'end').addEdge('end', END),
		input: (n) => ({ log: [`ask ${n}`] }),
		resume: async (graph, thread) => {
			const state = await graph.getState(at(thread));
			const answers = Object.fromEntries(state.tasks.flatMap((t) => t.interrupts).map((i) => [i.id, `yes to ${i.value}`]));

			return graph.invoke(new Command({ resume: answers }), at(thread));
		},
	};
}

// One of two parallel nodes fails; the other's writes are pending.
function failing() {
	const State = Annotation.Root({ log: list(), fail: Annotation() });
	const broken = { now: false };

	return {
		turns: 3,
		before: (n, turns) => { broken.now = n === turns; },
		graph: new StateGraph(State)
			.addNode('good', () => ({ log: ['good'] }))
			.addNode('bad', () => {
				if (broken.now) {
					throw new Error('on fire');
				}
				return { log: ['not so bad'] };
			})
			.addEdge(START, 'good').addEdge(START, 'bad').addEdge('good', END).addEdge('bad', END),
		input: (n) => ({ log: [`try ${n}`] }),
		resume: async (graph, thread) => {
			broken.now = false;
			return graph.invoke(null, at(thread));
		},
	};
}

// A question three graphs deep.
function nested(channel) {
	const State = Annotation.Root({ log: channel });
	const inner = new StateGraph(State)
		.addNode('prepare', () => ({ log: ['prepared'] }))
		.addNode('ask', () => ({ log: [`asked ${interrupt('deep?')}`] }))
		.addEdge(START, 'prepare').addEdge('prepare', 'ask').addEdge('ask', END).compile();
	const middle = new StateGraph(State)
		.addNode('work', () => ({ log: ['worked'] }))
		.addNode('inner', inner)
		.addEdge(START, 'work').addEdge('work', 'inner').addEdge('inner', END).compile();

	return {
		turns: 3,
		graph: new StateGraph(State)
			.addNode('middle', middle)
			.addNode('end', (state) => ({ log: [`end ${state.log.length}`] }))
			.addEdge(START, 'middle').addEdge('middle', 'end').addEdge('end', END),
		input: (n) => ({ log: [`start ${n}`] }),
		between: (graph, thread) => graph.invoke(new Command({ resume: 'yes' }), at(thread)),
		resume: (graph, thread) => graph.invoke(new Command({ resume: 'at last' }), at(thread)),
	};
}

// A subgraph that remembers from turn to turn.
function remembering(channel) {
	const State = Annotation.Root({ log: channel });
	const Memory = Annotation.Root({ seen: channel });
	const memory = new StateGraph(Memory)
		.addNode('look', (state) => ({ seen: [`look ${state.seen.length}`] }))
		.addEdge(START, 'look').addEdge('look', END).compile({ checkpointer: true });

	return {
		turns: 5,
		graph: new StateGraph(State)
			.addNode('memory', async (state) => {
				const { seen } = await memory.invoke({ seen: [`of ${state.log.length}`] });

				return { log: [`memory of ${seen.length}: ${seen.at(-1)}`] };
			})
			.addEdge(START, 'memory').addEdge('memory', END),
		input: (n) => ({ log: [`turn ${n}`] }),
		next: () => ({ log: ['one more'] }),
	};
}

const scenarios = {
	'a chat with a list': () => chat(list()),
	'two questions': asking,
	'a failed task': failing,
	'a question three deep': () => nested(list()),
	'a subgraph that remembers': () => remembering(list()),
	'a delta channel, snapshot each time': () => chat(delta(1)),
	'a delta channel, snapshot each fourth time': () => chat(delta(4)),
	// All of it is needed to make the channel.
	'a delta channel, hardly a snapshot': () => ({ ...chat(delta(1000)), is_kept: true }),
	'delta channels three deep': () => nested(delta(3)),
	'a subgraph that remembers by deltas': () => remembering(delta(3)),
	'durability exit': () => chat(list(), { durability: 'exit' }),
	'durability exit, a delta channel': () => chat(delta(4), { durability: 'exit' }),
};

// Same text for same content; ids of checkpoints differ from thread to thread.
function canonical(value) {
	if (value instanceof Error) {
		return canonical({ error: value.message });
	}
	if (Array.isArray(value)) {
		return `[${value.map(canonical).join()}]`;
	}
	if (value !== null && typeof value === 'object') {
		// The id of a question tells where it was asked.
		const keys = Object.keys(value).filter((key) => key !== 'id' || typeof value.id !== 'string');

		return `{${keys.sort().map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join()}}`;
	}
	return JSON.stringify(value) ?? 'undefined';
}
function reduced(state) {
	if (state === undefined) {
		return 'none';
	}
	return {
		values: state.values,
		next: [...state.next].sort(),
		step: state.metadata?.step,
		tasks: state.tasks.map((task) => ({
			name: task.name,
			error: task.error?.message ?? task.error,
			interrupts: task.interrupts.map((i) => i.value),
			state: task.state?.values === undefined ? undefined : reduced(task.state),
		})).sort((a, b) => canonical(a) < canonical(b) ? -1 : 1),
	};
}
const stateOf = async (graph, config) => canonical(reduced(await graph.getState(config, { subgraphs: true })));

async function copy(from, to) {
	await pool.query('SELECT amelia.copy_thread($1, $2)', [from, to]);
}
async function outcome(run) {
	try {
		return canonical(await run());
	} catch (error) {
		return `error: ${error.code ?? ''} ${error.message}`;
	}
}

async function prune(thread, keep, squash = false) {
	const { rows } = await pool.query('SELECT * FROM amelia.prune(ARRAY[$1], keep => $2, squash => $3)', [thread, keep, squash]);

	return rows[0];
}

// The ids of the roots that a thread has.
async function rootsOf(graph, thread) {
	const ids = [];

	for await (const state of graph.getStateHistory(at(thread))) {
		ids.push(state.config.configurable.checkpoint_id);
	}
	return ids;
}

async function build(scenario, graph, thread) {
	for (let n = 1; n <= scenario.turns; n += 1) {
		scenario.before?.(n, scenario.turns);
		await graph.invoke(scenario.input(n), { ...at(thread), ...scenario.options }).catch((error) => {
			if (error.message !== 'on fire') throw error;
		});
		if (n < scenario.turns) {
			await scenario.between?.(graph, thread);
		}
	}
}

async function goOn(scenario, graph, thread) {
	const results = [];

	if (scenario.resume) {
		results.push(await outcome(() => scenario.resume(graph, thread)));
	}
	scenario.before?.(0, 1);
	results.push(await outcome(() => graph.invoke((scenario.next ?? scenario.input)(99), { ...at(thread), ...scenario.options })));
	results.push(await stateOf(graph, at(thread)));
	return results.join();
}

// The same for both threads?
async function compare(name, what, threads, of) {
	const [pruned, control] = [await of(threads[0]), await of(threads[1])];

	say({ scenario: name, what, ok: pruned === control, detail: pruned === control ? undefined : { pruned, control } });
}

async function check(name, make, keep, squash = false) {
	const scenario = make();
	const graph = scenario.graph.compile({ checkpointer: saver });
	const threads = ['', ', whole'].map((kind) => `${name} ${keep}${squash ? ' squashed' : ''}${kind}`);

	hoursBack = squash ? 3 : 0;
	await build(scenario, graph, threads[0]);
	hoursBack = 0;
	await copy(threads[0], threads[1]);
	const freed = await prune(threads[0], keep, squash);

	say({ scenario: name, keep, squash, freed });
	await compare(name, 'state', threads, (thread) => stateOf(graph, at(thread)));
	const roots = (await rootsOf(graph, threads[0])).slice(0, keep);
	for (const [n, id] of roots.entries()) {
		await compare(name, `checkpoint ${n}`, threads, (thread) => stateOf(graph, at(thread, { checkpoint_id: id })));
		const forks = threads.map((thread) => `${thread}, fork ${n}`);

		for (const i of [0, 1]) {
			await copy(threads[i], forks[i]);
		}
		scenario.before?.(0, 1);
		await compare(name, `fork from ${n}`, forks, async (thread) => [
			await outcome(() => graph.invoke(null, { ...at(thread, { checkpoint_id: id }), ...scenario.options })),
			await stateOf(graph, at(thread)),
			await goOn(scenario, graph, thread)].join());
		for (const i of [0, 1]) {
			await copy(threads[i], `${forks[i]}, edited`);
		}
		await compare(name, `edit of ${n}`, forks.map((fork) => `${fork}, edited`), async (thread) => [
			await outcome(async () => {
				const config = await graph.updateState(at(thread, { checkpoint_id: id }), scenario.input(77), graph.nodes.end ? 'end' : Object.keys(graph.nodes)[1]);

				return reduced(await graph.getState(config));
			}),
			await goOn(scenario, graph, thread)].join());
	}
	const again = await prune(threads[0], keep, squash);
	say({ scenario: name, what: 'nothing is left to prune', ok: again.problem === null && Number(again.checkpoints) + Number(again.blobs) + Number(again.writes) === 0, detail: again });
	await compare(name, 'where it goes', threads, (thread) => goOn(scenario, graph, thread));
	await prune(threads[0], keep, squash);
	await compare(name, 'after another pruning', threads, (thread) => goOn(scenario, graph, thread));
}

// A page that holds the id of a checkpoint that was pruned.
async function late() {
	const scenario = chat(list());
	const graph = scenario.graph.compile({ checkpointer: saver });

	await build(scenario, graph, 'late');
	const roots = await rootsOf(graph, 'late');
	// Of long ago: what is written to one of just now may be late.
	const writes = () => saver.putWrites(at('late', { checkpoint_ns: '', checkpoint_id: `1ef${roots[3].slice(3)}` }), [['messages', ['late']]], 'a task');

	await prune('late', 1);
	const before = await stateOf(graph, at('late'));
	for (const [what, run] of [
		['a turn from a pruned checkpoint', () => graph.invoke(scenario.input(1), { ...at('late', { checkpoint_id: roots[3] }), durability: 'sync' })],
		['an edit of a pruned checkpoint', () => graph.updateState(at('late', { checkpoint_id: roots[3] }), scenario.input(1), 'think')],
		['writes to a pruned checkpoint', writes]]) {
		const result = await outcome(run);

		say({ scenario: 'late', what, ok: /^error: 55000 /.test(result), detail: result });
	}
	say({ scenario: 'late', what: 'nothing is lost', ok: before === await stateOf(graph, at('late')) });
}

// Pruning all the time, while runs go on.
async function meanwhile(name, make) {
	const scenario = make();
	const graph = scenario.graph.compile({ checkpointer: saver });
	const threads = [`${name}, meanwhile`, `${name}, undisturbed`];
	let running = true;
	let pruned = 0;
	const loop = (async () => {
		while (running) {
			const { problem, checkpoints } = await prune(threads[0], 1);

			if (problem !== null && !/somebody writes to it/.test(problem)) {
				say({ scenario: name, what: 'pruning meanwhile', ok: false, detail: problem });
			}
			pruned += Number(checkpoints) > 0 ? 1 : 0;
		}
	})();

	await build(scenario, graph, threads[0]);
	running = false;
	await loop;
	await build(scenario, graph, threads[1]);
	say({ scenario: name, what: 'it was pruned meanwhile', ok: pruned > 0 || scenario.is_kept === true, detail: pruned });
	await compare(name, 'a run that is pruned meanwhile', threads, (thread) => stateOf(graph, at(thread)));
	await compare(name, 'where that goes', threads, (thread) => goOn(scenario, graph, thread));
}

// Rounds of the maintenance worker that begin after now.
async function rounds(count) {
	for (let n = 0; n < count; n += 1) {
		const { rows: [{ since }] } = await pool.query('SELECT clock_timestamp()::text AS since');
		let done = false;

		while (!done) {
			await new Promise((resolve) => { setTimeout(resolve, 100); });
			({ rows: [{ done }] } = await pool.query('SELECT COALESCE(s.last_round > $1::timestamptz AND s.last_round_finished >= s.last_round, false) AS done FROM amelia.maintenance_status() AS s', [since]));
		}
	}
}

// What the worker prunes and squashes, while a saver goes on writing, beside a schema that
// nobody registered.
async function byWorker() {
	const whole = PostgresSaver.fromConnString(url, { schema: `${schema}_whole` });
	const pairs = Object.entries(scenarios).map(([name, make]) => ({ name, sides: [saver, whole].map((checkpointer) => {
		const scenario = make();

		return { scenario, graph: scenario.graph.compile({ checkpointer }) };
	}) }));

	await whole.setup();
	hoursBack = 3;
	for (const { name, sides } of pairs) {
		for (const { scenario, graph } of sides) {
			await build(scenario, graph, name);
		}
	}
	hoursBack = 0;
	await pool.query("SELECT amelia.update_settings('{\"keep_latest_days\": 0, \"squash_idle_days\": 0, \"checkpoint_grace_minutes\": 0}')");
	await rounds(1);
	for (const turn of [1, 2, 3]) {
		for (const { name, sides } of pairs) {
			await compare(name, `turn ${turn}`, sides, async ({ scenario, graph }) => [await stateOf(graph, at(name)), await goOn(scenario, graph, name)].join());
		}
		await rounds(turn === 2 ? 0 : 1);
	}
	for (const { name, sides } of pairs) {
		await compare(name, 'where it ends', sides, ({ graph }) => stateOf(graph, at(name)));
		const { rows: [{ left, before }] } = await pool.query(`SELECT (SELECT count(*) FROM "${schema}".checkpoints WHERE thread_id = $1) AS left,
			(SELECT count(*) FROM "${schema}_whole".checkpoints WHERE thread_id = $1) AS before`, [name]);

		say({ scenario: name, what: 'it was pruned', ok: Number(left) < Number(before), detail: { left, before } });
	}
	await whole.end();
}

try {
	await saver.setup();
	await pool.query('SELECT amelia.register_checkpoints($1::regnamespace)', [schema]);
	await pool.query('SELECT amelia.fence_checkpoints($1)', [schema]);
	for (const [name, make] of mode === 'worker' ? [] : Object.entries(scenarios)) {
		for (const keep of [1, 3]) {
			await check(name, make, keep);
			if (/delta|exit/.test(name)) {
				await check(name, make, keep, true);
			}
		}
		await meanwhile(name, make);
	}
	await (mode === 'worker' ? byWorker() : late());
} finally {
	await saver.end();
	await pool.end();
}
