/*-------------------------------------------------------------------------
 *
 * names.c
 *	  Texts that are kept once, and known by number.
 *
 *-------------------------------------------------------------------------
 */
#include "retention/names.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

typedef struct NameKey
{
	const char *text;
	int			length;
} NameKey;

typedef struct NamedText
{
	NameKey		key;
	int			number;
} NamedText;

static uint32
HashName(const void *key, Size size)
{
	const NameKey *name = key;

	return hash_bytes((const unsigned char *) name->text, name->length);
}

static int
MatchNames(const void *a, const void *b, Size size)
{
	const NameKey *one = a;
	const NameKey *other = b;

	return one->length == other->length ? memcmp(one->text, other->text, one->length) : 1;
}

/*
 * A table of texts, in the current memory context.
 */
NameTable *
MakeNames(void)
{
	NameTable  *names = palloc0(sizeof(NameTable));
	HASHCTL		control = {0};

	control.keysize = sizeof(NameKey);
	control.entrysize = sizeof(NamedText);
	control.hash = HashName;
	control.match = MatchNames;
	control.hcxt = CurrentMemoryContext;
	names->numbers = hash_create("amelia names", 256, &control,
								 HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
	names->room = 256;
	names->texts = palloc(names->room * sizeof(char *));
	return names;
}

/*
 * The number of a text, which gets one if it has none.
 */
int
NameOf(NameTable *names, const char *text, int length)
{
	NameKey		key = {text, length};
	bool		found;
	NamedText	   *name = hash_search(names->numbers, &key, HASH_ENTER, &found);

	if (!found)
	{
		char	   *copy = MemoryContextAlloc(GetMemoryChunkContext(names), length + 1);

		memcpy(copy, text, length);
		copy[length] = '\0';
		name->key.text = copy;
		name->number = names->count;
		if (names->count == names->room)
		{
			names->room *= 2;
			names->texts = repalloc_huge(names->texts, names->room * sizeof(char *));
		}
		names->texts[names->count++] = copy;
	}
	return name->number;
}

Datum
NameDatum(const NameTable *names, int name)
{
	return CStringGetTextDatum(names->texts[name]);
}

/*
 * Some texts as text[].
 */
Datum
NameArray(const Datum *values, int count)
{
	return PointerGetDatum(construct_array(unconstify(Datum *, values), count, TEXTOID, -1, false,
										   TYPALIGN_INT));
}
