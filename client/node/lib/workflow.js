// A claimed workflow, as the work sees it: what it reads, and what it writes under its lease.
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { LEASE_LOST, transaction } from './database.js';
import { LeaseLost, WaitsForPerson } from './errors.js';
import { Usage, readUsage } from './usage.js';

export const COLUMNS =
	'id, lease_token, issue_id, worktree_path, workflow_type, profile_id, issue_cache, plan_cache, failures, max_failures';

// The driver would make PostgreSQL's arrays of arrays.
const jsonb = (value) => {
	if (value == null) return null;
	const text = JSON.stringify(value);

	if (text === undefined) throw new TypeError(`${String(value)} is nothing that JSON can say`);
	return text;
};

export class Workflow {
	#database;
	#patience;
	#results = null;

	constructor(row, { worker, connection, lease, database, signal, losePatience }) {
		this.id = row.id;
		this.leaseToken = Number(row.lease_token);
		this.issueId = row.issue_id;
		this.worktreePath = row.worktree_path;
		this.workflowType = row.workflow_type;
		this.profileId = row.profile_id;
		this.issue = row.issue_cache;
		this.plan = row.plan_cache;
		this.failures = row.failures;
		this.maxFailures = row.max_failures;
		this.worker = worker;
		this.connection = connection;
		this.lease = lease;
		this.signal = signal;
		this.#database = database;
		this.#patience = () => {
			lease.check();
			losePatience();
		};
	}

	get budgetMessage() {
		return this.lease.budgetMessage;
	}

	check() {
		this.signal.throwIfAborted();
	}

	async sleep(seconds) {
		this.check();
		await delay(seconds * 1000, undefined, { signal: this.signal }).catch(() => this.check());
	}

	// What is sent again.

	async #run(send) {
		this.lease.check();
		try {
			return await send();
		} catch (error) {
			if (error.code !== LEASE_LOST) throw error;
			this.lease.lose(error.message);
			throw new LeaseLost(error.message, { cause: error });
		}
	}

	#query(text, ...values) {
		return this.#run(() => this.#database.query(this.#patience, text, ...values));
	}

	async append(eventType, message, { data, agent, level, toolName, toolInput, correlationId, parentId, id = randomUUID() } = {}) {
		const [row] = await this.#query(
			`SELECT amelia.append_event($1, $2, $3, level => $4, agent => $5, data => $6, tool_name => $7, tool_input => $8,
				correlation_id => $9, parent_id => $10, id => $11, lease_token => $12) AS sequence`,
			this.id, eventType, message, level, agent, jsonb(data), toolName, jsonb(toolInput), correlationId, parentId, id,
			this.leaseToken);

		return row.sequence;
	}

	async appendAll(events) {
		const [row] = await this.#query(
			`SELECT COALESCE(lower(r), 0) AS first, COALESCE(upper(r) - lower(r), 0) AS number
			FROM amelia.append_events($1, $2, $3) AS r`,
			this.id, jsonb(events.map((event) => ({ id: randomUUID(), ...event }))), this.leaseToken);

		return Array.from({ length: row.number }, (_, index) => row.first + index);
	}

	async book(agent, used, { model, costUsd, durationMs = 0, numTurns = 1, id = randomUUID() } = {}) {
		const usage = used instanceof Usage ? used : readUsage(used);
		const name = model ?? usage.model;

		if (name == null) throw new RangeError('a usage without a model: give { model }');
		const [row] = await this.#query(
			`SELECT amelia.record_usage($1, $2, $3, $4, $5, $6, $7, cost_usd => $8, duration_ms => $9, num_turns => $10,
				id => $11, lease_token => $12, cache_creation_1h_tokens => $13, reasoning_tokens => $14,
				input_audio_tokens => $15, output_audio_tokens => $16, service_tier => $17, input_includes_cached => $18) AS id`,
			this.id, agent, name, usage.inputTokens, usage.outputTokens, usage.cacheReadTokens, usage.cacheCreationTokens,
			costUsd, durationMs, numTurns, id, this.leaseToken, usage.cacheCreation1hTokens, usage.reasoningTokens,
			usage.inputAudioTokens, usage.outputAudioTokens, usage.serviceTier, usage.inputIncludesCached);

		return row.id;
	}

	transaction(fn) {
		return this.#transaction(fn, false);
	}

	transact(fn) {
		return this.#transaction(fn, true);
	}

	async #transaction(fn, again) {
		this.lease.check();
		try {
			return await this.#database.transaction(async (client) => {
				await client.query('SELECT amelia.set_worker($1, $2)', [this.id, this.leaseToken]);
				return fn(client);
			}, this.#patience, again);
		} catch (error) {
			if (error.code !== LEASE_LOST) throw error;
			// The statements' own 55000, or the lease's?
			await this.#query("SELECT FROM amelia.heartbeat($1, $2, $3 * interval '1 s')", this.id, this.leaseToken, this.lease.seconds);
			throw error;
		}
	}

	async setPlan(plan) {
		await this.transact((client) => client.query('SELECT amelia.set_plan_cache($1, $2)', [this.id, jsonb(plan)]));
		this.plan = plan;
	}

	async linkThread(threadId) {
		await this.transact((client) => client.query('SELECT amelia.link_thread($1, $2)', [this.id, threadId]));
	}

	// Steps, questions, messages.

	async results() {
		this.#results ??= new Map((await this.#query(
			`SELECT e.data ->> 'step' AS step, e.data -> 'result' AS result FROM amelia.workflow_log AS e
			WHERE e.workflow_id = $1 AND e.event_type = 'task_completed' AND e.data ? 'step'
			ORDER BY e.sequence`, this.id)).map(({ step, result }) => [step, result]));
		return this.#results;
	}

	async step(name, fn, { agent } = {}) {
		const results = await this.results();

		if (!results.has(name)) {
			this.check();
			// As it will come back in another attempt.
			const result = JSON.parse(jsonb(await fn()) ?? 'null');

			if ((await this.append('task_completed', name, { data: { step: name, result }, agent })) === null) {
				throw new Error('event_types says that task_completed is not stored: no step can be remembered');
			}
			results.set(name, result);
		}
		return results.get(name);
	}

	async ask(question, { data, step = question } = {}) {
		const [answer] = await this.#query(
			`SELECT a.event_type = 'approval_granted' AS approved, a.message AS comment, q.sequence AS question
			FROM amelia.workflow_log AS q
			JOIN amelia.workflow_log AS a ON a.workflow_id = q.workflow_id AND a.sequence > q.sequence
				AND a.event_type IN ('approval_granted', 'approval_rejected')
				AND a.data -> 'question' = to_jsonb(q.sequence)
			WHERE q.workflow_id = $1 AND q.event_type = 'approval_required' AND q.data ->> 'step' = $2
			ORDER BY q.sequence DESC LIMIT 1`,
			this.id, step);

		if (answer) return answer;
		await this.#query('SELECT FROM amelia.request_approval($1, $2, $3, $4)',
			this.id, this.leaseToken, question, jsonb({ ...data, step }));
		this.lease.close();
		throw new WaitsForPerson(question);
	}

	messages() {
		const batch = randomUUID();
		let tries = 0;

		return this.#run(() => this.#database.run(async (client) => {
			tries += 1;
			const rows = await (tries > 1 ? this.#takenBefore(client, batch) : []);

			return rows.length ? rows : transaction(client, () => this.#take(client, batch));
		}, this.#patience)).then((rows) => rows.map((row) => ({
			id: Number(row.id), kind: row.kind, data: row.data, sentAt: new Date(row.sent_at),
		})));
	}

	// The answer was lost, perhaps with messages that were taken.
	async #takenBefore(client, batch) {
		return (await client.query(
			`SELECT (e.data -> 'message')::bigint AS id, e.message AS kind, e.data -> 'data' AS data, e.data ->> 'sent_at' AS sent_at
			FROM amelia.workflow_log AS e
			WHERE e.workflow_id = $1 AND e.event_type = 'message_read' AND e.data ->> 'batch' = $2
			ORDER BY e.sequence`, [this.id, batch])).rows;
	}

	async #take(client, batch) {
		const { rows } = await client.query('SELECT id, kind, data, sent_at FROM amelia.take_inbox($1, $2)', [this.id, this.leaseToken]);

		for (const row of rows) {
			await client.query("SELECT amelia.append_event($1, 'message_read', $2, data => $3, lease_token => $4)", [
				this.id, row.kind, jsonb({ message: Number(row.id), data: row.data, sent_at: row.sent_at, batch }), this.leaseToken]);
		}
		return rows;
	}

	// The end of the attempt.

	async release(status, reason, after) {
		// PostgreSQL has no character for it, and an error's text may have anything.
		const text = reason == null ? null : reason.replaceAll('\0', '\uFFFD').toWellFormed();

		await this.#query("SELECT FROM amelia.release_workflow($1, $2, $3, $4, $5 * interval '1 s')",
			this.id, this.leaseToken, status, text, after);
	}
}
