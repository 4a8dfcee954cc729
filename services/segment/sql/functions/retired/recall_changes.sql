-- version: 2
-- Everything that a batch of changes names: the customers, locked, before what they have is read.
CREATE OR REPLACE FUNCTION recall_changes(
    wanted told_customer[], told_effects told_effect[], told_tags told_trait[], told_values told_trait[],
    told_attributes told_key[],
    OUT customers known_customer[], OUT effects used_effect[], OUT tags held_tag[], OUT own_values held_value[],
    OUT attributes defined_attribute[])
LANGUAGE plpgsql
SET search_path FROM CURRENT SET enable_seqscan = off
AS $$
BEGIN
    IF wanted IS NOT NULL THEN
        customers := lock_customers(wanted);
    END IF;
    IF told_effects IS NOT NULL THEN
        SELECT array_agg(ROW(told.team_id, told.effect_key, e.digest, e.status, e.reason)::used_effect) INTO effects
          FROM unnest(told_effects) AS told
         CROSS JOIN LATERAL (
            (SELECT f.digest, change_status('APPLIED') AS status, '' AS reason FROM fact AS f
              WHERE f.team_id = told.team_id AND f.effect_key = told.effect_key LIMIT 1)
             UNION ALL
            (SELECT r.digest, r.status, r.reason FROM effect AS r
              WHERE r.team_id = told.team_id AND r.effect_key = told.effect_key LIMIT 1)
             LIMIT 1
         ) AS e;
    END IF;
    IF told_tags IS NOT NULL THEN
        SELECT array_agg(ROW(t.team_id, t.customer_id, t.tag_folded, t.tag)::held_tag) INTO tags
          FROM unnest(told_tags) AS told
         CROSS JOIN LATERAL (
            SELECT * FROM customer_tag AS r
             WHERE r.team_id = told.team_id AND r.customer_id = told.customer_id AND r.tag_folded = told.key LIMIT 1
         ) AS t;
    END IF;
    IF told_values IS NOT NULL THEN
        SELECT array_agg(ROW(v.team_id, v.customer_id, v.key, v.type, v.value)::held_value) INTO own_values
          FROM unnest(told_values) AS told
         CROSS JOIN LATERAL (
            SELECT * FROM customer_attribute AS r
             WHERE r.team_id = told.team_id AND r.customer_id = told.customer_id AND r.key = told.key LIMIT 1
         ) AS v;
    END IF;
    IF told_attributes IS NOT NULL THEN
        SELECT array_agg(ROW(a.team_id, a.key, a.display_name, a.type, a.archived, a.revision, a.create_time,
                             a.update_time)::defined_attribute)
          INTO attributes
          FROM unnest(told_attributes) AS told
         CROSS JOIN LATERAL (
            SELECT * FROM attribute AS r WHERE r.team_id = told.team_id AND r.key = told.key LIMIT 1
         ) AS a;
    END IF;
END
$$;
