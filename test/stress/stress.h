/*
 * What the processes of the stress test share: a connection that comes back
 * when it was lost, and a history.
 */
#ifndef STRESS_H
#define STRESS_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * What became of a statement: DONE, REFUSED by the server, or LOST with the
 * connection, when nobody knows.
 */
typedef enum Outcome
{
	DONE,
	REFUSED,
	LOST
} Outcome;

extern const char *my_name;
extern volatile bool stop_asked;

/* The rows of the last statement, and the SQLSTATE when it was refused. */
extern PGresult *rows;
extern char sqlstate[6];

/* Runs a statement with text parameters, the last of which is followed by NULL. */
extern Outcome ask(const char *statement,...);
extern const char *cell(int row, int column);

/* Why the last statement was refused. */
extern const char *complaint(void);

/* Writes a line of the history, at once, with the time in microseconds. */
extern void note(const char *format,...) __attribute__((format(printf, 1, 2)));

extern int64_t now_us(void);
extern int	any_below(int limit);
extern void nap_ms(int ms);

/* A new uuid, in one of a few buffers that take turns. */
extern const char *new_id(void);
extern const char *text_of(int64_t number);

extern void work(void);
extern void be_people(void);
extern void observe(void);
extern void finish(void);
extern void read_feed(int row_limit);
extern void read_events(void);
extern void be_agent(bool finishing);

#endif
