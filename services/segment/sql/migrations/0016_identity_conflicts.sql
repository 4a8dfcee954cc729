-- Two customers whom one event named. A pair is kept once, whichever of the two an event went to.
CREATE TABLE identity_conflict (
    team_id              uuid NOT NULL,
    identity_conflict_id uuid NOT NULL,
    customer_id          uuid NOT NULL,
    other_customer_id    uuid NOT NULL,
    matched_field        text NOT NULL,
    other_matched_field  text NOT NULL,
    resolved             boolean NOT NULL DEFAULT false,
    create_time          timestamptz NOT NULL,
    PRIMARY KEY (team_id, identity_conflict_id),
    CHECK (customer_id <> other_customer_id)
);
CREATE UNIQUE INDEX identity_conflict_pair
    ON identity_conflict (team_id, LEAST(customer_id, other_customer_id), GREATEST(customer_id, other_customer_id));
CREATE INDEX identity_conflict_newest ON identity_conflict (team_id, create_time DESC, identity_conflict_id DESC);
SELECT platform.hold_teams_apart('identity_conflict');

CREATE TYPE new_conflict AS (
    team_id uuid, identity_conflict_id uuid, customer_id uuid, other_customer_id uuid, matched_field text,
    other_matched_field text);

-- As `usual_event`; `other_…` are hints beside the one that was followed: none may lead to somebody else whom no conflict is kept of.
CREATE TYPE usual_event_v2 AS (
    place integer, team_id uuid, customer_id uuid, event_key text, digest bytea, customer_interact_time timestamptz,
    checkout_time timestamptz, has_name boolean, has_member_id boolean, has_phone boolean, has_email boolean,
    partition smallint, event_id uuid, occur_time timestamptz, body bytea, channel smallint, account_id uuid,
    external_id text, shop_id text, order_id text, order_key uuid, order_body bytea, by_member_id text, by_phone text,
    by_email text, other_member_id text, other_phone text, other_email text);
