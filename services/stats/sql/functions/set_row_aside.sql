-- Moves a history's cursors (see `move_cursors`) past a row that cannot be counted, and keeps the reason.
-- OJ003: the cursors are not where they were; nothing is kept.
CREATE OR REPLACE FUNCTION set_row_aside(
    history smallint, counted bigint, steps cursor_step[], row_partition smallint, row_position bigint, row_reason text
) RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
    PERFORM move_cursors(history, counted, steps);
    INSERT INTO row_set_aside (source, partition, position, reason)
    VALUES (history, row_partition, row_position, row_reason)
    ON CONFLICT (source, partition, position) DO UPDATE SET reason = excluded.reason;
END
$$;
