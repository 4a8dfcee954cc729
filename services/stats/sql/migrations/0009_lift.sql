-- Whom splits sent on and whom they held out, each by the first time that they came there.
CREATE TABLE split_member (
    team_id     uuid NOT NULL,
    customer_id uuid NOT NULL,
    journey_id  uuid NOT NULL,
    node_id     text NOT NULL,
    held_out    boolean NOT NULL,
    came_at     timestamptz NOT NULL CHECK (came_at >= '0001-01-02 00:00+00' AND came_at < '9999-12-31 00:00+00'),
    PRIMARY KEY (team_id, journey_id, node_id, customer_id)
);
SELECT platform.hold_teams_apart('split_member');
SELECT platform.sample_lightly('split_member');

CREATE TYPE split_row AS (
    team_id     uuid,
    journey_id  uuid,
    node_id     text,
    customer_id uuid,
    held_out    boolean,
    came_at     timestamptz
);
