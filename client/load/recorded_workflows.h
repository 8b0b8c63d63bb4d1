/*-------------------------------------------------------------------------
 *
 * recorded_workflows.h
 *	  Workflows as the record of what happened elsewhere.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_RECORDED_WORKFLOWS_H
#define CLIENT_RECORDED_WORKFLOWS_H

#include "common/db.h"
#include "common/util.h"

extern void add_recorded_workflow(Buffer *list, const Uuid *id, const char *issue_id,
								  const char *worktree, const char *issue_cache,
								  const char *status, const char *reason);
extern void create_recorded_workflows(Db *db, Buffer *list);
extern void lock_recorded_workflows(Db *db, Tag look, const char *ids);

#endif							/* CLIENT_RECORDED_WORKFLOWS_H */
