-- What was posted is known by its entry: the entry's key answers repetitions, and no row of `outcome` stands beside it.

-- Of the posting's content. Null with the second entry of a merge, and with entries whose outcome is a row of `outcome`.
ALTER TABLE entry ADD COLUMN fingerprint bytea;
CREATE UNIQUE INDEX entry_key ON entry (team_id, key) WHERE fingerprint IS NOT NULL;
SELECT platform.sample_lightly('entry');

-- A posting that adds, whatever the figures are that it adds to.
CREATE TYPE add_row AS (
    team_id      uuid,
    customer_id  uuid,
    -- How many adds of the batch the account has up to this one, and their points; where the one before stands, and whether
    -- this is the last.
    number       integer,
    gained       bigint,
    previous     integer,
    is_last      boolean,
    source       smallint,
    source_id    text,
    source_name  text,
    points       bigint,
    -- Null: the time of posting.
    occurred_at  timestamptz,
    key          uuid,
    actor        text,
    -- Of an order; else null.
    order_key    uuid,
    amount_micros bigint,
    enrolment_id uuid,
    node_id      text,
    note         text,
    fingerprint  bytea,
    -- What the entry's hash covers before its figures, from the source on, and after its times: as msgpack.
    head         bytea,
    tail         bytea
);

-- What an add becomes on the figures that were found.
CREATE TYPE added_row AS (
    sequence_before bigint,
    sequence        bigint,
    balance         bigint,
    cumulative      bigint,
    posted_at       timestamptz,
    hash            bytea
);
