// The thread that sends heartbeats, on a connection of its own, so that a step which
// blocks the event loop does not stop them. lease.js starts it.
import { parentPort, workerData } from 'node:worker_threads';
import { Database, LEASE_LOST } from './database.js';

const NO_DATA_FOUND = 'P0002';

const log = { info: (text) => parentPort.postMessage({ info: text }), warn: (text) => parentPort.postMessage({ warn: text }) };
let lease = null;
const sleepers = new Set();

const now = () => process.hrtime.bigint();
const nanoseconds = (seconds) => BigInt(Math.round(seconds * 1e9));

parentPort.on('message', (message) => {
	lease = message;
	for (const wake of sleepers) wake();
	if (lease) beat(lease);
});

// Heartbeats of one lease, at once and three times per lease, until it is over.
async function beat({ id, token, seconds, shared }) {
	const isOver = () => lease?.id !== id || lease?.token !== token;
	const database = new Database(workerData.connection, {
		name: `${workerData.name} heartbeat`,
		log,
		// What is not answered by then is asked again.
		query_timeout: seconds * 333,
	});
	const check = () => {
		if (isOver()) throw new Error('over');
	};

	while (!isOver()) {
		const sent = now();

		try {
			const [row] = await database.query(
				check,
				"SELECT cancel_requested, budget_message FROM amelia.heartbeat($1, $2, $3 * interval '1 s')",
				id, token, seconds);

			Atomics.store(shared, 0, sent + nanoseconds(seconds));
			parentPort.postMessage({ id, token, cancelled: row.cancel_requested, budgetMessage: row.budget_message });
		} catch (error) {
			if (isOver()) break;
			if (error.code === LEASE_LOST || error.code === NO_DATA_FOUND) {
				parentPort.postMessage({ id, token, lost: error.message });
				break;
			}
			// Another one may be answered; until then the lease goes on running.
			log.warn(`${id}: no heartbeat: ${error.message}`);
		}
		if (isOver()) break;
		await new Promise((resolve) => {
			const timer = setTimeout(wake, seconds * 333);

			function wake() {
				clearTimeout(timer);
				sleepers.delete(wake);
				resolve();
			}
			sleepers.add(wake);
		});
	}
	await database.close();
}
