// Claims workflows, one after the other, and does the work.
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { Database, quiet } from './database.js';
import { Cancelled, LeaseLost, Retry, Stopping, StopWork, WaitsForPerson } from './errors.js';
import { Heart, Lease, now } from './lease.js';
import { COLUMNS, Workflow } from './workflow.js';

// How long a process that shall end waits for a server that is not there, in seconds.
const PATIENCE = 5;
// SQLSTATEs of claims that may pass: a budget is spent, a disk is full, a timeout of the role's.
const PASSING = /^(53|55P03|57)/;

export class Worker {
	#connection;
	#work;
	#options;
	#database;
	#stop = new AbortController();
	#stopAt = null;
	#heart = null;

	constructor(connection, work, options = {}) {
		this.#connection = connection;
		this.#work = work;
		this.#options = { lease: 60, idle: 1, grace: 5, profileId: null, workflowTypes: null, log: quiet, ...options };
		this.name = options.name ?? `${hostname()}-${process.pid}-${randomBytes(2).toString('hex')}`;
		this.#database = new Database(connection, { name: this.name, log: this.#options.log });
	}

	stop() {
		this.#stopAt ??= now();
		this.#stop.abort(new Stopping('the worker shall end'));
	}

	async run({ once = false, signals = true } = {}) {
		const stop = () => this.stop();
		const names = signals ? ['SIGTERM', 'SIGINT'] : [];

		for (const name of names) process.on(name, stop);
		let failure = null;

		this.#heart = new Heart(this.#connection, this.name, this.#options.log, (error) => {
			failure = error;
			this.stop();
		});
		try {
			while (this.#stopAt === null) {
				const claimed = now();
				const row = await this.#claim();

				if (row) await this.#workOn(row, claimed);
				else if (once) break;
				// A little more or less, so that many workers do not ask at once.
				else await delay(this.#options.idle * 1000 * (0.5 + Math.random()), undefined, { signal: this.#stop.signal }).catch(() => {});
			}
		} catch (error) {
			if (!(error instanceof Stopping)) throw error;
			this.#options.log.info(`stopped: ${error.message}`);
		} finally {
			for (const name of names) process.off(name, stop);
			await this.#heart.end();
			await this.#database.close();
		}
		// Without heartbeats it would lose one workflow after the other.
		if (failure) throw failure;
	}

	// Throws once it is too late to wait for a server that is not there.
	#losePatience() {
		if (this.#stopAt !== null && now() > this.#stopAt + BigInt(PATIENCE * 1e9)) {
			throw new Stopping('the server is not there, and the worker shall end');
		}
	}

	async #claim() {
		const { lease, profileId, workflowTypes, log } = this.#options;

		// Sent twice, it may claim two: the first one's lease runs out unused.
		try {
			const [row] = await this.#database.query(
				() => this.#stop.signal.throwIfAborted(),
				`SELECT ${COLUMNS} FROM amelia.claim_workflow($1, $2 * interval '1 s', $3, $4)`,
				this.name, lease, profileId, workflowTypes);

			return row;
		} catch (error) {
			if (!PASSING.test(error.code)) throw error;
			log.warn(`nothing is claimed: ${error.message}`);
			return undefined;
		}
	}

	async #workOn(row, claimed) {
		const { log } = this.#options;
		const end = new AbortController();
		const change = () => {
			const why = lease.why() ?? (this.#stop.signal.aborted ? this.#stop.signal.reason : null);

			if (why) end.abort(why);
		};
		const lease = new Lease(this.#heart, row.id, Number(row.lease_token), this.#options.lease, claimed, () => change());
		const workflow = new Workflow(row, {
			worker: this.name, connection: this.#connection, lease, database: this.#database, signal: end.signal,
			losePatience: () => this.#losePatience(),
		});

		log.info(`${workflow.id}: claimed under ${workflow.leaseToken}`);
		this.#stop.signal.addEventListener('abort', change);
		change();
		try {
			await this.#attempt(workflow);
		} catch (error) {
			// Also when a release was sent twice, and done the first time.
			if (!(error instanceof LeaseLost || error instanceof WaitsForPerson)) throw error;
			log.info(`${workflow.id}: stopped: ${error.message}`);
		} finally {
			this.#stop.signal.removeEventListener('abort', change);
			lease.close();
		}
	}

	// What the work throws, if it does, or what it is stopped with when it does not listen.
	async #outcome(workflow) {
		const { signal } = workflow;

		if (signal.aborted) return signal.reason;
		const working = (async () => { await this.#work(workflow); })().then(() => null, (error) => error ?? new Error('undefined was thrown'));
		const stopped = new Promise((resolve) => { signal.addEventListener('abort', resolve, { once: true }); });

		await Promise.race([working, stopped]);
		const deaf = Symbol('deaf');
		const waiting = new AbortController();
		const outcome = await Promise.race([
			working, signal.aborted ? delay(this.#options.grace * 1000, deaf, { signal: waiting.signal }).catch(() => deaf) : working]);

		waiting.abort();
		if (outcome === deaf) {
			this.#options.log.warn(`${workflow.id}: its step does not listen to workflow.signal, and goes on in vain`);
			return signal.reason;
		}
		// An AbortError of what it called says less than the reason.
		return outcome !== null && signal.aborted && !(outcome instanceof StopWork) ? signal.reason : outcome;
	}

	// One attempt, and how it ends.
	async #attempt(workflow) {
		const error = await this.#outcome(workflow);

		if (error === null) await this.#release(workflow, null, 'completed');
		else if (error instanceof LeaseLost || error instanceof WaitsForPerson) throw error;
		else if (error instanceof Cancelled) await this.#release(workflow, null, 'cancelled', error.message || null);
		// Without a status: it is claimable at once.
		else if (error instanceof StopWork) await this.#release(workflow, null);
		else if (error instanceof Retry) await this.#release(workflow, null, 'failed', error.message, error.after);
		// An error of the database's may be the loss of the lease: then this says so.
		else await this.#release(workflow, error, 'failed', error.message || error.name || String(error));
	}

	// Whatever refuses the end of one workflow, a trigger or a number out of range, does
	// not end the worker: then the attempt has failed.
	async #release(workflow, thrown, status, reason, after) {
		const { log } = this.#options;

		try {
			await workflow.release(status, reason, after);
		} catch (error) {
			if (error instanceof StopWork) throw error;
			const refused = `cannot be released as ${status}: ${error.message}`;

			log.warn(`${workflow.id}: ${refused}`);
			if (status !== 'failed' || after !== undefined) await this.#release(workflow, thrown, 'failed', refused);
			// Else its lease runs out.
			return;
		}
		if (thrown) log.warn(`${workflow.id}: ${status}: ${thrown.stack ?? thrown}`);
		else log.info([`${workflow.id}: ${status ?? 'given back'}`, reason].filter(Boolean).join(': '));
	}
}
