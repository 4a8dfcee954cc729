-- Everything that a batch of events names. Customers are locked at once when each of the `unsure_count` hints that are
-- unsure found somebody. Else nobody is (`locked` is false): whether somebody must be created is then decided by the
-- caller, who asks again with the teams in which that is so, in order, as `creating`. Two transactions that both find
-- nobody must not both create: from there on one of them waits, and looks again when the other has committed.
-- Texts that nobody has any more lead to whom those who had them were merged into; `merged` has customers who are named and were merged, and
-- those whom they were merged into are locked with the others.
-- Orders are locked first of all, in their order: refunds are read when whoever decided on the same orders has committed.
CREATE OR REPLACE FUNCTION load_event_context_v3(
    teams uuid[], input_keys input_key[], input_orders input_report[], input_refunds input_report[],
    input_members input_text[], input_phones input_text[], input_emails input_text[], input_tokens input_text[],
    input_identities input_identity[], input_customers input_customer[], unsure_count integer, creating uuid[],
    OUT policies team_policy[], OUT keys used_key[], OUT orders report[], OUT refunds report[],
    OUT members found_text[], OUT phones found_text[], OUT emails found_text[], OUT tokens found_text[],
    OUT identities timed_identity[], OUT departures departed_identity[], OUT customers known_customer[], OUT merged merged_pair[], OUT locked boolean)
LANGUAGE plpgsql
SET search_path FROM CURRENT SET enable_seqscan = off
AS $$
DECLARE
    wanted input_customer[] := input_customers;
    found_count bigint := 0;
    unsure_found bigint;
BEGIN
    IF cardinality(creating) > 0 THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('segment customers ' || guarded, 0))
           FROM unnest(creating) AS guarded;
    END IF;
    IF teams IS NOT NULL THEN
        SELECT array_agg(ROW(t.team_id, t.unsigned_orders_count)::team_policy) INTO policies
          FROM team AS t WHERE t.team_id = ANY (teams);
    END IF;
    IF input_keys IS NOT NULL THEN
        SELECT array_agg(ROW(input.team_id, input.key, k.digest, k.customer_id)::used_key) INTO keys
          FROM unnest(input_keys) AS input
         CROSS JOIN LATERAL (
            (SELECT f.digest, f.customer_id FROM fact AS f
              WHERE f.team_id = input.team_id AND f.event_key = input.key LIMIT 1)
             UNION ALL
            (SELECT r.digest, r.customer_id FROM event_key AS r
              WHERE r.team_id = input.team_id AND r.event_key = input.key LIMIT 1)
             LIMIT 1
         ) AS k;
    END IF;
    IF input_orders IS NOT NULL THEN
        SELECT array_agg(ROW(o.team_id, o.shop_id, o.order_id, o.order_key, o.customer_id, o.uncounted, o.occur_time,
                             o.body)::report),
               wanted || array_agg(ROW(o.team_id, o.customer_id)::input_customer) FILTER (WHERE o.customer_id IS NOT NULL)
          INTO orders, wanted
          FROM (SELECT i.team_id, i.shop_id, i.report_id FROM unnest(input_orders) AS i ORDER BY 1, 2, 3) AS input
         CROSS JOIN LATERAL (
            SELECT * FROM shop_order AS r
             WHERE r.team_id = input.team_id AND r.shop_id = input.shop_id AND r.order_id = input.report_id
               FOR NO KEY UPDATE
         ) AS o;
    END IF;
    IF input_refunds IS NOT NULL THEN
        SELECT array_agg(ROW(o.team_id, o.shop_id, o.refund_id, o.refund_key, o.customer_id, o.uncounted, o.occur_time,
                             o.body)::report),
               wanted || array_agg(ROW(o.team_id, o.customer_id)::input_customer) FILTER (WHERE o.customer_id IS NOT NULL)
          INTO refunds, wanted
          FROM unnest(input_refunds) AS input
         CROSS JOIN LATERAL (
            SELECT * FROM refund AS r
             WHERE r.team_id = input.team_id AND r.shop_id = input.shop_id AND r.refund_id = input.report_id LIMIT 1
         ) AS o;
    END IF;
    IF input_refunds IS NOT NULL OR EXISTS (SELECT FROM unnest(orders) AS o WHERE o.uncounted <> uncounted('COUNTS')) THEN
        -- All refunds of orders that refunds are reported of, or that may come to count.
        SELECT refunds || array_agg(ROW(o.team_id, o.shop_id, o.refund_id, o.refund_key, o.customer_id, o.uncounted, o.occur_time,
                                        o.body)::report),
               wanted || array_agg(ROW(o.team_id, o.customer_id)::input_customer) FILTER (WHERE o.customer_id IS NOT NULL)
          INTO refunds, wanted
          FROM unnest(orders) AS input
         CROSS JOIN LATERAL (
            SELECT * FROM refund AS r
             WHERE r.team_id = input.team_id AND r.shop_id = input.shop_id
               AND refund_order_id(r.body, r.shop_id, r.refund_id) = input.report_id
         ) AS o;
    END IF;
    IF input_members IS NOT NULL THEN
        SELECT array_agg(ROW(input.team_id, input.text, c.customer_id)::found_text),
               wanted || array_agg(ROW(input.team_id, c.customer_id)::input_customer), count(*) FILTER (WHERE input.unsure)
          INTO members, wanted, unsure_found
          FROM unnest(input_members) AS input
         CROSS JOIN LATERAL (
            (SELECT r.customer_id FROM customer AS r
              WHERE r.team_id = input.team_id AND r.member_id_folded = input.text LIMIT 1)
             UNION ALL
            (SELECT r.customer_id FROM customer_alias AS r
              WHERE r.team_id = input.team_id AND r.kind = alias_kind('MEMBER_ID') AND r.text = input.text LIMIT 1)
             LIMIT 1
         ) AS c;
        found_count := found_count + unsure_found;
    END IF;
    IF input_phones IS NOT NULL THEN
        SELECT array_agg(ROW(input.team_id, input.text, c.customer_id)::found_text),
               wanted || array_agg(ROW(input.team_id, c.customer_id)::input_customer), count(*) FILTER (WHERE input.unsure)
          INTO phones, wanted, unsure_found
          FROM unnest(input_phones) AS input
         CROSS JOIN LATERAL (
            (SELECT r.customer_id FROM customer AS r
              WHERE r.team_id = input.team_id AND r.phone = input.text
              ORDER BY r.create_time, r.customer_id LIMIT 1)
             UNION ALL
            (SELECT r.customer_id FROM customer_alias AS r
              WHERE r.team_id = input.team_id AND r.kind = alias_kind('PHONE') AND r.text = input.text LIMIT 1)
             LIMIT 1
         ) AS c;
        found_count := found_count + unsure_found;
    END IF;
    IF input_emails IS NOT NULL THEN
        SELECT array_agg(ROW(input.team_id, input.text, c.customer_id)::found_text),
               wanted || array_agg(ROW(input.team_id, c.customer_id)::input_customer), count(*) FILTER (WHERE input.unsure)
          INTO emails, wanted, unsure_found
          FROM unnest(input_emails) AS input
         CROSS JOIN LATERAL (
            (SELECT r.customer_id FROM customer AS r
              WHERE r.team_id = input.team_id AND r.email_folded = input.text
              ORDER BY r.create_time, r.customer_id LIMIT 1)
             UNION ALL
            (SELECT r.customer_id FROM customer_alias AS r
              WHERE r.team_id = input.team_id AND r.kind = alias_kind('EMAIL') AND r.text = input.text LIMIT 1)
             LIMIT 1
         ) AS c;
        found_count := found_count + unsure_found;
    END IF;
    IF input_tokens IS NOT NULL THEN
        SELECT array_agg(ROW(input.team_id, input.text, b.customer_id)::found_text),
               wanted || array_agg(ROW(input.team_id, b.customer_id)::input_customer), count(*) FILTER (WHERE input.unsure)
          INTO tokens, wanted, unsure_found
          FROM unnest(input_tokens) AS input
         CROSS JOIN LATERAL (
            SELECT r.customer_id FROM browser AS r WHERE r.team_id = input.team_id AND r.token = input.text LIMIT 1
         ) AS b;
        found_count := found_count + unsure_found;
    END IF;
    IF input_identities IS NOT NULL THEN
        SELECT array_agg(ROW(i.team_id, i.channel, i.account_id, i.external_id, i.customer_id, i.blocked, i.seen_at,
                             i.left_at)::timed_identity),
               wanted || array_agg(ROW(i.team_id, i.customer_id)::input_customer), count(*) FILTER (WHERE input.unsure)
          INTO identities, wanted, unsure_found
          FROM unnest(input_identities) AS input
         CROSS JOIN LATERAL (
            SELECT * FROM identity AS r
             WHERE r.team_id = input.team_id AND r.channel = input.channel
               AND r.account_id = input.account_id AND r.external_id = input.external_id LIMIT 1
         ) AS i;
        found_count := found_count + unsure_found;
        IF identities IS NULL OR cardinality(identities) < cardinality(input_identities) THEN
            SELECT array_agg(ROW(d.team_id, d.channel, d.account_id, d.external_id, d.left_at)::departed_identity) INTO departures
              FROM unnest(input_identities) AS input
             CROSS JOIN LATERAL (
                SELECT r.team_id, r.channel, r.account_id, r.external_id, r.left_at FROM departure AS r
                 WHERE r.team_id = input.team_id AND r.channel = input.channel
                   AND r.account_id = input.account_id AND r.external_id = input.external_id LIMIT 1
             ) AS d;
        END IF;
    END IF;
    locked := creating IS NOT NULL OR found_count = unsure_count;
    IF locked AND wanted IS NOT NULL THEN
        customers := lock_customers_v2(wanted);
        IF COALESCE(cardinality(customers), 0) < (SELECT count(DISTINCT (w.team_id, w.customer_id)) FROM unnest(wanted) AS w) THEN
            SELECT array_agg(DISTINCT ROW(m.team_id, m.customer_id, m.survivor_id)::merged_pair) INTO merged
              FROM unnest(wanted) AS w
             CROSS JOIN LATERAL (
                SELECT r.team_id, r.customer_id, r.survivor_id FROM merged_customer AS r
                 WHERE r.team_id = w.team_id AND r.customer_id = w.customer_id LIMIT 1
             ) AS m;
            customers := customers || lock_customers_v2(ARRAY(
                SELECT DISTINCT ROW(m.team_id, m.survivor_id)::input_customer FROM unnest(merged) AS m
                 WHERE NOT EXISTS (SELECT FROM unnest(customers) AS c
                                    WHERE c.team_id = m.team_id AND c.customer_id = m.survivor_id)));
        END IF;
    END IF;
END
$$;
