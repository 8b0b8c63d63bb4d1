/*-------------------------------------------------------------------------
 *
 * style.c
 *	  style.css as a string, for the report's page and the dashboard's.
 *
 * The assembler takes the file in as it is; the zero behind it ends it.
 *
 *-------------------------------------------------------------------------
 */
#include "page/style.h"

__asm__(".section .rodata\n"
		".global page_style\n"
		"page_style:\n"
		".incbin \"page/style.css\"\n"
		".byte 0\n"
		".previous\n");
