-- Whether the journeys of these teams that customers can be in are exactly these, in these versions: what a turn relies on that did not
-- load them. OJ011: they are not.
CREATE OR REPLACE FUNCTION prove_journeys(teams uuid[], journeys uuid[], versions bigint[]) RETURNS void
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $$
DECLARE
    found bigint;
    known bigint;
BEGIN
    PERFORM platform.bind(teams);
    SELECT count(*), count(k.journey_id) INTO found, known
      FROM journey AS j LEFT JOIN unnest(journeys, versions) AS k (journey_id, version)
        ON k.journey_id = j.journey_id AND k.version = j.version
     WHERE j.team_id = ANY (teams) AND j.deleted_at IS NULL
       AND j.status IN (journey_status('SCHEDULED'), journey_status('ACTIVE'), journey_status('TRIGGER_CLOSED'),
                        journey_status('STOPPING'));
    IF known < found OR found < cardinality(journeys) THEN
        RAISE EXCEPTION 'a journey was changed' USING ERRCODE = 'OJ011';
    END IF;
END
$$;
