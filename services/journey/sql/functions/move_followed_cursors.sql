-- Moves cursors of a followed history, in the order of partitions. OJ003: one is not where it was.
CREATE OR REPLACE FUNCTION move_followed_cursors(of_source smallint, steps cursor_step[]) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
DECLARE
    moved integer;
BEGIN
    PERFORM FROM followed_cursor AS c
      WHERE c.source = of_source AND c.partition IN (SELECT s.partition FROM unnest(steps) AS s)
      ORDER BY c.partition FOR UPDATE;
    UPDATE followed_cursor AS c SET position = s.position_after
      FROM unnest(steps) AS s
     WHERE c.source = of_source AND c.partition = s.partition AND c.position = s.position_before;
    GET DIAGNOSTICS moved = ROW_COUNT;
    IF moved <> cardinality(steps) THEN
        RAISE EXCEPTION 'a cursor has moved' USING ERRCODE = 'OJ003';
    END IF;
END
$$;
