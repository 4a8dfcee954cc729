-- version: 2
-- How many secrets of all teams each key seals; NULL: those that are in clear. With the owner's rights, as `to_seal`; it gives
-- names of keys and numbers only.
CREATE OR REPLACE FUNCTION sealing_keys() RETURNS TABLE (key_id bytea, row_count bigint)
LANGUAGE sql
STABLE
SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
    SELECT found.key_id, count(*)
      FROM (
        SELECT substring(a.sealed FROM 2 FOR 8) AS key_id FROM account AS a WHERE a.sealed IS NOT NULL
         UNION ALL
        SELECT NULL FROM account AS a WHERE holds_clear_secrets(a.connection)
         UNION ALL
        SELECT substring(k.sealed FROM 2 FOR 8) FROM shop_key AS k
         UNION ALL
        SELECT substring(l.sealed FROM 2 FOR 8) FROM link_key AS l
         UNION ALL
        SELECT substring(w.sealed FROM 2 FOR 8) FROM webhook_subscription AS w
      ) AS found
     GROUP BY found.key_id
$$;
