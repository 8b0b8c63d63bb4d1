/*-------------------------------------------------------------------------
 *
 * hub.c
 *	  What open pages are told.
 *
 * A topic is an address as one role sees it, with the events that come or without. All pages that show it share it:
 * it is asked for once, as that role, by the thread of one of them, and what
 * came of it is what all of them get. So a hundred pages cost what one does,
 * and none gets what its role may not see. The feed says only *that* something
 * happened, which makes topics stale; each also is by itself after a while,
 * for what the feed does not tell.
 *
 * What a topic has is its part, the HTML of the view, with a version; and of a
 * workflow the newest events, in pieces. A listener knows the version and the
 * sequence that it has. Where it is further behind than the pieces go, it
 * reads what it lacks by itself; very far behind, the page is to be loaded anew.
 * So it is when it has what the database has not: that was set back.
 *
 * Sessions share a topic when their passwords are the same too. Whoever has one
 * that is not valid any more learns nothing by those who have the new one.
 *
 * One lock holds all of it; nothing is asked of the database under it.
 *
 *-------------------------------------------------------------------------
 */
#define _DEFAULT_SOURCE			/* explicit_bzero() */
#include "dashboard/hub.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dashboard/events.h"
#include "dashboard/routes.h"
#include "dashboard/view.h"

#define EVENTS_EVERY_MS 100
#define RETRY_MS 1000
/* What took long is not asked for again for so many times as long. */
#define REST_TIMES 4
#define SILENCE_MS 15000
#define MAX_PIECES 64
#define MAX_PIECES_SIZE (1024 * 1024)
#define MAX_BEHIND 2000

/* Events up to one of them, as a message. */
typedef struct Piece
{
	Buffer text;
	int			last;
} Piece;

typedef enum State
{
	WELL,
	AWAY,						/* the database does not answer */
	GONE						/* it is not to be had any more */
} State;

typedef struct Topic
{
	struct Topic *next;
	int			listeners;
	char	   *role;
	char	   *password;		/* NULL: what libpq finds */
	char	   *address;
	bool		with_events;
	const Route *route;
	char		id[UUID_TEXT_SIZE];
	int			number;
	char	   *path;
	Fields		fields;
	pthread_cond_t changed;
	bool		stale;
	bool		busy;			/* a thread asks for it */
	int64_t		next_at;		/* not asked for before */
	int64_t		part_at;		/* its part is not asked for before */
	int64_t		expires_at;		/* asked for then in any case */
	Buffer		part;
	uint64_t	part_version;
	State		state;
	uint64_t	state_version;
	char	   *state_message;
	int			from;			/* the pieces hold what comes behind it */
	int			last;			/* up to here */
	int			highest;		/* the last one that there was, when it was
								 * last asked for */
	int			begun;			/* how often it was begun to be asked for */
	int			as_of;			/* when highest was asked for, of those times */
	Piece		pieces[MAX_PIECES];
	int			npieces;
	size_t		pieces_size;
} Topic;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t called;	/* the reader: somebody listens, or it is over */
static Topic *topics;
static bool stopping;

static void
init_condition(pthread_cond_t * condition)
{
	pthread_condattr_t monotonic;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(condition, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

static void
wait_until(pthread_cond_t * condition, int64_t at)
{
	struct timespec until = {.tv_sec = at / 1000,.tv_nsec = at % 1000 * 1000000};

	pthread_cond_timedwait(condition, &lock, &until);
}

void
hub_init(void)
{
	init_condition(&called);
}

/* A message of Server-Sent Events, whose lines each have their name. */
static void
add_message(Buffer *out, const char *event, int id, const char *text)
{
	buffer_printf(out, "event: %s\n", event);
	if (id > 0)
		buffer_printf(out, "id: %d\n", id);
	/* A carriage return ends a line there, too. */
	for (size_t len; text[len = strcspn(text, "\r\n")] != '\0'; text +=len + 1)
	{
		buffer_puts(out, "data: ");
		buffer_add(out, text, len);
		buffer_puts(out, "\n");
	}
	buffer_printf(out, "data: %s\n\n", text);
}

static void
free_topic(Topic *topic)
{
	pthread_cond_destroy(&topic->changed);
	fields_free(&topic->fields);
	for (int i = 0; i < topic->npieces; i++)
		buffer_free(&topic->pieces[i].text);
	buffer_free(&topic->part);
	free(topic->state_message);
	free(topic->role);
	if (topic->password != NULL)
		explicit_bzero(topic->password, strlen(topic->password));
	free(topic->password);
	free(topic->address);
	free(topic->path);
	free(topic);
}

/* NULL where the address is of nothing that lives. */
static Topic *
make_topic(const Session *session, const char *address, int last)
{
	Topic	   *topic = allocate(sizeof(*topic));
	size_t		len = strcspn(address, "?");

	init_condition(&topic->changed);
	topic->role = copy_string(session->role);
	if (session->password != NULL)
		topic->password = copy_string(session->password);
	topic->address = copy_string(address);
	topic->path = copy_string(address);
	topic->path[len] = '\0';
	topic->route = route_find(topic->path, topic->id, &topic->number);
	if (topic->route == NULL || topic->route->lives == LASTS ||
		!fields_parse(&topic->fields, address + len + (address[len] == '?'), strlen(address + len) - (address[len] == '?')))
	{
		free_topic(topic);
		return NULL;
	}
	topic->stale = true;
	topic->with_events = topic->route->lives == BY_WORKFLOW && last >= 0;
	topic->from = topic->last = last;
	return topic;
}

/* False where the address is of nothing that lives. */
bool
hub_join(Listener *listener, Session *session, const char *address, int last)
{
	Topic	   *topic;

	memset(listener, 0, sizeof(*listener));
	pthread_mutex_lock(&lock);
	for (topic = topics; topic != NULL; topic = topic->next)
	{
		if (strcmp(topic->role, session->role) == 0 && same_password(topic->password, session->password) &&
			strcmp(topic->address, address) == 0 && topic->with_events == (topic->route->lives == BY_WORKFLOW && last >= 0))
			break;
	}
	if (topic == NULL)
	{
		topic = make_topic(session, address, last);
		if (topic == NULL)
		{
			pthread_mutex_unlock(&lock);
			return false;
		}
		topic->next = topics;
		topics = topic;
	}
	topic->listeners++;
	listener->topic = topic;
	listener->last = last;
	listener->since = topic->begun;
	listener->state_seen = topic->state == WELL ? topic->state_version : topic->state_version - 1;
	listener->session = session_hold(session);
	pthread_cond_broadcast(&called);
	pthread_mutex_unlock(&lock);
	return true;
}

void
hub_leave(Listener *listener)
{
	Topic	   *topic = listener->topic;

	session_release(listener->session);
	pthread_mutex_lock(&lock);
	if (--topic->listeners == 0)
	{
		for (Topic **at = &topics; *at != NULL; at = &(*at)->next)
		{
			if (*at == topic)
			{
				*at = topic->next;
				break;
			}
		}
		free_topic(topic);
	}
	pthread_mutex_unlock(&lock);
}

/* Something happened in a workflow; NULL: anything may have. */
void
hub_touch(const char *workflow_id)
{
	pthread_mutex_lock(&lock);
	for (Topic *topic = topics; topic != NULL; topic = topic->next)
	{
		if (workflow_id == NULL || topic->route->lives == BY_ANY ||
			(topic->route->lives == BY_WORKFLOW && strcmp(topic->id, workflow_id) == 0))
		{
			if (!topic->stale)
				pthread_cond_broadcast(&topic->changed);
			topic->stale = true;
		}
	}
	pthread_mutex_unlock(&lock);
}

/*
 * Events behind a sequence as a message, and the highest that any has had, also
 * when it is deleted; false when the view failed.
 */
static bool
read_events(View *view, const char *level, int *last, int *highest, bool *more, Buffer *message)
{
	PGresult   *top = view_ask(view, "SELECT GREATEST(amelia.last_sequence($1::uuid),"
							   " (SELECT w.sequence_floor FROM amelia.workflows AS w WHERE w.id = $1::uuid))", 1, view->id);
	PGresult   *rows;
	Buffer text = {0};
	int			n;

	*more = false;
	if (top == NULL)
		return false;
	*highest = atoi(PQgetvalue(top, 0, 0));
	PQclear(top);
	/* It was set back: what comes next has lower numbers again. */
	if (*highest < *last)
		*last = *highest;
	rows = events_after(view, *last, level);
	if (rows == NULL)
		return false;
	n = PQntuples(rows);
	events_put(&text, rows, n, false, view->id);
	if (n > 0)
		*last = atoi(PQgetvalue(rows, n - 1, 0));
	*more = n == EVENTS_OF_PAGE;
	/* All of them up to there: what is filtered out is not looked at again. */
	if (!*more && *highest > *last)
		*last = *highest;
	if (n > 0)
		add_message(message, "events", *last, text.data);
	buffer_free(&text);
	PQclear(rows);
	return true;
}

static View
topic_view(Topic *topic, Buffer *page)
{
	return (View)
	{
		.page = page,.path = topic->path,.fields = &topic->fields,.id = topic->id,
			.sequence = topic->number,.token = "",.live = true
	};
}

/* Under the lock. */
static void
set_state(Topic *topic, State state, const char *message)
{
	if (topic->state == state)
		return;
	topic->state = state;
	topic->state_version++;
	free(topic->state_message);
	topic->state_message = copy_string(message);
}

/* Under the lock: the piece that is the oldest. */
static void
drop_piece(Topic *topic)
{
	topic->from = topic->pieces[0].last;
	topic->pieces_size -= topic->pieces[0].text.len;
	buffer_free(&topic->pieces[0].text);
	memmove(topic->pieces, topic->pieces + 1, sizeof(Piece) * (size_t) --topic->npieces);
}

/* Under the lock: a piece more, and where there are too many, some less. */
static void
add_piece(Topic *topic, Buffer *text, int last, int highest)
{
	/* Those of a time that has been set back are of no use. */
	if (highest < topic->last)
	{
		while (topic->npieces > 0)
			drop_piece(topic);
		topic->from = highest;
	}
	topic->last = last;
	if (text->len == 0)
		return;
	while (topic->npieces == MAX_PIECES ||
		   (topic->npieces > 0 && topic->pieces_size + text->len > MAX_PIECES_SIZE))
		drop_piece(topic);
	topic->pieces[topic->npieces++] = (Piece)
	{
		*text, last
	};
	topic->pieces_size += text->len;

	*text = (Buffer)
	{
		0
	};
}

/*
 * Asks for a topic as a listener. Called, and comes back, under the lock, which
 * is not held while the database is asked.
 */
static void
refresh(Topic *topic, Session *session)
{
	Buffer		page = {0};
	Buffer		message = {0};
	View		view = topic_view(topic, &page);
	int			last = topic->last;
	int			highest = last;
	int			number = ++topic->begun;
	int64_t		began = now_ms();
	bool		with_part = began >= topic->part_at;
	bool		more = false;
	int64_t		now;
	int64_t		rest;

	topic->busy = true;
	topic->stale = false;
	pthread_mutex_unlock(&lock);
	buffer_reset(&page);
	if (view_open(&view, session, true) &&
		(!topic->with_events || read_events(&view, field(&topic->fields, "level"), &last, &highest, &more, &message)) && with_part)
		topic->route->show(&view);
	view_close(&view);
	if (view.failure.status == 401 && !session->own)
		session_end(session);

	pthread_mutex_lock(&lock);
	now = now_ms();
	topic->busy = false;
	rest = (now - began) * REST_TIMES;
	if (rest < topic->route->least_ms)
		rest = topic->route->least_ms;
	topic->next_at = now + (topic->with_events ? EVENTS_EVERY_MS : rest);
	topic->expires_at = now + (rest > topic->route->every_ms ? rest : topic->route->every_ms);
	if (view.failure.status == 0)
	{
		add_piece(topic, &message, last, highest);
		topic->highest = highest;
		topic->as_of = number;
		if (with_part)
		{
			topic->part_at = now + rest;
			if (topic->part_version == 0 || strcmp(topic->part.data, page.data) != 0)
			{
				Buffer		old = topic->part;

				topic->part = page;
				page = old;
				topic->part_version++;
			}
		}
		else if (topic->expires_at > topic->part_at)
			topic->expires_at = topic->part_at;
		topic->stale |= more;
		set_state(topic, WELL, "");
	}
	else if (view.failure.status == 401 && !session->own)
		topic->stale = true;	/* for the next session of the role */
	else
	{
		topic->stale = true;
		topic->next_at = now + RETRY_MS;
		set_state(topic, view.failure.status >= 500 || view.failure.status == 401 ? AWAY : GONE, view.failure.message);
	}
	pthread_cond_broadcast(&topic->changed);
	failure_clear(&view.failure);
	buffer_free(&page);
	buffer_free(&message);
}

/* What a listener lacks, and the pieces do not have. Under the lock, which is let go meanwhile. */
static bool
catch_up(Listener *listener, Buffer *out)
{
	Topic	   *topic = listener->topic;
	bool		far = topic->last - listener->last > MAX_BEHIND;
	Buffer		page = {0};
	View		view = topic_view(topic, &page);
	int			from = topic->from;
	int			highest;
	bool		more = true;

	if (far)
	{
		add_message(out, "reload", 0, "");
		return true;
	}
	pthread_mutex_unlock(&lock);
	if (view_open(&view, listener->session, true))
		read_events(&view, field(&topic->fields, "level"), &listener->last, &highest, &more, out);
	view_close(&view);
	pthread_mutex_lock(&lock);
	listener->since = topic->begun;
	/* What is not there up to where the pieces begin is deleted. */
	if (!more && listener->last < from)
		listener->last = from;
	if (view.failure.status != 0)
		wait_until(&topic->changed, now_ms() + RETRY_MS);
	failure_clear(&view.failure);
	return out->len > 0;
}

/* What there is for a listener, under the lock; false when there is nothing. */
static bool
collect(Listener *listener, Buffer *out)
{
	Topic	   *topic = listener->topic;

	if (listener->state_seen != topic->state_version)
	{
		listener->state_seen = topic->state_version;
		add_message(out, topic->state == WELL ? "back" : topic->state == AWAY ? "away" : "reload", 0, topic->state_message);
	}
	if (topic->with_events && topic->as_of > listener->since && listener->last > topic->highest)
	{
		listener->last = topic->highest;
		add_message(out, "reload", 0, "");
	}
	for (int i = 0; i < topic->npieces && listener->last >= topic->from; i++)
	{
		if (topic->pieces[i].last <= listener->last)
			continue;
		buffer_add(out, topic->pieces[i].text.data, topic->pieces[i].text.len);
		listener->last = topic->pieces[i].last;
	}
	if (topic->with_events && listener->last >= topic->from && listener->last < topic->last)
		listener->last = topic->last;
	if (listener->part_seen != topic->part_version)
	{
		listener->part_seen = topic->part_version;
		add_message(out, "part", 0, topic->part.data);
	}
	return out->len > 0;
}

/*
 * What a listener is to be sent next; comes back after a while in any case,
 * with a comment that shows whether it is still there. False: that is all.
 */
bool
hub_next(Listener *listener, Buffer *out)
{
	Topic	   *topic = listener->topic;
	int64_t		deadline = now_ms() + SILENCE_MS;

	buffer_reset(out);
	if (listener->over)
		return false;
	pthread_mutex_lock(&lock);
	while (!stopping)
	{
		int64_t		now = now_ms();
		int64_t		due = topic->stale ? topic->next_at : topic->expires_at;

		if (!session_alive(listener->session))
		{
			listener->over = true;
			add_message(out, "end", 0, "");
			break;
		}
		if (collect(listener, out))
			break;
		if (topic->with_events && listener->last < topic->from)
		{
			if (catch_up(listener, out))
				break;
			continue;
		}
		if (!topic->busy && now >= due)
		{
			refresh(topic, listener->session);
			continue;
		}
		if (now >= deadline)
		{
			buffer_puts(out, ":\n\n");
			break;
		}
		wait_until(&topic->changed, topic->busy || due > deadline ? deadline : due);
	}
	pthread_mutex_unlock(&lock);
	return out->len > 0;
}

/* Waits until somebody listens; false when it is over. */
bool
hub_wait_for_listeners(void)
{
	bool		over;

	pthread_mutex_lock(&lock);
	while (topics == NULL && !stopping)
		pthread_cond_wait(&called, &lock);
	over = stopping;
	pthread_mutex_unlock(&lock);
	return !over;
}

/* A pause that ends when all does. */
void
hub_pause(int milliseconds)
{
	int64_t		until = now_ms() + milliseconds;

	pthread_mutex_lock(&lock);
	while (!stopping && now_ms() < until)
		wait_until(&called, until);
	pthread_mutex_unlock(&lock);
}

void
hub_stop(void)
{
	pthread_mutex_lock(&lock);
	stopping = true;
	pthread_cond_broadcast(&called);
	for (Topic *topic = topics; topic != NULL; topic = topic->next)
		pthread_cond_broadcast(&topic->changed);
	pthread_mutex_unlock(&lock);
}
