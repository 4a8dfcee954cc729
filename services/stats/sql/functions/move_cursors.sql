-- Moves a history's cursors by `steps`. `counted` is the sum of all of the history's cursors as the page was read.
-- OJ003: the cursors are not where they were; the transaction is to be undone.
CREATE OR REPLACE FUNCTION move_cursors(history smallint, counted bigint, steps cursor_step[]) RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    moved bigint;
BEGIN
    IF (SELECT sum(c.position) FROM cursor AS c WHERE c.source = history) <> counted THEN
        RAISE EXCEPTION 'the cursors of history % have moved', history USING ERRCODE = 'OJ003';
    END IF;
    -- Whoever else counts a page of these partitions waits here until the commit, and then finds none of its rows.
    WITH held AS (
        SELECT c.partition, step.after
          FROM cursor AS c JOIN unnest(steps) AS step USING (partition)
         WHERE c.source = history AND c.position = step.before
         ORDER BY c.partition
           FOR UPDATE OF c
    )
    UPDATE cursor AS c SET position = held.after FROM held WHERE c.source = history AND c.partition = held.partition;
    GET DIAGNOSTICS moved = ROW_COUNT;
    IF moved <> cardinality(steps) THEN
        RAISE EXCEPTION 'the cursors of history % have moved', history USING ERRCODE = 'OJ003';
    END IF;
END
$$;
