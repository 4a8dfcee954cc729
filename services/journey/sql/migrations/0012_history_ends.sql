-- Nothing is appended to `history` once a record was written: whoever sees a record sees all of it. Processes of the release before
-- append by statements of their own, so it is a trigger that refuses; it holds the heads of the records until they commit. See
-- functions/refuse_history.sql.
CREATE FUNCTION refuse_history() RETURNS trigger
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
CREATE TRIGGER ended BEFORE INSERT ON history FOR EACH STATEMENT EXECUTE FUNCTION refuse_history();
