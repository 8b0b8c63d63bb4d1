// A connection that comes back when it was lost.
import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate as immediate, setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

// SQLSTATEs after which a transaction is sent again: serialization failure, deadlock.
const AGAIN = ['40001', '40P01'];
// The server has become a standby, or the name leads to one.
const READ_ONLY = '25006';

export const LEASE_LOST = '55000';

export const quiet = { info() {}, warn: (text) => console.error(text) };

// The driver's settings from a connection string or an object like them.
export function settings(connection, more) {
	return { ...(typeof connection === 'string' ? { connectionString: connection } : connection), ...more };
}

// The same connection with further options for the server.
export function withOptions(connection, options) {
	if (typeof connection === 'string' && URL.canParse(connection)) {
		const url = new URL(connection);

		// What stands in the string comes before what stands beside it.
		url.searchParams.set('options', [url.searchParams.get('options'), options].filter(Boolean).join(' '));
		return settings(url.href);
	}
	const given = settings(connection);

	return { ...given, options: [given.options, options].filter(Boolean).join(' ') };
}

// One transaction; fn's result.
export async function transaction(client, fn) {
	await client.query('BEGIN');
	let result;

	try {
		result = await fn(client);
	} catch (error) {
		// What matters is why; a connection that is gone has rolled back.
		await client.query('ROLLBACK').catch(() => {});
		throw error;
	}
	const { command } = await client.query('COMMIT');

	if (command !== 'COMMIT') {
		throw new Error('the transaction was rolled back: an error in it was caught, and nothing of it is stored');
	}
	return result;
}

export class Database {
	#settings;
	#log;
	#client = null;
	#last = Promise.resolve();
	#transaction = new AsyncLocalStorage();

	constructor(connection, { name, log = quiet, ...more }) {
		// A network that is gone is noticed within seconds, not within hours.
		this.#settings = settings(connection, { connectionTimeoutMillis: 10000, keepAlive: true, ...more });
		this.#settings.application_name ??= name;
		this.#log = log;
	}

	// After what is in hand.
	close() {
		return this.#alone(() => {
			const client = this.#client;

			this.#client = null;
			// Not awaited: a server that does not answer says no goodbye either.
			client?.end().catch(() => {});
			client?.connection.stream.unref?.();
		});
	}

	// fn(client), in autocommit mode. When the connection is lost nobody knows whether it
	// was committed, so it is called again on a new one: it must be what may be sent
	// twice. check() is called before each try after the first one, and throws when
	// there shall be none. Called in a transaction's function it is part of that.
	run(fn, check) {
		const inside = this.#transaction.getStore();

		if (inside?.open) return fn(inside.client);
		return this.#alone(async () => {
			for (;;) {
				const client = await this.#connected(check);

				try {
					return await fn(client);
				} catch (error) {
					if (!(await this.#isPassing(client, error))) throw error;
				}
				check();
			}
		});
	}

	// The rows of a statement that may be sent twice.
	query(check, text, ...values) {
		return this.run(async (client) => (await client.query(text, values)).rows, check);
	}

	// fn(client) in a transaction; with again as often as run() would.
	transaction(fn, check, again = false) {
		if (this.#transaction.getStore()?.open) throw new Error('a transaction is open already');
		return this.#alone(async () => {
			for (;;) {
				const client = await this.#connected(check);
				const inside = { client, open: true };

				try {
					return await transaction(client, () => this.#transaction.run(inside, fn, client));
				} catch (error) {
					if (!(await this.#isPassing(client, error)) || !again) throw error;
				} finally {
					inside.open = false;
				}
				check();
			}
		});
	}

	// One after the other, or a statement would slip into somebody's transaction.
	#alone(fn) {
		const result = this.#last.then(fn);

		this.#last = result.catch(() => {});
		return result;
	}

	#drop() {
		const client = this.#client;

		this.#client = null;
		client.lost = true;
		client.end().catch(() => {});
		client.connection.stream.destroy();
	}

	async #connected(check) {
		for (let delay = 100; !this.#client; delay = Math.min(delay * 2, 5000)) {
			const client = new pg.Client(this.#settings);

			// Without a listener it would end the process.
			client.on('error', () => { client.lost = true; });
			client.on('end', () => { client.lost = true; });
			try {
				await client.connect();
				this.#client = client;
			} catch (error) {
				this.#log.warn(`cannot connect: ${error.message || error.code}`);
				client.end().catch(() => {});
				check();
				await sleep(delay * (0.5 + Math.random() / 2));
			}
		}
		// Lost while nobody asked.
		if (this.#client.lost) {
			this.#log.warn('lost the connection');
			this.#drop();
			return this.#connected(check);
		}
		return this.#client;
	}

	// Whether it may go better the next time.
	async #isPassing(client, error) {
		// The driver tells the statement first, and then that the connection is gone.
		await immediate();
		if (error.code === READ_ONLY) {
			this.#log.warn(`the server is read-only: ${error.message}`);
			this.#drop();
			await sleep(500 + Math.random() * 500);
			return true;
		}
		if (client.lost || error.severity === 'FATAL' || error.message === 'Query read timeout') {
			this.#log.warn(`lost the connection: ${error.message}`);
			this.#drop();
			return true;
		}
		return AGAIN.includes(error.code);
	}
}
