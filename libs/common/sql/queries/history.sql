-- Positions of histories: `history_head`, one row a partition, in the schema of the service whose history it is.

-- name: allocate_positions
-- The locks are taken by the inner query alone, in the order of partitions; the update then finds them its own.
WITH locked AS (
    SELECT h.partition, wanted.count
      FROM history_head AS h
      JOIN unnest(:partitions::smallint[], :counts::bigint[]) AS wanted (partition, count) USING (partition)
     ORDER BY h.partition
       FOR UPDATE OF h
)
UPDATE history_head AS h
   SET position = h.position + locked.count
  FROM locked
 WHERE h.partition = locked.partition
RETURNING h.partition, h.position - locked.count + 1
