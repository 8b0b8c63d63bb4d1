/*-------------------------------------------------------------------------
 *
 * table_owner.h
 *	  Whose the tables are that the library acts on by itself.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_TABLE_OWNER_H
#define AMELIA_TABLE_OWNER_H

#include "base/amelia.h"

#include "base/execute.h"

extern void InitTableOwner(void);
extern void RequireOneOwner(const char *schema, Oid owner);
extern Oid	SchemaOwner(Oid schema);
extern char *SchemaOwnerProblem(const char *schema, Oid owner);
extern char *OwnersProblem(const char *schema, Oid owner);
extern void RequireSchemaOwner(const char *schema, Oid owner);
extern Oid	OneTableOwner(const char *schema, Oid table);
extern Oid	OurTable(const char *name);
extern Oid	TableOwner(const char *name);
extern void BecomeTablesOwner(Oid owner, OwnerContext *before);

#endif							/* AMELIA_TABLE_OWNER_H */
