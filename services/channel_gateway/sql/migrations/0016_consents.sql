-- What a team's customers said through the API, whatever channels they are on; channel 0: all. `opt_out` has what people said themselves.
CREATE TABLE consent (
    team_id     uuid NOT NULL,
    customer_id uuid NOT NULL,
    channel     smallint NOT NULL CHECK (channel BETWEEN 0 AND 4),
    withdrawn   boolean NOT NULL,
    -- As segment.v1.ConsentSource.
    source      smallint NOT NULL CHECK (source BETWEEN 1 AND 4),
    changed_at  timestamptz NOT NULL,
    PRIMARY KEY (team_id, customer_id, channel),
    CONSTRAINT consent_time_readable CHECK (changed_at >= '0001-01-02 00:00+00' AND changed_at < '9999-12-31 00:00+00')
);
SELECT platform.hold_teams_apart('consent');

-- The changes of both, for good. Of a customer, or of somebody on a channel whose customer the gateway does not know.
CREATE TABLE consent_change (
    team_id      uuid NOT NULL,
    change_id    uuid NOT NULL,
    customer_id  uuid,
    channel      smallint NOT NULL CHECK (channel BETWEEN 0 AND 4),
    external_id  text,
    withdrawn    boolean NOT NULL,
    -- As segment.v1.ConsentState; 0: nothing was said before.
    before_state smallint NOT NULL CHECK (before_state BETWEEN 0 AND 2),
    source       smallint NOT NULL CHECK (source BETWEEN 1 AND 4),
    note         text NOT NULL CHECK (length(note) <= 500),
    actor        text NOT NULL CHECK (length(actor) <= 200),
    changed_at   timestamptz NOT NULL,
    PRIMARY KEY (team_id, change_id),
    CONSTRAINT consent_change_of_one CHECK ((customer_id IS NULL) <> (external_id IS NULL)),
    CONSTRAINT consent_change_time_readable CHECK (changed_at >= '0001-01-02 00:00+00' AND changed_at < '9999-12-31 00:00+00')
);
CREATE INDEX consent_change_of_customer ON consent_change (team_id, customer_id, changed_at, change_id) WHERE customer_id IS NOT NULL;
CREATE INDEX consent_change_of_person ON consent_change (team_id, channel, external_id, changed_at, change_id)
 WHERE external_id IS NOT NULL;
SELECT platform.hold_teams_apart('consent_change');

-- Sources have the contract's numbers from now on, 2 by a word in the chat, 3 by the channel's own signal.
UPDATE opt_out SET source = source - 1 WHERE source > 2;
