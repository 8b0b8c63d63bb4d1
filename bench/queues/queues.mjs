// Other queues in the server that bench/queues.sh has started, made and filled by
// their own packages.
//
//   prepare FOLDER PENDING     their schemas, and in FOLDER pgbench scripts of the
//                              statements that they send themselves
//   refill PENDING             what was taken goes, and new jobs fill each up again
//   drive QUEUE CLIENTS JOBS   claims and completes by the package's own client, each
//                              job by itself; prints jobs per second
//
// PGHOST, PGUSER and PGDATABASE say where.
import { writeFile } from 'node:fs/promises';
import { Logger, makeWorkerUtils, run, runOnce } from 'graphile-worker';
import pg from 'pg';
import { PgBoss } from 'pg-boss';

const queue = 'bench';
const logger = new Logger(() => () => {});

// What is sent while somebody looks.
let sent = null;
const query = pg.Client.prototype.query;
pg.Client.prototype.query = function (statement, values, ...rest) {
	if (sent !== null)
		sent.push(typeof statement === 'string' ? { text: statement } : statement);
	return query.call(this, statement, values, ...rest);
};
async function look(task) {
	sent = [];
	const result = await task();
	const seen = sent;
	sent = null;
	return [seen, result];
}

async function sql(text, values) {
	const client = new pg.Client();
	await client.connect();
	const { rows } = await client.query(text, values);
	await client.end();
	return rows;
}

async function startBoss(max) {
	const boss = new PgBoss({ max, supervise: false, schedule: false });
	boss.on('error', (error) => {
		throw error;
	});
	await boss.start();
	return boss;
}

// A statement with something else for its parameters: pgbench's are its variables.
function fill(text, ...parameters) {
	return text.replace(/;\s*$/, '').replace(/\$(\d+)/g, (_, n) => {
		if (parameters[n - 1] === undefined)
			throw new Error(`what is $${n} in ${text}`);
		return parameters[n - 1];
	}).trim();
}

async function writeScripts(folder, name, claim, complete) {
	await writeFile(`${folder}/${name}-claim.sql`, `${claim};\n`);
	await writeFile(`${folder}/${name}-complete.sql`, `${claim} \\gset job_\n${complete};\n`);
}

async function refillGraphile(pending) {
	// One that is claimed and not completed would be nobody's.
	await sql('DELETE FROM graphile_worker._private_jobs WHERE locked_at IS NOT NULL');
	await sql(`SELECT FROM graphile_worker.add_jobs(ARRAY(
			SELECT json_populate_record(NULL::graphile_worker.job_spec,
				json_build_object('identifier', $1::text, 'payload', json_build_object('n', n)))
			FROM generate_series(1, $2 - (SELECT count(*) FROM graphile_worker._private_jobs)) AS n))`,
		[queue, pending]);
}

async function refillBoss(boss, pending) {
	await sql("DELETE FROM pgboss.job WHERE state <> 'created'");
	const [{ left }] = await sql('SELECT count(*)::integer AS left FROM pgboss.job WHERE name = $1', [queue]);
	const jobs = Array.from({ length: pending - left }, (_, n) => ({ data: { n } }));
	for (let i = 0; i < jobs.length; i += 10000)
		await boss.insert(queue, jobs.slice(i, i + 10000));
}

const commands = {
	async prepare(folder, pending) {
		const utils = await makeWorkerUtils({ logger });
		await utils.migrate();
		await utils.addJob(queue, { n: 0 });
		await utils.release();
		const [ofGraphile] = await look(() => runOnce({ logger, taskList: { [queue]: () => {} } }));
		const named = (name) => ofGraphile.find((s) => s.name?.startsWith(`${name}/`));
		const [{ id }] = await sql('SELECT id FROM graphile_worker._private_tasks WHERE identifier = $1', [queue]);
		await writeScripts(folder, 'graphile-worker',
			fill(named('get_job').text, "'bench'", `'{${id}}'`),
			fill(named('complete_job').text, ':job_id'));
		await refillGraphile(pending);

		const boss = await startBoss(2);
		await boss.createQueue(queue);
		await boss.insert(queue, [{ data: { n: 0 } }]);
		const [[fetch], [job]] = await look(() => boss.fetch(queue));
		const [[complete]] = await look(() => boss.complete(queue, job.id));
		await writeScripts(folder, 'pg-boss', fill(fetch.text),
			fill(complete.text, `'${queue}'`, 'ARRAY[:job_id]', 'NULL'));
		await refillBoss(boss, pending);
		await boss.stop({ graceful: false });
	},

	async refill(pending) {
		await refillGraphile(pending);
		const boss = await startBoss(2);
		await refillBoss(boss, pending);
		await boss.stop({ graceful: false });
	},

	async drive(name, clients, jobs) {
		const begun = () => process.hrtime.bigint();
		let start;
		let done = 0;

		if (name === 'graphile-worker') {
			const pgPool = new pg.Pool({ max: clients + 2 });
			const stop = (error) => {
				throw error;
			};
			pgPool.on('error', stop);
			pgPool.on('connect', (client) => client.on('error', stop));
			let finish;
			const enough = new Promise((resolve) => (finish = resolve));
			const runner = await run({
				logger, pgPool, noHandleSignals: true,
				preset: { worker: { concurrentJobs: clients } },
				taskList: {
					[queue]: () => {
						start ??= begun();
						if (++done === jobs)
							finish();
					},
				},
			});
			await enough;
			const seconds = Number(begun() - start) / 1e9;
			await runner.stop();
			await pgPool.end();
			return jobs / seconds;
		}

		const boss = await startBoss(clients);
		start = begun();
		await Promise.all(Array.from({ length: clients }, async () => {
			while (done < jobs) {
				done++;
				const [job] = await boss.fetch(queue);
				await boss.complete(queue, job.id);
			}
		}));
		const seconds = Number(begun() - start) / 1e9;
		await boss.stop({ graceful: false });
		return done / seconds;
	},
};

const [command, ...words] = process.argv.slice(2);
const result = await commands[command](...words.map((word) => (/^\d+$/.test(word) ? Number(word) : word)));
if (result !== undefined)
	console.log(result);
