-- Refuses facts in the form of the release before once records are written for their shard: a fact must not get a position below one
-- that was read. The writer holds the head of its partition, for which the first record of the shard waits.
CREATE OR REPLACE FUNCTION refuse_old_fact() RETURNS trigger
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
    IF (SELECT h.old_end FROM record_head AS h WHERE h.shard = NEW.partition % 8) IS NOT NULL THEN
        RAISE EXCEPTION 'a gateway of a later release writes the history: stop the gateways of the release before'
            USING ERRCODE = 'OJ105';
    END IF;
    RETURN NEW;
END
$$;
