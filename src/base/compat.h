/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  What differs between PostgreSQL 15, 16, 17 and 18. No other file
 *	  looks at PG_VERSION_NUM.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_COMPAT_H
#define AMELIA_COMPAT_H

#include "access/genam.h"
#include "fmgr.h"
#include "utils/wait_event.h"

#if PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 190000
#error "Amelia is for PostgreSQL 15, 16, 17 and 18."
#endif

/* 16: what is inside a varlena has a header of its own. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* 16: functions that SQL calls are exported by themselves when all else is hidden. */
#if PG_VERSION_NUM < 160000
#undef PGDLLEXPORT
#define PGDLLEXPORT __attribute__((visibility("default")))
#undef PG_FUNCTION_INFO_V1
#define PG_FUNCTION_INFO_V1(function) \
extern PGDLLEXPORT Datum function(PG_FUNCTION_ARGS); \
extern PGDLLEXPORT const Pg_finfo_record * CppConcat(pg_finfo_,function)(void); \
const Pg_finfo_record * \
CppConcat(pg_finfo_,function) (void) \
{ \
	static const Pg_finfo_record info = {1}; \
	return &info; \
} \
extern int no_such_variable
#endif

/* 18: pg_noreturn stands before a declaration. */
#if PG_VERSION_NUM < 180000
#define pg_noreturn __attribute__((noreturn))
#endif

/* 18: index scans report to an instrumentation struct, which may be absent. */
#if PG_VERSION_NUM >= 180000
#define CompatBeginIndexScan(heap, index, snapshot, nkeys) \
	index_beginscan((heap), (index), (snapshot), NULL, (nkeys), 0)
#else
#define CompatBeginIndexScan(heap, index, snapshot, nkeys) \
	index_beginscan((heap), (index), (snapshot), (nkeys), 0)
#endif

/* 18: the magic block names the module and its version. */
#if PG_VERSION_NUM >= 180000
#define COMPAT_MODULE_MAGIC \
	PG_MODULE_MAGIC_EXT(.name = "amelia", .version = AMELIA_VERSION)
#else
#define COMPAT_MODULE_MAGIC PG_MODULE_MAGIC
#endif

/* 16: an error while a range is made can be kept instead of raised. */
#if PG_VERSION_NUM >= 160000
#define CompatMakeRange(type, lower, upper) make_range((type), (lower), (upper), false, NULL)
#else
#define CompatMakeRange(type, lower, upper) make_range((type), (lower), (upper), false)
#endif

/* 18: a deferrable primary key can be asked for. */
#if PG_VERSION_NUM >= 180000
#define CompatPrimaryKeyIndex(table) RelationGetPrimaryKeyIndex((table), false)
#else
#define CompatPrimaryKeyIndex(table) RelationGetPrimaryKeyIndex(table)
#endif

/* 17: an extension names what its processes wait for. */
#if PG_VERSION_NUM >= 170000
#define CompatWaitEvent(name) WaitEventExtensionNew(name)
#else
#define CompatWaitEvent(name) PG_WAIT_EXTENSION
#endif

/* 16: some indexes only summarize, and an update may touch none but those. */
#if PG_VERSION_NUM >= 160000
#define CompatUpdateIndexes TU_UpdateIndexes
#define CompatInsertIndexTuples(result, slot, estate, indexes) \
	ExecInsertIndexTuples((result), (slot), (estate), false, false, NULL, NIL, \
						  (indexes) == TU_Summarizing)
#define COMPAT_NO_INDEXES TU_None
#define COMPAT_ALL_INDEXES TU_All
#else
#define CompatUpdateIndexes bool
#define CompatInsertIndexTuples(result, slot, estate, indexes) \
	ExecInsertIndexTuples((result), (slot), (estate), false, false, NULL, NIL)
#define COMPAT_NO_INDEXES false
#define COMPAT_ALL_INDEXES true
#endif

/* 18: the expressions of a table's CHECKs have another name. */
#if PG_VERSION_NUM >= 180000
#define COMPAT_CHECK_EXPRESSIONS ri_CheckConstraintExprs
#else
#define COMPAT_CHECK_EXPRESSIONS ri_ConstraintExprs
#endif

/* 16: what a check hook leaves for the assign hook is in guc's own memory. */
#if PG_VERSION_NUM >= 160000
#define CompatGucAlloc(size) guc_malloc(LOG, (size))
#define CompatGucFree(pointer) guc_free(pointer)
#else
#define CompatGucAlloc(size) malloc(size)
#define CompatGucFree(pointer) free(pointer)
#endif

/* libpq/libpq.h wants the headers of GSSAPI, where the server was built with it. */
extern bool pq_check_connection(void);

/* 17: a stronger lock may count as well. */
#if PG_VERSION_NUM >= 170000
#define CompatLockHeldByMe(tag, mode) LockHeldByMe(tag, mode, false)
#else
#define CompatLockHeldByMe(tag, mode) LockHeldByMe(tag, mode)
#endif

#endif							/* AMELIA_COMPAT_H */
