-- Counts a row that was set aside, and takes it from those; false where somebody else did so first, and nothing is counted.
-- OJ003: the cursors moved under it; nothing is counted, and it can be done again.
CREATE OR REPLACE FUNCTION count_row_again(
    history smallint, row_partition smallint, row_position bigint, counters counter_row[], firsts first_row[]
) RETURNS boolean
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
    DELETE FROM row_set_aside AS r
     WHERE r.source = history AND r.partition = row_partition AND r.position = row_position;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM count_rows(
        history, (SELECT sum(c.position)::bigint FROM cursor AS c WHERE c.source = history), '{}', counters, firsts);
    RETURN true;
END
$$;
