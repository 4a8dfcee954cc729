-- The schema stats as all migrations leave it. Written by `make schema`, never by hand.
-- Functions stand in files of their own.

CREATE TYPE counter_row AS (
    team_id uuid,
    journey_id uuid,
    metric smallint,
    node_id text,
    channel smallint,
    currency text,
    quarter timestamp with time zone,
    delta bigint
);

CREATE TYPE cursor_step AS (
    partition smallint,
    before bigint,
    after bigint
);

-- `counter`: the place, from 1, of the counter that grows by 1 if nothing of the kind was seen before.
CREATE TYPE first_row AS (
    team_id uuid,
    kind smallint,
    id uuid,
    counter bigint
);

CREATE TYPE journey_click_row AS (
    team_id uuid,
    customer_id uuid,
    clicked_at timestamp with time zone,
    journey_id uuid,
    node_id text,
    channel smallint
);

CREATE TYPE order_refund_row AS (
    team_id uuid,
    order_key uuid,
    micros bigint,
    currency text
);

CREATE TYPE shop_order_row AS (
    team_id uuid,
    order_key uuid,
    customer_id uuid,
    ordered_at timestamp with time zone,
    amount_micros bigint,
    currency text,
    uncounted smallint,
    click_window interval
);

CREATE TYPE split_row AS (
    team_id uuid,
    journey_id uuid,
    node_id text,
    customer_id uuid,
    held_out boolean,
    came_at timestamp with time zone
);

-- How many people opened the messages of a node on a channel that tells sums only, by windows of 30 days. No history has them: a rebuild
-- leaves them alone.
CREATE TABLE channel_opens (
    team_id      uuid NOT NULL,
    journey_id   uuid NOT NULL,
    node_id      text NOT NULL,
    window_start timestamp with time zone NOT NULL,
    asked_at     timestamp with time zone NOT NULL,
    answered_at  timestamp with time zone,
    person_count bigint,
    CONSTRAINT channel_opens_pkey PRIMARY KEY (team_id, journey_id, node_id, window_start),
    CONSTRAINT channel_opens_answered_at_check CHECK (((answered_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (answered_at < '9999-12-31 00:00:00+00'::timestamp with time zone))),
    CONSTRAINT channel_opens_asked_at_check CHECK (((asked_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (asked_at < '9999-12-31 00:00:00+00'::timestamp with time zone))),
    CONSTRAINT channel_opens_check CHECK (((person_count IS NULL) OR (answered_at IS NOT NULL))),
    CONSTRAINT channel_opens_person_count_check CHECK ((person_count >= 0)),
    CONSTRAINT channel_opens_window_start_check CHECK (((window_start >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (window_start < '9999-12-31 00:00:00+00'::timestamp with time zone)))
);
CREATE INDEX channel_opens_by_time ON stats.channel_opens USING btree (team_id, asked_at);
ALTER TABLE channel_opens ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON channel_opens USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- One row a figure and quarter of an hour. Days and hours of every time zone begin on a quarter, so any series is a sum of
-- rows. Figures of the team as a whole have the nil journey; what does not apply is empty or 0.
CREATE TABLE counter (
    team_id    uuid NOT NULL,
    journey_id uuid NOT NULL,
    quarter    timestamp with time zone NOT NULL,
    metric     smallint NOT NULL,
    channel    smallint NOT NULL,
    node_id    text NOT NULL,
    currency   text NOT NULL,
    value      bigint NOT NULL,
    CONSTRAINT counter_pkey PRIMARY KEY (team_id, journey_id, quarter, metric, node_id, channel, currency),
    CONSTRAINT counter_time_readable CHECK (((quarter >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (quarter < '9999-12-31 00:00:00+00'::timestamp with time zone))) NOT VALID
) WITH (fillfactor=75, autovacuum_vacuum_scale_factor=0.05, autovacuum_analyze_scale_factor=0.5);
SELECT platform.sample_lightly('counter');
ALTER TABLE counter ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON counter USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Counters of days that are over, a row a day: `counter` keeps the last two days, and what is counted late.
CREATE TABLE counter_day (
    team_id    uuid NOT NULL,
    scope      smallint NOT NULL,
    journey_id uuid NOT NULL,
    day        timestamp with time zone NOT NULL,
    metric     smallint NOT NULL,
    channel    smallint NOT NULL,
    node_id    text NOT NULL,
    currency   text NOT NULL,
    is_daily   boolean NOT NULL,
    slots      smallint[] NOT NULL,
    sums       bigint[] NOT NULL,
    CONSTRAINT counter_day_pkey PRIMARY KEY (team_id, scope, journey_id, day, metric, node_id, channel, currency),
    CONSTRAINT counter_day_check CHECK ((cardinality(sums) = cardinality(slots))),
    CONSTRAINT counter_day_day_check CHECK (((day >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (day < '9999-12-31 00:00:00+00'::timestamp with time zone) AND (day = date_trunc('day'::text, day, 'UTC'::text)))),
    CONSTRAINT counter_day_scope_check CHECK (((scope >= 1) AND (scope <= 3))),
    CONSTRAINT counter_day_slots_check CHECK ((((cardinality(slots) >= 1) AND (cardinality(slots) <= 96)) AND (slots[1] >= 0) AND (slots[cardinality(slots)] < 96)))
) WITH (autovacuum_analyze_scale_factor=0.5);
SELECT platform.sample_lightly('counter_day');
-- FIGURE: rows of which hours may have to go.
CREATE INDEX counter_day_by_time ON stats.counter_day USING btree (team_id, day) WHERE ((scope = 1) AND (NOT is_daily));
ALTER TABLE counter_day ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON counter_day USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- What is asked for by the year takes a row a month: sums of figures by hour of UTC.
CREATE TABLE counter_month (
    team_id    uuid NOT NULL,
    scope      smallint NOT NULL,
    journey_id uuid NOT NULL,
    month      timestamp with time zone NOT NULL,
    metric     smallint NOT NULL,
    channel    smallint NOT NULL,
    currency   text NOT NULL,
    hours      smallint[] NOT NULL,
    sums       bigint[] NOT NULL,
    CONSTRAINT counter_month_pkey PRIMARY KEY (team_id, scope, journey_id, month, metric, channel, currency),
    CONSTRAINT counter_month_check CHECK ((cardinality(sums) = cardinality(hours))),
    CONSTRAINT counter_month_hours_check CHECK ((((cardinality(hours) >= 1) AND (cardinality(hours) <= 744)) AND (hours[1] >= 0) AND (hours[cardinality(hours)] < 744))),
    CONSTRAINT counter_month_month_check CHECK (((month >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (month < '9999-12-31 00:00:00+00'::timestamp with time zone) AND (month = date_trunc('month'::text, month, 'UTC'::text)))),
    CONSTRAINT counter_month_scope_check CHECK ((scope = ANY (ARRAY[2, 3])))
) WITH (autovacuum_analyze_scale_factor=0.5);
SELECT platform.sample_lightly('counter_month');
ALTER TABLE counter_month ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON counter_month USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Rows of a history up to this position are counted; moved by the transaction that counts them.
CREATE TABLE cursor (
    source    smallint NOT NULL,
    partition smallint NOT NULL,
    position  bigint NOT NULL DEFAULT 0,
    CONSTRAINT cursor_pkey PRIMARY KEY (source, partition),
    CONSTRAINT cursor_partition_check CHECK (((partition >= 0) AND (partition <= 71))),
    CONSTRAINT cursor_position_check CHECK (("position" >= 0)),
    CONSTRAINT cursor_source_check CHECK (((source >= 1) AND (source <= 5)))
) WITH (fillfactor=10);

-- What counts once however often it happens. kind 1: a customer with an order or a refund; kind 2: a send (by its effect
-- key) of which a link was opened.
CREATE TABLE first_time (
    team_id uuid NOT NULL,
    kind    smallint NOT NULL,
    id      uuid NOT NULL,
    CONSTRAINT first_time_pkey PRIMARY KEY (team_id, kind, id),
    CONSTRAINT first_time_kind_check CHECK ((kind = ANY (ARRAY[1, 2])))
) WITH (autovacuum_analyze_scale_factor=0.5);
SELECT platform.sample_lightly('first_time');
ALTER TABLE first_time ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON first_time USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Last position given to each partition of the service's history. Rows are locked in the order of partitions by the
-- transaction that writes the history, so the order of positions is the order of commits. The table is small and hot:
-- room on its pages keeps the updates in place.
CREATE TABLE history_head (
    partition smallint NOT NULL,
    position  bigint NOT NULL DEFAULT 0,
    CONSTRAINT history_head_pkey PRIMARY KEY (partition),
    CONSTRAINT history_head_partition_check CHECK (((partition >= 0) AND (partition <= 63))),
    CONSTRAINT history_head_position_check CHECK (("position" >= 0))
) WITH (fillfactor=10, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=1000);

-- From when on a team's figures are kept by quarter of an hour; before, by its days.
CREATE TABLE hours_kept (
    team_id uuid NOT NULL,
    since   timestamp with time zone NOT NULL,
    CONSTRAINT hours_kept_pkey PRIMARY KEY (team_id),
    CONSTRAINT hours_kept_since_check CHECK (((since >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (since < '9999-12-31 00:00:00+00'::timestamp with time zone)))
);
ALTER TABLE hours_kept ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON hours_kept USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Whose order an order is: clicks of customers, and orders with the journey that each is counted for.
CREATE TABLE journey_click (
    team_id     uuid NOT NULL,
    customer_id uuid NOT NULL,
    clicked_at  timestamp with time zone NOT NULL,
    journey_id  uuid NOT NULL,
    node_id     text NOT NULL,
    channel     smallint NOT NULL,
    CONSTRAINT journey_click_pkey PRIMARY KEY (team_id, customer_id, clicked_at, journey_id, node_id, channel),
    CONSTRAINT journey_click_clicked_at_check CHECK (((clicked_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (clicked_at < '9999-12-31 00:00:00+00'::timestamp with time zone)))
) WITH (autovacuum_analyze_scale_factor=0.5);
SELECT platform.sample_lightly('journey_click');
-- Clicks by their age, for those that are forgotten.
CREATE INDEX journey_click_by_time ON stats.journey_click USING btree (clicked_at);
ALTER TABLE journey_click ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON journey_click USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- How far the relay has handed this service's mail to the mailboxes.
CREATE TABLE mail_cursor (
    partition smallint NOT NULL,
    position  bigint NOT NULL DEFAULT 0,
    CONSTRAINT mail_cursor_pkey PRIMARY KEY (partition),
    CONSTRAINT mail_cursor_partition_check CHECK (((partition >= 0) AND (partition <= 63))),
    CONSTRAINT mail_cursor_position_check CHECK (("position" >= 0))
) WITH (fillfactor=10, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=1000);

-- Figures of teams that are counted anew from the histories. The nil team is all of them.
CREATE TABLE rebuild (
    team_id       uuid NOT NULL,
    rebuild_id    uuid NOT NULL,
    state         smallint NOT NULL DEFAULT 1,
    done          bigint NOT NULL DEFAULT 0,
    total         bigint NOT NULL DEFAULT 0,
    tries         smallint NOT NULL DEFAULT 0,
    claim         uuid,
    claimed_until timestamp with time zone,
    reason        text NOT NULL DEFAULT ''::text,
    message       text NOT NULL DEFAULT ''::text,
    created_at    timestamp with time zone NOT NULL,
    ended_at      timestamp with time zone,
    CONSTRAINT rebuild_pkey PRIMARY KEY (team_id, rebuild_id),
    CONSTRAINT rebuild_check CHECK (((state > 2) = (ended_at IS NOT NULL))),
    CONSTRAINT rebuild_done_check CHECK ((done >= 0)),
    CONSTRAINT rebuild_state_check CHECK (((state >= 1) AND (state <= 5))),
    CONSTRAINT rebuild_total_check CHECK ((total >= 0))
);
CREATE INDEX rebuild_by_time ON stats.rebuild USING btree (team_id, created_at DESC, rebuild_id DESC);
-- PENDING and RUNNING: those that somebody has to work on.
CREATE INDEX rebuild_unfinished ON stats.rebuild USING btree (created_at) WHERE (state = ANY (ARRAY[1, 2]));
ALTER TABLE rebuild ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON rebuild USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- How far a rebuild has counted each history, never further than `cursor`.
CREATE TABLE rebuild_cursor (
    rebuild_id uuid NOT NULL,
    source     smallint NOT NULL,
    partition  smallint NOT NULL,
    position   bigint NOT NULL DEFAULT 0,
    CONSTRAINT rebuild_cursor_pkey PRIMARY KEY (rebuild_id, source, partition)
);

-- Until a rebuild ends, what it counts for a team stands in all tables of figures under an id that no team has.
CREATE TABLE rebuild_shadow (
    rebuild_id uuid NOT NULL,
    own_id     uuid NOT NULL,
    shadow_id  uuid NOT NULL,
    CONSTRAINT rebuild_shadow_pkey PRIMARY KEY (rebuild_id, own_id)
);

-- First answers to writes, by request id: the same request gets the same answer again, another one is refused.
-- `answer` is absent only inside the transaction that does the work.
CREATE TABLE request_log (
    team_id    uuid NOT NULL,
    request_id text NOT NULL,
    digest     bytea NOT NULL,
    answer     bytea,
    real_time  timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT request_log_pkey PRIMARY KEY (team_id, request_id),
    CONSTRAINT request_log_request_id_check CHECK (((length(request_id) >= 1) AND (length(request_id) <= 128)))
);
CREATE INDEX request_log_by_time ON stats.request_log USING btree (real_time);
ALTER TABLE request_log ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON request_log USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- What a history says of a row that could not be counted is found there, under its partition and position.
CREATE TABLE row_set_aside (
    source      smallint NOT NULL,
    partition   smallint NOT NULL,
    position    bigint NOT NULL,
    reason      text NOT NULL,
    create_time timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    facts       integer[],
    CONSTRAINT row_set_aside_pkey PRIMARY KEY (source, partition, "position"),
    CONSTRAINT row_set_aside_facts_check CHECK ((cardinality(facts) > 0)),
    CONSTRAINT row_set_aside_partition_check CHECK (((partition >= 0) AND (partition <= 71))),
    CONSTRAINT row_set_aside_source_check CHECK (((source >= 1) AND (source <= 5)))
);

-- A row without `ordered_at` is of an order of which only a refund was read so far. `counted_micros`: what its journey's revenue has
-- of it.
CREATE TABLE shop_order (
    team_id         uuid NOT NULL,
    order_key       uuid NOT NULL,
    customer_id     uuid,
    ordered_at      timestamp with time zone,
    amount_micros   bigint NOT NULL DEFAULT 0,
    currency        text NOT NULL DEFAULT ''::text,
    uncounted       smallint NOT NULL DEFAULT 0,
    click_window    interval NOT NULL DEFAULT '00:00:00'::interval,
    refunded_micros bigint NOT NULL DEFAULT 0,
    journey_id      uuid,
    node_id         text NOT NULL DEFAULT ''::text,
    channel         smallint NOT NULL DEFAULT 0,
    clicked_at      timestamp with time zone,
    counted_micros  bigint NOT NULL DEFAULT 0,
    CONSTRAINT shop_order_pkey PRIMARY KEY (team_id, order_key),
    CONSTRAINT shop_order_clicked_at_check CHECK (((clicked_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (clicked_at < '9999-12-31 00:00:00+00'::timestamp with time zone))),
    CONSTRAINT shop_order_ordered_at_check CHECK (((ordered_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (ordered_at < '9999-12-31 00:00:00+00'::timestamp with time zone)))
) WITH (autovacuum_analyze_scale_factor=0.5);
SELECT platform.sample_lightly('shop_order');
CREATE INDEX shop_order_of_customer ON stats.shop_order USING btree (team_id, customer_id, ordered_at) WHERE (customer_id IS NOT NULL);
ALTER TABLE shop_order ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON shop_order USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Whom splits sent on and whom they held out, each by the first time that they came there.
CREATE TABLE split_member (
    team_id     uuid NOT NULL,
    customer_id uuid NOT NULL,
    journey_id  uuid NOT NULL,
    node_id     text NOT NULL,
    held_out    boolean NOT NULL,
    came_at     timestamp with time zone NOT NULL,
    CONSTRAINT split_member_pkey PRIMARY KEY (team_id, journey_id, node_id, customer_id),
    CONSTRAINT split_member_came_at_check CHECK (((came_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (came_at < '9999-12-31 00:00:00+00'::timestamp with time zone)))
) WITH (autovacuum_analyze_scale_factor=0.5);
SELECT platform.sample_lightly('split_member');
ALTER TABLE split_member ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON split_member USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- The same over all time, so that what people look at most does not cost more every day.
CREATE TABLE total (
    team_id    uuid NOT NULL,
    journey_id uuid NOT NULL,
    metric     smallint NOT NULL,
    channel    smallint NOT NULL,
    node_id    text NOT NULL,
    currency   text NOT NULL,
    value      bigint NOT NULL,
    CONSTRAINT total_pkey PRIMARY KEY (team_id, journey_id, metric, node_id, channel, currency)
) WITH (fillfactor=50, autovacuum_vacuum_scale_factor=0.05, autovacuum_analyze_scale_factor=0.5);
SELECT platform.sample_lightly('total');
ALTER TABLE total ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON total USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));
