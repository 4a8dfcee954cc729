-- version: 2
-- Everything that a batch of events names. Customers are locked at once when each of the `unsure_count` hints that are
-- unsure found somebody. Else nobody is (`locked` is false): whether somebody must be created is then decided by the
-- caller, who asks again with the teams in which that is so, in order, as `creating`. Two transactions that both find
-- nobody must not both create: from there on one of them waits, and looks again when the other has committed.
CREATE OR REPLACE FUNCTION recall_events(
    teams uuid[], told_keys told_key[], told_orders told_report[], told_refunds told_report[],
    told_members told_text[], told_phones told_text[], told_emails told_text[], told_tokens told_text[],
    told_identities told_identity[], told_customers told_customer[], unsure_count integer, creating uuid[],
    OUT policies team_policy[], OUT keys used_key[], OUT orders report[], OUT refunds report[],
    OUT members found_text[], OUT phones found_text[], OUT emails found_text[], OUT tokens found_text[],
    OUT identities found_identity[], OUT customers known_customer[], OUT locked boolean)
LANGUAGE plpgsql
SET search_path FROM CURRENT SET enable_seqscan = off
AS $$
DECLARE
    wanted told_customer[] := told_customers;
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
    IF told_keys IS NOT NULL THEN
        SELECT array_agg(ROW(told.team_id, told.key, k.digest, k.customer_id)::used_key) INTO keys
          FROM unnest(told_keys) AS told
         CROSS JOIN LATERAL (
            (SELECT f.digest, f.customer_id FROM fact AS f
              WHERE f.team_id = told.team_id AND f.event_key = told.key LIMIT 1)
             UNION ALL
            (SELECT r.digest, r.customer_id FROM event_key AS r
              WHERE r.team_id = told.team_id AND r.event_key = told.key LIMIT 1)
             LIMIT 1
         ) AS k;
    END IF;
    IF told_orders IS NOT NULL THEN
        SELECT array_agg(ROW(o.team_id, o.shop_id, o.order_id, o.order_key, o.customer_id, o.uncounted, o.occur_time,
                             o.body)::report),
               wanted || array_agg(ROW(o.team_id, o.customer_id)::told_customer) FILTER (WHERE o.customer_id IS NOT NULL)
          INTO orders, wanted
          FROM unnest(told_orders) AS told
         CROSS JOIN LATERAL (
            SELECT * FROM shop_order AS r
             WHERE r.team_id = told.team_id AND r.shop_id = told.shop_id AND r.order_id = told.report_id LIMIT 1
         ) AS o;
    END IF;
    IF told_refunds IS NOT NULL THEN
        SELECT array_agg(ROW(o.team_id, o.shop_id, o.refund_id, o.refund_key, o.customer_id, o.uncounted, o.occur_time,
                             o.body)::report),
               wanted || array_agg(ROW(o.team_id, o.customer_id)::told_customer) FILTER (WHERE o.customer_id IS NOT NULL)
          INTO refunds, wanted
          FROM unnest(told_refunds) AS told
         CROSS JOIN LATERAL (
            SELECT * FROM refund AS r
             WHERE r.team_id = told.team_id AND r.shop_id = told.shop_id AND r.refund_id = told.report_id LIMIT 1
         ) AS o;
    END IF;
    IF told_members IS NOT NULL THEN
        SELECT array_agg(ROW(told.team_id, told.text, c.customer_id)::found_text),
               wanted || array_agg(ROW(told.team_id, c.customer_id)::told_customer), count(*) FILTER (WHERE told.unsure)
          INTO members, wanted, unsure_found
          FROM unnest(told_members) AS told
         CROSS JOIN LATERAL (
            SELECT r.customer_id FROM customer AS r
             WHERE r.team_id = told.team_id AND r.member_id_folded = told.text LIMIT 1
         ) AS c;
        found_count := found_count + unsure_found;
    END IF;
    IF told_phones IS NOT NULL THEN
        SELECT array_agg(ROW(told.team_id, told.text, c.customer_id)::found_text),
               wanted || array_agg(ROW(told.team_id, c.customer_id)::told_customer), count(*) FILTER (WHERE told.unsure)
          INTO phones, wanted, unsure_found
          FROM unnest(told_phones) AS told
         CROSS JOIN LATERAL (
            SELECT r.customer_id FROM customer AS r
             WHERE r.team_id = told.team_id AND r.phone = told.text
             ORDER BY r.create_time, r.customer_id LIMIT 1
         ) AS c;
        found_count := found_count + unsure_found;
    END IF;
    IF told_emails IS NOT NULL THEN
        SELECT array_agg(ROW(told.team_id, told.text, c.customer_id)::found_text),
               wanted || array_agg(ROW(told.team_id, c.customer_id)::told_customer), count(*) FILTER (WHERE told.unsure)
          INTO emails, wanted, unsure_found
          FROM unnest(told_emails) AS told
         CROSS JOIN LATERAL (
            SELECT r.customer_id FROM customer AS r
             WHERE r.team_id = told.team_id AND r.email_folded = told.text
             ORDER BY r.create_time, r.customer_id LIMIT 1
         ) AS c;
        found_count := found_count + unsure_found;
    END IF;
    IF told_tokens IS NOT NULL THEN
        SELECT array_agg(ROW(told.team_id, told.text, b.customer_id)::found_text),
               wanted || array_agg(ROW(told.team_id, b.customer_id)::told_customer), count(*) FILTER (WHERE told.unsure)
          INTO tokens, wanted, unsure_found
          FROM unnest(told_tokens) AS told
         CROSS JOIN LATERAL (
            SELECT r.customer_id FROM browser AS r WHERE r.team_id = told.team_id AND r.token = told.text LIMIT 1
         ) AS b;
        found_count := found_count + unsure_found;
    END IF;
    IF told_identities IS NOT NULL THEN
        SELECT array_agg(ROW(i.team_id, i.channel, i.account_id, i.external_id, i.customer_id, i.blocked)
                         ::found_identity),
               wanted || array_agg(ROW(i.team_id, i.customer_id)::told_customer), count(*) FILTER (WHERE told.unsure)
          INTO identities, wanted, unsure_found
          FROM unnest(told_identities) AS told
         CROSS JOIN LATERAL (
            SELECT * FROM identity AS r
             WHERE r.team_id = told.team_id AND r.channel = told.channel
               AND r.account_id = told.account_id AND r.external_id = told.external_id LIMIT 1
         ) AS i;
        found_count := found_count + unsure_found;
    END IF;
    locked := creating IS NOT NULL OR found_count = unsure_count;
    IF locked AND wanted IS NOT NULL THEN
        customers := lock_customers(wanted);
    END IF;
END
$$;
