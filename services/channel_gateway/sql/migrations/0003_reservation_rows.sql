-- Row types of a reservation: what it must find unchanged, what it takes from the limits, and its sends.

-- A journey, and the lowest stop epoch in which its sends were decided.
CREATE TYPE stop_row AS (
    team_id    uuid,
    journey_id uuid,
    epoch      bigint
);

-- Content as the batch was made of it. `kind` as of facts that content is gone: 1 bot module, 2 template; 3: all accounts of the
-- team, without an id, and the version is the sum of theirs.
CREATE TYPE content_version_row AS (
    kind       smallint,
    team_id    uuid,
    content_id uuid,
    version    bigint
);

-- A team's own price of a message; null where it has none.
CREATE TYPE price_row AS (
    team_id  uuid,
    channel  smallint,
    currency text,
    micros   bigint
);

-- Messages taken under the caps of a journey, and the lowest of these.
CREATE TYPE cap_row AS (
    team_id    uuid,
    journey_id uuid,
    channel    smallint,
    messages   bigint,
    cap        bigint
);

-- Messages taken from the plan of an account in a month.
CREATE TYPE plan_row AS (
    team_id    uuid,
    account_id uuid,
    month      date,
    messages   bigint
);

-- What a team's prepaid balance pays.
CREATE TYPE payment_row AS (
    team_id  uuid,
    currency text,
    micros   bigint
);

-- What a send has of its own.
CREATE TYPE send_row AS (
    effect_key   uuid,
    customer_id  uuid,
    enrolment_id uuid,
    recipient    text,
    -- msgpack array of request bodies; null of a refused send.
    parts        bytea
);

-- Sends with what they have in common.
CREATE TYPE send_group_row AS (
    team_id      uuid,
    journey_id   uuid,
    node_id      text,
    channel      smallint,
    account_id   uuid,
    template_id  uuid,
    stop_epoch   bigint,
    currency     text,
    price_micros bigint,
    capped       boolean,
    quota_month  date,
    state        smallint,
    reason       text,
    messages     integer,
    not_after    timestamptz,
    depth        integer,
    sends        send_row[]
);

-- A send that is refused: where its fact goes.
CREATE TYPE refusal_row AS (
    team_id    uuid,
    effect_key uuid,
    partition  smallint,
    event_id   uuid
);
