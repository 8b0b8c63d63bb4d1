/*-------------------------------------------------------------------------
 *
 * style.h
 *	  The style of all pages.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CLIENT_STYLE_H
#define CLIENT_STYLE_H

extern const char page_style[];

#endif							/* CLIENT_STYLE_H */
