-- Locks the stop epochs of journeys shared until the commit, and makes the rows that are missing. `stops` in the order of their
-- keys, without doubles. OJ102: a journey was stopped since.
CREATE OR REPLACE FUNCTION hold_stops_v2(stops stop_row[]) RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    stop stop_row;
    present bigint;
BEGIN
    FOREACH stop IN ARRAY stops LOOP
        SELECT s.epoch INTO present FROM journey_stop AS s
         WHERE s.team_id = stop.team_id AND s.journey_id = stop.journey_id FOR SHARE;
        IF NOT FOUND THEN
            INSERT INTO journey_stop (team_id, journey_id, epoch) VALUES (stop.team_id, stop.journey_id, 0)
                ON CONFLICT DO NOTHING;
            SELECT s.epoch INTO present FROM journey_stop AS s
             WHERE s.team_id = stop.team_id AND s.journey_id = stop.journey_id FOR SHARE;
        END IF;
        IF stop.epoch < present THEN
            RAISE EXCEPTION 'the journey was stopped' USING ERRCODE = 'OJ102';
        END IF;
    END LOOP;
END
$$;
