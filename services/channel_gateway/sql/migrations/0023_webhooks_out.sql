-- Who is told of contact events. States: 1 active, 2 paused, 3 gone. `sealed`: its signing keys. The rest is of the breaker and of the
-- turns that endpoints take, in real time: failures in a row, when it is called again, when it was last looked at.
CREATE TABLE webhook_subscription (
    team_id         uuid NOT NULL,
    subscription_id uuid NOT NULL,
    url             text NOT NULL CHECK (length(url) BETWEEN 8 AND 2000),
    event_types     text[] NOT NULL CHECK (cardinality(event_types) BETWEEN 1 AND 20),
    state           smallint NOT NULL CHECK (state BETWEEN 1 AND 3),
    sealed          bytea NOT NULL CHECK (length(sealed) BETWEEN 37 AND 1024),
    created_at      timestamptz NOT NULL CHECK (created_at >= '0001-01-02 00:00+00' AND created_at < '9999-12-31 00:00+00'),
    updated_at      timestamptz NOT NULL CHECK (updated_at >= '0001-01-02 00:00+00' AND updated_at < '9999-12-31 00:00+00'),
    version         bigint NOT NULL DEFAULT 1,
    failures        integer NOT NULL DEFAULT 0 CHECK (failures >= 0),
    closed_until    timestamptz,
    looked_at       timestamptz NOT NULL DEFAULT '1970-01-02 00:00+00',
    PRIMARY KEY (team_id, subscription_id)
);
SELECT platform.hold_teams_apart('webhook_subscription');

-- Webhooks that go out, until they are taken. `dead_at`: given up; such a one waits for a person. Times of attempts are real.
CREATE TABLE outgoing_webhook (
    team_id         uuid NOT NULL,
    subscription_id uuid NOT NULL,
    webhook_id      uuid NOT NULL,
    event_type      text NOT NULL,
    body            bytea NOT NULL CHECK (length(body) <= 65536),
    occurred_at     timestamptz NOT NULL CHECK (occurred_at >= '0001-01-02 00:00+00' AND occurred_at < '9999-12-31 00:00+00'),
    attempts        integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    next_at         timestamptz NOT NULL,
    give_up_at      timestamptz NOT NULL,
    last_error      text NOT NULL DEFAULT '',
    dead_at         timestamptz,
    PRIMARY KEY (team_id, subscription_id, webhook_id)
);
CREATE INDEX outgoing_webhook_due ON outgoing_webhook (team_id, subscription_id, next_at) WHERE dead_at IS NULL;
CREATE INDEX outgoing_webhook_dead ON outgoing_webhook (team_id, dead_at, webhook_id) WHERE dead_at IS NOT NULL;
SELECT platform.hold_teams_apart('outgoing_webhook');
SELECT platform.sample_lightly('outgoing_webhook');

-- Calls of an address, the latest. `reason`: why there was no answer.
CREATE TABLE webhook_attempt (
    team_id         uuid NOT NULL,
    subscription_id uuid NOT NULL,
    attempt_id      uuid NOT NULL,
    webhook_id      uuid NOT NULL,
    event_type      text NOT NULL,
    attempt         integer NOT NULL,
    status_code     integer NOT NULL,
    reason          text NOT NULL,
    duration_ms     integer NOT NULL,
    attempted_at    timestamptz NOT NULL,
    PRIMARY KEY (team_id, subscription_id, attempt_id)
);
SELECT platform.hold_teams_apart('webhook_attempt');
SELECT platform.sample_lightly('webhook_attempt');

-- How far the history of segment is taken.
CREATE TABLE contact_cursor (
    partition smallint PRIMARY KEY CHECK (partition BETWEEN 0 AND 63),
    position  bigint NOT NULL DEFAULT 0 CHECK (position >= 0)
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
INSERT INTO contact_cursor (partition) SELECT generate_series(0, 63);

CREATE TABLE contact_row_set_aside (
    partition   smallint NOT NULL,
    position    bigint NOT NULL,
    reason      text NOT NULL,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (partition, position)
);

CREATE TYPE contact_step AS (partition smallint, before bigint, after bigint);
CREATE TYPE contact_event_row AS (
    team_id     uuid,
    event_id    uuid,
    event_type  text,
    occurred_at timestamptz,
    body        bytea
);
