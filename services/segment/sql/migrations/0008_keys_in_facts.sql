-- The key of a report, and of an effect, stands in the first fact that it made: the row that says what happened also says that it
-- did. `event_key` and `effect` keep the keys of what made no fact, and those that the release before wrote (ADR 26).
ALTER TABLE fact ADD COLUMN event_key text, ADD COLUMN effect_key uuid, ADD COLUMN digest bytea;
ALTER TABLE fact ADD CONSTRAINT fact_keys CHECK (
    (event_key IS NULL OR effect_key IS NULL) AND (digest IS NULL) = (event_key IS NULL AND effect_key IS NULL)) NOT VALID;
CREATE UNIQUE INDEX fact_event_key ON fact (team_id, event_key) WHERE event_key IS NOT NULL;
CREATE UNIQUE INDEX fact_effect_key ON fact (team_id, effect_key) WHERE effect_key IS NOT NULL;

-- A value that is set again changes no indexed column: room on its page keeps it there.
ALTER TABLE customer_attribute SET (fillfactor = 80);

CREATE TYPE keyed_fact AS (
    partition smallint, team_id uuid, customer_id uuid, event_id uuid, occur_time timestamptz, depth integer,
    mail_number bigint, body bytea, event_key text, effect_key uuid, digest bytea);

-- An event of a known customer with all that follows from it, for `record_usual`: `place` is the caller's, times that are null are
-- not moved, of identity and order one is null. `has_…`: what the customer must have already.
CREATE TYPE usual_event AS (
    place integer, team_id uuid, customer_id uuid, event_key text, digest bytea,
    customer_interact_time timestamptz, checkout_time timestamptz,
    has_name boolean, has_member_id boolean, has_phone boolean, has_email boolean,
    partition smallint, event_id uuid, occur_time timestamptz, body bytea,
    channel smallint, account_id uuid, external_id text,
    shop_id text, order_id text, order_key uuid, order_body bytea);

-- A text attribute to be set by an effect, for `set_usual`. The fact's body is `body_head`, the value before, `body_tail`.
CREATE TYPE usual_value AS (
    place integer, team_id uuid, customer_id uuid, effect_key uuid, digest bytea, key text, value text, value_folded text,
    partition smallint, event_id uuid, occur_time timestamptz, depth integer, body_head bytea, body_tail bytea);
