-- Sets text attributes by effects, a transaction of its own: each customer is named once, in the order in which customers are
-- locked everywhere. Written is what changes a value under a live definition: its place is among `places`, with the number of its
-- mail, the position of its fact and the value before. Nothing is written of the others.
-- Read and written is one version of the customer's row, which every change of a value renews: where another one was faster the
-- row is left out. An effect key that was used is refused by its index, or by the last look at `effect`: then nothing is written.
CREATE OR REPLACE FUNCTION set_usual(
    teams uuid[], recorded timestamptz, changes usual_value[],
    OUT places integer[], OUT numbers bigint[], OUT positions bigint[], OUT olds text[])
LANGUAGE plpgsql
SET search_path FROM CURRENT SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
AS $$
DECLARE
    written_count bigint;
BEGIN
    PERFORM platform.bind(teams);
    WITH changed AS (
        UPDATE customer AS c SET mail_number = c.mail_number + 1, revision = c.revision + 1, update_time = recorded
          FROM unnest(changes) AS n
         CROSS JOIN LATERAL (
            SELECT r.ctid AS place, r.revision FROM customer AS r
             WHERE r.team_id = n.team_id AND r.customer_id = n.customer_id LIMIT 1
         ) AS found
          LEFT JOIN LATERAL (
            SELECT v.value FROM customer_attribute AS v
             WHERE v.team_id = n.team_id AND v.customer_id = n.customer_id AND v.key = n.key
               AND v.type = attribute_type('TEXT') LIMIT 1
         ) AS held ON true
         WHERE c.ctid = found.place AND c.revision = found.revision AND held.value IS DISTINCT FROM n.value
           AND EXISTS (
               SELECT FROM attribute AS d
                WHERE d.team_id = n.team_id AND d.key = n.key AND d.type = attribute_type('TEXT') AND NOT d.archived OFFSET 0)
        RETURNING n.place, c.mail_number, held.value
    )
    SELECT array_agg(w.place ORDER BY w.place), array_agg(w.mail_number ORDER BY w.place),
           array_agg(w.value ORDER BY w.place)
      INTO places, numbers, olds FROM changed AS w;
    IF places IS NULL THEN
        RETURN;
    ELSIF cardinality(places) < cardinality(changes) THEN
        changes := ARRAY(SELECT n FROM unnest(changes) AS n WHERE n.place = ANY (places) ORDER BY n.place);
    END IF;
    INSERT INTO customer_attribute (team_id, customer_id, key, type, value, value_folded)
    SELECT n.team_id, n.customer_id, n.key, attribute_type('TEXT'), n.value, n.value_folded FROM unnest(changes) AS n
    ON CONFLICT (team_id, customer_id, key) DO UPDATE
       SET type = excluded.type, value = excluded.value, value_folded = excluded.value_folded, number_value = NULL;
    positions := allocate_positions(ARRAY(SELECT n.partition FROM unnest(changes) AS n));
    INSERT INTO fact (partition, position, team_id, customer_id, event_id, occur_time, record_time, depth, mail_number,
                      body, effect_key, digest)
    SELECT n.partition, n.given, n.team_id, n.customer_id, n.event_id, n.occur_time, recorded, n.depth, n.number,
           n.body_head || packed_text(n.old) || n.body_tail, n.effect_key, n.digest
      FROM ROWS FROM (unnest(changes), unnest(numbers), unnest(positions), unnest(olds))
        AS n (place, team_id, customer_id, effect_key, digest, key, value, value_folded, partition, event_id, occur_time,
              depth, body_head, body_tail, number, given, old)
     WHERE NOT EXISTS (
        SELECT FROM effect AS e WHERE e.team_id = n.team_id AND e.effect_key = n.effect_key OFFSET 0);
    GET DIAGNOSTICS written_count = ROW_COUNT;
    IF written_count < cardinality(changes) THEN
        RAISE EXCEPTION 'keys were used while they were decided on' USING ERRCODE = 'serialization_failure';
    END IF;
END
$$;
