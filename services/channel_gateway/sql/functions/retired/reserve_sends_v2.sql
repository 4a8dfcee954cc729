-- Reserves and stores sends, in one transaction of the teams `bound`; the positions of the facts of `refusals`, in their order.
-- `own` is the sender that gets the accepted ones. A send stored as IN_FLIGHT is recorded as such by this very commit. Keys in
-- `re_reserve` may be there as DEFERRED and are reserved again. What cannot be done as a whole is raised, and nothing stays:
--   OJ101: a key is stored already.  OJ102: a limit or a stop is in the way of some of it.  OJ103: what the batch was made of
--   (accounts, content, prices) has changed.
CREATE OR REPLACE FUNCTION reserve_sends_v2(
    bound uuid[], own uuid, domain_now timestamptz, stops stop_row[], versions content_version_row[], prices price_row[],
    caps cap_row[], plans plan_row[], payments payment_row[], groups send_group_row[], refusals refusal_row[],
    re_reserve uuid[]
) RETURNS bigint[]
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    stored bigint;
    refused delivery[];
BEGIN
    PERFORM platform.bind(bound);
    PERFORM hold_stops_v2(stops);
    PERFORM check_catalogue_v2(versions, prices);
    PERFORM take_places_v2(domain_now, caps, plans, payments);
    INSERT INTO delivery AS d (
        team_id, effect_key, customer_id, enrolment_id, journey_id, node_id, channel, account_id, template_id, state, accepted,
        reason, messages, price_micros, currency, capped, quota_month, stop_epoch, not_after, depth, recipient, parts, sender,
        attempts, first_attempt_at, created_at, settled_at)
    SELECT g.team_id, s.effect_key, s.customer_id, s.enrolment_id, g.journey_id, g.node_id, g.channel, g.account_id,
           g.template_id, g.state, g.state >= send_state('ACCEPTED'), g.reason, g.messages, g.price_micros, g.currency,
           g.capped, g.quota_month, g.stop_epoch, g.not_after, g.depth, s.recipient, s.parts, own,
           (g.state = send_state('IN_FLIGHT'))::integer,
           CASE WHEN g.state = send_state('IN_FLIGHT') THEN clock_timestamp() END, domain_now,
           CASE WHEN g.state < send_state('ACCEPTED') THEN domain_now END
      FROM unnest(groups) AS g CROSS JOIN LATERAL unnest(g.sends) AS s
     ORDER BY g.team_id, s.effect_key
    ON CONFLICT (team_id, effect_key) DO UPDATE
       SET channel = EXCLUDED.channel, account_id = EXCLUDED.account_id, template_id = EXCLUDED.template_id,
           state = EXCLUDED.state, accepted = EXCLUDED.accepted, reason = EXCLUDED.reason, messages = EXCLUDED.messages,
           price_micros = EXCLUDED.price_micros, currency = EXCLUDED.currency, capped = EXCLUDED.capped,
           quota_month = EXCLUDED.quota_month, stop_epoch = EXCLUDED.stop_epoch, not_after = EXCLUDED.not_after,
           depth = EXCLUDED.depth, recipient = EXCLUDED.recipient, parts = EXCLUDED.parts, sender = EXCLUDED.sender,
           attempts = EXCLUDED.attempts, first_attempt_at = EXCLUDED.first_attempt_at, settled_at = EXCLUDED.settled_at,
           parts_sent = 0, message_ids = '{}', next_attempt_at = NULL, doubtful = false
     WHERE d.state = send_state('DEFERRED') AND d.effect_key = ANY (re_reserve);
    GET DIAGNOSTICS stored = ROW_COUNT;
    IF stored < (SELECT sum(cardinality(g.sends)) FROM unnest(groups) AS g) THEN
        RAISE EXCEPTION 'a key is stored already' USING ERRCODE = 'OJ101';
    END IF;
    IF cardinality(refusals) = 0 THEN
        RETURN '{}';
    END IF;
    SELECT array_agg(d.whole ORDER BY r.n) INTO refused
      FROM unnest(refusals) WITH ORDINALITY AS r (team_id, effect_key, partition, event_id, n)
     CROSS JOIN LATERAL (
        SELECT delivery AS whole FROM delivery
         WHERE delivery.team_id = r.team_id AND delivery.effect_key = r.effect_key LIMIT 1
     ) AS d;
    RETURN write_settled(domain_now, refused, ARRAY(SELECT r.partition FROM unnest(refusals) AS r),
                        ARRAY(SELECT r.event_id FROM unnest(refusals) AS r), NULL);
END
$$;
