/*-------------------------------------------------------------------------
 *
 * recorded_workflows.c
 *	  Workflows as the record of what happened elsewhere.
 *
 * They come in the status in which they ended: a pending one would be an
 * invitation to the next worker. It is an INSERT because the functions would
 * add events of their own to those that are recorded.
 *
 *-------------------------------------------------------------------------
 */
#include "load/recorded_workflows.h"

#include <jansson.h>

#include "common/db.h"
#include "common/json.h"
#include "common/util.h"

static void
add_text(Buffer *list, const char *key, const char *text)
{
	json_t	   *value;

	if (text == NULL)
		return;
	value = json_string(text);
	buffer_printf(list, ",\"%s\":", key);
	buffer_json(list, value);
	json_decref(value);
}

/* issue_cache is JSON or NULL, reason NULL for what went well. */
void
add_recorded_workflow(Buffer *list, const Uuid *id, const char *issue_id,
					  const char *worktree, const char *issue_cache,
					  const char *status, const char *reason)
{
	char		text[UUID_TEXT_SIZE];

	uuid_format(id, text);
	buffer_printf(list, "%c{\"id\":\"%s\",\"status\":\"%s\"", list->len == 0 ? '[' : ',', text, status);
	add_text(list, "issue_id", issue_id);
	add_text(list, "worktree", worktree);
	add_text(list, "reason", reason);
	if (issue_cache != NULL)
		buffer_printf(list, ",\"issue_cache\":%s", issue_cache);
	buffer_puts(list, "}");
}

/* Make those of the list that are not there. */
void
create_recorded_workflows(Db *db, Buffer *list)
{
	buffer_puts(list, list->len == 0 ? "[]" : "]");
	db_query(db, (Tag) {0},
			 "INSERT INTO amelia.workflows (id, issue_id, worktree_path, issue_cache, status,"
			 " failure_reason, started_at, completed_at)"
			 " SELECT m.id, m.issue_id, m.worktree, m.issue_cache, m.status, m.reason, now(), now()"
			 " FROM jsonb_to_recordset($1::jsonb) AS m (id uuid, issue_id text, worktree text,"
			 " issue_cache jsonb, status text, reason text)"
			 " WHERE NOT EXISTS (SELECT FROM amelia.workflows AS w WHERE w.id = m.id)"
			 " ORDER BY m.id ON CONFLICT (id) DO NOTHING",
			 1, (const char *[]) {list->data});
}

/*
 * Lock the workflows that are there, in the order of their ids, with the lock
 * that an append takes anyway, and ask how far each is: id, last sequence,
 * events removed, and from what it was loaded.
 */
void
lock_recorded_workflows(Db *db, Tag look, const char *ids)
{
	db_query(db, (Tag) {0},
			 "SELECT count(*) FROM (SELECT FROM amelia.workflows"
			 " WHERE id = ANY ($1::uuid[]) ORDER BY id"
			 " FOR NO KEY UPDATE) AS locked",
			 1, &ids);
	db_query(db, look,
			 "SELECT id, amelia.last_sequence(id), events_removed, issue_cache ->> 'source'"
			 " FROM amelia.workflows WHERE id = ANY ($1::uuid[])",
			 1, &ids);
}
