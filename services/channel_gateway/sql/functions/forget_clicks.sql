-- Removes openings of links, and links without openings, in messages of all teams that were sent before a time, `row_max` of each at
-- most; how many in all. It runs with its owner's rights, since no transaction is bound to all teams; it returns a number only.
CREATE OR REPLACE FUNCTION forget_clicks(sent_before timestamptz, row_max integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
DECLARE
    links bigint;
    clicks bigint;
BEGIN
    WITH old AS MATERIALIZED (
        SELECT team_id, effect_key, link_id FROM tracked_link WHERE sent_at < sent_before ORDER BY sent_at LIMIT row_max
    ), opened AS MATERIALIZED (
        SELECT c.team_id, c.effect_key, c.link_id, c.click_id
          FROM old AS o
         CROSS JOIN LATERAL (
            SELECT k.team_id, k.effect_key, k.link_id, k.click_id FROM link_click AS k
             WHERE k.team_id = o.team_id AND k.effect_key = o.effect_key AND k.link_id = o.link_id LIMIT row_max
         ) AS c
         LIMIT row_max
    )
    DELETE FROM link_click AS c USING opened AS o
     WHERE c.team_id = o.team_id AND c.effect_key = o.effect_key AND c.link_id = o.link_id AND c.click_id = o.click_id;
    GET DIAGNOSTICS clicks = ROW_COUNT;
    WITH old AS MATERIALIZED (
        SELECT team_id, effect_key, link_id FROM tracked_link WHERE sent_at < sent_before ORDER BY sent_at LIMIT row_max
    )
    DELETE FROM tracked_link AS t USING old AS o
     WHERE t.team_id = o.team_id AND t.effect_key = o.effect_key AND t.link_id = o.link_id
       AND NOT EXISTS (
        SELECT FROM link_click AS k WHERE k.team_id = o.team_id AND k.effect_key = o.effect_key AND k.link_id = o.link_id
       );
    GET DIAGNOSTICS links = ROW_COUNT;
    RETURN clicks + links;
END
$$;
