-- Keeps what conditions came to in the rows of their actors, before anything is done because of it. Not waited for: what is done
-- because of it is committed later in the same log, so after it. Verdicts in the form of the release before come first: where there are
-- any of `keys`, they are returned and nothing is written, unless `moved` says that the rows have them.
CREATE OR REPLACE FUNCTION keep_verdicts_v2(
    teams uuid[], partitions smallint[], epochs bigint[], rows verdicts_row[], enrolments uuid[], keys uuid[], moved boolean
)
RETURNS TABLE (key uuid, belongs boolean, reason text)
LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    PERFORM platform.bind(teams);
    PERFORM hold_leases(partitions, epochs);
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
    INSERT INTO actor (partition, team_id, customer_id, verdicts)
    SELECT n.partition, n.team_id, n.customer_id, n.verdicts FROM unnest(rows) AS n
    ON CONFLICT (partition, team_id, customer_id) DO UPDATE SET verdicts = excluded.verdicts;
END
$$;
