-- Teams, customers and what happened to them. Text that is compared has its folded form beside it (NFKC, case folded);
-- SQL compares the folded form only. Amounts are micros of the currency's major unit.

CREATE TABLE team (
    team_id     uuid PRIMARY KEY,
    name        text NOT NULL,
    settings    bytea NOT NULL,
    revision    bigint NOT NULL CHECK (revision > 0),
    create_time timestamptz NOT NULL,
    update_time timestamptz NOT NULL,
    -- Taken out of the settings, since every batch of events asks for it.
    unsigned_orders_count boolean NOT NULL
);
SELECT platform.hold_teams_apart('team');

-- Ids of teams in order, for the list of teams: no transaction is bound to all teams, so which they are must be asked
-- with the owner's rights. It tells ids and nothing else.
CREATE FUNCTION team_ids(after uuid, row_max integer) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
    SELECT team_id FROM team WHERE after IS NULL OR team_id > after ORDER BY team_id LIMIT row_max
$$;

-- No column that a checkout changes is indexed, and pages keep room, so that those updates stay in place.
CREATE TABLE customer (
    team_id          uuid NOT NULL,
    customer_id      uuid NOT NULL,
    member_id        text,
    member_id_folded text,
    name             text NOT NULL,
    name_folded      text NOT NULL,
    phone            text,
    email            text,
    email_folded     text,
    customer_interact_time timestamptz,
    team_interact_time     timestamptz,
    marketed_time          timestamptz,
    checkout_time          timestamptz,
    -- Number of the last mail to the customer's actor; taken under the lock of this row, so numbers have no gaps.
    mail_number      bigint NOT NULL CHECK (mail_number >= 0),
    revision         bigint NOT NULL CHECK (revision > 0),
    create_time      timestamptz NOT NULL,
    update_time      timestamptz NOT NULL,
    PRIMARY KEY (team_id, customer_id)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
CREATE UNIQUE INDEX customer_member_id ON customer (team_id, member_id_folded);
-- People share phones and addresses; the one known longest is found first.
CREATE INDEX customer_phone ON customer (team_id, phone, create_time, customer_id) WHERE phone IS NOT NULL;
CREATE INDEX customer_email ON customer (team_id, email_folded, create_time, customer_id) WHERE email_folded IS NOT NULL;
SELECT platform.hold_teams_apart('customer');

CREATE TABLE identity (
    team_id     uuid NOT NULL,
    channel     smallint NOT NULL CHECK (channel > 0),
    account_id  uuid NOT NULL,
    external_id text NOT NULL,
    customer_id uuid NOT NULL,
    blocked     boolean NOT NULL,
    bind_time   timestamptz NOT NULL,
    PRIMARY KEY (team_id, channel, account_id, external_id)
);
CREATE INDEX identity_customer ON identity (team_id, customer_id, channel, account_id);
SELECT platform.hold_teams_apart('identity');

CREATE TABLE browser (
    team_id     uuid NOT NULL,
    token       text NOT NULL,
    customer_id uuid NOT NULL,
    PRIMARY KEY (team_id, token)
);
SELECT platform.hold_teams_apart('browser');

CREATE TABLE customer_tag (
    team_id     uuid NOT NULL,
    customer_id uuid NOT NULL,
    tag_folded  text NOT NULL,
    tag         text NOT NULL,
    apply_time  timestamptz NOT NULL,
    PRIMARY KEY (team_id, customer_id, tag_folded)
);
CREATE INDEX customer_tag_tag ON customer_tag (team_id, tag_folded, customer_id);
SELECT platform.hold_teams_apart('customer_tag');

CREATE TABLE attribute (
    team_id      uuid NOT NULL,
    key          text NOT NULL,
    display_name text NOT NULL,
    type         smallint NOT NULL CHECK (type BETWEEN 1 AND 4),
    archived     boolean NOT NULL,
    revision     bigint NOT NULL CHECK (revision > 0),
    create_time  timestamptz NOT NULL,
    update_time  timestamptz NOT NULL,
    PRIMARY KEY (team_id, key)
);
SELECT platform.hold_teams_apart('attribute');

-- A value counts while the definition has the type under which it was set. `number_value` is the same value for types
-- that are compared as numbers.
CREATE TABLE customer_attribute (
    team_id      uuid NOT NULL,
    customer_id  uuid NOT NULL,
    key          text NOT NULL,
    type         smallint NOT NULL CHECK (type BETWEEN 1 AND 4),
    value        text NOT NULL,
    value_folded text NOT NULL,
    number_value numeric CHECK ((number_value IS NULL) = (type <> 2)),
    PRIMARY KEY (team_id, customer_id, key)
);
SELECT platform.hold_teams_apart('customer_attribute');

-- Named `shop_order` since "order" is a word of SQL. `uncounted` 0: it counts, and its checkout was told.
CREATE TABLE shop_order (
    team_id     uuid NOT NULL,
    shop_id     text NOT NULL,
    order_id    text NOT NULL,
    order_key   uuid NOT NULL,
    customer_id uuid,
    uncounted   smallint NOT NULL CHECK (uncounted BETWEEN 0 AND 4),
    occur_time  timestamptz NOT NULL,
    body        bytea NOT NULL,
    PRIMARY KEY (team_id, shop_id, order_id),
    CHECK (customer_id IS NOT NULL OR uncounted <> 0)
);
SELECT platform.hold_teams_apart('shop_order');

CREATE TABLE refund (
    team_id     uuid NOT NULL,
    shop_id     text NOT NULL,
    refund_id   text NOT NULL,
    refund_key  uuid NOT NULL,
    customer_id uuid,
    uncounted   smallint NOT NULL CHECK (uncounted BETWEEN 0 AND 4),
    occur_time  timestamptz NOT NULL,
    body        bytea NOT NULL,
    PRIMARY KEY (team_id, shop_id, refund_id),
    CHECK (customer_id IS NOT NULL OR uncounted <> 0)
);
SELECT platform.hold_teams_apart('refund');

-- Reports that were taken, by their key.
CREATE TABLE event_key (
    team_id     uuid NOT NULL,
    event_key   text NOT NULL,
    digest      bytea NOT NULL,
    customer_id uuid,
    PRIMARY KEY (team_id, event_key)
);
SELECT platform.hold_teams_apart('event_key');

-- Effects that were applied, with their first answers.
CREATE TABLE effect (
    team_id    uuid NOT NULL,
    effect_key uuid NOT NULL,
    digest     bytea NOT NULL,
    status     smallint NOT NULL CHECK (status BETWEEN 1 AND 3),
    reason     text NOT NULL,
    PRIMARY KEY (team_id, effect_key)
);
SELECT platform.hold_teams_apart('effect');

-- The history. Append-only; rows with a mail number are mail to the customer's actor.
CREATE TABLE fact (
    partition   smallint NOT NULL CHECK (partition BETWEEN 0 AND 63),
    position    bigint NOT NULL CHECK (position > 0),
    team_id     uuid NOT NULL,
    customer_id uuid,
    event_id    uuid NOT NULL,
    occur_time  timestamptz NOT NULL,
    record_time timestamptz NOT NULL,
    depth       integer NOT NULL CHECK (depth >= 0),
    mail_number bigint CHECK (mail_number > 0),
    body        bytea NOT NULL,
    PRIMARY KEY (partition, position),
    CHECK (mail_number IS NULL OR customer_id IS NOT NULL)
);
-- Gaps are found and doubles refused by it.
CREATE UNIQUE INDEX fact_mail ON fact (team_id, customer_id, mail_number) WHERE mail_number IS NOT NULL;
CREATE INDEX fact_time ON fact (team_id, occur_time, partition, position);
SELECT platform.hold_teams_apart('fact');
SELECT platform.open_history('fact');

CREATE TABLE saved_audience (
    team_id     uuid NOT NULL,
    audience_id uuid NOT NULL,
    name        text NOT NULL,
    name_folded text NOT NULL,
    audience    bytea NOT NULL,
    revision    bigint NOT NULL CHECK (revision > 0),
    create_time timestamptz NOT NULL,
    update_time timestamptz NOT NULL,
    PRIMARY KEY (team_id, audience_id)
);
CREATE UNIQUE INDEX saved_audience_name ON saved_audience (team_id, name_folded);
SELECT platform.hold_teams_apart('saved_audience');
