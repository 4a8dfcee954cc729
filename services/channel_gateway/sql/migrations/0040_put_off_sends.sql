-- Sends in doubt that were put off: they may have left, and keep their places until they are asked for again, or until the channel cannot be
-- asked any more.
CREATE TABLE put_off_send (
    team_id          uuid NOT NULL,
    effect_key       uuid NOT NULL,
    first_attempt_at timestamptz NOT NULL
        CHECK (first_attempt_at >= '0001-01-02 00:00:00+00' AND first_attempt_at < '9999-12-31 00:00:00+00'),
    PRIMARY KEY (team_id, effect_key)
);
SELECT platform.hold_teams_apart('put_off_send');
CREATE INDEX put_off_send_by_time ON put_off_send (first_attempt_at);
INSERT INTO put_off_send (team_id, effect_key, first_attempt_at)
SELECT d.team_id, d.effect_key, COALESCE(d.first_attempt_at, clock_timestamp()) FROM delivery AS d WHERE d.state = 4 AND d.doubtful;
