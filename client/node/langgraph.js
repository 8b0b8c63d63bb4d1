// A saver of LangGraph's whose writes carry the lease. Needs
// @langchain/langgraph-checkpoint-postgres; the rest of this package does without.
import pg from 'pg';
import { withOptions } from './lib/database.js';

export async function saver(workflow, { schema = 'public', serde } = {}) {
	const { PostgresSaver } = await import('@langchain/langgraph-checkpoint-postgres');
	// A process that stops in the middle of a put() holds the workflow's row.
	const pool = new pg.Pool(withOptions(workflow.connection,
		`-c amelia.lease=${workflow.id}\\ ${workflow.leaseToken} ` +
		`-c idle_in_transaction_session_timeout=${Math.max(1, Math.round(workflow.lease.seconds * 1000))}`));

	// A connection that is lost while nobody asks is made anew; without a listener it would end the process.
	pool.on('error', () => {});
	return new PostgresSaver(pool, serde, { schema });
}
