/*-------------------------------------------------------------------------
 *
 * fields.h
 *	  Names and values of a query string or a form.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_FIELDS_H
#define CLIENT_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

#define MAX_FIELDS 24

typedef struct Fields
{
	int			n;
	char	   *names[MAX_FIELDS];
	char	   *values[MAX_FIELDS];
} Fields;

extern bool fields_parse(Fields *fields, const char *text, size_t len);
extern const char *field(const Fields *fields, const char *name);
extern bool field_number(const Fields *fields, const char *name, int *number);
extern void fields_free(Fields *fields);

#endif							/* CLIENT_FIELDS_H */
