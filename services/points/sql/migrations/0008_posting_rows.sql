-- Row types of a batch of postings, as it is read and as it is written.

CREATE TYPE entry_row AS (
    team_id              uuid,
    customer_id          uuid,
    sequence             bigint,
    source               smallint,
    source_id            text,
    source_name          text,
    delta_balance        bigint,
    delta_cumulative     bigint,
    requested_balance    bigint,
    requested_cumulative bigint,
    balance              bigint,
    cumulative           bigint,
    occurred_at          timestamptz,
    posted_at            timestamptz,
    key                  uuid,
    actor                text,
    order_key            uuid,
    enrolment_id         uuid,
    node_id              text,
    note                 text,
    hash                 bytea,
    -- With the last entry of an account: the sequence that the account had before the batch. Else null.
    sequence_before      bigint,
    -- Of the outcome that the entry belongs to. The fingerprint is null where an entry before has brought the outcome.
    fingerprint          bytea,
    reason               smallint,
    shortfall            bigint
);

-- An outcome without an entry.
CREATE TYPE entryless_outcome_row AS (
    team_id           uuid,
    key               uuid,
    fingerprint       bytea,
    customer_id       uuid,
    source            smallint,
    status            smallint,
    reason            smallint,
    requested_balance bigint,
    shortfall         bigint,
    balance           bigint,
    cumulative        bigint,
    sequence          bigint
);

-- An order as it becomes; last what was read of it, null of a new one.
CREATE TYPE order_row AS (
    team_id          uuid,
    order_key        uuid,
    customer_id      uuid,
    posted           boolean,
    earning          boolean,
    amount_micros    bigint,
    refunded_micros  bigint,
    earned           bigint,
    clawed           bigint,
    taken            bigint,
    posted_before    boolean,
    refunded_before  bigint
);
