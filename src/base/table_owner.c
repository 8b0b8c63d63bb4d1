/*-------------------------------------------------------------------------
 *
 * table_owner.c
 *	  Whose the tables are that the library acts on by itself.
 *
 *	  What it does by itself it does as the tables' owner, and a statement may
 *	  be about several of them. Their triggers, index expressions and views run
 *	  with that role's rights then, so nobody may own one of them who has not
 *	  got these rights anyway: else whom a superuser handed one table would be
 *	  a superuser. A superuser, or a member of the owner, may own some. The same
 *	  goes for the schema, whose owner can drop them, or rename it, and put
 *	  others in their place, at any time: also while a statement waits for one.
 *
 *	  The answer is kept until any relation, schema or role changes.
 *
 *-------------------------------------------------------------------------
 */
#include "base/table_owner.h"

#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/check.h"

/* All but schema_migrations, which is the client's own. */
static const char *const amelia_tables[] = {
	"active_workflows", "brainstorm_artifacts", "brainstorm_messages", "brainstorm_sessions",
	"budget_spending", "budget_warnings", "budgets", "checkpoint_schemas", "checkpoint_walks",
	"claim_faults", "event_types", "feed_snapshots", "kept_usage", "model_prices", "profiles",
	"prompt_versions", "prompts", "retention_runs", "schema_versions", "server_settings",
	"token_usage", "unpriced_usage", "usage_daily", "usage_day_sums", "usage_day_workflows",
	"usage_days", "usage_dirty_days", "usage_history", "usage_workflow_days", "workflow_feed",
	"workflow_history", "workflow_inbox", "workflow_leases", "workflow_log", "workflow_overview",
	"workflow_prompt_versions", "workflow_threads", "workflows", NULL
};

static const char *const platform_tables[] = {
	"agent_capabilities", "agent_messages", "agent_performance", "agents", "execution_steps",
	"maintenance_runs", "overdue_tasks", "platform_faults", "platform_settings",
	"schema_versions", "tasks", "workflow_executions", "workflows", NULL
};

static const char *const saga_tables[] = {"files", "messages", "schema_versions", NULL};

/* The tables and views of an extension, and the role as which all of them may be acted on. */
static struct
{
	const char *schema;
	const char *const *tables;
	Oid			trusted_owner;
}			extensions[] =

{
	{AMELIA_SCHEMA, amelia_tables, InvalidOid},
	{AMELIA_SCHEMA "_platform", platform_tables, InvalidOid},
	{AMELIA_SCHEMA "_saga", saga_tables, InvalidOid}
};

PG_FUNCTION_INFO_V1(amelia_owners_problem);

static void
ForgetOwners(void)
{
	for (size_t i = 0; i < lengthof(extensions); i++)
		extensions[i].trusted_owner = InvalidOid;
}

static void
ForgetRelation(Datum arg, Oid relation)
{
	ForgetOwners();
}

static void
ForgetRoleOrSchema(Datum arg, int cache, uint32 hash)
{
	ForgetOwners();
}

/*
 * Called once, when the library is loaded.
 */
void
InitTableOwner(void)
{
	CacheRegisterRelcacheCallback(ForgetRelation, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHOID, ForgetRoleOrSchema, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, ForgetRoleOrSchema, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, ForgetRoleOrSchema, (Datum) 0);
}

/* The place of an extension among ours, or -1. */
static int
ExtensionPlace(const char *schema)
{
	for (int i = 0; i < (int) lengthof(extensions); i++)
	{
		if (strcmp(extensions[i].schema, schema) == 0)
			return i;
	}
	return -1;
}

/*
 * Who owns a schema.
 */
Oid
SchemaOwner(Oid schema)
{
	HeapTuple	tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(schema));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for schema %u", schema);
	owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * What is to be said where other, who could put what he likes in the place of
 * something, has not got the rights of that role; NULL where he has.
 */
static char *
OwnersDiffer(const char *what, Oid other, Oid owner)
{
	if (has_privs_of_role(other, owner))
		return NULL;
	return psprintf("%s belongs to \"%s\", and others there to \"%s\"", what,
					GetUserNameFromId(other, false), GetUserNameFromId(owner, false));
}

/*
 * Why statements that name what is in a schema of ours must not be run with the
 * rights of that role: whoever owns the schema has not got these. NULL when
 * they may.
 */
char *
SchemaOwnerProblem(const char *schema, Oid owner)
{
	return OwnersDiffer(psprintf("schema \"%s\"", schema), SchemaOwner(get_namespace_oid(schema, false)), owner);
}

/*
 * Why the tables and views of an extension must not all be acted on with the
 * rights of that role: whoever owns one of them, or the schema, has not got
 * these. NULL when they may.
 */
char *
OwnersProblem(const char *schema, Oid owner)
{
	Oid			namespace = get_namespace_oid(schema, false);
	int			place = ExtensionPlace(schema);
	char	   *problem;

	if (place < 0)
		elog(ERROR, "\"%s\" is no extension of ours", schema);
	if (extensions[place].trusted_owner == owner)
		return NULL;
	/* Before the look: what is told meanwhile makes it forget this again. */
	extensions[place].trusted_owner = owner;
	problem = SchemaOwnerProblem(schema, owner);
	for (const char *const *name = extensions[place].tables; *name != NULL && problem == NULL; name++)
	{
		Oid			table = get_relname_relid(*name, namespace);

		if (OidIsValid(table))
			problem = OwnersDiffer(psprintf("\"%s.%s\"", schema, *name), RelationOwner(table), owner);
	}
	if (problem != NULL)
		ForgetOwners();
	return problem;
}

static void
RefuseOwners(const char *schema, const char *problem)
{
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s", problem),
				 errdetail("What the one put there would run with the rights of the other."),
				 errhint("Make one role the owner of schema \"%s\" and of all tables and views in it, or drop what somebody has put there.", schema)));
}

/*
 * Raise 55000 where there is a SchemaOwnerProblem().
 */
void
RequireSchemaOwner(const char *schema, Oid owner)
{
	RefuseOwners(schema, SchemaOwnerProblem(schema, owner));
}

/*
 * Raise 55000 where there is an OwnersProblem().
 */
void
RequireOneOwner(const char *schema, Oid owner)
{
	RefuseOwners(schema, OwnersProblem(schema, owner));
}

/*
 * Who owns one table of ours, which is there, for statements about nothing else
 * of ours.
 */
Oid
OneTableOwner(const char *schema, Oid table)
{
	Oid			owner = RelationOwner(table);

	RequireSchemaOwner(schema, owner);
	return owner;
}

/*
 * A table of ours; 55000 when it is not there.
 */
Oid
OurTable(const char *name)
{
	Oid			schema = get_namespace_oid(AMELIA_SCHEMA, true);
	Oid			table = OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;

	if (!OidIsValid(table))
		RefuseOlderSchema(name);
	return table;
}

/*
 * Who owns our tables, by one of them; 55000 also when there is another.
 */
Oid
TableOwner(const char *name)
{
	Oid			owner = RelationOwner(OurTable(name));

	RequireOneOwner(AMELIA_SCHEMA, owner);
	return owner;
}

/*
 * BecomeOwner() for statements about any of our tables.
 */
void
BecomeTablesOwner(Oid owner, OwnerContext *before)
{
	RequireOneOwner(AMELIA_SCHEMA, owner);
	BecomeOwner(owner, before);
}

/*
 * owners_problem(extension name) returns text
 */
Datum
amelia_owners_problem(PG_FUNCTION_ARGS)
{
	const char *schema;
	Oid			table;
	char	   *problem;

	if (PG_ARGISNULL(0))
		RefuseMissing("extension");
	schema = NameStr(*PG_GETARG_NAME(0));
	table = get_relname_relid("schema_versions", get_namespace_oid(schema, false));
	problem = OidIsValid(table) && ExtensionPlace(schema) >= 0 ? OwnersProblem(schema, RelationOwner(table)) : NULL;
	if (problem == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(psprintf("%s: make one role the owner of schema \"%s\" and of all tables and views in it, or drop what somebody has put there",
											  problem, schema)));
}
