-- Makes sure that these leases hold until the transaction ends: a new owner waits for it. Locks in the order of partitions, as
-- everybody does. OJ010: some have another epoch by now; the message names them.
CREATE OR REPLACE FUNCTION hold_leases(partitions smallint[], epochs bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
DECLARE
    held smallint[];
    lost text;
BEGIN
    held := ARRAY(
        SELECT l.partition FROM partition_lease AS l JOIN unnest(partitions, epochs) AS k (partition, epoch)
            ON l.partition = k.partition AND l.epoch = k.epoch
         ORDER BY l.partition FOR SHARE OF l);
    IF cardinality(held) < cardinality(partitions) THEN
        SELECT string_agg(p.partition::text, ',' ORDER BY p.partition) INTO lost
          FROM unnest(partitions) AS p (partition) WHERE p.partition <> ALL (held);
        RAISE EXCEPTION '%', lost USING ERRCODE = 'OJ010';
    END IF;
END
$$;
