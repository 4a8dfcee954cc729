-- version: 4
-- Reserves and stores sends, in one transaction of the teams `bound`; the positions of the records of those that are refused.
-- `own` is the sender that gets the accepted ones, `stint` the stretch of its sends that they belong to. A send stored as IN_FLIGHT is
-- recorded as such by this very commit. Keys in `re_reserve` may be there as DEFERRED or CANCELLED and are reserved again. What cannot be done as a
-- whole is raised, and nothing stays:
--   OJ101: a key is stored already.  OJ102: a limit or a stop is in the way of some of it.  OJ103: what the batch was made of
--   (accounts, content, prices) has changed.
-- One of which messages left before it was put off keeps them, whatever becomes of the rest: they are neither sent nor paid again. One that may
-- have left (`doubtful`) keeps its place and its age as well: it goes on under the key that it had.
-- Somebody who wants no messages is in the way of a batch (OJ102) that was made without looking (with versions among its premises).
CREATE OR REPLACE FUNCTION reserve_sends_v3(
    bound uuid[], own uuid, stint uuid, domain_now timestamptz, premises reservation_premises, places reservation_places,
    groups send_group_row[], refusals record_row[], re_reserve uuid[]
) RETURNS bigint[]
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    stored bigint;
BEGIN
    PERFORM platform.bind(bound);
    PERFORM hold_stops_v2(premises.stops);
    PERFORM check_catalogue_v2(premises.versions, premises.prices);
    PERFORM take_places_v2(domain_now, places.caps, places.plans, places.payments);
    PERFORM hold_stint(stint, own);
    IF cardinality(premises.versions) > 0 AND is_opted_out(bound, groups) THEN
        RAISE EXCEPTION 'somebody wants no messages' USING ERRCODE = 'OJ102';
    END IF;
    INSERT INTO delivery AS d (
        team_id, effect_key, customer_id, enrolment_id, journey_id, node_id, channel, account_id, template_id, state, accepted,
        reason, messages, price_micros, currency, capped, quota_month, stop_epoch, not_after, depth, recipient, parts, sender,
        attempts, first_attempt_at, created_at, settled_at, stint_id)
    SELECT g.team_id, s.effect_key, s.customer_id, s.enrolment_id, g.journey_id, g.node_id, g.channel, g.account_id,
           g.template_id, g.state, g.state >= send_state('ACCEPTED'), g.reason, g.messages, g.price_micros, g.currency,
           g.capped, g.quota_month, g.stop_epoch, g.not_after, g.depth, s.recipient, s.parts, own,
           (g.state = send_state('IN_FLIGHT'))::integer,
           CASE WHEN g.state = send_state('IN_FLIGHT') THEN clock_timestamp() END, domain_now,
           CASE WHEN g.state < send_state('ACCEPTED') THEN domain_now END,
           CASE WHEN g.state >= send_state('ACCEPTED') THEN stint END
      FROM unnest(groups) AS g CROSS JOIN LATERAL unnest(g.sends) AS s
     ORDER BY g.team_id, s.effect_key
    ON CONFLICT (team_id, effect_key) DO UPDATE
       SET channel = EXCLUDED.channel, template_id = EXCLUDED.template_id,
           account_id = CASE WHEN d.parts_sent > 0 OR d.doubtful THEN d.account_id ELSE EXCLUDED.account_id END,
           state = EXCLUDED.state, accepted = EXCLUDED.accepted, reason = EXCLUDED.reason,
           messages = GREATEST(EXCLUDED.messages, d.parts_sent + d.doubtful::integer), messages_reported = d.parts_sent,
           price_micros = CASE WHEN d.parts_sent > 0 OR d.doubtful THEN d.price_micros ELSE EXCLUDED.price_micros END,
           currency = CASE WHEN d.parts_sent > 0 OR d.doubtful THEN d.currency ELSE EXCLUDED.currency END,
           capped = EXCLUDED.capped, quota_month = EXCLUDED.quota_month, stop_epoch = EXCLUDED.stop_epoch,
           not_after = EXCLUDED.not_after, depth = EXCLUDED.depth,
           recipient = CASE WHEN d.parts_sent > 0 OR d.doubtful THEN d.recipient ELSE EXCLUDED.recipient END,
           parts = CASE WHEN d.parts_sent > 0 OR d.doubtful THEN COALESCE(EXCLUDED.parts, d.parts) ELSE EXCLUDED.parts END,
           sender = EXCLUDED.sender, attempts = EXCLUDED.attempts,
           first_attempt_at = CASE WHEN d.doubtful THEN d.first_attempt_at ELSE EXCLUDED.first_attempt_at END,
           settled_at = EXCLUDED.settled_at, stint_id = EXCLUDED.stint_id, next_attempt_at = NULL
     WHERE d.state IN (send_state('DEFERRED'), send_state('CANCELLED')) AND d.effect_key = ANY (re_reserve);
    GET DIAGNOSTICS stored = ROW_COUNT;
    IF stored < (SELECT sum(cardinality(g.sends)) FROM unnest(groups) AS g) THEN
        RAISE EXCEPTION 'a key is stored already' USING ERRCODE = 'OJ101';
    END IF;
    IF cardinality(refusals) = 0 THEN
        RETURN '{}';
    END IF;
    RETURN (SELECT a.positions FROM append_records(refusals) AS a);
END
$$;
