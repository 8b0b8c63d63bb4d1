-- Into a table that is as migrate() made it, append_event() and append_events()
-- put their rows without an INSERT; an operator's column with a default makes
-- them send one. What a caller sees is the same: the tests that these are.
\set prepare 'ALTER TABLE amelia.workflow_log ADD COLUMN x_tenant text NOT NULL DEFAULT \'nobody\';'
\getenv abs_srcdir PG_ABS_SRCDIR
\set events :abs_srcdir '/sql/events.sql'
\set append_events :abs_srcdir '/sql/append_events.sql'
\set resend :abs_srcdir '/sql/resend.sql'
\set event_types :abs_srcdir '/sql/event_types.sql'
\set sequences :abs_srcdir '/sql/sequences.sql'
\i :events
\i :append_events
\i :resend
\i :event_types
\i :sequences
SELECT count(*) FILTER (WHERE x_tenant = 'nobody') = count(*) AS with_their_default FROM amelia.workflow_log;
