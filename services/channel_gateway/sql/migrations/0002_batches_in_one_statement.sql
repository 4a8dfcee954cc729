-- A batch of sends, of marks or of outcomes is one statement: a function that binds the transaction to the batch's teams and does
-- all of its work. Locks are taken in the order that 0001 gives. `bound` are the teams; rows name theirs by its number in it.
-- What a function cannot do as a whole it raises, and nothing of it stays:
--   OJ101: a key is stored already.  OJ102: a limit or a stop is in the way of some of it.  OJ103: what the batch was made of
--   (accounts, content, prices) has changed.

-- Most columns of a batch are the same in all of its rows: such a column comes as an array of one value, which holds for all.

SELECT platform.open_pages('history');

-- A row's value of a column that may have come as one value.
CREATE FUNCTION same_or(given anyarray, value anyelement) RETURNS anyelement
LANGUAGE sql IMMUTABLE
AS $$ SELECT CASE WHEN cardinality(given) = 1 THEN given[1] ELSE value END $$;

-- Holds the stop epochs of journeys shared until the commit, and makes the rows that are missing. `epochs`: the lowest in which
-- sends of each were decided.
CREATE FUNCTION hold_stops(teams uuid[], journeys uuid[], epochs bigint[]) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    present bigint;
BEGIN
    FOR n IN 1 .. cardinality(teams) LOOP
        SELECT s.epoch INTO present FROM journey_stop AS s
         WHERE s.team_id = teams[n] AND s.journey_id = journeys[n] FOR SHARE;
        IF NOT FOUND THEN
            INSERT INTO journey_stop (team_id, journey_id, epoch) VALUES (teams[n], journeys[n], 0) ON CONFLICT DO NOTHING;
            SELECT s.epoch INTO present FROM journey_stop AS s
             WHERE s.team_id = teams[n] AND s.journey_id = journeys[n] FOR SHARE;
        END IF;
        IF epochs[n] < present THEN
            RAISE EXCEPTION 'the journey was stopped' USING ERRCODE = 'OJ102';
        END IF;
    END LOOP;
END
$$;

-- Whether accounts, content and prices are those that the batch was made of. Every change of an account raises its version, and
-- none is ever removed, so their sum tells of any change in a team. No price of its own is null.
CREATE FUNCTION check_catalogue(
    account_teams uuid[], account_versions bigint[],
    module_teams uuid[], module_ids uuid[], module_versions bigint[],
    template_teams uuid[], template_ids uuid[], template_versions bigint[],
    price_teams uuid[], price_channels smallint[], price_currencies text[], price_micros bigint[]
) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    present_currency text;
    present_micros bigint;
    stale boolean := false;
BEGIN
    FOR n IN 1 .. cardinality(account_teams) LOOP
        stale := stale OR account_versions[n] IS DISTINCT FROM
            (SELECT COALESCE(sum(a.version), 0) FROM account AS a WHERE a.team_id = account_teams[n]);
    END LOOP;
    FOR n IN 1 .. cardinality(module_teams) LOOP
        stale := stale OR NOT EXISTS (
            SELECT FROM bot_module AS m WHERE m.team_id = module_teams[n] AND m.bot_module_id = module_ids[n]
               AND m.version = module_versions[n] AND NOT m.deleted);
    END LOOP;
    FOR n IN 1 .. cardinality(template_teams) LOOP
        stale := stale OR NOT EXISTS (
            SELECT FROM template AS t WHERE t.team_id = template_teams[n] AND t.template_id = template_ids[n]
               AND t.version = template_versions[n] AND NOT t.deleted);
    END LOOP;
    FOR n IN 1 .. cardinality(price_teams) LOOP
        SELECT p.currency, p.micros INTO present_currency, present_micros FROM message_price AS p
         WHERE p.team_id = price_teams[n] AND p.channel = price_channels[n];
        stale := stale OR present_currency IS DISTINCT FROM price_currencies[n]
            OR present_micros IS DISTINCT FROM price_micros[n];
    END LOOP;
    IF stale THEN
        RAISE EXCEPTION 'accounts, content or prices have changed' USING ERRCODE = 'OJ103';
    END IF;
END
$$;

-- Takes places from the limits, all or none; each array in the order of its keys, without doubles. `caps`: the lowest of the
-- sends that take places of one.
CREATE FUNCTION take_places(
    domain_now timestamptz,
    cap_teams uuid[], cap_journeys uuid[], cap_channels smallint[], cap_counts bigint[], caps bigint[],
    plan_teams uuid[], plan_accounts uuid[], plan_months date[], plan_counts bigint[],
    payers uuid[], currencies text[], micros bigint[]
) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    present bigint;
BEGIN
    FOR n IN 1 .. cardinality(cap_teams) LOOP
        INSERT INTO journey_usage AS u (team_id, journey_id, channel, used)
        VALUES (cap_teams[n], cap_journeys[n], cap_channels[n], cap_counts[n])
        ON CONFLICT (team_id, journey_id, channel) DO UPDATE SET used = u.used + EXCLUDED.used
        RETURNING u.used INTO present;
        IF present > caps[n] THEN
            RAISE EXCEPTION 'a cap does not hold all' USING ERRCODE = 'OJ102';
        END IF;
    END LOOP;
    FOR n IN 1 .. cardinality(plan_teams) LOOP
        INSERT INTO plan_usage AS u (team_id, account_id, month, used)
        VALUES (plan_teams[n], plan_accounts[n], plan_months[n], plan_counts[n])
        ON CONFLICT (team_id, account_id, month) DO UPDATE SET used = u.used + EXCLUDED.used
        RETURNING u.used INTO present;
        IF present > (SELECT q.message_limit FROM plan_quota AS q
                       WHERE q.team_id = plan_teams[n] AND q.account_id = plan_accounts[n]) THEN
            RAISE EXCEPTION 'a plan does not hold all' USING ERRCODE = 'OJ102';
        END IF;
    END LOOP;
    FOR n IN 1 .. cardinality(payers) LOOP
        UPDATE wallet AS w SET balance_micros = w.balance_micros - micros[n], updated_at = domain_now
         WHERE w.team_id = payers[n] AND w.currency = currencies[n] AND w.balance_micros >= micros[n];
        IF NOT FOUND THEN
            RAISE EXCEPTION 'a balance does not hold all' USING ERRCODE = 'OJ102';
        END IF;
    END LOOP;
END
$$;

-- Gives back what settled sends did not use: `unused[n]` messages of `settled[n]`.
CREATE FUNCTION give_back(domain_now timestamptz, settled delivery[], unused integer[]) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    part record;
BEGIN
    FOR part IN
        SELECT s.team_id, s.journey_id, s.channel, sum(unused[s.ordinality::integer]) AS messages
          FROM unnest(settled) WITH ORDINALITY AS s
         WHERE s.capped AND unused[s.ordinality::integer] > 0 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    LOOP
        UPDATE journey_usage AS u SET used = u.used - part.messages
         WHERE u.team_id = part.team_id AND u.journey_id = part.journey_id AND u.channel = part.channel;
    END LOOP;
    FOR part IN
        SELECT s.team_id, s.account_id, s.quota_month, sum(unused[s.ordinality::integer]) AS messages
          FROM unnest(settled) WITH ORDINALITY AS s
         WHERE s.quota_month IS NOT NULL AND unused[s.ordinality::integer] > 0 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    LOOP
        UPDATE plan_usage AS u SET used = u.used - part.messages
         WHERE u.team_id = part.team_id AND u.account_id = part.account_id AND u.month = part.quota_month;
    END LOOP;
    FOR part IN
        -- 2: WhatsApp, whose messages are prepaid.
        SELECT s.team_id, sum(s.price_micros * unused[s.ordinality::integer]) AS micros
          FROM unnest(settled) WITH ORDINALITY AS s
         WHERE s.channel = 2 AND s.price_micros > 0 AND unused[s.ordinality::integer] > 0 GROUP BY 1 ORDER BY 1
    LOOP
        UPDATE wallet AS w SET balance_micros = w.balance_micros + part.micros, updated_at = domain_now
         WHERE w.team_id = part.team_id;
    END LOOP;
END
$$;

-- The next mail number of each settled send's customer, in the order given.
CREATE FUNCTION number_mail(settled delivery[]) RETURNS bigint[]
LANGUAGE sql
AS $$
    WITH ranked AS (
        SELECT s.ordinality, s.team_id, s.customer_id,
               row_number() OVER (PARTITION BY s.team_id, s.customer_id ORDER BY s.ordinality) AS rank
          FROM unnest(settled) WITH ORDINALITY AS s
    ), counted AS (
        SELECT r.team_id, r.customer_id, max(r.rank) AS n FROM ranked AS r GROUP BY 1, 2
    ), moved AS (
        INSERT INTO customer_mail AS m (team_id, customer_id, last_number)
        SELECT * FROM counted ORDER BY 1, 2
        ON CONFLICT (team_id, customer_id) DO UPDATE SET last_number = m.last_number + EXCLUDED.last_number
        RETURNING m.team_id, m.customer_id, m.last_number
    )
    SELECT array_agg(moved.last_number - counted.n + ranked.rank ORDER BY ranked.ordinality)
      FROM ranked JOIN moved USING (team_id, customer_id) JOIN counted USING (team_id, customer_id)
$$;

-- Writes the facts of settled sends, last thing in a transaction; the positions that they took. `mail_numbers` is null where
-- nobody waits for mail: the answer told the outcome.
CREATE FUNCTION tell_settled(
    domain_now timestamptz, settled delivery[], partitions smallint[], event_ids uuid[], mail_numbers bigint[]
) RETURNS bigint[]
LANGUAGE plpgsql
AS $$
DECLARE
    positions bigint[] := allocate_positions(partitions);
BEGIN
    INSERT INTO history (
        partition, position, team_id, customer_id, kind, occurred_at, event_id, mail_number, depth, effect_key, enrolment_id,
        journey_id, node_id, channel, account_id, outcome, reason, messages, micros, currency)
    SELECT partitions[s.ordinality::integer], positions[s.ordinality::integer], s.team_id, s.customer_id, 1, domain_now,
           event_ids[s.ordinality::integer], mail_numbers[s.ordinality::integer], s.depth, s.effect_key, s.enrolment_id,
           s.journey_id, s.node_id, s.channel, s.account_id, s.state, s.reason, s.messages, s.messages * s.price_micros,
           s.currency
      FROM unnest(settled) WITH ORDINALITY AS s;
    RETURN positions;
END
$$;

-- Reserves and stores sends, in one transaction; the positions of the facts of those that are refused, in the order given.
-- What sends have in common is a lot; rows name theirs by its number. Partitions and event ids are those of the refused rows.
-- A send stored as 9 is marked for the wire by this very commit. Keys in `anew` may be there as deferred, and are taken up anew.
CREATE FUNCTION reserve_sends(
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

-- Marks sends for the wire: those still ours and unsettled, also if a commit of the same mark went unheard. The keys of these.
-- "state + 0", here and below: while statistics are young or few sends are under way, the index of unsettled sends looks like
-- the way to a single one, and each send of a batch then reads all that are under way.
CREATE FUNCTION mark_sends(bound uuid[], own uuid, team_numbers smallint[], effect_keys uuid[]) RETURNS uuid[]
LANGUAGE plpgsql
AS $$
DECLARE
    marked uuid[];
BEGIN
    PERFORM platform.bind(bound);
    WITH held AS (
        SELECT d.place
          FROM (SELECT bound[same_or(team_numbers, g.team)] AS team_id, g.effect_key
                  FROM unnest(team_numbers, effect_keys) AS g (team, effect_key)
                 ORDER BY 1, 2) AS w
         CROSS JOIN LATERAL (
            SELECT ctid AS place FROM delivery
             WHERE delivery.team_id = w.team_id AND delivery.effect_key = w.effect_key AND state + 0 >= 8 AND sender = own
               FOR UPDATE
         ) AS d
    ), done AS (
        UPDATE delivery AS d
           SET state = 9, attempts = d.attempts + 1, first_attempt_at = COALESCE(d.first_attempt_at, clock_timestamp())
          FROM held AS h WHERE d.ctid = h.place
        RETURNING d.effect_key
    )
    SELECT array_agg(done.effect_key) INTO marked FROM done;
    RETURN COALESCE(marked, '{}');
END
$$;

-- Notes when attempts are repeated, of sends that are still ours; the keys of these.
CREATE FUNCTION postpone_sends(
    bound uuid[], own uuid, team_numbers smallint[], effect_keys uuid[], delays_s double precision[], part_counts integer[],
    message_id_lists text[], doubts boolean[], attempt_counts integer[]
) RETURNS uuid[]
LANGUAGE plpgsql
AS $$
DECLARE
    kept uuid[];
BEGIN
    PERFORM platform.bind(bound);
    WITH held AS (
        SELECT w.*, d.place
          FROM (SELECT bound[same_or(team_numbers, g.team)] AS team_id, g.effect_key, same_or(delays_s, g.delay_s) AS delay_s,
                       same_or(part_counts, g.parts_sent) AS parts_sent,
                       same_or(message_id_lists, g.message_ids) AS message_ids, same_or(doubts, g.doubtful) AS doubtful,
                       same_or(attempt_counts, g.attempts) AS attempts
                  FROM unnest(team_numbers, effect_keys, delays_s, part_counts, message_id_lists, doubts, attempt_counts)
                       AS g (team, effect_key, delay_s, parts_sent, message_ids, doubtful, attempts)
                 ORDER BY 1, 2) AS w
         CROSS JOIN LATERAL (
            SELECT ctid AS place FROM delivery
             WHERE delivery.team_id = w.team_id AND delivery.effect_key = w.effect_key AND state + 0 >= 8 AND sender = own
               FOR UPDATE
         ) AS d
    ), done AS (
        UPDATE delivery AS d
           SET state = 8, next_attempt_at = clock_timestamp() + make_interval(secs => h.delay_s), parts_sent = h.parts_sent,
               message_ids = string_to_array(h.message_ids, E'\n'), doubtful = h.doubtful, attempts = h.attempts
          FROM held AS h WHERE d.ctid = h.place
        RETURNING d.effect_key
    )
    SELECT array_agg(done.effect_key) INTO kept FROM done;
    RETURN COALESCE(kept, '{}');
END
$$;

-- Records outcomes of sends that are still ours and unsettled: gives places back, numbers the mail, writes the facts. Of these, by
-- the number of their row: the mail's number and the history's position. Message ids are joined by a line feed.
CREATE FUNCTION settle_sends(
    bound uuid[], own uuid, domain_now timestamptz,
    team_numbers smallint[], effect_keys uuid[], states smallint[], reasons text[], message_counts integer[],
    part_counts integer[], message_id_lists text[], partitions smallint[], event_ids uuid[],
    OUT places bigint[], OUT mail_numbers bigint[], OUT positions bigint[]
)
LANGUAGE plpgsql
AS $$
DECLARE
    settled delivery[];
    unused integer[];
    told_partitions smallint[];
    told_ids uuid[];
BEGIN
    PERFORM platform.bind(bound);
    WITH held AS (
        SELECT w.*, d.place, d.taken
          FROM (SELECT bound[same_or(team_numbers, g.team)] AS team_id, g.effect_key, same_or(states, g.state) AS state,
                       same_or(reasons, g.reason) AS reason, same_or(message_counts, g.messages) AS messages,
                       same_or(part_counts, g.parts_sent) AS parts_sent,
                       same_or(message_id_lists, g.message_ids) AS message_ids, g.n
                  FROM unnest(team_numbers, effect_keys, states, reasons, message_counts, part_counts, message_id_lists)
                       WITH ORDINALITY AS g (team, effect_key, state, reason, messages, parts_sent, message_ids, n)
                 ORDER BY 1, 2) AS w
         CROSS JOIN LATERAL (
            SELECT ctid AS place, delivery.messages AS taken FROM delivery
             WHERE delivery.team_id = w.team_id AND delivery.effect_key = w.effect_key AND delivery.state + 0 >= 8
               AND sender = own
               FOR UPDATE
         ) AS d
    ), done AS (
        UPDATE delivery AS d
           SET state = h.state, reason = h.reason, messages = h.messages, parts_sent = h.parts_sent, parts = NULL,
               message_ids = string_to_array(h.message_ids, E'\n'), settled_at = domain_now, next_attempt_at = NULL
          FROM held AS h WHERE d.ctid = h.place
        RETURNING h.n, h.taken - d.messages AS unused, d
    )
    SELECT array_agg(o.n), array_agg(o.unused), array_agg(o.d), array_agg(partitions[o.n::integer]),
           array_agg(event_ids[o.n::integer])
      INTO places, unused, settled, told_partitions, told_ids
      FROM (SELECT * FROM done ORDER BY done.n) AS o;
    IF places IS NULL THEN
        RETURN;
    END IF;
    IF 0 < ANY (unused) THEN
        PERFORM give_back(domain_now, settled, unused);
    END IF;
    mail_numbers := number_mail(settled);
    positions := tell_settled(domain_now, settled, told_partitions, told_ids, mail_numbers);
END
$$;
