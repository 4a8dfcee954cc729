-- Gives out history positions inside a statement that does more: one position for each row, given the rows' partitions in the
-- rows' order. Locks the partitions' heads in the order of partitions, as `libs.common.db.history.allocate` does; to be called
-- right before the history is written, last thing in a transaction.
CREATE OR REPLACE FUNCTION allocate_positions(row_partitions smallint[]) RETURNS bigint[]
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    positions bigint[];
BEGIN
    IF cardinality(row_partitions) = 1 THEN
        -- A batch of one, which the general statement below would cost more than all of its other work.
        UPDATE history_head AS h SET position = h.position + 1 WHERE h.partition = row_partitions[1]
        RETURNING ARRAY[h.position] INTO STRICT positions;
        RETURN positions;
    END IF;
    WITH counted AS (
        SELECT r.partition, count(*) AS n FROM unnest(row_partitions) AS r (partition) GROUP BY r.partition
    ), held AS (
        SELECT h.partition, counted.n
          FROM history_head AS h JOIN counted USING (partition)
         ORDER BY h.partition
           FOR UPDATE OF h
    ), moved AS (
        UPDATE history_head AS h SET position = h.position + held.n
          FROM held WHERE h.partition = held.partition
        RETURNING h.partition, h.position - held.n AS before
    )
    SELECT array_agg(moved.before + ranked.rank ORDER BY ranked.place) INTO positions
      FROM (
        SELECT r.partition, r.place, row_number() OVER (PARTITION BY r.partition ORDER BY r.place) AS rank
          FROM unnest(row_partitions) WITH ORDINALITY AS r (partition, place)
      ) AS ranked
      JOIN moved USING (partition);
    RETURN positions;
END
$$;
