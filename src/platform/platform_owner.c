/*-------------------------------------------------------------------------
 *
 * platform_owner.c
 *	  Whose tables amelia_platform's are: what the library does by itself is
 *	  done with the rights of that role.
 *
 *-------------------------------------------------------------------------
 */
#include "platform/platform_owner.h"

#include "catalog/namespace.h"
#include "utils/lsyscache.h"

#include "base/execute.h"
#include "base/table_owner.h"

/*
 * Who owns the tables.
 */
Oid
PlatformOwner(void)
{
	Oid			schema = get_namespace_oid(PLATFORM_EXTENSION, true);
	Oid			table = OidIsValid(schema) ? get_relname_relid("maintenance_runs", schema) : InvalidOid;
	Oid			owner;

	if (!OidIsValid(table))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the schema \"%s\" is not complete: \"%s\" is missing",
						PLATFORM_EXTENSION, "maintenance_runs"),
				 errhint("Run SELECT %s.migrate() as the owner of the tables.", PLATFORM_EXTENSION)));
	owner = RelationOwner(table);
	RequireOneOwner(PLATFORM_EXTENSION, owner);
	return owner;
}
