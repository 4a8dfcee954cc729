-- Everything that a batch of changes names: the customers, locked, before what they have is read.
CREATE OR REPLACE FUNCTION load_change_context(
    wanted input_customer[], input_effects input_effect[], input_tags input_trait[], input_values input_trait[],
    input_attributes input_key[],
    OUT customers known_customer[], OUT effects used_effect[], OUT tags held_tag[], OUT own_values held_value[],
    OUT attributes defined_attribute[])
LANGUAGE plpgsql
SET search_path FROM CURRENT SET enable_seqscan = off
AS $$
BEGIN
    IF wanted IS NOT NULL THEN
        customers := lock_customers_v2(wanted);
    END IF;
    IF input_effects IS NOT NULL THEN
        SELECT array_agg(ROW(input.team_id, input.effect_key, e.digest, e.status, e.reason)::used_effect) INTO effects
          FROM unnest(input_effects) AS input
         CROSS JOIN LATERAL (
            (SELECT f.digest, change_status('APPLIED') AS status, '' AS reason FROM fact AS f
              WHERE f.team_id = input.team_id AND f.effect_key = input.effect_key LIMIT 1)
             UNION ALL
            (SELECT r.digest, r.status, r.reason FROM effect AS r
              WHERE r.team_id = input.team_id AND r.effect_key = input.effect_key LIMIT 1)
             LIMIT 1
         ) AS e;
    END IF;
    IF input_tags IS NOT NULL THEN
        SELECT array_agg(ROW(t.team_id, t.customer_id, t.tag_folded, t.tag)::held_tag) INTO tags
          FROM unnest(input_tags) AS input
         CROSS JOIN LATERAL (
            SELECT * FROM customer_tag AS r
             WHERE r.team_id = input.team_id AND r.customer_id = input.customer_id AND r.tag_folded = input.key LIMIT 1
         ) AS t;
    END IF;
    IF input_values IS NOT NULL THEN
        SELECT array_agg(ROW(v.team_id, v.customer_id, v.key, v.type, v.value)::held_value) INTO own_values
          FROM unnest(input_values) AS input
         CROSS JOIN LATERAL (
            SELECT * FROM customer_attribute AS r
             WHERE r.team_id = input.team_id AND r.customer_id = input.customer_id AND r.key = input.key LIMIT 1
         ) AS v;
    END IF;
    IF input_attributes IS NOT NULL THEN
        SELECT array_agg(ROW(a.team_id, a.key, a.display_name, a.type, a.archived, a.revision, a.create_time,
                             a.update_time)::defined_attribute)
          INTO attributes
          FROM unnest(input_attributes) AS input
         CROSS JOIN LATERAL (
            SELECT * FROM attribute AS r WHERE r.team_id = input.team_id AND r.key = input.key LIMIT 1
         ) AS a;
    END IF;
END
$$;
