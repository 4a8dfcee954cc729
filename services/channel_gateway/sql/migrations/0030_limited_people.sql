-- People to whom a channel delivers no marketing for now: WhatsApp limits what one person gets of all businesses (131049), and asks not to try
-- again within a day. Kept for that day.
CREATE TABLE limited_person (
    team_id     uuid NOT NULL,
    channel     smallint NOT NULL CHECK (channel BETWEEN 1 AND 4),
    external_id text NOT NULL,
    noted_at    timestamptz NOT NULL CHECK (noted_at >= '0001-01-02 00:00:00+00' AND noted_at < '9999-12-31 00:00:00+00'),
    PRIMARY KEY (team_id, channel, external_id)
);
CREATE INDEX limited_person_by_time ON limited_person (noted_at);
SELECT platform.hold_teams_apart('limited_person');
