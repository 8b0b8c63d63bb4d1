// What test/perl/ClientFeatures.pm asks of client/node; features.py is its like in Python.
// The first argument names what is to be done.
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { Callbacks, CursorRefused, Feed, FileCursor, LeaseLost, Retry, TableCursor, Worker, readUsage } from 'amelia';

const url = process.env.DATABASE_URL;
const [command, ...options] = process.argv.slice(2);
const other = new pg.Client(url);
const rowOf = async (text, ...values) => Object.values((await other.query(text, values)).rows[0] ?? {});
const say = (text) => console.error(text);
const log = { info: say, warn: say };
const run = (work, more) => new Worker(url, work, { lease: 36000, ...more }).run({ once: true });

// How much there is of a workflow.
const stored = async ({ id }) => Number((await rowOf(
	`SELECT (SELECT count(*) FROM amelia.workflow_log WHERE workflow_id = $1)
		+ (SELECT count(*) FROM amelia.token_usage WHERE workflow_id = $1)
		+ (SELECT count(*) FROM amelia.workflow_inbox WHERE workflow_id = $1)
		+ (SELECT count(*) FROM notes WHERE id = $1)
		+ (SELECT count(*) FROM amelia.workflows WHERE id = $1 AND plan_cache IS NOT NULL)`, id))[0]);

async function takeAway({ id }) {
	// After the first heartbeat; the next one comes long after this test.
	while ((await rowOf('SELECT starts_until FROM amelia.workflow_leases WHERE workflow_id = $1', id))[0] !== null) await delay(10);
	await other.query('UPDATE amelia.workflow_leases SET expires_at = now() WHERE workflow_id = $1', [id]);
	await other.query("SELECT FROM amelia.claim_workflow('thief')");
}

// Every method that writes.
const writers = (workflow) => ({
	append: () => workflow.append('note', 'late'),
	append_all: () => workflow.appendAll([{ event_type: 'note', message: 'late' }]),
	book: async () => (await workflow.book('a', { input_tokens: 1, output_tokens: 1 }, { model: 'm', costUsd: '0.5' })) && 'booked',
	transact: async () => (await workflow.transact((client) => client.query('INSERT INTO notes VALUES ($1)', [workflow.id]))).rowCount,
	set_plan: () => workflow.setPlan({ late: true }),
	link_thread: () => workflow.linkThread(`chat of ${workflow.id}`),
	step: () => workflow.step('late', () => 'done'),
	messages: async () => (await workflow.messages()).map(({ kind }) => kind),
	ask: () => workflow.ask('May I?'),
	release: () => workflow.release('completed'),
});

const commands = {
	// Each of them under a lease that is lost: as the first thing that hears of it.
	lost: () => run(async (workflow) => {
		await takeAway(workflow);
		const before = await stored(workflow);
		const name = workflow.issueId;

		try {
			console.log(name, await writers(workflow)[name]());
		} catch (error) {
			if (!(error instanceof LeaseLost)) throw error;
			console.log(name, `LeaseLost: ${error.message.replace(workflow.id, 'ID')}`, (await stored(workflow)) - before, 'stored');
			// And as the second one.
			await workflow.append('note', 'later still');
			console.log('it went on');
		}
	}),

	// Each of them, with its first answer lost after the server has done it: the driver's
	// answer to the statement, or to the COMMIT, is thrown away with the connection.
	answers: () => run(async (workflow) => {
		const query = pg.Client.prototype.query;
		let left = 0;

		pg.Client.prototype.query = async function (text, ...values) {
			const open = this.inTransaction;

			if (text === 'BEGIN') this.inTransaction = true;
			const result = await query.call(this, text, ...values);

			if (text === 'COMMIT' || text === 'ROLLBACK') this.inTransaction = false;
			if (this !== other && (!open || text === 'COMMIT') && text !== 'BEGIN' && --left === 0) {
				this.lost = true;
				throw new Error('the answer is lost');
			}
			return result;
		};
		for (const [name, write] of Object.entries(writers(workflow))) {
			const before = await stored(workflow);
			let result;

			// The first thing that it asks; of a question, the second one.
			left = name === 'ask' ? 2 : 1;
			try {
				result = await write();
			} catch (error) {
				if (!(error instanceof LeaseLost)) throw error;
				result = 'LeaseLost';
			}
			console.log(name, JSON.stringify(result ?? null), (await stored(workflow)) - before);
			if (name === 'ask') break;
		}
		throw new LeaseLost('of its own');
	}),

	transaction: () => run(async (workflow) => {
		try {
			await workflow.transaction((client) =>
				client.query("DO $$ BEGIN RAISE object_not_in_prerequisite_state USING MESSAGE = 'my own'; END $$"));
		} catch (error) {
			console.log(`55000 of one's own: ${error.message}`);
		}
		try {
			await workflow.transaction(async (client) => {
				await client.query('INSERT INTO notes VALUES ($1)', [workflow.id]);
				await workflow.append('note', 'belongs to it');
				throw new Error('rolled back');
			});
		} catch (error) {
			console.log(error.message, await stored(workflow));
		}
		try {
			await workflow.transaction(async (client) => {
				await client.query('INSERT INTO notes VALUES ($1)', [workflow.id]);
				await client.query('SELECT 1 / 0').catch(() => {});
			});
		} catch (error) {
			console.log('caught:', error.message.includes('was caught'), await stored(workflow));
		}
		// What runs beside it does not slip in.
		const [event] = await Promise.all([
			workflow.transaction(async (client) => {
				await client.query('INSERT INTO notes VALUES ($1)', [workflow.id]);
				return workflow.append('note', 'belongs to it');
			}),
			workflow.results(),
		]);

		console.log('event', event);
	}),

	// What an error may have in its text, and what a step may not return.
	async odd() {
		for (const name of ['nul', 'empty', 'json', 'retry', 'refused']) {
			await other.query('SELECT amelia.create_workflow($1, NULL)', [name]);
			await run(async (workflow) => {
				if (name === 'nul') throw new Error('a\0b');
				if (name === 'empty') throw new Error();
				if (name === 'retry') throw new Retry('later', -1);
				if (name === 'refused') return;
				await workflow.step('odd', () => 1n);
			});
		}
		// One that does not listen is given back without it.
		await other.query("SELECT amelia.create_workflow('exit', NULL)");
		const worker = new Worker(url, async () => {
			setTimeout(() => worker.stop(), 0);
			await new Promise(() => {});
		}, { grace: 0 });
		await worker.run();
	},

	async usage() {
		for (const given of JSON.parse(readFileSync(options[0], 'utf8'))) {
			try {
				const read = Object.entries(readUsage(given)).filter(([, value]) => value !== 0 && value !== null)
					.map(([name, value]) => [name.replace(/1h|[A-Z]/g, (part) => `_${part.toLowerCase()}`), value]).sort();

				console.log(JSON.stringify(Object.fromEntries(read)));
			} catch (error) {
				console.log({ RangeError: 'ValueError', TypeError: 'TypeError' }[error.name]);
			}
		}
	},

	// Follows; prints each change, and how a refused cursor is met.
	async feed() {
		const [kind, where] = options;
		const cursor = ['file', 'standby'].includes(kind) ? new FileCursor(where) : new TableCursor('public.feed_cursors', where);
		const reader = new Feed(url, cursor, { page: 7, idle: 0.1, log });
		const follow = !options.includes('once') && kind !== 'standby';
		const insert = (client, { workflowId, status, event }) =>
			client.query('INSERT INTO seen VALUES ($1, $2, $3)', [workflowId, status, event?.sequence]);

		if (options.includes('anew')) {
			try {
				for await (const change of reader.read({ follow: false })) console.log(change);
			} catch (error) {
				if (!(error instanceof CursorRefused)) throw error;
				console.log(`CursorRefused: ${error.message}`);
			}
			await reader.beginAnew();
			const messages = [];
			for await (const event of reader.eventsAfter(options[3])) messages.push(event.message);
			console.log(JSON.stringify(messages).replaceAll('"', "'"));
			await reader.close();
		} else if (options.includes('each')) {
			await reader.each(async (client, changes) => {
				for (const change of changes) await insert(client, change);
			}, { follow });
		} else {
			const mine = new pg.Pool({ connectionString: url });
			let number = 0;

			mine.on('error', () => {});
			for await (const change of reader.read({ follow })) {
				for (let done = false; !done;) done = await insert(mine, change).then(() => true, () => delay(100));
				number += 1;
				if (options.includes('two') && number === 2) break;
			}
			console.log(number);
			await mine.end();
		}
	},

	// A cursor that two functions keep.
	async callbacks() {
		const kept = [];
		const read = async () => {
			const changes = [];
			for await (const change of new Feed(url, new Callbacks(() => kept.at(-1), (cursor) => kept.push(cursor))).read({ follow: false })) {
				changes.push(change);
			}
			return changes.length;
		};

		console.log(await read(), kept.length > 0);
		await other.query("SELECT amelia.create_workflow('C', NULL)");
		console.log(await read(), await read());
	},

	// A graph that is overtaken in its midst, and goes on in the next attempt.
	async saver() {
		const { saver } = await import('amelia/langgraph');
		const { Annotation, END, START, StateGraph } = await import('@langchain/langgraph');
		const rows = async () => Number((await rowOf('SELECT count(*) FROM lg.checkpoints'))[0]);
		let rob = true;
		let before;
		const State = Annotation.Root({ steps: Annotation({ reducer: (list, more) => list.concat(more), default: () => [] }) });
		const graphOf = (workflow) => new StateGraph(State)
			.addNode('first', () => ({ steps: [`first under ${workflow.leaseToken}`] }))
			.addNode('second', async () => {
				if (rob) {
					await takeAway(workflow);
					before = await rows();
				}
				return { steps: [`second under ${workflow.leaseToken}`] };
			})
			.addEdge(START, 'first').addEdge('first', 'second').addEdge('second', END);
		const work = async (workflow) => {
			const mine = await saver(workflow, { schema: 'lg' });
			const config = { configurable: { thread_id: workflow.id }, durability: 'sync' };

			try {
				await mine.setup();
				await other.query("SELECT amelia.fence_checkpoints('lg')");
				const graph = graphOf(workflow).compile({ checkpointer: mine });
				const { steps } = await graph.invoke((await mine.getTuple(config)) ? null : { steps: [] }, config);

				console.log(steps.join(', '));
			} catch (error) {
				console.log(error.code, (await rows()) === before);
				throw error;
			} finally {
				await mine.end();
			}
		};

		await run(work);
		rob = false;
		await other.query(`SELECT amelia.release_workflow(l.workflow_id, l.lease_token) FROM amelia.workflow_leases AS l WHERE l.worker = 'thief' AND l.expires_at > now()`);
		await run(work);
	},
};

if (command !== 'feed') await other.connect();
await commands[command]();
if (command !== 'feed') await other.end();
