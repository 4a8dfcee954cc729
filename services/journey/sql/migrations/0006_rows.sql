-- Row types of what is written in batches: what turns decided, and what is noted beside them.

-- What the actor of a customer remembers after a turn. `sending`: one of the customer's enrolments awaits a send.
CREATE TYPE actor_row AS (
    partition     smallint,
    team_id       uuid,
    customer_id   uuid,
    taken_segment bigint,
    taken_gateway bigint,
    taken_journey bigint,
    entries       bytea,
    wake_at       timestamptz,
    sending       boolean
);

-- An enrolment after a turn. `actor` is the place of its actor among the rows of the batch, from 1.
CREATE TYPE enrolment_row AS (
    actor            integer,
    enrolment_id     uuid,
    journey_id       uuid,
    trigger_event_id uuid,
    created_at       timestamptz,
    wake_at          timestamptz,
    depth            smallint,
    state            smallint,
    rest             smallint,
    visit            smallint,
    node_id          text
);

-- A verdict that is not needed any more; without a key all of the enrolment.
CREATE TYPE verdict_key AS (
    team_id      uuid,
    enrolment_id uuid,
    key          uuid
);

-- A row of history before it has a position.
CREATE TYPE history_row AS (
    partition    smallint,
    team_id      uuid,
    journey_id   uuid,
    customer_id  uuid,
    enrolment_id uuid,
    at           timestamptz,
    kind         smallint,
    body         bytea
);

-- An enrolment, and where it lies.
CREATE TYPE enrolment_key AS (
    partition    smallint,
    team_id      uuid,
    customer_id  uuid,
    enrolment_id uuid
);

-- An enrolment that nothing would wake, as it was found.
CREATE TYPE orphan_row AS (
    partition    smallint,
    team_id      uuid,
    customer_id  uuid,
    enrolment_id uuid,
    rest         smallint,
    rested_at    timestamptz
);

-- Mail of a system trigger.
CREATE TYPE trigger_mail_row AS (
    partition   smallint,
    position    bigint,
    team_id     uuid,
    customer_id uuid,
    number      bigint,
    request_key uuid,
    journey_id  uuid,
    occurred_at timestamptz
);
