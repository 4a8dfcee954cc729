-- Called by functions that only the release before calls, with the customers whom it is about to work for: once an actor is packed,
-- that release must not touch it. 57P03 (cannot connect now) makes its workers wait, and parks nobody.
CREATE OR REPLACE FUNCTION refuse_before(partitions smallint[], team_ids uuid[], customers uuid[]) RETURNS void
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $$
BEGIN
    PERFORM FROM unnest(partitions, team_ids, customers) AS k (partition, team_id, customer_id)
       JOIN actor AS a ON a.partition = k.partition AND a.team_id = k.team_id AND a.customer_id = k.customer_id
      WHERE a.state IS NOT NULL OR a.verdicts IS NOT NULL;
    IF FOUND THEN
        RAISE EXCEPTION 'turns are stored in the form of a later release: stop this process'
            USING ERRCODE = 'cannot_connect_now';
    END IF;
END
$$;
