-- Channel accounts, content, limits, deliveries with their history, and webhooks that come in.

-- ---------------------------------------------------------------- accounts and content

CREATE TABLE account (
    team_id         uuid NOT NULL,
    account_id      uuid NOT NULL,
    channel         smallint NOT NULL CHECK (channel BETWEEN 1 AND 4),
    display_name    text NOT NULL,
    state           smallint NOT NULL DEFAULT 1 CHECK (state BETWEEN 1 AND 3),
    state_reason    text NOT NULL DEFAULT '',
    -- How it is reached, secrets included; never leaves the service.
    connection      jsonb NOT NULL,
    rate_per_second integer NOT NULL CHECK (rate_per_second BETWEEN 1 AND 10000),
    concurrency_max integer NOT NULL CHECK (concurrency_max BETWEEN 1 AND 256),
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    version         bigint NOT NULL DEFAULT 1,
    deleted         boolean NOT NULL DEFAULT false,
    PRIMARY KEY (team_id, account_id)
);

CREATE TABLE bot_module (
    team_id       uuid NOT NULL,
    bot_module_id uuid NOT NULL,
    name          text NOT NULL,
    cards         jsonb NOT NULL,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    version       bigint NOT NULL DEFAULT 1,
    deleted       boolean NOT NULL DEFAULT false,
    PRIMARY KEY (team_id, bot_module_id)
);

CREATE TABLE template (
    team_id         uuid NOT NULL,
    template_id     uuid NOT NULL,
    account_id      uuid NOT NULL,
    name            text NOT NULL,
    language        text NOT NULL,
    state           smallint NOT NULL CHECK (state BETWEEN 1 AND 5),
    category        text NOT NULL,
    parameter_names text[] NOT NULL,
    parameter_count integer NOT NULL CHECK (parameter_count BETWEEN 0 AND 100),
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    version         bigint NOT NULL DEFAULT 1,
    deleted         boolean NOT NULL DEFAULT false,
    PRIMARY KEY (team_id, template_id),
    FOREIGN KEY (team_id, account_id) REFERENCES account
);

CREATE UNIQUE INDEX template_by_name ON template (team_id, account_id, name, language) WHERE NOT deleted;

-- ---------------------------------------------------------------- limits
-- Hot rows: little on a page, so that updates stay in place. They are locked in this order: deliveries that are there already,
-- journey_stop, journey_usage, plan_usage, wallet, customer_mail, history_head; within a table in the order of the primary
-- key. Taking up a deferred send is the one exception; a deadlock by it is detected, and the call is repeated.

-- Sends that were decided in a lower epoch are cancelled. Reservations hold the row shared, a stop changes it: so a stop
-- that has the row knows every send reserved before it.
CREATE TABLE journey_stop (
    team_id    uuid NOT NULL,
    journey_id uuid NOT NULL,
    epoch      bigint NOT NULL CHECK (epoch >= 0),
    PRIMARY KEY (team_id, journey_id)
);

-- Messages taken under a journey's own caps.
CREATE TABLE journey_usage (
    team_id    uuid NOT NULL,
    journey_id uuid NOT NULL,
    channel    smallint NOT NULL,
    used       bigint NOT NULL DEFAULT 0 CHECK (used >= 0),
    PRIMARY KEY (team_id, journey_id, channel)
) WITH (fillfactor = 20);

-- Messages a month that a LINE account's plan holds; no row or no limit: the channel tells when it is used up.
CREATE TABLE plan_quota (
    team_id       uuid NOT NULL,
    account_id    uuid NOT NULL,
    message_limit bigint CHECK (message_limit >= 0),
    updated_at    timestamptz NOT NULL,
    PRIMARY KEY (team_id, account_id)
);

CREATE TABLE plan_usage (
    team_id    uuid NOT NULL,
    account_id uuid NOT NULL,
    -- First day of the month (UTC+9).
    month      date NOT NULL,
    used       bigint NOT NULL DEFAULT 0 CHECK (used >= 0),
    PRIMARY KEY (team_id, account_id, month)
) WITH (fillfactor = 20);

-- Prepaid balance; reservations are taken off at once.
CREATE TABLE wallet (
    team_id        uuid PRIMARY KEY,
    currency       text NOT NULL CHECK (length(currency) = 3),
    balance_micros bigint NOT NULL CHECK (balance_micros >= 0),
    last_sequence  bigint NOT NULL DEFAULT 0,
    updated_at     timestamptz NOT NULL
) WITH (fillfactor = 20);

CREATE TABLE wallet_entry (
    team_id              uuid NOT NULL,
    sequence             bigint NOT NULL,
    amount_micros        bigint NOT NULL,
    balance_after_micros bigint NOT NULL,
    note                 text NOT NULL,
    created_at           timestamptz NOT NULL,
    PRIMARY KEY (team_id, sequence)
);

CREATE TABLE message_price (
    team_id  uuid NOT NULL,
    channel  smallint NOT NULL,
    currency text NOT NULL CHECK (length(currency) = 3),
    micros   bigint NOT NULL CHECK (micros >= 0),
    PRIMARY KEY (team_id, channel)
);

-- ---------------------------------------------------------------- deliveries

-- One row a send, by the key of its effect. States: 1 sent … 7 cancelled, 8 accepted, 9 marked for the wire.
CREATE TABLE delivery (
    team_id         uuid NOT NULL,
    effect_key      uuid NOT NULL,
    customer_id     uuid NOT NULL,
    enrolment_id    uuid NOT NULL,
    journey_id      uuid NOT NULL,
    node_id         text NOT NULL,
    channel         smallint NOT NULL,
    account_id      uuid,
    -- The template that it sends, if any: the one to stop when the channel says that it is gone.
    template_id     uuid,
    state           smallint NOT NULL CHECK (state BETWEEN 1 AND 9),
    -- Whether the first answer was "accepted"; the outcome then goes out by mail.
    accepted        boolean NOT NULL,
    reason          text NOT NULL,
    messages        integer NOT NULL,
    price_micros    bigint NOT NULL,
    currency        text NOT NULL,
    -- Which limits it holds places of.
    capped          boolean NOT NULL,
    quota_month     date,
    stop_epoch      bigint NOT NULL,
    not_after       timestamptz,
    depth           integer NOT NULL,
    recipient       text NOT NULL,
    -- msgpack array of request bodies; dropped when settled.
    parts           bytea,
    parts_sent      integer NOT NULL DEFAULT 0,
    message_ids     text[] NOT NULL DEFAULT '{}',
    -- The process that works on it; alive while it holds its advisory lock.
    sender          uuid,
    attempts        integer NOT NULL DEFAULT 0,
    -- Real time, as all of retrying.
    first_attempt_at timestamptz,
    next_attempt_at timestamptz,
    doubtful        boolean NOT NULL DEFAULT false,
    created_at      timestamptz NOT NULL,
    settled_at      timestamptz,
    receipt         smallint NOT NULL DEFAULT 0,
    PRIMARY KEY (team_id, effect_key)
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02);

CREATE INDEX delivery_unsettled ON delivery (team_id, journey_id) WHERE state >= 8;
CREATE INDEX delivery_by_time ON delivery (team_id, created_at, effect_key);

-- Last number of the mail of each customer.
CREATE TABLE customer_mail (
    team_id     uuid NOT NULL,
    customer_id uuid NOT NULL,
    last_number bigint NOT NULL,
    PRIMARY KEY (team_id, customer_id)
) WITH (fillfactor = 80);

-- Append only. Kinds: 1 send settled, 2 receipt, 3 click, 4 content gone. A row with a mail number is mail, too.
CREATE TABLE history (
    partition    smallint NOT NULL,
    position     bigint NOT NULL,
    team_id      uuid NOT NULL,
    customer_id  uuid,
    kind         smallint NOT NULL CHECK (kind BETWEEN 1 AND 4),
    occurred_at  timestamptz NOT NULL,
    event_id     uuid NOT NULL,
    mail_number  bigint,
    depth        integer NOT NULL DEFAULT 0,
    effect_key   uuid,
    enrolment_id uuid,
    journey_id   uuid,
    node_id      text,
    channel      smallint,
    account_id   uuid,
    -- Kind 1: the outcome; kind 2: the receipt; kind 4: 1 bot module, 2 template, 3 account, whose id is the effect key.
    outcome      smallint,
    reason       text NOT NULL DEFAULT '',
    messages     integer NOT NULL DEFAULT 0,
    micros       bigint NOT NULL DEFAULT 0,
    currency     text NOT NULL DEFAULT '',
    PRIMARY KEY (partition, position)
);

CREATE UNIQUE INDEX history_mail ON history (team_id, customer_id, mail_number) WHERE mail_number IS NOT NULL;

-- When a person last wrote to an account: the start of the window for free content.
CREATE TABLE inbound (
    team_id     uuid NOT NULL,
    account_id  uuid NOT NULL,
    external_id text NOT NULL,
    last_at     timestamptz NOT NULL,
    PRIMARY KEY (team_id, account_id, external_id)
);

-- ---------------------------------------------------------------- webhooks in

CREATE TABLE shop (
    team_id      uuid NOT NULL,
    shop_id      text NOT NULL,
    display_name text NOT NULL,
    enabled      boolean NOT NULL DEFAULT true,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    version      bigint NOT NULL DEFAULT 1,
    deleted      boolean NOT NULL DEFAULT false,
    PRIMARY KEY (team_id, shop_id)
);

CREATE TABLE shop_key (
    team_id    uuid NOT NULL,
    shop_id    text NOT NULL,
    key_id     uuid NOT NULL,
    secret     bytea NOT NULL CHECK (length(secret) BETWEEN 24 AND 64),
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    PRIMARY KEY (team_id, shop_id, key_id)
);

-- Bodies as they came. Sources: 1 shop, 2 pixel, 3 LINE, 4 Meta. States: 1 stored, 2 recorded, 3 refused in part or whole.
CREATE TABLE webhook_inbox (
    sequence    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    team_id     uuid NOT NULL,
    source      smallint NOT NULL CHECK (source BETWEEN 1 AND 4),
    -- Shop, or account id.
    origin      text NOT NULL,
    webhook_id  text NOT NULL,
    body        bytea NOT NULL,
    digest      bytea NOT NULL,
    event_count integer NOT NULL,
    received_at timestamptz NOT NULL,
    state       smallint NOT NULL DEFAULT 1 CHECK (state BETWEEN 1 AND 3),
    UNIQUE (team_id, source, origin, webhook_id)
) WITH (fillfactor = 80);

CREATE INDEX webhook_inbox_stored ON webhook_inbox (sequence) WHERE state = 1;

CREATE TABLE inbox_refusal (
    team_id  uuid NOT NULL,
    sequence bigint NOT NULL REFERENCES webhook_inbox,
    index    integer NOT NULL,
    reason   text NOT NULL,
    PRIMARY KEY (team_id, sequence, index)
);

-- ---------------------------------------------------------------- teams apart

SELECT platform.hold_teams_apart(t::regclass)
  FROM unnest(ARRAY['account', 'bot_module', 'template', 'journey_stop', 'journey_usage', 'plan_quota', 'plan_usage',
                    'wallet', 'wallet_entry', 'message_price', 'delivery', 'customer_mail', 'history', 'inbound',
                    'shop', 'shop_key', 'webhook_inbox', 'inbox_refusal']) AS t;

SELECT platform.open_history('history');

-- What the workers must know of all teams before they can bind a transaction to them. With their owner's rights; they give
-- ids, numbers and times only.

-- Who works on deliveries that are not settled.
CREATE FUNCTION unsettled_senders() RETURNS TABLE (team_id uuid, sender uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$ SELECT DISTINCT d.team_id, d.sender FROM delivery AS d WHERE d.state >= 8 $$;

-- How many deliveries are not settled and webhooks not worked, and the domain time of the oldest.
CREATE FUNCTION unsettled(OUT pending bigint, OUT oldest timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    SELECT d.pending + w.pending, LEAST(d.oldest, w.oldest)
      FROM (SELECT count(*) AS pending, min(created_at) AS oldest FROM delivery WHERE state >= 8) AS d,
           (SELECT count(*) AS pending, min(received_at) AS oldest FROM webhook_inbox WHERE state = 1) AS w
$$;

-- The webhooks to be worked next, in order of receipt.
CREATE FUNCTION stored_webhooks(row_max integer) RETURNS TABLE (sequence bigint, team_id uuid, event_count integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    SELECT w.sequence, w.team_id, w.event_count FROM webhook_inbox AS w
     WHERE w.state = 1 ORDER BY w.sequence LIMIT row_max
$$;
