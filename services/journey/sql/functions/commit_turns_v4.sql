-- A batch of turns as one statement: leases (partition, epoch) and the journeys that were used (id, version) are held, then everything
-- that was decided is written, see `write_turns_v3`. `known` are all journeys that the turns went by, if nothing has proven them yet;
-- otherwise null. Raises what `hold_leases`, `hold_journeys`, `prove_journeys` and `write_turns_v3` raise.
CREATE OR REPLACE FUNCTION commit_turns_v4(
    teams uuid[], partitions smallint[], epochs bigint[], journeys uuid[], versions bigint[], known uuid[], known_versions bigint[],
    actors packed_actor_row[], enrolments listed_enrolment_row[], commit_key bigint, records record_row[]
) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
BEGIN
    PERFORM platform.bind(teams);
    PERFORM hold_leases(partitions, epochs);
    IF cardinality(journeys) > 0 THEN
        PERFORM hold_journeys(journeys, versions, false);
    END IF;
    IF known IS NOT NULL THEN
        PERFORM prove_journeys(teams, known, known_versions);
    END IF;
    PERFORM write_turns_v3(actors, enrolments, commit_key, records);
END
$$;
