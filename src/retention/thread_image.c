/*-------------------------------------------------------------------------
 *
 * thread_image.c
 *	  What the tables hold of one LangGraph thread, in memory.
 *
 *	  Pruning decides from the whole of a thread, so the whole is read, but for
 *	  the bytes: of each row what it names, and its size. Texts are kept once,
 *	  and known by number; an image of the same thread that is read later with
 *	  the same names can be compared with the first. Memory is bounded: a thread
 *	  whose image would take more is left alone.
 *
 *	  The bytes that count for what a resume would see are read on top of
 *	  that (ReadBytes()), as hashes.
 *
 *	  What is not as LangGraph makes it, or cannot be read by us, raises 55000:
 *	  such a thread stays as it is.
 *
 *-------------------------------------------------------------------------
 */
#include "retention/thread_image.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/varlena.h"

#include "base/execute.h"
#include "retention/checkpoint_json.h"
#include "retention/checkpoint_shape.h"
#include "retention/kept_queries.h"

#define FETCH_ROWS 1000

/* In bytes, unless maintenance_work_mem is more. */
#define MEMORY_LIMIT (INT64CONST(256) * 1024 * 1024)

/* What a place in the image is found by: a row, a blob, a group of writes. */
typedef enum PlaceKind
{
	PLACE_ROW, PLACE_BLOB, PLACE_GROUP, PLACE_SPACE
} PlaceKind;

typedef struct PlaceKey
{
	int			kind;
	int			a;
	int			b;
	int			c;
} PlaceKey;

typedef struct Place
{
	PlaceKey	key;
	int			number;
} Place;

/*
 * Make room for one more in an array that grows.
 */
static void *
Grow(void *array, int count, int *room, Size size)
{
	if (count < *room)
		return array;
	*room = Max(*room * 2, 64);
	return array == NULL ? palloc(*room * size) : repalloc_huge(array, *room * size);
}

/* Note where something is. */
static void
PutPlace(ThreadImage *image, PlaceKind kind, int a, int b, int c, int number)
{
	PlaceKey	key = {kind, a, b, c};
	Place	   *place = hash_search(image->places, &key, HASH_ENTER, NULL);

	place->number = number;
}

static int
FindPlace(const ThreadImage *image, PlaceKind kind, int a, int b, int c)
{
	PlaceKey	key = {kind, a, b, c};
	Place	   *place = hash_search(image->places, &key, HASH_FIND, NULL);

	return place == NULL ? NO_ROW : place->number;
}

/*
 * The row of a checkpoint; NO_ROW when it is not there.
 */
int
FindImageRow(const ThreadImage *image, int ns, int id)
{
	return FindPlace(image, PLACE_ROW, ns, id, 0);
}

ImageBlob *
FindImageBlob(const ThreadImage *image, int ns, int channel, int version)
{
	int			number = FindPlace(image, PLACE_BLOB, ns, channel, version);

	return number == NO_ROW ? NULL : &image->blobs[number];
}

ImageGroup *
FindImageGroup(const ThreadImage *image, int ns, int id)
{
	int			number = FindPlace(image, PLACE_GROUP, ns, id, 0);

	return number == NO_ROW ? NULL : &image->groups[number];
}

/*
 * The place of a namespace that has checkpoints; NO_ROW when it has none.
 */
int
FindSpace(const ThreadImage *image, int name)
{
	return FindPlace(image, PLACE_SPACE, name, 0, 0);
}

/*
 * Compare two checkpoint ids as the primary key does.
 */
int
CompareIds(const ThreadImage *image, int a, int b)
{
	const char *one = image->names->texts[a];
	const char *other = image->names->texts[b];

	return varstr_cmp(one, strlen(one), other, strlen(other), image->collation);
}

/*
 * The newest row of a namespace that is older than an id; NO_ROW when none is.
 */
int
PartnerOf(const ThreadImage *image, int space, int before)
{
	int			low = image->spaces[space].first;
	int			high = low + image->spaces[space].count;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (CompareIds(image, image->rows[middle].id, before) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low > image->spaces[space].first ? low - 1 : NO_ROW;
}

/*
 * A namespace without what differs from one run of its task to the next:
 * "a:1f0c|2|b:33aa" is of the family "a|b".
 */
static int
FamilyOf(NameTable *names, const char *ns)
{
	StringInfoData family;
	int			number;

	initStringInfo(&family);
	while (*ns != '\0')
	{
		int			length = strcspn(ns, "|");
		int			digits = strspn(ns, "0123456789");

		if (digits < length || length == 0)
		{
			int			stem = Min((int) strcspn(ns, ":"), length);

			if (family.len > 0)
				appendStringInfoChar(&family, '|');
			appendBinaryStringInfo(&family, ns, stem);
		}
		ns += length;
		if (*ns == '|')
			ns++;
	}
	number = NameOf(names, family.data, family.len);
	pfree(family.data);
	return number;
}

/* A column of text of a fetched row, which must have a value. */
static int
TextName(ThreadImage *image, uint64 row, int column)
{
	bool		is_null;
	Datum		value = RowValue(row, column, TEXTOID, &is_null);
	text	   *packed;
	int			name;

	if (is_null)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("\"%s\" of a row is null", SPI_fname(SPI_tuptable->tupdesc, column))));
	packed = DatumGetTextPP(value);
	name = NameOf(image->names, VARDATA_ANY(packed), VARSIZE_ANY_EXHDR(packed));
	if (packed != (text *) DatumGetPointer(value))
		pfree(packed);
	return name;
}

static int64
SizeColumn(uint64 row, int column)
{
	bool		is_null;

	return DatumGetInt64(RowValue(row, column, INT8OID, &is_null));
}

/*
 * Take in a row of checkpoints.
 */
static void
TakeCheckpoint(ThreadImage *image, uint64 number)
{
	int			ns = TextName(image, number, 1);
	ImageRow   *row;
	ImageSpace *space;
	bool		is_null;

	if (image->nspaces == 0 || image->spaces[image->nspaces - 1].name != ns)
	{
		const char *text = image->names->texts[ns];

		image->spaces = Grow(image->spaces, image->nspaces, &image->room_spaces, sizeof(ImageSpace));
		space = &image->spaces[image->nspaces];
		space->name = ns;
		space->family = FamilyOf(image->names, text);
		space->is_task = strchr(text, ':') != NULL;
		space->first = image->nrows;
		space->count = 0;
		PutPlace(image, PLACE_SPACE, ns, 0, 0, image->nspaces++);
	}
	image->rows = Grow(image->rows, image->nrows, &image->room_rows, sizeof(ImageRow));
	row = &image->rows[image->nrows];
	memset(row, 0, sizeof(ImageRow));
	row->space = image->nspaces - 1;
	row->id = TextName(image, number, 2);
	(void) RowValue(number, 3, TEXTOID, &is_null);
	row->parent = is_null ? NO_NAME : TextName(image, number, 3);
	row->parent_row = NO_ROW;
	row->target = NO_ROW;
	row->size = SizeColumn(number, 6);
	ReadCheckpoint(image, row, number, 4, 5);
	image->spaces[row->space].count++;
	PutPlace(image, PLACE_ROW, ns, row->id, 0, image->nrows++);
}

/*
 * Whether a blob is a snapshot of a delta channel: an extension of type 7 in
 * msgpack, or what JavaScript's serializer writes for one.
 */
static bool
IsSnapshot(const char *type, bytea * begin)
{
	static const char *const markers[] = {"\"type\":\"delta_snapshot\"", "\"lg_name\":\"DeltaSnapshot\""};
	const unsigned char *bytes = (const unsigned char *) VARDATA_ANY(begin);
	int			length = VARSIZE_ANY_EXHDR(begin);

	if (strcmp(type, "msgpack") == 0 && length > 0)
	{
		/*
		 * Extensions of 1, 2, 4, 8, 16 bytes, and with a length of 1, 2, 4
		 * bytes.
		 */
		int			place = bytes[0] >= 0xd4 && bytes[0] <= 0xd8 ? 1 :
		bytes[0] == 0xc7 ? 2 : bytes[0] == 0xc8 ? 3 : bytes[0] == 0xc9 ? 5 : 0;

		return place > 0 && place < length && bytes[place] == 7;
	}
	if (strcmp(type, "json") == 0)
	{
		char	   *text = pnstrdup((const char *) bytes, length);
		bool		found = false;

		for (size_t i = 0; i < lengthof(markers); i++)
			found |= strstr(text, markers[i]) != NULL;
		pfree(text);
		return found;
	}
	return false;
}

/*
 * Take in a row of checkpoint_blobs. A type that we do not know could hide a
 * snapshot: encrypted ones have the cipher's name behind a plus sign.
 */
static void
TakeBlob(ThreadImage *image, uint64 number)
{
	static const char *const known[] = {"json", "msgpack", "bytes", "bytearray", "null", "empty"};
	ImageBlob  *blob;
	const char *type = image->names->texts[TextName(image, number, 4)];
	bool		is_known = false;
	bool		is_null;
	Datum		begin = RowValue(number, 5, BYTEAOID, &is_null);

	image->blobs = Grow(image->blobs, image->nblobs, &image->room_blobs, sizeof(ImageBlob));
	blob = &image->blobs[image->nblobs];
	memset(blob, 0, sizeof(ImageBlob));
	blob->ns = TextName(image, number, 1);
	blob->channel = TextName(image, number, 2);
	blob->version = TextName(image, number, 3);
	for (size_t i = 0; i < lengthof(known); i++)
		is_known |= strcmp(type, known[i]) == 0;
	if (!is_known)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a blob of channel \"%s\" is of type \"%s\", which cannot be read",
						image->names->texts[blob->channel], type)));
	blob->is_empty = strcmp(type, "empty") == 0;
	blob->is_snapshot = !is_null && IsSnapshot(type, DatumGetByteaPP(begin));
	blob->size = SizeColumn(number, 6);
	PutPlace(image, PLACE_BLOB, blob->ns, blob->channel, blob->version, image->nblobs++);
}

/*
 * Take in a row of checkpoint_writes.
 */
static void
TakeWrite(ThreadImage *image, uint64 number)
{
	int			ns = TextName(image, number, 1);
	int			id = TextName(image, number, 2);
	ImageGroup *group;
	ImageWrite *write;
	bool		is_null;

	if (image->ngroups == 0 || image->groups[image->ngroups - 1].ns != ns ||
		image->groups[image->ngroups - 1].id != id)
	{
		image->groups = Grow(image->groups, image->ngroups, &image->room_groups, sizeof(ImageGroup));
		group = &image->groups[image->ngroups];
		memset(group, 0, sizeof(ImageGroup));
		group->ns = ns;
		group->id = id;
		group->first = image->nwrites;
		PutPlace(image, PLACE_GROUP, ns, id, 0, image->ngroups++);
	}
	image->writes = Grow(image->writes, image->nwrites, &image->room_writes, sizeof(ImageWrite));
	write = &image->writes[image->nwrites++];
	write->channel = TextName(image, number, 3);
	write->size = SizeColumn(number, 4);
	(void) RowValue(number, 5, TEXTOID, &is_null);
	write->task = is_null ? NO_NAME : TextName(image, number, 5);
	write->place = is_null ? NO_NAME : TextName(image, number, 6);
	write->hash = 0;
	write->value_hash = 0;
	image->groups[image->ngroups - 1].count++;
}

/*
 * Run a query as of the snapshot, and hand over its rows.
 */
static void
FetchRows(ThreadImage *image, const char *query, int nargs, const Oid *types, Datum *values,
		  Snapshot snapshot, void (*take) (ThreadImage *image, uint64 row))
{
	MemoryContext context = CurrentMemoryContext;
	RestrictedContext before;
	Portal		portal;

	EnterSource(image->source, &before);
	PushActiveSnapshot(snapshot);
	portal = SPI_cursor_open(NULL, PlanOf(query, nargs, types), values, NULL, true);
	PopActiveSnapshot();
	for (;;)
	{
		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		/* What is taken is the thread's, not SPI's. */
		MemoryContextSwitchTo(context);
		if (SPI_processed == 0)
			break;
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			CHECK_FOR_INTERRUPTS();
			take(image, i);
		}
		SPI_freetuptable(SPI_tuptable);
		if ((int64) MemoryContextMemAllocated(context, true) > image->memory_limit)
			ereport(ERROR,
					(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
					 errmsg("what the thread is made of takes more than %lld MB of memory",
							(long long) (image->memory_limit / 1024 / 1024)),
					 errhint("Raise maintenance_work_mem.")));
	}
	SPI_freetuptable(SPI_tuptable);
	SPI_cursor_close(portal);
	LeaveRestricted(&before);
}

/*
 * The collation that checkpoint ids are compared by, once it is sure that the
 * tables have all that pruning reads.
 */
static Oid
CheckTables(const CheckpointSource *source)
{
	Oid			schema = get_namespace_oid(source->schema, false);
	Oid			collation = InvalidOid;

	for (int i = 0; i < CHECKPOINT_TABLES; i++)
	{
		Oid			oid = get_relname_relid(amelia_checkpoint_tables[i], schema);
		Relation	table = table_open(oid, AccessShareLock);
		char	   *problem = PrunedColumnsProblem(i, oid);

		if (problem != NULL)
			ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("%s", problem)));
		if (i == CHECKPOINTS)
			collation = TupleDescAttr(RelationGetDescr(table), get_attnum(oid, "checkpoint_id") - 1)->attcollation;
		table_close(table, NoLock);
	}
	return collation;
}

/*
 * Read a thread, as a snapshot shows it. with_tasks: of each write the task,
 * too.
 */
ThreadImage *
ReadThreadImage(const CheckpointSource *source, const char *thread, NameTable *names,
				bool with_tasks, Snapshot snapshot)
{
	static const Oid types[] = {TEXTOID};
	ThreadImage *image = palloc0(sizeof(ThreadImage));
	HASHCTL		control = {0};
	RestrictedContext before;
	Datum		value = CStringGetTextDatum(thread);

	image->source = source;
	image->thread = thread;
	image->names = names;
	image->memory_limit = Max(MEMORY_LIMIT, (int64) maintenance_work_mem * 1024);
	control.keysize = sizeof(PlaceKey);
	control.entrysize = sizeof(Place);
	control.hcxt = CurrentMemoryContext;
	image->places = hash_create("amelia places", 256, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);

	EnterSource(source, &before);
	image->collation = CheckTables(source);
	LeaveRestricted(&before);
	FetchRows(image, psprintf("SELECT a.checkpoint_ns, a.checkpoint_id, a.parent_checkpoint_id,"
							  " a.checkpoint, a.metadata, " CHECKPOINT_SIZE "::bigint"
							  " FROM ONLY %s AS a WHERE a.thread_id = $1"
							  " ORDER BY a.checkpoint_ns, a.checkpoint_id", source->tables[CHECKPOINTS]),
			  1, types, &value, snapshot, TakeCheckpoint);
	FetchRows(image, psprintf("SELECT a.checkpoint_ns, a.channel, a.version, a.type,"
							  " CASE a.type WHEN 'msgpack' THEN substring(a.blob FROM 1 FOR 6)"
							  " WHEN 'json' THEN substring(a.blob FROM 1 FOR 200) END, " BLOB_SIZE "::bigint"
							  " FROM ONLY %s AS a WHERE a.thread_id = $1", source->tables[BLOBS]),
			  1, types, &value, snapshot, TakeBlob);
	FetchRows(image, psprintf("SELECT a.checkpoint_ns, a.checkpoint_id, a.channel, " WRITE_SIZE "::bigint, %s"
							  " FROM ONLY %s AS a WHERE a.thread_id = $1"
							  " ORDER BY a.checkpoint_ns, a.checkpoint_id, a.task_id, a.idx",
							  with_tasks ? "a.task_id, a.idx::text" : "NULL::text, NULL::text",
							  source->tables[WRITES]),
			  1, types, &value, snapshot, TakeWrite);
	for (int i = 0; i < image->nrows; i++)
	{
		ImageRow   *row = &image->rows[i];
		const ImageSpace *space = &image->spaces[row->space];

		row->rank = space->first + space->count - i;
		if (row->parent != NO_NAME)
			row->parent_row = FindImageRow(image, space->name, row->parent);
	}
	return image;
}

/* The hash of what a fetched row has in some columns. */
static uint64
HashColumns(uint64 row, int first, int last)
{
	uint64		hash = 0;

	for (int column = first; column <= last; column++)
	{
		bool		is_null;
		Datum		value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &is_null);
		struct varlena *bytes;

		if (is_null)
		{
			hash = hash_combine64(hash, 1);
			continue;
		}
		bytes = PG_DETOAST_DATUM_PACKED(value);
		hash = hash_combine64(hash, hash_bytes_extended((const unsigned char *) VARDATA_ANY(bytes),
														VARSIZE_ANY_EXHDR(bytes), column));
		if (bytes != (struct varlena *) DatumGetPointer(value))
			pfree(bytes);
	}
	return hash;
}

static void
TakeBlobBytes(ThreadImage *image, uint64 row)
{
	ImageBlob  *blob = FindImageBlob(image, TextName(image, row, 1), TextName(image, row, 2),
									 TextName(image, row, 3));

	if (blob != NULL)
		blob->hash = HashColumns(row, 4, 5);
}

static void
TakeWriteBytes(ThreadImage *image, uint64 row)
{
	ImageGroup *group = FindImageGroup(image, TextName(image, row, 1), TextName(image, row, 2));
	int64		place = SizeColumn(row, 3);

	if (group != NULL && place < group->count)
	{
		ImageWrite *write = &image->writes[group->first + place];

		write->value_hash = HashColumns(row, 6, 8);
		write->hash = hash_combine64(write->value_hash, HashColumns(row, 4, 5));
	}
}

/*
 * Read the bytes of the blobs and writes that are marked for it.
 */
void
ReadBytes(ThreadImage *image, Snapshot snapshot)
{
	static const Oid types[] = {TEXTOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID};
	Datum		values[lengthof(types)];
	Datum	   *texts[3];
	int			count = 0;

	values[0] = CStringGetTextDatum(image->thread);
	for (size_t i = 0; i < lengthof(texts); i++)
		texts[i] = palloc(Max(Max(image->nblobs, image->ngroups), 1) * sizeof(Datum));
	for (int i = 0; i < image->nblobs; i++)
	{
		const ImageBlob *blob = &image->blobs[i];

		if (!blob->is_read)
			continue;
		texts[0][count] = NameDatum(image->names, blob->ns);
		texts[1][count] = NameDatum(image->names, blob->channel);
		texts[2][count++] = NameDatum(image->names, blob->version);
	}
	for (size_t i = 0; i < lengthof(texts); i++)
		values[i + 1] = NameArray(texts[i], count);
	if (count > 0)
		FetchRows(image, psprintf("SELECT a.checkpoint_ns, a.channel, a.version, a.type, a.blob"
								  " FROM unnest($2, $3, $4) AS k (ns, channel, version)"
								  " JOIN ONLY %s AS a ON a.thread_id = $1 AND a.checkpoint_ns = k.ns"
								  " AND a.channel = k.channel AND a.version = k.version",
								  image->source->tables[BLOBS]),
				  4, types, values, snapshot, TakeBlobBytes);

	count = 0;
	for (int i = 0; i < image->ngroups; i++)
	{
		if (!image->groups[i].is_read)
			continue;
		texts[0][count] = NameDatum(image->names, image->groups[i].ns);
		texts[1][count++] = NameDatum(image->names, image->groups[i].id);
	}
	for (int i = 0; i < 2; i++)
		values[i + 1] = NameArray(texts[i], count);
	if (count > 0)
		FetchRows(image, psprintf("SELECT a.checkpoint_ns, a.checkpoint_id,"
								  " row_number() OVER (PARTITION BY a.checkpoint_ns, a.checkpoint_id"
								  " ORDER BY a.task_id, a.idx) - 1,"
								  " a.task_id, a.idx::text, a.channel, a.type, a.blob"
								  " FROM unnest($2, $3) AS k (ns, id)"
								  " JOIN ONLY %s AS a ON a.thread_id = $1 AND a.checkpoint_ns = k.ns"
								  " AND a.checkpoint_id = k.id",
								  image->source->tables[WRITES]),
				  3, types, values, snapshot, TakeWriteBytes);
}
