-- By which id somebody was known until when: what they wrote before that and is told after it is theirs. Kept for as long as a
-- channel may be late, whether anybody had the identity or not.
CREATE TABLE moved_identity (
    team_id     uuid NOT NULL,
    channel     smallint NOT NULL CHECK (channel > 0),
    account_id  uuid NOT NULL,
    external_id text NOT NULL,
    moved_at    timestamptz NOT NULL,
    moved_to    text NOT NULL,
    PRIMARY KEY (team_id, channel, account_id, external_id, moved_at),
    CONSTRAINT moved_identity_time_readable CHECK (moved_at >= '0001-01-02 00:00+00' AND moved_at < '9999-12-31 00:00+00')
);
SELECT platform.hold_teams_apart('moved_identity');
