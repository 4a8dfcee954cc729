-- Merges of customers: who asked for what, and how far each is. `state` is an OperationState, `step` a MergeStep: the one that is being
-- done. `due_at` is real time; who takes a step moves it on and raises `version`, by which a step that was overtaken writes nothing.
-- `last_mail_number` is the last of the mail of the one who goes.
CREATE TABLE customer_merge (
    team_id           uuid NOT NULL,
    customer_merge_id uuid NOT NULL,
    survivor_id       uuid NOT NULL,
    loser_id          uuid NOT NULL,
    actor             text NOT NULL,
    last_mail_number  bigint NOT NULL,
    state             smallint NOT NULL,
    step              smallint NOT NULL,
    waits_for         text NOT NULL DEFAULT '',
    version           bigint NOT NULL DEFAULT 0,
    tries             smallint NOT NULL DEFAULT 0,
    due_at            timestamptz NOT NULL DEFAULT clock_timestamp(),
    create_time       timestamptz NOT NULL,
    end_time          timestamptz,
    PRIMARY KEY (team_id, customer_merge_id),
    UNIQUE (team_id, loser_id),
    CHECK (survivor_id <> loser_id)
);
CREATE INDEX customer_merge_newest ON customer_merge (team_id, create_time DESC, customer_merge_id DESC);
CREATE INDEX customer_merge_due ON customer_merge (due_at) WHERE end_time IS NULL;
CREATE INDEX customer_merge_into ON customer_merge (team_id, survivor_id) WHERE end_time IS NULL;
SELECT platform.hold_teams_apart('customer_merge');

-- Customers who were merged, as they were, and who they are now: never somebody who was merged in turn.
CREATE TABLE merged_customer (
    team_id                uuid NOT NULL,
    customer_id            uuid NOT NULL,
    survivor_id            uuid NOT NULL,
    member_id              text,
    name                   text NOT NULL,
    phone                  text,
    email                  text,
    customer_interact_time timestamptz,
    team_interact_time     timestamptz,
    marketed_time          timestamptz,
    checkout_time          timestamptz,
    mail_number            bigint NOT NULL,
    revision               bigint NOT NULL,
    create_time            timestamptz NOT NULL,
    update_time            timestamptz NOT NULL,
    PRIMARY KEY (team_id, customer_id),
    CHECK (customer_id <> survivor_id),
    CONSTRAINT merged_customer_times_readable CHECK (
        customer_interact_time >= '0001-01-02 00:00+00' AND customer_interact_time < '9999-12-31 00:00+00'
        AND team_interact_time >= '0001-01-02 00:00+00' AND team_interact_time < '9999-12-31 00:00+00'
        AND marketed_time >= '0001-01-02 00:00+00' AND marketed_time < '9999-12-31 00:00+00'
        AND checkout_time >= '0001-01-02 00:00+00' AND checkout_time < '9999-12-31 00:00+00')
);
CREATE INDEX merged_customer_of_survivor ON merged_customer (team_id, survivor_id);
SELECT platform.hold_teams_apart('merged_customer');

-- Member ids (kind 1), e-mail addresses (2) and phones (3) that led to customers who were merged, folded as customers have them: they lead
-- to `customer_id` where nobody has them.
CREATE TABLE customer_alias (
    team_id     uuid NOT NULL,
    kind        smallint NOT NULL CHECK (kind BETWEEN 1 AND 3),
    text        text NOT NULL,
    customer_id uuid NOT NULL,
    PRIMARY KEY (team_id, kind, text)
);
CREATE INDEX customer_alias_of_customer ON customer_alias (team_id, customer_id);
SELECT platform.hold_teams_apart('customer_alias');

CREATE TYPE merged_pair AS (team_id uuid, customer_id uuid, survivor_id uuid);
