-- The schema points as all migrations leave it. Written by `make schema`, never by hand.
-- Functions stand in files of their own.

-- A posting that adds, whatever the figures are that it adds to.
CREATE TYPE add_row AS (
    team_id uuid,
    customer_id uuid,
    number integer,
    gained bigint,
    previous integer,
    is_last boolean,
    source smallint,
    source_id text,
    source_name text,
    points bigint,
    occurred_at timestamp with time zone,
    key uuid,
    actor text,
    order_key uuid,
    amount_micros bigint,
    enrolment_id uuid,
    node_id text,
    note text,
    fingerprint bytea,
    head bytea,
    tail bytea
);

-- What an add becomes on the figures that were found.
CREATE TYPE added_row AS (
    sequence_before bigint,
    sequence bigint,
    balance bigint,
    cumulative bigint,
    posted_at timestamp with time zone,
    hash bytea
);

-- A cursor that moves: it must still be at the position before.
CREATE TYPE cursor_row AS (
    partition smallint,
    position_before bigint,
    position_after bigint
);

CREATE TYPE customer_row AS (
    team_id uuid,
    customer_id uuid,
    name text,
    member_id text,
    email text,
    phone text,
    folded text
);

CREATE TYPE entry_row AS (
    team_id uuid,
    customer_id uuid,
    sequence bigint,
    source smallint,
    source_id text,
    source_name text,
    delta_balance bigint,
    delta_cumulative bigint,
    requested_balance bigint,
    requested_cumulative bigint,
    balance bigint,
    cumulative bigint,
    occurred_at timestamp with time zone,
    posted_at timestamp with time zone,
    key uuid,
    actor text,
    order_key uuid,
    enrolment_id uuid,
    node_id text,
    note text,
    hash bytea,
    sequence_before bigint,
    fingerprint bytea,
    reason smallint,
    shortfall bigint
);

-- An outcome without an entry.
CREATE TYPE entryless_outcome_row AS (
    team_id uuid,
    key uuid,
    fingerprint bytea,
    customer_id uuid,
    source smallint,
    status smallint,
    reason smallint,
    requested_balance bigint,
    shortfall bigint,
    balance bigint,
    cumulative bigint,
    sequence bigint
);

CREATE TYPE import_input_row AS (
    row_number bigint,
    member_id text,
    email text,
    phone text,
    points_text text,
    customer_id uuid,
    points bigint,
    status smallint,
    fault text
);

-- What became of a row that was posted.
CREATE TYPE import_outcome_row AS (
    row_number bigint,
    status smallint,
    fault text,
    delta_balance bigint,
    delta_cumulative bigint,
    cumulative_cut bigint,
    balance bigint,
    sequence bigint
);

-- What became of a row that was taken back; the sequence of the entry, 0 for none.
CREATE TYPE import_undo_row AS (
    row_number bigint,
    status smallint,
    sequence bigint
);

-- An order as it becomes; last what was read of it, null of a new one.
CREATE TYPE order_row AS (
    team_id uuid,
    order_key uuid,
    customer_id uuid,
    posted boolean,
    earning boolean,
    amount_micros bigint,
    refunded_micros bigint,
    earned bigint,
    clawed bigint,
    taken bigint,
    posted_before boolean,
    refunded_before bigint
);

-- A customer's figures after their last entry. No column that changes is indexed, and pages keep room, so that updates
-- stay in place.
CREATE TABLE account (
    team_id     uuid NOT NULL,
    customer_id uuid NOT NULL,
    balance     bigint NOT NULL DEFAULT 0,
    cumulative  bigint NOT NULL DEFAULT 0,
    sequence    bigint NOT NULL DEFAULT 0,
    last_at     timestamp with time zone,
    last_hash   bytea,
    CONSTRAINT account_pkey PRIMARY KEY (team_id, customer_id),
    CONSTRAINT account_balance_check CHECK ((balance >= 0)),
    CONSTRAINT account_cumulative_check CHECK ((cumulative >= 0)),
    CONSTRAINT account_sequence_check CHECK ((sequence >= 0))
) WITH (fillfactor=80, autovacuum_analyze_scale_factor=0.5);
SELECT platform.sample_lightly('account');
ALTER TABLE account ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON account USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

CREATE TABLE coupon (
    team_id                 uuid NOT NULL,
    coupon_id               uuid NOT NULL,
    name                    text NOT NULL,
    type                    smallint NOT NULL,
    cost                    bigint,
    insufficient_text       text NOT NULL,
    claims_per_customer_max integer NOT NULL,
    claims_max              bigint NOT NULL,
    start_at                timestamp with time zone NOT NULL,
    expires_at              timestamp with time zone,
    claims                  bigint NOT NULL,
    archived                boolean NOT NULL,
    version                 bigint NOT NULL,
    created_at              timestamp with time zone NOT NULL,
    CONSTRAINT coupon_pkey PRIMARY KEY (team_id, coupon_id),
    CONSTRAINT coupon_check CHECK (((claims_max = 0) OR (claims <= claims_max))),
    CONSTRAINT coupon_claims_check CHECK ((claims >= 0)),
    CONSTRAINT coupon_claims_max_check CHECK ((claims_max >= 0)),
    CONSTRAINT coupon_claims_per_customer_max_check CHECK ((claims_per_customer_max >= 0)),
    CONSTRAINT coupon_cost_check CHECK ((cost > 0)),
    CONSTRAINT coupon_times_readable CHECK (((start_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (start_at < '9999-12-31 00:00:00+00'::timestamp with time zone) AND (expires_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (expires_at < '9999-12-31 00:00:00+00'::timestamp with time zone))) NOT VALID
) WITH (fillfactor=80);
CREATE INDEX coupon_by_time ON points.coupon USING btree (team_id, created_at DESC, coupon_id DESC);
ALTER TABLE coupon ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON coupon USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

CREATE TABLE coupon_claim (
    team_id     uuid NOT NULL,
    claim_id    uuid NOT NULL,
    coupon_id   uuid NOT NULL,
    customer_id uuid NOT NULL,
    code        text NOT NULL,
    points_paid bigint NOT NULL,
    sequence    bigint NOT NULL,
    created_at  timestamp with time zone NOT NULL,
    expires_at  timestamp with time zone,
    offer_id    uuid,
    CONSTRAINT coupon_claim_pkey PRIMARY KEY (team_id, claim_id),
    CONSTRAINT coupon_claim_code UNIQUE (team_id, code),
    CONSTRAINT coupon_claim_points_paid_check CHECK ((points_paid >= 0)),
    CONSTRAINT coupon_claim_time_readable CHECK (((expires_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (expires_at < '9999-12-31 00:00:00+00'::timestamp with time zone))) NOT VALID,
    CONSTRAINT coupon_claim_team_id_coupon_id_fkey FOREIGN KEY (team_id, coupon_id) REFERENCES coupon(team_id, coupon_id)
);
CREATE INDEX coupon_claim_by_customer ON points.coupon_claim USING btree (team_id, customer_id, coupon_id);
CREATE UNIQUE INDEX coupon_claim_by_offer ON points.coupon_claim USING btree (team_id, customer_id, coupon_id, offer_id) WHERE (offer_id IS NOT NULL);
CREATE INDEX coupon_claim_by_time ON points.coupon_claim USING btree (team_id, created_at DESC, claim_id DESC);
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON points.coupon_claim FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE coupon_claim ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON coupon_claim USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Claims that were used in the shop, each once. Claims themselves never change nor go, so that no reference need hold them.
CREATE TABLE coupon_use (
    team_id  uuid NOT NULL,
    claim_id uuid NOT NULL,
    used_at  timestamp with time zone NOT NULL,
    place    text NOT NULL,
    actor    text NOT NULL,
    CONSTRAINT coupon_use_pkey PRIMARY KEY (team_id, claim_id),
    CONSTRAINT coupon_use_actor_check CHECK ((char_length(actor) <= 200)),
    CONSTRAINT coupon_use_place_check CHECK ((char_length(place) <= 100)),
    CONSTRAINT coupon_use_used_at_check CHECK (((used_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (used_at < '9999-12-31 00:00:00+00'::timestamp with time zone)))
);
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON points.coupon_use FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE coupon_use ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON coupon_use USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- What the history report calls customers and finds them by: a copy of segment's basic data, kept up to date from its
-- history. Nothing of the ledger depends on it, and an erased customer is erased here by erasing one row.
CREATE TABLE customer (
    team_id     uuid NOT NULL,
    customer_id uuid NOT NULL,
    name        text NOT NULL,
    member_id   text NOT NULL,
    email       text NOT NULL,
    phone       text NOT NULL,
    folded      text NOT NULL,
    CONSTRAINT customer_pkey PRIMARY KEY (team_id, customer_id)
) WITH (fillfactor=80);
CREATE INDEX customer_folded ON points.customer USING gin (folded platform.gin_trgm_ops) WITH (fastupdate=off);
ALTER TABLE customer ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON customer USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- How far segment's history is taken, a row a partition.
CREATE TABLE customer_cursor (
    partition smallint NOT NULL,
    position  bigint NOT NULL,
    CONSTRAINT customer_cursor_pkey PRIMARY KEY (partition),
    CONSTRAINT customer_cursor_position_check CHECK (("position" >= 0))
);

-- Outcomes are kept for 13 months of domain time, then dropped; what their sums were stays.
CREATE TABLE dropped_outcome (
    team_id          uuid NOT NULL,
    refund_shortfall bigint NOT NULL,
    rejected         bigint NOT NULL,
    skipped          bigint NOT NULL,
    CONSTRAINT dropped_outcome_pkey PRIMARY KEY (team_id)
);
ALTER TABLE dropped_outcome ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON dropped_outcome USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- The entries, and at once the history that other services read.
CREATE TABLE entry (
    team_id              uuid NOT NULL,
    customer_id          uuid NOT NULL,
    sequence             bigint NOT NULL,
    partition            smallint NOT NULL,
    position             bigint NOT NULL,
    source               smallint NOT NULL,
    source_id            text NOT NULL,
    source_name          text NOT NULL,
    delta_balance        bigint NOT NULL,
    delta_cumulative     bigint NOT NULL,
    requested_balance    bigint NOT NULL,
    requested_cumulative bigint NOT NULL,
    balance              bigint NOT NULL,
    cumulative           bigint NOT NULL,
    occurred_at          timestamp with time zone NOT NULL,
    posted_at            timestamp with time zone NOT NULL,
    key                  uuid NOT NULL,
    actor                text NOT NULL,
    order_key            uuid,
    enrolment_id         uuid,
    node_id              text NOT NULL,
    note                 text NOT NULL,
    hash                 bytea NOT NULL,
    fingerprint          bytea,
    CONSTRAINT entry_pkey PRIMARY KEY (team_id, customer_id, sequence),
    CONSTRAINT entry_balance_check CHECK ((balance >= 0)),
    CONSTRAINT entry_cumulative_check CHECK ((cumulative >= 0)),
    CONSTRAINT entry_sequence_check CHECK ((sequence > 0)),
    CONSTRAINT entry_times_readable CHECK (((occurred_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (occurred_at < '9999-12-31 00:00:00+00'::timestamp with time zone) AND (posted_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (posted_at < '9999-12-31 00:00:00+00'::timestamp with time zone))) NOT VALID
) WITH (autovacuum_analyze_scale_factor=0.5);
SELECT platform.sample_lightly('entry');
CREATE UNIQUE INDEX entry_by_position ON points.entry USING btree (partition, "position");
-- The history report, newest first.
CREATE INDEX entry_by_time ON points.entry USING btree (team_id, posted_at, customer_id, sequence);
CREATE UNIQUE INDEX entry_key ON points.entry USING btree (team_id, key) WHERE (fingerprint IS NOT NULL);
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON points.entry FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER figures_stay BEFORE UPDATE ON points.entry FOR EACH ROW EXECUTE FUNCTION keep_figures();
ALTER TABLE entry ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON entry USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- "An amount earns points", both in millionths. One a team, for ever.
CREATE TABLE formula (
    team_id       uuid NOT NULL,
    amount_micros bigint NOT NULL,
    points_micros bigint NOT NULL,
    created_at    timestamp with time zone NOT NULL,
    CONSTRAINT formula_pkey PRIMARY KEY (team_id),
    CONSTRAINT formula_amount_micros_check CHECK ((amount_micros > 0)),
    CONSTRAINT formula_points_micros_check CHECK ((points_micros > 0))
);
CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON points.formula FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE formula ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON formula USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

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

CREATE TABLE import (
    team_id           uuid NOT NULL,
    import_id         uuid NOT NULL,
    file_name         text NOT NULL,
    file_sha256       bytea NOT NULL,
    deduct_cumulative boolean NOT NULL,
    repeat            boolean NOT NULL,
    actor             text NOT NULL,
    state             smallint NOT NULL,
    created_at        timestamp with time zone NOT NULL,
    ended_at          timestamp with time zone,
    CONSTRAINT import_pkey PRIMARY KEY (team_id, import_id),
    CONSTRAINT import_state_check CHECK (((state >= 1) AND (state <= 6)))
);
CREATE INDEX import_by_time ON points.import USING btree (team_id, created_at DESC, import_id DESC);
-- The same file a second time is refused, unless that was asked for, or the first time came to nothing.
CREATE UNIQUE INDEX import_file ON points.import USING btree (team_id, file_sha256) WHERE ((NOT repeat) AND (state <= 4));
-- Those that a worker has to go on with: RUNNING and UNDOING.
CREATE INDEX import_unfinished ON points.import USING btree (created_at) WHERE (state = ANY (ARRAY[2, 4]));
ALTER TABLE import ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON import USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

CREATE TABLE import_row (
    team_id          uuid NOT NULL,
    import_id        uuid NOT NULL,
    row_number       bigint NOT NULL,
    member_id        text NOT NULL,
    email            text NOT NULL,
    phone            text NOT NULL,
    points_text      text NOT NULL,
    customer_id      uuid,
    points           bigint NOT NULL,
    status           smallint NOT NULL,
    fault            text NOT NULL,
    delta_balance    bigint NOT NULL DEFAULT 0,
    delta_cumulative bigint NOT NULL DEFAULT 0,
    cumulative_cut   bigint NOT NULL DEFAULT 0,
    balance          bigint NOT NULL DEFAULT 0,
    sequence         bigint NOT NULL DEFAULT 0,
    undo_sequence    bigint NOT NULL DEFAULT 0,
    CONSTRAINT import_row_pkey PRIMARY KEY (team_id, import_id, row_number),
    CONSTRAINT import_row_check CHECK (((status <> ALL (ARRAY[0, 1, 4, 5, 6])) OR (customer_id IS NOT NULL))),
    CONSTRAINT import_row_row_number_check CHECK ((row_number > 0)),
    CONSTRAINT import_row_status_check CHECK (((status >= 0) AND (status <= 6))),
    CONSTRAINT import_row_team_id_import_id_fkey FOREIGN KEY (team_id, import_id) REFERENCES import(team_id, import_id)
) WITH (fillfactor=80);
CREATE INDEX import_row_by_customer ON points.import_row USING btree (team_id, import_id, customer_id);
CREATE INDEX import_row_by_status ON points.import_row USING btree (team_id, import_id, status, row_number);
ALTER TABLE import_row ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON import_row USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Up to when incremental checks of a team have found nothing wrong.
CREATE TABLE ledger_check (
    team_id    uuid NOT NULL,
    checked_at timestamp with time zone NOT NULL,
    CONSTRAINT ledger_check_pkey PRIMARY KEY (team_id)
);
ALTER TABLE ledger_check ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON ledger_check USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- How far the relay has handed this service's mail to the mailboxes.
CREATE TABLE mail_cursor (
    partition smallint NOT NULL,
    position  bigint NOT NULL DEFAULT 0,
    CONSTRAINT mail_cursor_pkey PRIMARY KEY (partition),
    CONSTRAINT mail_cursor_partition_check CHECK (((partition >= 0) AND (partition <= 63))),
    CONSTRAINT mail_cursor_position_check CHECK (("position" >= 0))
) WITH (fillfactor=10, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=1000);

-- Customers who were merged into others: what they claimed counts with those, and nobody gives them points any more.
CREATE TABLE merged_customer (
    team_id     uuid NOT NULL,
    customer_id uuid NOT NULL,
    survivor_id uuid NOT NULL,
    merge_id    uuid NOT NULL,
    CONSTRAINT merged_customer_pkey PRIMARY KEY (team_id, customer_id),
    CONSTRAINT merged_customer_check CHECK ((customer_id <> survivor_id))
);
CREATE INDEX merged_customer_of_survivor ON points.merged_customer USING btree (team_id, survivor_id);
ALTER TABLE merged_customer ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON merged_customer USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- The first answer to each key, rejections and skips included.
CREATE TABLE outcome (
    team_id           uuid NOT NULL,
    key               uuid NOT NULL,
    fingerprint       bytea NOT NULL,
    customer_id       uuid NOT NULL,
    source            smallint NOT NULL,
    status            smallint NOT NULL,
    reason            smallint NOT NULL,
    requested_balance bigint NOT NULL,
    delta_balance     bigint NOT NULL,
    delta_cumulative  bigint NOT NULL,
    shortfall         bigint NOT NULL,
    balance           bigint NOT NULL,
    cumulative        bigint NOT NULL,
    sequence          bigint NOT NULL,
    recorded_at       timestamp with time zone NOT NULL,
    CONSTRAINT outcome_pkey PRIMARY KEY (team_id, key),
    CONSTRAINT outcome_shortfall_check CHECK ((shortfall >= 0)),
    CONSTRAINT outcome_status_check CHECK (((status >= 1) AND (status <= 3)))
) WITH (autovacuum_analyze_scale_factor=0.5);
SELECT platform.sample_lightly('outcome');
CREATE INDEX outcome_by_time ON points.outcome USING brin (recorded_at);
CREATE TRIGGER append_only BEFORE UPDATE OR TRUNCATE ON points.outcome FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER kept BEFORE DELETE ON points.outcome FOR EACH ROW EXECUTE FUNCTION refuse_early();
ALTER TABLE outcome ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON outcome USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

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
CREATE INDEX request_log_by_time ON points.request_log USING btree (real_time);
ALTER TABLE request_log ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON request_log USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Rows of segment's history that could not be applied to the copy of customers: passed over, and kept with the reason.
CREATE TABLE row_set_aside (
    partition    smallint NOT NULL,
    position     bigint NOT NULL,
    reason       text NOT NULL,
    set_aside_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT row_set_aside_pkey PRIMARY KEY (partition, "position")
);

-- What is known of an order; its refunds may come first.
CREATE TABLE shop_order (
    team_id         uuid NOT NULL,
    order_key       uuid NOT NULL,
    customer_id     uuid NOT NULL,
    posted          boolean NOT NULL,
    earning         boolean NOT NULL,
    amount_micros   bigint NOT NULL,
    refunded_micros bigint NOT NULL,
    earned          bigint NOT NULL,
    clawed          bigint NOT NULL,
    taken           bigint NOT NULL,
    CONSTRAINT shop_order_pkey PRIMARY KEY (team_id, order_key),
    CONSTRAINT shop_order_amount_micros_check CHECK ((amount_micros >= 0)),
    CONSTRAINT shop_order_check CHECK (((clawed >= 0) AND (clawed <= earned))),
    CONSTRAINT shop_order_check1 CHECK (((taken >= 0) AND (taken <= clawed))),
    CONSTRAINT shop_order_earned_check CHECK ((earned >= 0)),
    CONSTRAINT shop_order_refunded_micros_check CHECK ((refunded_micros >= 0))
) WITH (fillfactor=80, autovacuum_analyze_scale_factor=0.5);
SELECT platform.sample_lightly('shop_order');
ALTER TABLE shop_order ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON shop_order USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));
