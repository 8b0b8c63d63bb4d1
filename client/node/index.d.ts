// What client/node exports. Times are seconds unless a name says otherwise. Every
// promise may be rejected with the database's error, whose code is the SQLSTATE.
import type { ClientBase, ClientConfig } from 'pg';

/** A connection string or URL, or node-postgres' settings; without functions in them for
 * a Worker, because its thread of heartbeats gets a copy. */
export type Connection = string | ClientConfig;

/** Where a worker or reader says what happens. By default warnings go to standard error. */
export interface Log {
	info(text: string): void;
	warn(text: string): void;
}

/** The attempt ends here. Let it pass: the worker knows what to do. */
export class StopWork extends Error {}
/** The workflow is somebody else's by now, or nobody's. Nothing more is written to it. */
export class LeaseLost extends StopWork {}
/** Somebody asked for the end of the workflow. Thrown by a step, it ends the workflow as
 * cancelled, with the message as the reason. */
export class Cancelled extends StopWork {}
/** The process shall end (SIGTERM): the workflow is given back, which is no failure. */
export class Stopping extends StopWork {}
/** A question was asked, and the lease has ended: another attempt has the answer. */
export class WaitsForPerson extends StopWork {}

/** Thrown by a step: the attempt has failed. The next one is due after so many seconds;
 * without a number, after what retry_delay() says in the server. Any other error
 * says the same without a number. */
export class Retry extends Error {
	constructor(reason: string, after?: number);
	readonly after?: number;
}

/** The feed cannot go on from that cursor: what follows it has been pruned, or it is from
 * before a restore or a failover. Feed.beginAnew() says what to do. */
export class CursorRefused extends Error {}

export interface WorkerOptions {
	/** For people, in the log and in workflow_leases; by default host, process and a random part. */
	name?: string;
	/** How long a workflow stands still for when its worker is killed; should be longer than
	 * anything through which a worker lives. 60. */
	lease?: number;
	/** Between looks at an empty queue. 1. */
	idle?: number;
	/** How long a step may take to hear that it is to stop, before the workflow is given
	 * back without it. 5. */
	grace?: number;
	/** What is claimed, as claim_workflow() says; null: anything. */
	profileId?: string | null;
	workflowTypes?: string[] | null;
	log?: Log;
}

/** A worker: one workflow at a time. Start as many processes as you like, on any
 * machine, and as many workers in each. */
export class Worker {
	/** work is called with each Workflow that is claimed. When it returns, the workflow is
	 * completed. Cancelled ends it as cancelled; Retry and any other error fail the
	 * attempt, and the next one is due later; StopWork is to be let through. */
	constructor(connection: Connection, work: (workflow: Workflow) => unknown, options?: WorkerOptions);
	readonly name: string;
	/** Works until SIGTERM, SIGINT or stop(); with once until there is nothing to claim.
	 * signals: whether it listens to them. Rejected with errors of the database that
	 * trying again does not mend: no such extension, no right to claim, a lease longer
	 * than the server allows. */
	run(options?: { once?: boolean; signals?: boolean }): Promise<void>;
	/** As SIGTERM: ends the step, gives the workflow back, and run() is fulfilled. */
	stop(): void;
}

export interface EventOptions {
	/** An object or an array. */
	data?: unknown;
	agent?: string;
	level?: 'trace' | 'debug' | 'info' | 'warning' | 'error';
	toolName?: string;
	toolInput?: unknown;
	correlationId?: string;
	parentId?: string;
	/** One of your own when the event shall be stored once though the work is done twice. */
	id?: string;
}

export interface BookOptions {
	/** As the answer has it, unless it is given. */
	model?: string;
	/** US dollars; by default by the price of the model. */
	costUsd?: number | string;
	durationMs?: number;
	numTurns?: number;
	id?: string;
}

/** What a person said to a question. */
export interface Decision {
	approved: boolean;
	comment: string;
	/** The sequence of the event that asked. */
	question: number;
}

/** What somebody sent with send_to_workflow(); the kinds are yours to agree upon. */
export interface Message {
	id: number;
	kind: string;
	data: any;
	sentAt: Date;
}

/** A workflow under a lease. Every method that writes does it under the lease, sends it
 * again when the connection is lost, and throws LeaseLost when the lease is: nothing is
 * stored then. The attributes are as they were when it was claimed. */
export class Workflow {
	private constructor();
	readonly id: string;
	readonly leaseToken: number;
	readonly issueId: string;
	readonly worktreePath: string | null;
	readonly workflowType: string;
	readonly profileId: string | null;
	/** issue_cache */
	readonly issue: any;
	/** plan_cache */
	readonly plan: any;
	/** How many attempts have failed, and may. */
	readonly failures: number;
	readonly maxFailures: number;
	/** The name that it was claimed under. */
	readonly worker: string;
	/** That of the worker. */
	readonly connection: Connection;
	/** Aborted when the work is to end; its reason is LeaseLost, Cancelled or Stopping. Hand
	 * it to whatever takes one. */
	readonly signal: AbortSignal;
	/** Which block budget is spent that the workflow comes under, as the last heartbeat said
	 * it; null when none is. Going on is allowed: it is yours to end the work. */
	readonly budgetMessage: string | null;
	/** Throws the signal's reason when it is aborted. */
	check(): void;
	/** Sleeps, and throws what check() does as soon as there is a reason. */
	sleep(seconds: number): Promise<void>;
	/** Appends an event; its sequence, or null when the operator has switched its type off. */
	append(eventType: string, message: string, options?: EventOptions): Promise<number | null>;
	/** Appends events, all or none, in one round trip: objects whose keys are the arguments
	 * of append_event(). Their sequences. */
	appendAll(events: Record<string, unknown>[]): Promise<number[]>;
	/** Books what a call of a model used; the row's id. used: what readUsage() takes, or its
	 * result. RangeError where there is no usage or no model; SQLSTATE P0002 where the
	 * model has no price. */
	book(agent: string, used: unknown, options?: BookOptions): Promise<string>;
	/** fn(client) in a transaction that says the lease: set_worker(). What it writes to the
	 * workflow is stored under the lease, or not at all. It holds the workflow's row:
	 * keep it short. Tried once. append() and the others called inside are part of it. */
	transaction<T>(fn: (client: ClientBase) => Promise<T>): Promise<T>;
	/** The same, and once more when the connection is lost: nobody knows then whether it was
	 * committed, so it must write what may be written twice. */
	transact<T>(fn: (client: ClientBase) => Promise<T>): Promise<T>;
	/** Stores plan_cache; null removes it. */
	setPlan(plan: object | null): Promise<void>;
	/** Says that a thread of LangGraph's belongs to the workflow, besides the one that is
	 * named like its id. */
	linkThread(threadId: string): Promise<void>;
	/** The steps that are done, by this worker or one before, with their results. */
	results(): Promise<ReadonlyMap<string, any>>;
	/** What fn returns, or what it returned in an attempt before this one: the result stands
	 * in the log, as a task_completed event, and is what JSON makes of it. A step is done
	 * a second time when the worker is killed before it is in the log. Its name is its
	 * own in the workflow. */
	step<T>(name: string, fn: () => T | Promise<T>, options?: { agent?: string }): Promise<T>;
	/** What a person said to the question in an attempt before this one. When nobody was
	 * asked, asks: the workflow is blocked, the lease ends, and WaitsForPerson ends the
	 * attempt; decide() makes it claimable again. step: what tells this question from
	 * others with the same words. */
	ask(question: string, options?: { data?: object; step?: string }): Promise<Decision>;
	/** What was sent to the workflow since the last look. Each is given out once, and stands
	 * in the log from then on, as a message_read event. */
	messages(): Promise<Message[]>;
	/** Ends the attempt; the worker calls it. Without a status the lease is given back. */
	release(status?: 'completed' | 'cancelled' | 'failed' | 'blocked', reason?: string | null, after?: number): Promise<void>;
}

/** Tokens, as record_usage() takes them. inputIncludesCached null: as the price says. */
export interface Usage {
	readonly inputTokens: number;
	readonly outputTokens: number;
	readonly cacheReadTokens: number;
	readonly cacheCreationTokens: number;
	readonly cacheCreation1hTokens: number;
	readonly reasoningTokens: number;
	readonly inputAudioTokens: number;
	readonly outputAudioTokens: number;
	readonly serviceTier: string | null;
	readonly inputIncludesCached: boolean | null;
	/** As the answer names it. */
	readonly model: string | null;
}

/** Takes an answer that has a usage, or the usage itself: of OpenAI's chat completions, of
 * its Responses, or of Anthropic's Messages; of LangChain's messages; and what others
 * report in one of these forms. Of a stream, give the last one: they count from the
 * beginning. RangeError where it is none of them, TypeError where a number is none. */
export function readUsage(used: unknown): Usage;

/** A row of workflow_log. timestamp is null where it is infinite. */
export interface Event {
	id: string;
	workflowId: string;
	sequence: number;
	eventType: string;
	message: string;
	level: string;
	agent: string | null;
	data: any;
	isError: boolean;
	timestamp: Date | null;
	correlationId: string | null;
	toolName: string | null;
	toolInput: any;
	traceId: string | null;
	parentId: string | null;
}

/** Something that happened in a workflow: a new status, or an event, or both. */
export interface Change {
	workflowId: string;
	status: string | null;
	event: Event | null;
	writtenAt: Date;
	/** Where to go on behind it. */
	cursor: string;
}

/** Where a reader keeps how far it has come. client is the feed's, outside of a
 * transaction or in that of Feed.each(). */
export interface Cursor {
	/** null: there is none yet. */
	load(client: ClientBase): Promise<string | null>;
	/** before: what it goes on from. */
	save(client: ClientBase, cursor: string, before: string | null): Promise<void>;
}

/** A cursor that is kept by two functions of yours. */
export class Callbacks implements Cursor {
	constructor(load: () => string | null | undefined | Promise<string | null | undefined>, save: (cursor: string) => unknown);
	load(client: ClientBase): Promise<string | null>;
	save(client: ClientBase, cursor: string, before: string | null): Promise<void>;
}

/** A cursor in a file, which has either the old one or the new one whenever the machine
 * stops. One reader for each file. */
export class FileCursor implements Cursor {
	constructor(path: string);
	readonly path: string;
	load(client: ClientBase): Promise<string | null>;
	save(client: ClientBase, cursor: string, before: string | null): Promise<void>;
}

/** A cursor in a table of yours, in the database of the feed, a row for each reader:
 * CREATE TABLE public.feed_cursors (reader text PRIMARY KEY, cursor text NOT NULL).
 * An Error when another process reads under the same name. */
export class TableCursor implements Cursor {
	constructor(table: string, reader: string);
	readonly reader: string;
	load(client: ClientBase): Promise<string | null>;
	save(client: ClientBase, cursor: string, before: string | null): Promise<void>;
}

export interface FeedOptions {
	/** Only these; null: all. */
	workflowIds?: string[] | null;
	/** Changes that are read at once, and after which the cursor is stored. 1000. */
	page?: number;
	/** Between looks when nothing is new. 1. */
	idle?: number;
	/** application_name, for people. */
	name?: string;
	log?: Log;
}

/** Reads the feed of a database from a cursor on. Where there is none yet the feed
 * begins now, and that is stored before anything is read. */
export class Feed implements AsyncIterable<Change> {
	constructor(connection: Connection, cursor: Cursor, options?: FeedOptions);
	/** Ends what reads, at its next look. */
	stop(): void;
	/** Closes the connection; read() and each() do when they end. */
	close(): Promise<void>;
	[Symbol.asyncIterator](): AsyncGenerator<Change, void, undefined>;
	/** The changes, one after the other, for ever; without follow, up to now. Each comes at
	 * least once: asking for the next one says that this one is done, and the cursor is
	 * stored behind each page, and where the loop is left. A process that is killed sees
	 * the changes since then again; workflow and sequence tell. */
	read(options?: { follow?: boolean }): AsyncGenerator<Change, void, undefined>;
	/** Calls handle(client, changes) for each page, in a transaction of that client which
	 * also stores the cursor: what it writes there is written once for each change,
	 * whatever is killed when. The cursor must be a TableCursor. An error of handle's
	 * ends it; nothing of that page is stored then. */
	each(handle: (client: ClientBase, changes: Change[]) => unknown, options?: { follow?: boolean }): Promise<void>;
	/** After CursorRefused: stores a cursor of now. What happened before it is read with
	 * eventsAfter(), then, for each workflow from the last sequence that was seen; some
	 * of it may come twice. */
	beginAnew(): Promise<void>;
	/** The events of one workflow behind a sequence, up to now. */
	eventsAfter(workflowId: string, sequence?: number): AsyncGenerator<Event, void, undefined>;
}
