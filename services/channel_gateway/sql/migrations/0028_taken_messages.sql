-- Messages of which a channel says that it has them, whatever became of the answer to their requests, of sends that are not settled yet or
-- unknown. What is told of a send is taken, with its row, when the send is settled.
CREATE TABLE taken_message (
    team_id    uuid NOT NULL,
    effect_key uuid NOT NULL,
    number     smallint NOT NULL CHECK (number >= 0),
    message_id text NOT NULL,
    reported_at    timestamptz NOT NULL CHECK (reported_at >= '0001-01-02 00:00:00+00' AND reported_at < '9999-12-31 00:00:00+00'),
    PRIMARY KEY (team_id, effect_key, number)
);
SELECT platform.hold_teams_apart('taken_message');
