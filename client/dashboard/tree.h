/*-------------------------------------------------------------------------
 *
 * tree.h
 *	  JSON as a tree that folds.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_TREE_H
#define CLIENT_TREE_H

#include "common/util.h"

extern void tree_put(Buffer *page, const char *json);

#endif							/* CLIENT_TREE_H */
