-- How many rebuilds, of any team, wait or run. Nobody begins one until the transaction ends, and none that begins meanwhile is missed.
-- It runs with its owner's rights, since a caller of one team sees that team's only; it returns a number.
CREATE OR REPLACE FUNCTION count_unfinished_rebuilds() RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('stats.rebuild', 0));
    RETURN (SELECT count(*) FROM rebuild AS r WHERE r.state IN (operation_state('PENDING'), operation_state('RUNNING')));
END
$$;
