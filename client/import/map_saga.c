/*-------------------------------------------------------------------------
 *
 * map_saga.c
 *	  Where the conversations and files of the memory go. Its FTS5 tables
 *	  are left: the target keeps an index of its own.
 *
 *-------------------------------------------------------------------------
 */
#include "import/import.h"

static const ColumnMap messages[] = {
	{"id", "id", AS_TEXT, IS_KEY, "messages"},
	{"provider", "provider", AS_TEXT},
	{"role", "role", AS_TEXT},
	{"content", "content", AS_TEXT},
	{"tags", "tags", AS_JSON},
	{"timestamp", "timestamp", AS_TIME},
	{"metadata", "metadata", AS_JSON},
	{"session_id", "session_id", AS_TEXT},
	{"created_at", "created_at", AS_TIME},
	{0}
};

static const ColumnMap files[] = {
	{"id", "id", AS_TEXT, IS_KEY, "files"},
	{"filename", "filename", AS_TEXT},
	{"filepath", "filepath", AS_TEXT},
	{"file_type", "file_type", AS_TEXT},
	{"extracted_text", "extracted_text", AS_TEXT},
	{"tags", "tags", AS_JSON},
	{"file_size", "file_size", AS_BIGINT},
	{"uploaded_at", "uploaded_at", AS_TIME},
	{"metadata", "metadata", AS_JSON},
	{"created_at", "created_at", AS_TIME},
	{0}
};

static const TableMap tables_of_saga[] = {
	{"messages", NULL, "messages", messages},
	{"files", NULL, "files", files},
	{0}
};

static const char *const signs[] = {"messages.provider", "messages.content", NULL};

const SystemMap saga_system = {
	.name = "saga",
	.extension = "amelia_saga",
	.schema = "amelia_saga",
	.signs = signs,
	.tables = tables_of_saga
};
