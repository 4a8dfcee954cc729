-- When people were last there and last left, by their own word's time: what comes late changes nothing that is newer. Both are null of what
-- the release before wrote.
ALTER TABLE identity
    ADD COLUMN seen_at timestamptz,
    ADD COLUMN left_at timestamptz,
    ADD CONSTRAINT identity_times_readable CHECK (
        seen_at >= '0001-01-02 00:00+00' AND seen_at < '9999-12-31 00:00+00'
        AND left_at >= '0001-01-02 00:00+00' AND left_at < '9999-12-31 00:00+00') NOT VALID;

-- Who left an account before anything else was heard of them: whoever binds the identity learns of it.
CREATE TABLE departure (
    team_id     uuid NOT NULL,
    channel     smallint NOT NULL CHECK (channel > 0),
    account_id  uuid NOT NULL,
    external_id text NOT NULL,
    left_at     timestamptz NOT NULL,
    PRIMARY KEY (team_id, channel, account_id, external_id),
    CONSTRAINT departure_time_readable CHECK (left_at >= '0001-01-02 00:00+00' AND left_at < '9999-12-31 00:00+00')
);
SELECT platform.hold_teams_apart('departure');

CREATE TYPE timed_identity AS (
    team_id uuid, channel smallint, account_id uuid, external_id text, customer_id uuid, blocked boolean,
    seen_at timestamptz, left_at timestamptz);
CREATE TYPE departed_identity AS (
    team_id uuid, channel smallint, account_id uuid, external_id text, left_at timestamptz);
CREATE TYPE contact_writes_v2 AS (
    bound timed_identity[], switched timed_identity[], departed departed_identity[], learned found_text[]);
