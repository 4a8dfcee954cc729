-- Reserves and stores sends, in one transaction; the positions of the facts of those that are refused, in the order given.
-- What sends have in common is a lot; rows name theirs by its number. Partitions and event ids are those of the refused rows.
-- A send stored as 9 is marked for the wire by this very commit. Keys in `anew` may be there as deferred, and are taken up anew.
-- A column that says the same in all rows comes as an array of one value. What cannot be done as a whole is raised, and nothing stays:
--   OJ101: a key is stored already.  OJ102: a limit or a stop is in the way of some of it.  OJ103: what the batch was made of
--   (accounts, content, prices) has changed.
CREATE OR REPLACE FUNCTION reserve_sends(
    bound uuid[], own uuid, domain_now timestamptz,
    stop_teams uuid[], stop_journeys uuid[], stop_epochs bigint[],
    account_teams uuid[], account_versions bigint[],
    module_teams uuid[], module_ids uuid[], module_versions bigint[],
    template_teams uuid[], template_ids uuid[], template_versions bigint[],
    price_teams uuid[], price_channels smallint[], price_currencies text[], price_micros bigint[],
    cap_teams uuid[], cap_journeys uuid[], cap_channels smallint[], cap_counts bigint[], caps bigint[],
    plan_teams uuid[], plan_accounts uuid[], plan_months date[], plan_counts bigint[],
    payers uuid[], currencies text[], micros bigint[],
    lot_teams uuid[], lot_journeys uuid[], lot_nodes text[], lot_channels smallint[], lot_accounts uuid[], lot_templates uuid[],
    lot_epochs bigint[], lot_currencies text[], lot_prices bigint[], lot_capped boolean[], lot_months date[],
    lots smallint[], effect_keys uuid[], customer_ids uuid[], enrolment_ids uuid[], states smallint[], reasons text[],
    message_counts integer[], not_afters timestamptz[], depths integer[], recipients text[], bodies bytea[],
    partitions smallint[], event_ids uuid[], anew uuid[]
) RETURNS bigint[]
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    stored bigint;
    refused delivery[];
BEGIN
    PERFORM platform.bind(bound);
    PERFORM hold_stops(stop_teams, stop_journeys, stop_epochs);
    PERFORM check_catalogue(account_teams, account_versions, module_teams, module_ids, module_versions, template_teams,
                            template_ids, template_versions, price_teams, price_channels, price_currencies, price_micros);
    PERFORM take_places(domain_now, cap_teams, cap_journeys, cap_channels, cap_counts, caps, plan_teams, plan_accounts,
                        plan_months, plan_counts, payers, currencies, micros);
    INSERT INTO delivery AS d (
        team_id, effect_key, customer_id, enrolment_id, journey_id, node_id, channel, account_id, template_id, state, accepted,
        reason, messages, price_micros, currency, capped, quota_month, stop_epoch, not_after, depth, recipient, parts, sender,
        attempts, first_attempt_at, created_at, settled_at)
    SELECT lot_teams[w.lot], w.effect_key, w.customer_id, w.enrolment_id, lot_journeys[w.lot], lot_nodes[w.lot],
           lot_channels[w.lot], lot_accounts[w.lot], lot_templates[w.lot], w.state, w.state >= 8, w.reason, w.messages,
           lot_prices[w.lot], lot_currencies[w.lot], lot_capped[w.lot], lot_months[w.lot], lot_epochs[w.lot], w.not_after,
           w.depth, w.recipient, w.body, own, (w.state = 9)::integer, CASE WHEN w.state = 9 THEN clock_timestamp() END,
           domain_now, CASE WHEN w.state < 8 THEN domain_now END
      FROM (SELECT same_or(lots, g.lot) AS lot, g.effect_key, g.customer_id, g.enrolment_id,
                   same_or(states, g.state) AS state, same_or(reasons, g.reason) AS reason,
                   same_or(message_counts, g.messages) AS messages, same_or(not_afters, g.not_after) AS not_after,
                   same_or(depths, g.depth) AS depth, same_or(recipients, g.recipient) AS recipient,
                   same_or(bodies, g.body) AS body
              FROM unnest(lots, effect_keys, customer_ids, enrolment_ids, states, reasons, message_counts, not_afters, depths,
                          recipients, bodies)
                   AS g (lot, effect_key, customer_id, enrolment_id, state, reason, messages, not_after, depth, recipient,
                         body)) AS w
     WHERE true  -- parts the select from the conflict clause
     ORDER BY 1, 2
    ON CONFLICT (team_id, effect_key) DO UPDATE
       SET channel = EXCLUDED.channel, account_id = EXCLUDED.account_id, template_id = EXCLUDED.template_id,
           state = EXCLUDED.state, accepted = EXCLUDED.accepted, reason = EXCLUDED.reason, messages = EXCLUDED.messages,
           price_micros = EXCLUDED.price_micros, currency = EXCLUDED.currency, capped = EXCLUDED.capped,
           quota_month = EXCLUDED.quota_month, stop_epoch = EXCLUDED.stop_epoch, not_after = EXCLUDED.not_after,
           depth = EXCLUDED.depth, recipient = EXCLUDED.recipient, parts = EXCLUDED.parts, sender = EXCLUDED.sender,
           attempts = EXCLUDED.attempts, first_attempt_at = EXCLUDED.first_attempt_at, settled_at = EXCLUDED.settled_at,
           parts_sent = 0, message_ids = '{}', next_attempt_at = NULL, doubtful = false
     WHERE d.state = 4 AND d.effect_key = ANY (anew);
    GET DIAGNOSTICS stored = ROW_COUNT;
    IF stored < cardinality(effect_keys) THEN
        RAISE EXCEPTION 'a key is stored already' USING ERRCODE = 'OJ101';
    END IF;
    IF cardinality(partitions) = 0 THEN
        RETURN '{}';
    END IF;
    SELECT array_agg(d.whole ORDER BY w.n) INTO refused
      FROM (SELECT lot_teams[same_or(lots, r.lot)] AS team_id, r.effect_key, r.n
              FROM unnest(lots, effect_keys, states) WITH ORDINALITY AS r (lot, effect_key, state, n)
             WHERE same_or(states, r.state) < 8) AS w
     CROSS JOIN LATERAL (
        SELECT delivery AS whole FROM delivery
         WHERE delivery.team_id = w.team_id AND delivery.effect_key = w.effect_key LIMIT 1
     ) AS d;
    RETURN tell_settled(domain_now, refused, partitions, event_ids, NULL);
END
$$;
