-- A batch of turns as one statement: leases (partition, epoch) and journeys (id, version) are held, then everything that was
-- decided is written, see `write_turns_v2`. Raises what `hold_leases` and `hold_journeys` raise.
CREATE OR REPLACE FUNCTION commit_turns_v2(
    teams uuid[], partitions smallint[], epochs bigint[], journeys uuid[], versions bigint[],
    now timestamptz, actors actor_row[], enrolments enrolment_row[], verdicts verdict_key[], facts history_row[]
) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
BEGIN
    PERFORM platform.bind(teams);
    PERFORM hold_leases(partitions, epochs);
    IF cardinality(journeys) > 0 THEN
        PERFORM hold_journeys(journeys, versions, false);
    END IF;
    PERFORM write_turns_v2(now, actors, enrolments, verdicts, facts);
END
$$;
