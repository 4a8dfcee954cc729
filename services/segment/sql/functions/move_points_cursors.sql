-- Moves cursors of the history of points, in the order of partitions. OJ003: they are not where they were.
CREATE OR REPLACE FUNCTION move_points_cursors(steps cursor_row[]) RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    moved bigint;
BEGIN
    PERFORM FROM points_cursor AS c JOIN unnest(steps) AS s ON s.partition = c.partition ORDER BY c.partition FOR UPDATE OF c;
    UPDATE points_cursor AS c SET position = s.after
      FROM unnest(steps) AS s WHERE c.partition = s.partition AND c.position = s.before;
    GET DIAGNOSTICS moved = ROW_COUNT;
    IF moved < cardinality(steps) THEN
        RAISE EXCEPTION 'the cursors of the history have moved' USING ERRCODE = 'OJ003';
    END IF;
END
$$;
