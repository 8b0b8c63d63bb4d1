/*-------------------------------------------------------------------------
 *
 * live.c
 *	  What an open page is told, as Server-Sent Events.
 *
 * /live?page=ADDRESS&after=SEQUENCE, where the browser says in a header of its
 * own which event it had when it comes again. Without a sequence it wants no events.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "dashboard/answer.h"
#include "dashboard/hub.h"

typedef struct Stream
{
	Listener	listener;
	Buffer		out;
	size_t		sent;
} Stream;

static ssize_t
read_stream(void *cls, uint64_t position, char *to, size_t max)
{
	Stream	   *stream = cls;
	size_t		len;

	(void) position;
	if (stream->sent == stream->out.len)
	{
		/* A long page that was sent once need not be kept. */
		if (stream->out.capacity > 1024 * 1024)
			buffer_free(&stream->out);
		stream->sent = 0;
		if (!hub_next(&stream->listener, &stream->out))
			return MHD_CONTENT_READER_END_OF_STREAM;
	}
	len = stream->out.len - stream->sent < max ? stream->out.len - stream->sent : max;
	memcpy(to, stream->out.data + stream->sent, len);
	stream->sent += len;
	return (ssize_t) len;
}

static void
end_stream(void *cls)
{
	Stream	   *stream = cls;

	hub_leave(&stream->listener);
	buffer_free(&stream->out);
	free(stream);
}

HttpResult
answer_live(Request *request)
{
	const char *page = field(&request->fields, "page");
	const char *last_id = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, "Last-Event-ID");
	int			last = -1;
	Stream	   *stream;
	struct MHD_Response *response;
	Failure		failure = {0};

	/* A page asks whether it is still logged in. */
	if (request->fields.n == 0)
		return http_respond(request, 204, MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT));
	if (page == NULL || !field_number(&request->fields, "after", &last))
	{
		failure_set(&failure, 400, NULL, "which page is to live?");
		return http_failure(request, &failure, "/");
	}
	if (last >= 0 && last_id != NULL && atoi(last_id) > last)
		last = atoi(last_id);
	stream = allocate(sizeof(*stream));
	if (!hub_join(&stream->listener, request->session, page, last))
	{
		free(stream);
		failure_set(&failure, 404, NULL, "no such page lives");
		return http_failure(request, &failure, "/");
	}
	/* The first message is short, so that the browser knows at once. */
	buffer_puts(&stream->out, "retry: 1000\n\n");
	response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 32 * 1024, read_stream, stream, end_stream);
	MHD_add_response_header(response, "Content-Type", "text/event-stream");
	/* Of proxies: what is sent is to be passed on at once. */
	MHD_add_response_header(response, "X-Accel-Buffering", "no");
	return http_respond(request, 200, response);
}
