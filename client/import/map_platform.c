/*-------------------------------------------------------------------------
 *
 * map_platform.c
 *	  Where agents and their tasks go. What an agent can do is a list of names
 *	  or of objects with a name; the names become rows of agent_capabilities.
 *
 *-------------------------------------------------------------------------
 */
#include "import/import.h"

static const ColumnMap agents[] = {
	{"id", "id", AS_UUID, IS_KEY, "agents"},
	{"name", "name", AS_TEXT},
	{"agent_type", "agent_type", AS_TEXT},
	{"status", "status", AS_TEXT},
	{"capabilities", "capabilities", AS_JSON},
	{"system_prompt", "system_prompt", AS_TEXT},
	{"model_provider", "model_provider", AS_TEXT},
	{"model_name", "model_name", AS_TEXT},
	{"created_at", "created_at", AS_TIME},
	{"updated_at", "updated_at", AS_TIME},
	{0}
};

static const ColumnMap capabilities[] = {
	{"id", "agent_id", AS_UUID, IS_KEY, "agents"},
	{NULL, "capability_name", AS_TEXT, IS_KEY,.expr = "t.capability_name"},
	{0}
};

static const ColumnMap tasks[] = {
	{"id", "id", AS_UUID, IS_KEY, "tasks"},
	{"title", "title", AS_TEXT},
	{"description", "description", AS_TEXT},
	{"status", "status", AS_TEXT},
	{"priority", "priority", AS_TEXT},
	{"assigned_agent_id", "assigned_agent_id", AS_UUID,.refers = "agents"},
	{"created_at", "created_at", AS_TIME},
	{"updated_at", "updated_at", AS_TIME},
	{0}
};

/* One row for each agent and name; a list that is no JSON names nothing, and its agent is refused or kept as it is. */
#define CAPABILITIES \
	"(SELECT DISTINCT a.id, COALESCE(json_extract(e.value, '$.name'), '') AS capability_name" \
	" FROM agents AS a, json_each(CASE WHEN json_valid(a.capabilities) THEN a.capabilities ELSE '[]' END) AS e" \
	" WHERE e.type = 'object' AND json_type(e.value, '$.name') = 'text'" \
	" UNION SELECT a.id, e.value FROM agents AS a," \
	" json_each(CASE WHEN json_valid(a.capabilities) THEN a.capabilities ELSE '[]' END) AS e" \
	" WHERE e.type = 'text') AS t"

static const TableMap tables_of_platform[] = {
	{"agents", NULL, "agents", agents},
	{"agents", CAPABILITIES, "agent_capabilities", capabilities},
	{"tasks", NULL, "tasks", tasks},
	{0}
};

static const char *const signs[] = {"agents.agent_type", "tasks.assigned_agent_id", NULL};

const SystemMap platform_system = {
	.name = "platform",
	.extension = "amelia_platform",
	.schema = "amelia_platform",
	.signs = signs,
	.tables = tables_of_platform
};
