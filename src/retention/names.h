/*-------------------------------------------------------------------------
 *
 * names.h
 *	  Texts that are kept once, and known by number.
 *
 *-------------------------------------------------------------------------
 */
#ifndef AMELIA_NAMES_H
#define AMELIA_NAMES_H

#include "base/amelia.h"

#include "utils/hsearch.h"

#define NO_NAME (-1)

typedef struct NameTable
{
	HTAB	   *numbers;
	char	  **texts;
	int			count;
	int			room;
} NameTable;

extern NameTable *MakeNames(void);
extern int	NameOf(NameTable *names, const char *text, int length);
extern Datum NameDatum(const NameTable *names, int name);
extern Datum NameArray(const Datum *values, int count);


#endif							/* AMELIA_NAMES_H */
