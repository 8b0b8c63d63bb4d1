/*-------------------------------------------------------------------------
 *
 * append_event.c
 *	  The one statement that both formats send most of.
 *
 *-------------------------------------------------------------------------
 */
#include "load/append_event.h"


const char	append_event_sql[] =
"SELECT amelia.append_event(workflow_id => $1::uuid,"
" event_type => $2::text, message => $3::text, level => $4::text,"
" agent => $5::text, data => $6::jsonb, is_error => $7::boolean,"
" \"timestamp\" => $8::timestamptz, id => $9::uuid,"
" correlation_id => $10::text, tool_name => $11::text,"
" tool_input => $12::jsonb, trace_id => $13::text,"
" parent_id => $14::uuid)";
