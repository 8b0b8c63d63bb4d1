// Clients of the PostgreSQL extension Amelia: workers, feed readers, usage booking.
// README.md has an example of each, index.d.ts every argument, result and error.
export { Cancelled, CursorRefused, LeaseLost, Retry, Stopping, StopWork, WaitsForPerson } from './lib/errors.js';
export { Callbacks, Feed, FileCursor, TableCursor } from './lib/feed.js';
export { readUsage } from './lib/usage.js';
export { Worker } from './lib/worker.js';
export { Workflow } from './lib/workflow.js';
