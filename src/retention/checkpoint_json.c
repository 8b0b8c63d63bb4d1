/*-------------------------------------------------------------------------
 *
 * checkpoint_json.c
 *	  What stands in the JSON of a checkpoint.
 *
 *	  Only what says where the state comes from is taken: versions of channels,
 *	  values that stand in the checkpoint itself, where it belongs to, and
 *	  which channels are delta channels. What has another shape than LangGraph
 *	  gives it raises 55000.
 *
 *-------------------------------------------------------------------------
 */
#include "retention/checkpoint_json.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "base/execute.h"

/* The newest format that we know. */
#define NEWEST_FORMAT 4

/* Takes a key of an object, and its value, for a row. */
typedef void (*TakeField) (ThreadImage *image, ImageRow *row, int key, const JsonbValue *value);

pg_noreturn static void RefuseShape(const ThreadImage *image, const ImageRow *row, const char *what);

/* Raise 55000 because something in a checkpoint is not as we know it. */
static void
RefuseShape(const ThreadImage *image, const ImageRow *row, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("%s of checkpoint \"%s\" is not as LangGraph makes it",
					what, image->names->texts[row->id])));
}

/*
 * A field of an object; NULL when it has none.
 */
static JsonbValue *
Field(JsonbContainer * object, const char *name)
{
	return getKeyJsonValueFromContainer(object, name, strlen(name), NULL);
}

/*
 * Whether a value is the text; NULL is none.
 */
static bool
IsText(const JsonbValue *value, const char *text)
{
	return value != NULL && value->type == jbvString &&
		value->val.string.len == (int) strlen(text) &&
		memcmp(value->val.string.val, text, value->val.string.len) == 0;
}

/*
 * Go through a field that is an object, which may be absent. Returns how many
 * it has.
 */
static void
ForEachField(ThreadImage *image, ImageRow *row, JsonbContainer * object, const char *name,
			 const char *what, TakeField take)
{
	JsonbValue *field = Field (object, name);
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	item;
	int			key = NO_NAME;

	if (field == NULL || field->type == jbvNull)
		return;
	if (field->type != jbvBinary || !JsonContainerIsObject(field->val.binary.data))
		RefuseShape(image, row, what);
	iterator = JsonbIteratorInit(field->val.binary.data);
	while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			key = NameOf(image->names, item.val.string.val, item.val.string.len);
		else if (token == WJB_VALUE)
			take(image, row, key, &item);
	}
	pfree(field);
}

static void
TakeVersion(ThreadImage *image, ImageRow *row, int key, const JsonbValue *value)
{
	ImageVersion *version = &row->versions[row->nversions];
	char	   *number;

	version->channel = key;
	switch (value->type)
	{
		case jbvString:
			version->version = NameOf(image->names, value->val.string.val, value->val.string.len);
			break;
		case jbvNumeric:
			number = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
			version->version = NameOf(image->names, number, strlen(number));
			pfree(number);
			break;
		default:
			RefuseShape(image, row, "channel_versions");
	}
	row->nversions++;
}

static void
TakeValue(ThreadImage *image, ImageRow *row, int key, const JsonbValue *value)
{
	ImageValue *inlined = &row->values[row->nvalues++];

	inlined->channel = key;
	inlined->is_null = value->type == jbvNull;
	inlined->is_true = value->type == jbvBool && value->val.boolean;
}

static void
TakeParent(ThreadImage *image, ImageRow *row, int key, const JsonbValue *value)
{
	ImageParent *parent = &row->parents[row->nparents++];

	if (value->type != jbvString)
		RefuseShape(image, row, "metadata.parents");
	parent->ns = key;
	parent->id = NameOf(image->names, value->val.string.val, value->val.string.len);
}

static void
TakeCounter(ThreadImage *image, ImageRow *row, int key, const JsonbValue *value)
{
	row->counters[row->ncounters++] = key;
}

/* How many fields an object has, of which room is to be made; 0 for what is none. */
static int
FieldCount(JsonbContainer * object, const char *name)
{
	JsonbValue *field = Field (object, name);
	int			count = field != NULL && field->type == jbvBinary &&
	JsonContainerIsObject(field->val.binary.data) ? (int) JsonContainerSize(field->val.binary.data) : 0;

	if (field != NULL)
		pfree(field);
	return count;
}

/*
 * Fill a row from the two columns of JSON of a fetched row.
 */
void
ReadCheckpoint(ThreadImage *image, ImageRow *row, uint64 number, int checkpoint, int metadata)
{
	const int	columns[] = {checkpoint, metadata};
	Jsonb	   *jsons[lengthof(columns)];
	Datum		datums[lengthof(columns)];
	JsonbContainer *root;
	JsonbContainer *meta;
	JsonbValue *format;
	JsonbValue *source;
	JsonbValue *versioned;
	JsonbValue *mark;
	JsonbValue *run;
	int			version;

	row->hash = 0;
	for (size_t i = 0; i < lengthof(columns); i++)
	{
		bool		is_null;

		datums[i] = RowValue(number, columns[i], JSONBOID, &is_null);
		if (is_null)
			RefuseShape(image, row, "JSON");
		jsons[i] = DatumGetJsonbP(datums[i]);
		if (!JB_ROOT_IS_OBJECT(jsons[i]))
			RefuseShape(image, row, i == 0 ? "JSON" : "metadata");
		row->hash = hash_combine64(row->hash, hash_bytes_extended((unsigned char *) VARDATA(jsons[i]),
																  VARSIZE(jsons[i]) - VARHDRSZ, 0));
		if (i == 0)
			row->checkpoint_hash = row->hash;
	}
	root = &jsons[0]->root;
	meta = &jsons[1]->root;
	format = Field (root, "v");

	if (format == NULL || format->type != jbvNumeric)
		RefuseShape(image, row, "v");
	version = numeric_int4_opt_error(format->val.numeric, NULL);
	if (version < 1 || version > NEWEST_FORMAT)
		RefuseShape(image, row, "v");
	row->format = version;

	row->versions = palloc(FieldCount(root, "channel_versions") * sizeof(ImageVersion));
	ForEachField(image, row, root, "channel_versions", "channel_versions", TakeVersion);
	row->values = palloc(FieldCount(root, "channel_values") * sizeof(ImageValue));
	ForEachField(image, row, root, "channel_values", "channel_values", TakeValue);
	row->parents = palloc(FieldCount(meta, "parents") * sizeof(ImageParent));
	ForEachField(image, row, meta, "parents", "metadata.parents", TakeParent);
	row->counters = palloc(FieldCount(meta, "counters_since_delta_snapshot") * sizeof(int));
	ForEachField(image, row, meta, "counters_since_delta_snapshot",
				 "metadata.counters_since_delta_snapshot", TakeCounter);
	source = Field (meta, "source");
	versioned = Field (meta, "delta_writes_versioned");

	mark = Field (meta, ANCHOR_MARK);
	run = Field (meta, "run_id");

	row->is_marked = mark != NULL;
	row->run = run != NULL && run->type == jbvString ?
		NameOf(image->names, run->val.string.val, run->val.string.len) : NO_NAME;
	row->is_versioned = versioned != NULL && versioned->type == jbvBool && versioned->val.boolean;
	row->is_fork = IsText(source, "update") || IsText(source, "fork");
	for (size_t i = 0; i < lengthof(columns); i++)
	{
		if ((Pointer) jsons[i] != DatumGetPointer(datums[i]))
			pfree(jsons[i]);
	}
}
