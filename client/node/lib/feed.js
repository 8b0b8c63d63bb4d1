// Follows what happens in all workflows, and misses nothing over restarts.
import { open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { Database, quiet } from './database.js';
import { CursorRefused } from './errors.js';

// A cursor that stands still grows too old, too: milliseconds until it is stored anew.
const SAVE_EVERY = 60000;

const EVENT = `e.id, e.workflow_id, e.sequence, e.event_type, e.message, e.level, e.agent, e.data, e.is_error,
	CASE WHEN isfinite(e.timestamp) THEN e.timestamp END AS timestamp, e.correlation_id, e.tool_name, e.tool_input,
	e.trace_id, e.parent_id`;

const eventOf = (row) => ({
	id: row.id,
	workflowId: row.workflow_id,
	sequence: row.sequence,
	eventType: row.event_type,
	message: row.message,
	level: row.level,
	agent: row.agent,
	data: row.data,
	isError: row.is_error,
	timestamp: row.timestamp,
	correlationId: row.correlation_id,
	toolName: row.tool_name,
	toolInput: row.tool_input,
	traceId: row.trace_id,
	parentId: row.parent_id,
});

export class Callbacks {
	#load;
	#save;

	constructor(load, save) {
		this.#load = load;
		this.#save = save;
	}

	async load() {
		return (await this.#load()) ?? null;
	}

	async save(_client, cursor) {
		await this.#save(cursor);
	}
}

export class FileCursor {
	constructor(path) {
		this.path = path;
	}

	async load() {
		try {
			return (await readFile(this.path, 'ascii')).trim() || null;
		} catch (error) {
			if (error.code === 'ENOENT') return null;
			throw error;
		}
	}

	async save(_client, cursor) {
		const synced = async (path, flags, text) => {
			const file = await open(path, flags);

			try {
				if (text !== undefined) await file.writeFile(text, 'ascii');
				await file.sync();
			} finally {
				await file.close();
			}
		};

		await synced(`${this.path}.new`, 'w', `${cursor}\n`);
		await rename(`${this.path}.new`, this.path);
		await synced(dirname(this.path), 'r');
	}
}

export class TableCursor {
	#table;

	constructor(table, reader) {
		this.#table = table.split('.').map(pg.escapeIdentifier).join('.');
		this.reader = reader;
	}

	async load(client) {
		const { rows } = await client.query(`SELECT cursor FROM ${this.#table} WHERE reader = $1 FOR UPDATE`, [this.reader]);

		return rows.length ? rows[0].cursor : null;
	}

	async save(client, cursor, before) {
		// The same one again: when the answer to the first time was lost.
		const { rowCount } = await client.query(
			`INSERT INTO ${this.#table} AS t (reader, cursor) VALUES ($1, $2)
			ON CONFLICT (reader) DO UPDATE SET cursor = excluded.cursor WHERE t.cursor IN ($3, excluded.cursor)`,
			[this.reader, cursor, before]);

		if (rowCount !== 1) throw new Error(`another process reads the feed as ${this.reader}`);
	}
}

export class Feed {
	#cursor;
	#options;
	#database;
	#stop = new AbortController();

	constructor(connection, cursor, options = {}) {
		this.#cursor = cursor;
		this.#options = { workflowIds: null, page: 1000, idle: 1, name: 'amelia feed', log: quiet, ...options };
		this.#database = new Database(connection, { name: this.#options.name, log: this.#options.log });
	}

	stop() {
		this.#stop.abort();
	}

	close() {
		return this.#database.close();
	}

	[Symbol.asyncIterator]() {
		return this.read();
	}

	async *read({ follow = true } = {}) {
		let before = await this.#begin();
		let done = before;

		try {
			for await (const [changes, end] of this.#pages(before, follow)) {
				for (const change of changes) {
					yield change;
					done = change.cursor;
				}
				done = end;
				before = await this.#save(done, before);
			}
		} finally {
			if (done !== before) await this.#save(done, before);
			await this.close();
		}
	}

	async each(handle, { follow = true } = {}) {
		if (!(this.#cursor instanceof TableCursor)) throw new TypeError('each() needs a TableCursor');
		let before = await this.#begin();

		try {
			for await (const [changes, end] of this.#pages(before, follow)) {
				if (changes.length) await this.#handle(handle, changes, end, before);
				else await this.#save(end, before);
				before = end;
			}
		} finally {
			await this.close();
		}
	}

	beginAnew() {
		return this.#run(async (client) => { await this.#storeFirst(client, await this.#cursor.load(client)); });
	}

	async *eventsAfter(workflowId, sequence = 0) {
		const { page } = this.#options;
		let rows;

		do {
			rows = await this.#query(`SELECT ${EVENT} FROM amelia.events_after($1, $2, $3) AS e`, workflowId, sequence, page);
			for (const row of rows) yield eventOf(row);
			sequence = rows.at(-1)?.sequence;
		} while (rows.length === page);
	}

	#check = () => {
		if (this.#stop.signal.aborted) throw new Error('stopped while the server was not there');
	};

	#run(fn) {
		return this.#database.run(fn, this.#check);
	}

	#query(text, ...values) {
		return this.#database.query(this.#check, text, ...values);
	}

	#begin() {
		return this.#run(async (client) => (await this.#cursor.load(client)) ?? this.#storeFirst(client, null));
	}

	async #storeFirst(client, before) {
		const { rows: [{ next_cursor: cursor }] } = await client.query('SELECT next_cursor FROM amelia.feed_after()');

		await this.#cursor.save(client, cursor, before);
		return cursor;
	}

	async #save(cursor, before) {
		if (cursor !== before) await this.#run((client) => this.#cursor.save(client, cursor, before));
		return cursor;
	}

	#handle(handle, changes, end, before) {
		return this.#database.transaction(async (client) => {
			// The answer to the first COMMIT was lost: it is done.
			if ((await this.#cursor.load(client)) === end) return;
			// First, so that another process that reads as this one has done nothing yet.
			await this.#cursor.save(client, end, before);
			await handle(client, changes);
		}, this.#check, true);
	}

	// Pages that are not empty, with the cursor behind each, and an empty one now and
	// then, so that the cursor does not grow old.
	async *#pages(cursor, follow) {
		let saved = performance.now();
		let ended = false;

		while (!this.#stop.signal.aborted) {
			const rows = await this.#read(cursor);
			const changes = rows.filter((row) => row.feed_workflow_id !== null).map((row) => ({
				workflowId: row.feed_workflow_id,
				status: row.status,
				event: row.id === null ? null : eventOf(row),
				writtenAt: row.written_at,
				cursor: row.next_cursor,
			}));

			cursor = rows.at(-1)?.next_cursor ?? cursor;
			if (changes.length || !follow || performance.now() > saved + SAVE_EVERY) {
				yield [changes, cursor];
				saved = performance.now();
			}
			if (changes.length < this.#options.page) {
				// It is the end as it was at the first page of those that go on from each
				// other, which may have been before a restart: the next one is of now.
				if (!follow && ended) return;
				ended = true;
				if (follow) await this.#idle();
			}
		}
	}

	async #read(cursor) {
		const { page, workflowIds, log } = this.#options;

		for (;;) {
			try {
				return await this.#query(
					`SELECT f.next_cursor, f.written_at, f.workflow_id AS feed_workflow_id, f.status, ${EVENT.replaceAll('e.', '(f.event).')}
					FROM amelia.feed_after($1, $2, $3) AS f`,
					cursor, page, workflowIds);
			} catch (error) {
				// A standby may not have come as far as a cursor of its primary's.
				if (error.code === '22023' || (error.code === '55000' && !error.hint?.startsWith('Ask again'))) {
					throw new CursorRefused(error.message, { cause: error });
				}
				if (error.code !== '55000') throw error;
				log.info(error.message);
			}
			this.#check();
			await this.#idle();
		}
	}

	#idle() {
		return delay(this.#options.idle * 1000, undefined, { signal: this.#stop.signal }).catch(() => {});
	}
}
