import type { PostgresSaver } from '@langchain/langgraph-checkpoint-postgres';
import type { Workflow } from './index.js';

/** A PostgresSaver for this attempt, whose connections carry the lease: what it writes to
 * the workflow's threads (that named like its id, and those that linkThread() has
 * linked) is written under the lease, or refused with SQLSTATE 55000. End it with end().
 * Run the graph with durability: 'sync'. A direct connection: a pooler in transaction
 * mode would hand the lease on. schema: where LangGraph's tables are; public. serde: as
 * PostgresSaver takes it. */
export function saver(
	workflow: Workflow,
	options?: { schema?: string; serde?: ConstructorParameters<typeof PostgresSaver>[1] },
): Promise<PostgresSaver>;
