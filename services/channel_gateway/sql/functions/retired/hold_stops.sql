-- Holds the stop epochs of journeys shared until the commit, and makes the rows that are missing. `epochs`: the lowest in which
-- sends of each were decided. OJ102: a journey was stopped since.
CREATE OR REPLACE FUNCTION hold_stops(teams uuid[], journeys uuid[], epochs bigint[]) RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    present bigint;
BEGIN
    FOR n IN 1 .. cardinality(teams) LOOP
        SELECT s.epoch INTO present FROM journey_stop AS s
         WHERE s.team_id = teams[n] AND s.journey_id = journeys[n] FOR SHARE;
        IF NOT FOUND THEN
            INSERT INTO journey_stop (team_id, journey_id, epoch) VALUES (teams[n], journeys[n], 0) ON CONFLICT DO NOTHING;
            SELECT s.epoch INTO present FROM journey_stop AS s
             WHERE s.team_id = teams[n] AND s.journey_id = journeys[n] FOR SHARE;
        END IF;
        IF epochs[n] < present THEN
            RAISE EXCEPTION 'the journey was stopped' USING ERRCODE = 'OJ102';
        END IF;
    END LOOP;
END
$$;
