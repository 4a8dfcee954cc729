-- Holds journeys as they are until the transaction ends, in the order of their ids, as everybody locks them. OJ011: one has
-- another version by now.
CREATE OR REPLACE FUNCTION hold_journeys(journeys uuid[], versions bigint[], change boolean) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
BEGIN
    IF change THEN
        PERFORM FROM journey AS j WHERE j.journey_id = ANY (journeys) ORDER BY j.journey_id FOR NO KEY UPDATE;
    ELSE
        PERFORM FROM journey AS j WHERE j.journey_id = ANY (journeys) ORDER BY j.journey_id FOR SHARE;
    END IF;
    -- Looked at after the lock: whoever held it before may have changed the row.
    PERFORM FROM unnest(journeys, versions) AS k (journey_id, version)
       JOIN journey AS j ON j.journey_id = k.journey_id WHERE j.version <> k.version;
    IF FOUND THEN
        RAISE EXCEPTION 'a journey was changed' USING ERRCODE = 'OJ011';
    END IF;
END
$$;
