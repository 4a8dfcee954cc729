-- What links of messages lead to: a row for each address that a team sends, however often and to whomever. A send has no row of its
-- links: their tokens name the address and the send.
CREATE TABLE link_target (
    link_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    team_id    uuid NOT NULL,
    digest     bytea NOT NULL CHECK (length(digest) = 16),
    url        text NOT NULL CHECK (length(url) BETWEEN 8 AND 2000),
    created_at timestamptz NOT NULL CHECK (created_at >= '0001-01-02 00:00+00' AND created_at < '9999-12-31 00:00+00'),
    UNIQUE (team_id, digest)
);
SELECT platform.hold_teams_apart('link_target');

-- The one key that tokens are made with, sealed as other secrets are. It never changes: links that were sent hold it.
CREATE TABLE link_key (
    link_key_id smallint PRIMARY KEY CHECK (link_key_id = 1),
    sealed      bytea NOT NULL CHECK (length(sealed) BETWEEN 37 AND 256)
);

-- A link in the message of a send, from the first time that it is opened.
CREATE TABLE tracked_link (
    team_id          uuid NOT NULL,
    effect_key       uuid NOT NULL,
    link_id          bigint NOT NULL,
    journey_id       uuid NOT NULL,
    node_id          text NOT NULL,
    customer_id      uuid NOT NULL,
    sent_at          timestamptz NOT NULL CHECK (sent_at >= '0001-01-02 00:00+00' AND sent_at < '9999-12-31 00:00+00'),
    clicks           bigint NOT NULL CHECK (clicks >= 0),
    automated_clicks bigint NOT NULL CHECK (automated_clicks >= 0),
    opened_at        timestamptz NOT NULL CHECK (opened_at >= '0001-01-02 00:00+00' AND opened_at < '9999-12-31 00:00+00'),
    last_click_at    timestamptz CHECK (last_click_at >= '0001-01-02 00:00+00' AND last_click_at < '9999-12-31 00:00+00'),
    PRIMARY KEY (team_id, effect_key, link_id)
);
CREATE INDEX tracked_link_by_time ON tracked_link (team_id, opened_at, effect_key, link_id);
CREATE INDEX tracked_link_of_journey ON tracked_link (team_id, journey_id, opened_at, effect_key, link_id);
SELECT platform.hold_teams_apart('tracked_link');
SELECT platform.sample_lightly('tracked_link');

-- Every opening. `agent`: the program that it was, empty for a person.
CREATE TABLE link_click (
    team_id    uuid NOT NULL,
    effect_key uuid NOT NULL,
    link_id    bigint NOT NULL,
    click_id   uuid NOT NULL,
    clicked_at timestamptz NOT NULL CHECK (clicked_at >= '0001-01-02 00:00+00' AND clicked_at < '9999-12-31 00:00+00'),
    agent      text NOT NULL CHECK (length(agent) <= 100),
    PRIMARY KEY (team_id, effect_key, link_id, click_id)
);
SELECT platform.hold_teams_apart('link_click');
SELECT platform.sample_lightly('link_click');

-- A link that was opened, together with others of the same batch.
CREATE TYPE opened_row AS (
    team_id     uuid,
    effect_key  uuid,
    link_id     bigint,
    journey_id  uuid,
    node_id     text,
    customer_id uuid,
    sent_at     timestamptz,
    click_id    uuid,
    agent       text
);
