-- version: 2
-- Rows of all teams whose secrets are in clear, or sealed under another key than `present` names, in order, after a given one:
-- `kind` 1 is an account, 2 a key of a shop, 3 the key of link tokens, which is of no team, 4 a
-- subscription. With the owner's rights, since no transaction is bound to all teams; it gives ids only.
CREATE OR REPLACE FUNCTION to_seal(present bytea, after_kind smallint, after_team uuid, after_id uuid, row_max integer)
RETURNS TABLE (kind smallint, team_id uuid, row_id uuid)
LANGUAGE sql
STABLE
SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
    SELECT found.kind, found.team_id, found.row_id
      FROM (
        SELECT 1::smallint AS kind, a.team_id, a.account_id AS row_id
          FROM account AS a
         WHERE holds_clear_secrets(a.connection)
            OR a.sealed IS NOT NULL AND (a.deleted OR substring(a.sealed FROM 2 FOR 8) <> present)
         UNION ALL
        SELECT 2::smallint, k.team_id, k.key_id
          FROM shop_key AS k
         WHERE k.sealed IS NULL OR substring(k.sealed FROM 2 FOR 8) <> present
         UNION ALL
        SELECT 3::smallint, '00000000-0000-0000-0000-000000000000'::uuid, '00000000-0000-0000-0000-000000000000'::uuid
          FROM link_key AS l
         WHERE substring(l.sealed FROM 2 FOR 8) <> present
         UNION ALL
        SELECT 4::smallint, w.team_id, w.subscription_id
          FROM webhook_subscription AS w
         WHERE substring(w.sealed FROM 2 FOR 8) <> present
      ) AS found
     WHERE (found.kind, found.team_id, found.row_id) > (after_kind, after_team, after_id)
     ORDER BY found.kind, found.team_id, found.row_id
     LIMIT row_max
$$;
