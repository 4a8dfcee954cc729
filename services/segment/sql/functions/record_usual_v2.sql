-- version: 2
-- Records events of known customers, a transaction of its own: each customer, key, identity and order is named once, and events
-- come in the order in which customers are locked everywhere. The caller has decided what follows if the customer is there and
-- has what `has_…` says, if `by_…` leads to them and `other_…` to nobody else (but for pairs that are listed), if key, identity and order are
-- new, and if nobody left by that identity before. Where that is so the event is written, relative to the row of the customer; its place is among `places`, with the number of its mail, the position of its fact and the customer's basic data. Of
-- the others nothing is. What the body of an order says of the customer's phone, its last byte but one, is set as it is, unless `has_phone`
-- says what it has to be.
-- Who uses the same key, identity or order at the same time is held up by the unique indexes, and by the last look at `event_key`:
-- one of the two fails as a whole, and does it again.
CREATE OR REPLACE FUNCTION record_usual_v2(
    teams uuid[], recorded timestamptz, events usual_event_v2[], with_identities boolean, with_orders boolean,
    OUT places integer[], OUT numbers bigint[], OUT positions bigint[],
    OUT names text[], OUT member_ids text[], OUT phones text[], OUT emails text[])
LANGUAGE plpgsql
SET search_path FROM CURRENT SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
AS $$
DECLARE
    written_count bigint;
BEGIN
    PERFORM platform.bind(teams);
    WITH changed AS (
        UPDATE customer AS c
           SET customer_interact_time = GREATEST(c.customer_interact_time, n.customer_interact_time),
               checkout_time = GREATEST(c.checkout_time, n.checkout_time),
               mail_number = c.mail_number + 1, revision = c.revision + 1, update_time = recorded
          FROM unnest(events) AS n
         WHERE c.team_id = n.team_id AND c.customer_id = n.customer_id
           AND (NOT n.has_name OR c.name <> '') AND (NOT n.has_member_id OR c.member_id IS NOT NULL)
           AND (n.has_phone IS NULL OR n.has_phone = (c.phone IS NOT NULL))
           AND (NOT n.has_email OR c.email IS NOT NULL)
           AND (n.by_member_id IS NULL OR c.member_id_folded = n.by_member_id)
           AND (n.by_phone IS NULL OR (c.phone = n.by_phone AND NOT EXISTS (
               SELECT FROM customer AS r
                WHERE r.team_id = n.team_id AND r.phone = n.by_phone
                  AND (r.create_time, r.customer_id) < (c.create_time, c.customer_id) OFFSET 0)))
           AND (n.by_email IS NULL OR (c.email_folded = n.by_email AND NOT EXISTS (
               SELECT FROM customer AS r
                WHERE r.team_id = n.team_id AND r.email_folded = n.by_email
                  AND (r.create_time, r.customer_id) < (c.create_time, c.customer_id) OFFSET 0)))
           AND (COALESCE(n.other_member_id, n.other_phone, n.other_email) IS NULL OR NOT EXISTS (
               SELECT FROM (
                   SELECT (SELECT r.customer_id FROM customer AS r
                            WHERE r.team_id = n.team_id AND r.member_id_folded = n.other_member_id LIMIT 1) AS customer_id
                    UNION ALL
                   SELECT (SELECT r.customer_id FROM customer AS r
                            WHERE r.team_id = n.team_id AND r.phone = n.other_phone ORDER BY r.create_time, r.customer_id LIMIT 1)
                    UNION ALL
                   SELECT (SELECT r.customer_id FROM customer AS r
                            WHERE r.team_id = n.team_id AND r.email_folded = n.other_email ORDER BY r.create_time, r.customer_id LIMIT 1)
               ) AS o
                WHERE o.customer_id <> c.customer_id AND NOT EXISTS (
                   SELECT FROM identity_conflict AS k
                    WHERE k.team_id = n.team_id AND LEAST(k.customer_id, k.other_customer_id) = LEAST(o.customer_id, c.customer_id)
                      AND GREATEST(k.customer_id, k.other_customer_id) = GREATEST(o.customer_id, c.customer_id) OFFSET 0)))
           AND NOT EXISTS (
               SELECT FROM fact AS f WHERE f.team_id = n.team_id AND f.event_key = n.event_key OFFSET 0)
           AND (n.external_id IS NULL OR NOT EXISTS (
               SELECT FROM identity AS i
                WHERE i.team_id = n.team_id AND i.channel = n.channel AND i.account_id = n.account_id
                  AND i.external_id = n.external_id OFFSET 0)
               AND NOT EXISTS (
               SELECT FROM departure AS d
                WHERE d.team_id = n.team_id AND d.channel = n.channel AND d.account_id = n.account_id
                  AND d.external_id = n.external_id OFFSET 0))
           AND (n.order_id IS NULL OR NOT EXISTS (
               SELECT FROM shop_order AS o
                WHERE o.team_id = n.team_id AND o.shop_id = n.shop_id AND o.order_id = n.order_id OFFSET 0))
        RETURNING n.place, c.mail_number, c.name, c.member_id, c.phone, c.email
    )
    -- Sorted once, not once for each array.
    SELECT array_agg(w.place), array_agg(w.mail_number), array_agg(w.name), array_agg(w.member_id), array_agg(w.phone), array_agg(w.email)
      INTO places, numbers, names, member_ids, phones, emails FROM (SELECT * FROM changed ORDER BY place) AS w;
    IF places IS NULL THEN
        RETURN;
    ELSIF cardinality(places) < cardinality(events) THEN
        events := ARRAY(SELECT n FROM unnest(events) AS n WHERE n.place = ANY (places) ORDER BY n.place);
    END IF;
    IF with_identities THEN
        INSERT INTO identity (team_id, channel, account_id, external_id, customer_id, blocked, seen_at, bind_time)
        SELECT n.team_id, n.channel, n.account_id, n.external_id, n.customer_id, false, n.occur_time, recorded
          FROM unnest(events) AS n WHERE n.external_id IS NOT NULL;
    END IF;
    IF with_orders THEN
        INSERT INTO shop_order (team_id, shop_id, order_id, order_key, customer_id, uncounted, occur_time, body)
        SELECT n.team_id, n.shop_id, n.order_id, n.order_key, n.customer_id, uncounted('COUNTS'), n.occur_time, n.order_body
          FROM unnest(events) AS n WHERE n.order_id IS NOT NULL;
    END IF;
    positions := allocate_positions(ARRAY(SELECT n.partition FROM unnest(events) AS n));
    INSERT INTO fact (partition, position, team_id, customer_id, event_id, occur_time, record_time, depth, mail_number,
                      body, event_key, digest)
    SELECT n.partition, n.given, n.team_id, n.customer_id, n.event_id, n.occur_time, recorded, 0, n.number,
           CASE WHEN n.order_id IS NULL OR n.has_phone IS NOT NULL THEN n.body
                ELSE overlay(n.body PLACING packed_boolean(n.phone IS NOT NULL) FROM octet_length(n.body) - 1) END,
           n.event_key, n.digest
      FROM ROWS FROM (unnest(events), unnest(numbers), unnest(positions), unnest(phones))
        AS n (place, team_id, customer_id, event_key, digest, customer_interact_time, checkout_time, has_name,
              has_member_id, has_phone, has_email, partition, event_id, occur_time, body, channel, account_id, external_id,
              shop_id, order_id, order_key, order_body, by_member_id, by_phone, by_email, other_member_id, other_phone, other_email, number,
              given, phone)
     WHERE NOT EXISTS (
        SELECT FROM event_key AS k WHERE k.team_id = n.team_id AND k.event_key = n.event_key OFFSET 0);
    GET DIAGNOSTICS written_count = ROW_COUNT;
    IF written_count < cardinality(events) THEN
        RAISE EXCEPTION 'keys were used while they were decided on' USING ERRCODE = 'serialization_failure';
    END IF;
END
$$;
