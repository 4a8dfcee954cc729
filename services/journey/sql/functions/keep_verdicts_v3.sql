-- Keeps what conditions came to in the rows of their actors, before anything is done because of it. Not waited for: what is done
-- because of it is committed later in the same log, so after it. Verdicts in the form of the release before come first: where there are
-- any of `keys`, they are returned and nothing is written, unless `moved` says that the rows have them. `known`: see `commit_turns_v4`.
-- OJ012: an actor was written by somebody else since its turn began.
CREATE OR REPLACE FUNCTION keep_verdicts_v3(
    teams uuid[], partitions smallint[], epochs bigint[], rows verdicts_row[], enrolments uuid[], keys uuid[], moved boolean,
    known uuid[], known_versions bigint[]
)
RETURNS TABLE (key uuid, belongs boolean, reason text)
LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
DECLARE
    written bigint;
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    PERFORM platform.bind(teams);
    PERFORM hold_leases(partitions, epochs);
    IF known IS NOT NULL THEN
        PERFORM prove_journeys(teams, known, known_versions);
    END IF;
    IF moved THEN
        DELETE FROM verdict AS v USING unnest(enrolments, keys) AS k (enrolment_id, key)
         WHERE v.team_id = ANY (teams) AND v.enrolment_id = k.enrolment_id AND v.key = k.key;
    ELSIF EXISTS (SELECT FROM verdict) THEN
        RETURN QUERY
            SELECT v.key, v.belongs, v.reason FROM verdict AS v JOIN unnest(enrolments, keys) AS k (enrolment_id, key)
                ON v.enrolment_id = k.enrolment_id AND v.key = k.key;
        IF FOUND THEN
            RETURN;
        END IF;
    END IF;
    INSERT INTO actor AS a (partition, team_id, customer_id, verdicts, version)
    SELECT n.partition, n.team_id, n.customer_id, n.verdicts, n.version FROM unnest(rows) AS n
    ON CONFLICT (partition, team_id, customer_id) DO UPDATE SET verdicts = excluded.verdicts WHERE a.version = excluded.version;
    GET DIAGNOSTICS written = ROW_COUNT;
    IF written < cardinality(rows) THEN
        RAISE EXCEPTION 'an actor was written by somebody else' USING ERRCODE = 'OJ012';
    END IF;
END
$$;
