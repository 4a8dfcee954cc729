-- Keeps two writers from recording one key in two places until the transaction ends: as an entry, and as a row of `outcome`. Who
-- writes entries shares the slots of their keys, who writes outcomes has them alone; either looks afterwards whether the key
-- stands in the other place. Entries among themselves, and outcomes, meet at their unique index. Slots are held in one order.
CREATE OR REPLACE FUNCTION hold_keys(entry_keys uuid[], outcome_keys uuid[]) RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    held record;
BEGIN
    IF outcome_keys IS NULL AND cardinality(entry_keys) = 1 THEN
        PERFORM pg_advisory_xact_lock_shared(1886350967, uuid_hash(entry_keys[1]) & 63);
        RETURN;
    END IF;
    FOR held IN
        SELECT wanted.slot, bool_or(wanted.alone) AS alone
          FROM (
            SELECT uuid_hash(e.key) & 63 AS slot, false AS alone FROM unnest(entry_keys) AS e (key)
             UNION ALL
            SELECT uuid_hash(o.key) & 63, true FROM unnest(outcome_keys) AS o (key)
          ) AS wanted
         GROUP BY wanted.slot
         ORDER BY wanted.slot
    LOOP
        IF held.alone THEN
            PERFORM pg_advisory_xact_lock(1886350967, held.slot);
        ELSE
            PERFORM pg_advisory_xact_lock_shared(1886350967, held.slot);
        END IF;
    END LOOP;
END
$$;
