-- version: 2
-- Records outcomes of sends that are still ours and unsettled: gives places back, numbers the mail, writes the facts. Of these, by
-- the number of their row: the mail's number and the history's position. Message ids are joined by a line feed.
-- A column that says the same in all rows comes as an array of one value. `bound` are the teams; rows name theirs by its number.
-- "state + 0": while statistics are young or few sends are under way, the index of unsettled sends looks like the way to a
-- single one, and each send of a batch then reads all that are under way.
CREATE OR REPLACE FUNCTION settle_sends(
    bound uuid[], own uuid, domain_now timestamptz,
    team_numbers smallint[], effect_keys uuid[], states smallint[], reasons text[], message_counts integer[],
    part_counts integer[], message_id_lists text[], partitions smallint[], event_ids uuid[],
    OUT places bigint[], OUT mail_numbers bigint[], OUT positions bigint[]
)
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    settled delivery[];
    unused integer[];
    fact_partitions smallint[];
    fact_ids uuid[];
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
             WHERE delivery.team_id = w.team_id AND delivery.effect_key = w.effect_key AND delivery.state + 0 >= send_state('ACCEPTED')
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
      INTO places, unused, settled, fact_partitions, fact_ids
      FROM (SELECT * FROM done ORDER BY done.n) AS o;
    IF places IS NULL THEN
        RETURN;
    END IF;
    IF 0 < ANY (unused) THEN
        PERFORM give_back(domain_now, settled, unused);
    END IF;
    mail_numbers := number_mail(settled);
    positions := write_settled(domain_now, settled, fact_partitions, fact_ids, mail_numbers);
END
$$;
