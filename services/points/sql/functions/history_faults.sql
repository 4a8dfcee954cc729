-- Partitions whose positions are not 1, 2, 3 … up to the head. It runs with its owner's rights because positions are shared
-- by all teams; it tells numbers of partitions and counts, and nothing of anybody's entries.
CREATE OR REPLACE FUNCTION history_faults() RETURNS TABLE (partition smallint, detail text)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
    SELECT h.partition, format('%s entries up to position %s, the head is at %s', e.entries, e.last, h.position)
      FROM history_head AS h
     CROSS JOIN LATERAL (
        SELECT count(*) AS entries, coalesce(max(position), 0) AS last FROM entry WHERE entry.partition = h.partition
     ) AS e
     WHERE e.entries <> h.position OR e.last <> h.position
$$;
