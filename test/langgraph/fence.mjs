// Savers of LangGraph that carry a lease, for test/t/207_langgraph_fence.pl. Reads
// commands from standard input, a JSON object in each line, and answers each
// with a line: the result, or {error, message} with the SQLSTATE.
//
//   {do: 'open', saver, url, schema, lease}   a saver with connections of its own
//   {do: 'setup', saver}                      makes its tables
//   {do: 'put', saver, thread, value}         a checkpoint with that value
//   {do: 'putWrites', saver, thread, value}   a pending write to the last one
//   {do: 'read', saver, thread}               value and writes of the last one
//   {do: 'run', saver, thread, pause}         a graph of two steps; with pause, it
//                                             stops between them until "go" comes
//   {do: 'deleteThread', saver, thread}
import { createInterface } from 'node:readline';
import { Annotation, END, START, StateGraph } from '@langchain/langgraph';
import { emptyCheckpoint } from '@langchain/langgraph-checkpoint';
import { PostgresSaver } from '@langchain/langgraph-checkpoint-postgres';

const savers = {};
const last = {};
let version = 0;
let go;

const configOf = (thread) => ({ configurable: { thread_id: thread, checkpoint_ns: '' } });

const State = Annotation.Root({ steps: Annotation({ reducer: (list, more) => list.concat(more), default: () => [] }) });
const builder = new StateGraph(State)
	.addNode('first', () => ({ steps: ['first'] }))
	.addNode('second', async (state, config) => {
		if (config.configurable.pause) {
			const pause = new Promise((resolve) => { go = resolve; });
			answer('waiting');
			await pause;
		}
		return { steps: ['second'] };
	})
	.addEdge(START, 'first')
	.addEdge('first', 'second')
	.addEdge('second', END);

const commands = {
	// As docs/workers.md says.
	async open({ saver, url, schema, lease }) {
		const withLease = new URL(url);

		if (lease) {
			withLease.searchParams.set('options',
				`-c amelia.lease=${lease[0]}\\ ${lease[1]} -c idle_in_transaction_session_timeout=60s`);
		}
		savers[saver] = PostgresSaver.fromConnString(withLease.href, { schema });
	},
	setup: ({ saver }) => savers[saver].setup(),
	async put({ saver, thread, value }) {
		const checkpoint = { ...emptyCheckpoint(), channel_values: { value }, channel_versions: { value: ++version } };

		last[thread] = await savers[saver].put(configOf(thread), checkpoint, { source: 'update', step: version, parents: {} },
			{ value: version });
	},
	putWrites: ({ saver, thread, value }) => savers[saver].putWrites(last[thread], [['value', value]], `task ${value}`),
	async read({ saver, thread }) {
		const tuple = await savers[saver].getTuple(configOf(thread));

		return [tuple.checkpoint.channel_values.value, ...tuple.pendingWrites.map(([, , value]) => value)];
	},
	async run({ saver, thread, pause }) {
		const graph = builder.compile({ checkpointer: savers[saver] });

		// Else checkpoints are written behind the graph's back, and one that is
		// refused there ends the process.
		const options = { durability: 'sync', configurable: { thread_id: thread, pause } };

		return (await graph.invoke({ steps: [] }, options)).steps;
	},
	deleteThread: ({ saver, thread }) => savers[saver].deleteThread(thread),
};

const answer = (value) => console.log(JSON.stringify(value ?? null));

for await (const line of createInterface({ input: process.stdin })) {
	const command = JSON.parse(line);

	if (command.do === 'go') {
		go();
	} else {
		// Not awaited: "go" comes while a graph runs.
		commands[command.do](command).then(answer,
			(error) => answer({ error: error.code ?? error.name, message: error.message }));
	}
}
await Promise.all(Object.values(savers).map((saver) => saver.end()));
