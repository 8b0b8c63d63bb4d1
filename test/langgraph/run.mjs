// Runs graphs with LangGraph's own packages and its Postgres saver, for
// test/t/205_langgraph.pl:
//
//   node run.mjs COMMAND URL THREADS
//
// THREADS is a JSON array of {schema, thread, stop}. A thread begins with a
// first turn, which "start" leaves where stop says: "person" while it waits for
// a person's answer, "failure" after an error, "end" between two turns.
//
//   setup    makes the saver's tables in each schema
//   start    runs the first turn
//   state    tells what the saver has of each thread, as a digest
//   finish   goes on from there, and does a second turn
//   control  does both turns in memory, from the beginning
//
// Prints a line for each thread: schema, name and result, as JSON.
import { createHash } from 'node:crypto';
import { Annotation, Command, END, MemorySaver, START, StateGraph, interrupt } from '@langchain/langgraph';
import { PostgresSaver } from '@langchain/langgraph-checkpoint-postgres';

const [command, url, threadsJson] = process.argv.slice(2);
const threads = JSON.parse(threadsJson);

const sha256 = (text) => createHash('sha256').update(text).digest('hex');

// Long, and not to be compressed: it is stored outside of the row.
function longText(seed) {
	let text = '';
	for (let n = 0; n < 200; n++) {
		text += sha256(`${seed} ${n}`);
	}
	return text;
}

const appended = () => Annotation({ reducer: (list, more) => list.concat(more), default: () => [] });

// A subgraph with a memory of its own: namespace "drafting", over all turns.
const DraftState = Annotation.Root({
	request: Annotation(),
	draft: Annotation(),
	memory: appended(),
});
const draft = new StateGraph(DraftState)
	.addNode('remember', (state) => ({ memory: [state.request] }))
	.addNode('write', (state) => ({ draft: longText(state.memory.join(', then ')) }))
	.addEdge(START, 'remember')
	.addEdge('remember', 'write')
	.addEdge('write', END)
	.compile({ checkpointer: true });

// A subgraph that waits for a person in its midst: namespace "reviewing:" and
// the task's id. What it has read stands in its own checkpoint only.
const ReviewState = Annotation.Root({
	draft: Annotation(),
	read: Annotation(),
	answer: Annotation(),
	verdict: Annotation(),
});
const review = new StateGraph(ReviewState)
	.addNode('look', (state) => ({ read: sha256(state.draft) }))
	.addNode('ask', (state) => ({ answer: interrupt({ question: 'May it go out?', read: state.read }) }))
	.addNode('decide', (state) => ({ verdict: `${state.answer} to ${state.read}` }))
	.addEdge(START, 'look')
	.addEdge('look', 'ask')
	.addEdge('ask', 'decide')
	.addEdge('decide', END)
	.compile();

// Beside the review another node runs. Its result is among the pending writes
// of a checkpoint while the review waits: it must not have to run again.
let mayIndex = true;
const GraphState = Annotation.Root({
	request: Annotation(),
	draft: Annotation(),
	verdict: Annotation(),
	index: appended(),
	published: appended(),
});
const builder = new StateGraph(GraphState)
	.addNode('drafting', draft)
	.addNode('reviewing', review)
	.addNode('indexing', (state) => {
		if (!mayIndex) {
			throw new Error('a node whose result was stored ran again');
		}
		return { index: [sha256(`index of ${state.draft}`)] };
	})
	.addNode('publish', (state, config) => {
		if (config.configurable.broken) {
			throw new Error('the printer is on fire');
		}
		return { published: [`${state.request}: ${state.verdict}`] };
	})
	.addEdge(START, 'drafting')
	.addEdge('drafting', 'reviewing')
	.addEdge('drafting', 'indexing')
	.addEdge(['reviewing', 'indexing'], 'publish')
	.addEdge('publish', END);

const configOf = ({ thread }, more = {}) => ({ configurable: { thread_id: thread, ...more } });
const yes = new Command({ resume: 'yes' });

async function start(graph, spec) {
	await graph.invoke({ request: `the first of ${spec.thread}` }, configOf(spec));
	const { next } = await graph.getState(configOf(spec));
	if (next.join() !== 'reviewing') {
		throw new Error(`${spec.thread} does not wait for a person, but for ${next}`);
	}
	if (spec.stop === 'failure') {
		await graph.invoke(yes, configOf(spec, { broken: true })).then(
			() => { throw new Error(`${spec.thread} did not fail`); },
			(error) => { if (!/on fire/.test(error.message)) throw error; });
	} else if (spec.stop === 'end') {
		await graph.invoke(yes, configOf(spec));
	}
	return spec.stop;
}

async function firstTurn(graph, spec) {
	const { next } = await graph.getState(configOf(spec));
	if (next.includes('reviewing')) {
		await graph.invoke(yes, configOf(spec));
	} else if (next.length > 0) {
		await graph.invoke(null, configOf(spec));
	}
}

async function secondTurn(graph, spec) {
	await graph.invoke({ request: `the second of ${spec.thread}` }, configOf(spec));
	await graph.invoke(yes, configOf(spec));
	const { values, next } = await graph.getState(configOf(spec));
	return { next, published: values.published, index: values.index, draft: sha256(values.draft) };
}

// Same text for same content: neither the order of an object's keys nor that
// of rows that were not asked for in an order counts.
function canonical(value) {
	if (value instanceof Error) {
		return canonical({ error: value.message });
	}
	if (Array.isArray(value)) {
		return `[${value.map(canonical).join()}]`;
	}
	if (value !== null && typeof value === 'object') {
		return `{${Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join()}}`;
	}
	return JSON.stringify(value) ?? 'undefined';
}

async function state(graph, saver, spec) {
	const snapshot = await graph.getState(configOf(spec), { subgraphs: true });
	const tuples = [];
	for await (const tuple of saver.list(configOf(spec))) {
		tuple.pendingWrites = tuple.pendingWrites.map(canonical).sort();
		tuples.push(canonical(tuple));
	}
	return {
		next: snapshot.next,
		interrupts: snapshot.tasks.flatMap((task) => task.interrupts).length,
		checkpoints: tuples.length,
		digest: sha256(canonical(snapshot) + tuples.sort().join()),
	};
}

const savers = {};
for (const { schema } of threads) {
	savers[schema] ??= PostgresSaver.fromConnString(url, { schema });
}

const commands = {
	start: (graph, saver, spec) => start(graph, spec),
	state,
	async finish(graph, saver, spec) {
		await firstTurn(graph, spec);
		return spec;
	},
	async control(graph, saver, spec) {
		await start(graph, { ...spec, stop: 'end' });
		return secondTurn(graph, spec);
	},
};

try {
	if (command === 'setup') {
		for (const saver of Object.values(savers)) {
			await saver.setup();
		}
	} else {
		mayIndex = command !== 'finish';
		const jobs = threads.map((spec) => {
			const saver = command === 'control' ? new MemorySaver() : savers[spec.schema];
			return { spec, saver, graph: builder.compile({ checkpointer: saver }) };
		});
		let results = await Promise.all(jobs.map(({ graph, saver, spec }) => commands[command](graph, saver, spec)));
		if (command === 'finish') {
			mayIndex = true;
			results = await Promise.all(jobs.map(({ graph, spec }) => secondTurn(graph, spec)));
		}
		results.forEach((result, n) => console.log(JSON.stringify([threads[n].schema, threads[n].thread, result])));
	}
} finally {
	await Promise.all(Object.values(savers).map((saver) => saver.end()));
}
