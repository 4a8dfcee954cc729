-- Who wants no messages of a team on a channel, whichever of its accounts they come from.
CREATE TABLE opt_out (
    team_id     uuid NOT NULL,
    channel     smallint NOT NULL CHECK (channel BETWEEN 1 AND 4),
    external_id text NOT NULL,
    -- False: wanted again; kept, so that what was said before and comes late changes nothing.
    withdrawn   boolean NOT NULL,
    -- As segment.v1.ConsentSource: 3 by a word in the chat, 4 by the channel's own signal.
    source      smallint NOT NULL CHECK (source BETWEEN 1 AND 4),
    changed_at  timestamptz NOT NULL,
    PRIMARY KEY (team_id, channel, external_id),
    CONSTRAINT opt_out_time_readable CHECK (changed_at >= '0001-01-02 00:00+00' AND changed_at < '9999-12-31 00:00+00')
);
SELECT platform.hold_teams_apart('opt_out');

-- Channels say when people wrote.
ALTER TABLE inbound ADD CONSTRAINT inbound_time_readable CHECK (
    last_at >= '0001-01-02 00:00+00' AND last_at < '9999-12-31 00:00+00'
) NOT VALID;
