-- The ledger. Entries, recorded outcomes and formulas are append-only for everybody: triggers refuse any change, whatever
-- a role was granted. Sums of points and amounts in micros are bigint; limits are those of the domain.

CREATE FUNCTION refuse_change() RETURNS trigger
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'insufficient_privilege';
END
$$;

-- "An amount earns points", both in millionths. One a team, for ever.
CREATE TABLE formula (
    team_id       uuid PRIMARY KEY,
    amount_micros bigint NOT NULL CHECK (amount_micros > 0),
    points_micros bigint NOT NULL CHECK (points_micros > 0),
    created_at    timestamptz NOT NULL
);

-- A customer's figures after their last entry. No column that changes is indexed, and pages keep room, so that updates
-- stay in place.
CREATE TABLE account (
    team_id     uuid NOT NULL,
    customer_id uuid NOT NULL,
    balance     bigint NOT NULL DEFAULT 0 CHECK (balance >= 0),
    cumulative  bigint NOT NULL DEFAULT 0 CHECK (cumulative >= 0),
    sequence    bigint NOT NULL DEFAULT 0 CHECK (sequence >= 0),
    last_at     timestamptz,
    last_hash   bytea,
    PRIMARY KEY (team_id, customer_id)
) WITH (fillfactor = 80);

-- What is known of an order; its refunds may come first.
CREATE TABLE shop_order (
    team_id         uuid NOT NULL,
    order_key       uuid NOT NULL,
    customer_id     uuid NOT NULL,
    posted          boolean NOT NULL,
    earning         boolean NOT NULL,
    amount_micros   bigint NOT NULL CHECK (amount_micros >= 0),
    refunded_micros bigint NOT NULL CHECK (refunded_micros >= 0),
    earned          bigint NOT NULL CHECK (earned >= 0),
    clawed          bigint NOT NULL CHECK (clawed BETWEEN 0 AND earned),
    taken           bigint NOT NULL CHECK (taken BETWEEN 0 AND clawed),
    PRIMARY KEY (team_id, order_key)
) WITH (fillfactor = 80);

-- The first answer to each key, rejections and skips included.
CREATE TABLE outcome (
    team_id           uuid NOT NULL,
    key               uuid NOT NULL,
    fingerprint       bytea NOT NULL,
    customer_id       uuid NOT NULL,
    source            smallint NOT NULL,
    status            smallint NOT NULL CHECK (status BETWEEN 1 AND 3),
    reason            smallint NOT NULL,
    requested_balance bigint NOT NULL,
    delta_balance     bigint NOT NULL,
    delta_cumulative  bigint NOT NULL,
    shortfall         bigint NOT NULL CHECK (shortfall >= 0),
    balance           bigint NOT NULL,
    cumulative        bigint NOT NULL,
    sequence          bigint NOT NULL,
    recorded_at       timestamptz NOT NULL,
    PRIMARY KEY (team_id, key)
);

-- The entries, and at once the history that other services read.
CREATE TABLE entry (
    team_id              uuid NOT NULL,
    customer_id          uuid NOT NULL,
    sequence             bigint NOT NULL CHECK (sequence > 0),
    partition            smallint NOT NULL,
    position             bigint NOT NULL,
    source               smallint NOT NULL,
    source_id            text NOT NULL,
    source_name          text NOT NULL,
    delta_balance        bigint NOT NULL,
    delta_cumulative     bigint NOT NULL,
    requested_balance    bigint NOT NULL,
    requested_cumulative bigint NOT NULL,
    balance              bigint NOT NULL CHECK (balance >= 0),
    cumulative           bigint NOT NULL CHECK (cumulative >= 0),
    occurred_at          timestamptz NOT NULL,
    posted_at            timestamptz NOT NULL,
    key                  uuid NOT NULL,
    actor                text NOT NULL,
    order_key            uuid,
    enrolment_id         uuid,
    node_id              text NOT NULL,
    note                 text NOT NULL,
    hash                 bytea NOT NULL,
    PRIMARY KEY (team_id, customer_id, sequence)
);

CREATE UNIQUE INDEX entry_by_position ON entry (partition, position);
-- The history report, newest first.
CREATE INDEX entry_by_time ON entry (team_id, posted_at DESC, customer_id DESC, sequence DESC);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON formula
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON outcome
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON entry
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

SELECT platform.hold_teams_apart(name)
  FROM unnest(ARRAY['formula', 'account', 'shop_order', 'outcome', 'entry']::regclass[]) AS name;

SELECT platform.open_history('entry');
