-- Writes whatever was decided and returns the positions of the facts, in their order; last of all, since they lock their
-- partitions. `keys` and `effects` are those that no fact carries. `serialization_failure`: a report that was decided on has been
-- changed, or a key used, by another transaction.
CREATE OR REPLACE FUNCTION save_batch_v4(
    recorded timestamptz, customers customer_writes, contacts contact_writes_v2, reports report_writes,
    keys used_key[], effects used_effect[], traits trait_writes, facts keyed_fact[]
) RETURNS bigint[]
LANGUAGE plpgsql
SET search_path FROM CURRENT SET enable_seqscan = off
AS $$
DECLARE
    positions bigint[];
    changed_count bigint;
BEGIN
    IF customers.created IS NOT NULL THEN
        INSERT INTO customer (team_id, customer_id, member_id, member_id_folded, name, name_folded, phone, email,
                              email_folded, customer_interact_time, team_interact_time, marketed_time, checkout_time,
                              mail_number, revision, create_time, update_time)
        SELECT n.*, recorded, recorded FROM unnest(customers.created) AS n;
    END IF;
    IF customers.changed IS NOT NULL THEN
        -- The columns that events of known customers change; nothing that is indexed.
        UPDATE customer AS c
           SET customer_interact_time = n.customer_interact_time, team_interact_time = n.team_interact_time,
               marketed_time = n.marketed_time, checkout_time = n.checkout_time, mail_number = n.mail_number,
               revision = n.revision, update_time = recorded
          FROM unnest(customers.changed) AS n
         CROSS JOIN LATERAL (
            SELECT r.ctid AS place FROM customer AS r
             WHERE r.team_id = n.team_id AND r.customer_id = n.customer_id LIMIT 1
         ) AS found
         WHERE c.ctid = found.place;
    END IF;
    IF customers.renamed IS NOT NULL THEN
        UPDATE customer AS c
           SET member_id = n.member_id, member_id_folded = n.member_id_folded, name = n.name,
               name_folded = n.name_folded, phone = n.phone, email = n.email, email_folded = n.email_folded
          FROM unnest(customers.renamed) AS n
         CROSS JOIN LATERAL (
            SELECT r.ctid AS place FROM customer AS r
             WHERE r.team_id = n.team_id AND r.customer_id = n.customer_id LIMIT 1
         ) AS found
         WHERE c.ctid = found.place;
    END IF;
    IF contacts.bound IS NOT NULL THEN
        INSERT INTO identity (team_id, channel, account_id, external_id, customer_id, blocked, seen_at, left_at, bind_time)
        SELECT n.*, recorded FROM unnest(contacts.bound) AS n;
        DELETE FROM departure AS d
         USING unnest(contacts.bound) AS n
         CROSS JOIN LATERAL (
            SELECT r.ctid AS place FROM departure AS r
             WHERE r.team_id = n.team_id AND r.channel = n.channel
               AND r.account_id = n.account_id AND r.external_id = n.external_id LIMIT 1
         ) AS found
         WHERE d.ctid = found.place;
    END IF;
    IF contacts.switched IS NOT NULL THEN
        UPDATE identity AS i SET blocked = n.blocked, seen_at = n.seen_at, left_at = n.left_at
          FROM unnest(contacts.switched) AS n
         CROSS JOIN LATERAL (
            SELECT r.ctid AS place FROM identity AS r
             WHERE r.team_id = n.team_id AND r.channel = n.channel
               AND r.account_id = n.account_id AND r.external_id = n.external_id LIMIT 1
         ) AS found
         WHERE i.ctid = found.place;
    END IF;
    IF contacts.departed IS NOT NULL THEN
        INSERT INTO departure AS d (team_id, channel, account_id, external_id, left_at)
        SELECT n.* FROM unnest(contacts.departed) AS n
        ON CONFLICT (team_id, channel, account_id, external_id) DO UPDATE SET left_at = GREATEST(d.left_at, excluded.left_at);
    END IF;
    IF contacts.learned IS NOT NULL THEN
        INSERT INTO browser (team_id, token, customer_id) SELECT n.* FROM unnest(contacts.learned) AS n;
    END IF;
    IF reports.new_orders IS NOT NULL THEN
        INSERT INTO shop_order (team_id, shop_id, order_id, order_key, customer_id, uncounted, occur_time, body)
        SELECT n.* FROM unnest(reports.new_orders) AS n;
    END IF;
    IF reports.changed_orders IS NOT NULL THEN
        UPDATE shop_order AS o
           SET customer_id = n.customer_id, uncounted = n.uncounted, occur_time = n.occur_time, body = n.body
          FROM unnest(reports.changed_orders) AS n
         CROSS JOIN LATERAL (
            SELECT r.ctid AS place FROM shop_order AS r
             WHERE r.team_id = n.team_id AND r.shop_id = n.shop_id AND r.order_id = n.report_id LIMIT 1
         ) AS found
         WHERE o.ctid = found.place AND o.uncounted = n.was_uncounted;
        GET DIAGNOSTICS changed_count = ROW_COUNT;
        IF changed_count < cardinality(reports.changed_orders) THEN
            RAISE EXCEPTION 'orders changed while they were decided on' USING ERRCODE = 'serialization_failure';
        END IF;
    END IF;
    IF reports.new_refunds IS NOT NULL THEN
        INSERT INTO refund (team_id, shop_id, refund_id, refund_key, customer_id, uncounted, occur_time, body)
        SELECT n.* FROM unnest(reports.new_refunds) AS n;
    END IF;
    IF reports.changed_refunds IS NOT NULL THEN
        UPDATE refund AS o
           SET customer_id = n.customer_id, uncounted = n.uncounted, occur_time = n.occur_time, body = n.body
          FROM unnest(reports.changed_refunds) AS n
         CROSS JOIN LATERAL (
            SELECT r.ctid AS place FROM refund AS r
             WHERE r.team_id = n.team_id AND r.shop_id = n.shop_id AND r.refund_id = n.report_id LIMIT 1
         ) AS found
         WHERE o.ctid = found.place AND o.uncounted = n.was_uncounted;
        GET DIAGNOSTICS changed_count = ROW_COUNT;
        IF changed_count < cardinality(reports.changed_refunds) THEN
            RAISE EXCEPTION 'refunds changed while they were decided on' USING ERRCODE = 'serialization_failure';
        END IF;
    END IF;
    IF keys IS NOT NULL THEN
        INSERT INTO event_key (team_id, event_key, digest, customer_id) SELECT n.* FROM unnest(keys) AS n;
    END IF;
    IF effects IS NOT NULL THEN
        INSERT INTO effect (team_id, effect_key, digest, status, reason) SELECT n.* FROM unnest(effects) AS n;
    END IF;
    IF traits.gone_tags IS NOT NULL THEN
        DELETE FROM customer_tag AS t
         USING unnest(traits.gone_tags) AS gone
         CROSS JOIN LATERAL (
            SELECT r.ctid AS place FROM customer_tag AS r
             WHERE r.team_id = gone.team_id AND r.customer_id = gone.customer_id AND r.tag_folded = gone.key LIMIT 1
         ) AS found
         WHERE t.ctid = found.place;
    END IF;
    IF traits.new_tags IS NOT NULL THEN
        INSERT INTO customer_tag (team_id, customer_id, tag_folded, tag, apply_time)
        SELECT n.*, recorded FROM unnest(traits.new_tags) AS n
        ON CONFLICT (team_id, customer_id, tag_folded) DO UPDATE SET tag = excluded.tag, apply_time = excluded.apply_time;
    END IF;
    IF traits.gone_values IS NOT NULL THEN
        DELETE FROM customer_attribute AS v
         USING unnest(traits.gone_values) AS gone
         CROSS JOIN LATERAL (
            SELECT r.ctid AS place FROM customer_attribute AS r
             WHERE r.team_id = gone.team_id AND r.customer_id = gone.customer_id AND r.key = gone.key LIMIT 1
         ) AS found
         WHERE v.ctid = found.place;
    END IF;
    IF traits.new_values IS NOT NULL THEN
        INSERT INTO customer_attribute (team_id, customer_id, key, type, value, value_folded, number_value)
        SELECT n.* FROM unnest(traits.new_values) AS n
        ON CONFLICT (team_id, customer_id, key) DO UPDATE
           SET type = excluded.type, value = excluded.value, value_folded = excluded.value_folded,
               number_value = excluded.number_value;
    END IF;
    IF facts IS NOT NULL THEN
        positions := allocate_positions(ARRAY(SELECT n.partition FROM unnest(facts) AS n));
        -- A key that was written elsewhere since it was looked for is seen here, with the partitions held.
        INSERT INTO fact (partition, position, team_id, customer_id, event_id, occur_time, record_time, depth,
                          mail_number, body, event_key, effect_key, digest)
        SELECT n.partition, n.position, n.team_id, n.customer_id, n.event_id, n.occur_time, recorded, n.depth,
               n.mail_number, n.body, n.event_key, n.effect_key, n.digest
          FROM ROWS FROM (unnest(facts), unnest(positions))
            AS n (partition, team_id, customer_id, event_id, occur_time, depth, mail_number, body, event_key, effect_key,
                  digest, position)
         WHERE NOT EXISTS (SELECT FROM event_key AS k WHERE k.team_id = n.team_id AND k.event_key = n.event_key OFFSET 0)
           AND NOT EXISTS (SELECT FROM effect AS e WHERE e.team_id = n.team_id AND e.effect_key = n.effect_key OFFSET 0);
        GET DIAGNOSTICS changed_count = ROW_COUNT;
        IF changed_count < cardinality(facts) THEN
            RAISE EXCEPTION 'keys were used while they were decided on' USING ERRCODE = 'serialization_failure';
        END IF;
    END IF;
    -- The same of a key that no fact carries.
    IF (keys IS NOT NULL OR effects IS NOT NULL) AND (EXISTS (SELECT FROM unnest(keys) AS n CROSS JOIN LATERAL (
                  SELECT FROM fact AS f WHERE f.team_id = n.team_id AND f.event_key = n.event_key LIMIT 1) AS used)
       OR EXISTS (SELECT FROM unnest(effects) AS n CROSS JOIN LATERAL (
                     SELECT FROM fact AS f WHERE f.team_id = n.team_id AND f.effect_key = n.effect_key LIMIT 1) AS used)) THEN
        RAISE EXCEPTION 'keys were used while they were decided on' USING ERRCODE = 'serialization_failure';
    END IF;
    RETURN positions;
END
$$;
