// The right to a workflow for a while, and the thread that keeps it.
import { Worker as Thread } from 'node:worker_threads';
import { Cancelled, LeaseLost } from './errors.js';

// By a clock that nobody sets, the same in every thread.
export const now = () => process.hrtime.bigint();
const nanoseconds = (seconds) => BigInt(Math.round(seconds * 1e9));

// A thread of heartbeats, for the leases of one worker, one after the other.
export class Heart {
	#thread;
	#lease = null;

	// failed(error) is called when the thread has ended by an error.
	constructor(connection, name, log, failed) {
		this.#thread = new Thread(new URL('./heartbeat.js', import.meta.url), { workerData: { connection, name } });
		this.#thread.on('message', (message) => {
			if (message.warn) log.warn(message.warn);
			else if (message.info) log.info(message.info);
			else if (message.id === this.#lease?.id && message.token === this.#lease.token) this.#lease.hear(message);
		});
		this.#thread.on('error', failed);
	}

	beatFor(lease) {
		this.#lease = lease;
		this.#thread.postMessage(lease && { id: lease.id, token: lease.token, seconds: lease.seconds, shared: lease.shared });
	}

	end() {
		return this.#thread.terminate();
	}
}

export class Lease {
	#heart;
	#changed;
	#timer;

	// claimed: when the claim was sent. changed() is called when why() says something new.
	constructor(heart, id, token, seconds, claimed, changed) {
		this.id = id;
		this.token = token;
		this.seconds = seconds;
		this.lost = null; // and why
		this.cancelled = false;
		this.budgetMessage = null;
		// When it ends by our own clock, from before the question: no later than the server
		// thinks. The thread writes it, so that it is right also when nobody hears its messages.
		this.shared = new BigInt64Array(new SharedArrayBuffer(8));
		this.shared[0] = claimed + nanoseconds(seconds);
		this.#heart = heart;
		this.#changed = changed;
		heart.beatFor(this);
		this.#watch();
	}

	// The error that the work is to end with, if any.
	why() {
		// The server would refuse what is written: this only spares the work.
		if (this.lost === null && now() > Atomics.load(this.shared, 0)) {
			this.lost = 'no heartbeat was answered before the lease ran out';
		}
		if (this.lost !== null) return new LeaseLost(this.lost);
		return this.cancelled ? new Cancelled('') : null;
	}

	// Throws LeaseLost, but not what would only end the work.
	check() {
		const why = this.why();

		if (why instanceof LeaseLost) throw why;
	}

	hear({ lost, cancelled, budgetMessage }) {
		if (lost) this.lose(lost);
		if (budgetMessage !== undefined) this.budgetMessage = budgetMessage;
		if (cancelled && !this.cancelled) {
			this.cancelled = true;
			this.#changed();
		}
	}

	lose(reason) {
		this.lost ??= reason;
		this.#changed();
	}

	close() {
		clearTimeout(this.#timer);
		this.#heart.beatFor(null);
	}

	// A server that stands still answers no heartbeat.
	#watch() {
		const left = Number(Atomics.load(this.shared, 0) - now()) / 1e6;

		this.#timer = setTimeout(() => {
			if (this.why() instanceof LeaseLost) this.#changed();
			else this.#watch();
		}, Math.min(Math.max(left, 0) + 10, 2 ** 31 - 1));
	}
}
