-- Before anything is appended to `history`, which only the release before does: once a record was written, nothing may be. 57P03 (cannot
-- connect now) makes its workers wait, and parks nobody.
CREATE OR REPLACE FUNCTION refuse_history() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
BEGIN
    PERFORM FROM record_head ORDER BY shard FOR SHARE;
    IF EXISTS (SELECT FROM record_head WHERE position > 0) THEN
        RAISE EXCEPTION 'history is written in the form of a later release: stop this process'
            USING ERRCODE = 'cannot_connect_now';
    END IF;
    RETURN NULL;
END
$$;
