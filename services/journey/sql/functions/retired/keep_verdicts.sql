-- Keeps what conditions came to, before anything is done because of it; returns the first verdict of each key. Not waited for:
-- what is done because of it is committed later in the same log, so after it.
CREATE OR REPLACE FUNCTION keep_verdicts(teams uuid[], partitions smallint[], epochs bigint[],
                              team_ids uuid[], enrolments uuid[], keys uuid[], belong boolean[], reasons text[])
RETURNS TABLE (key uuid, belongs boolean, reason text)
LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    PERFORM platform.bind(teams);
    PERFORM hold_leases(partitions, epochs);
    RETURN QUERY
        INSERT INTO verdict AS v (team_id, enrolment_id, key, belongs, reason)
        SELECT * FROM unnest(team_ids, enrolments, keys, belong, reasons)
        ON CONFLICT (team_id, enrolment_id, key) DO UPDATE SET belongs = v.belongs
        RETURNING v.key, v.belongs, v.reason;
END
$$;
