-- version: 2
-- Notes when attempts are repeated, of sends that are still ours; the keys of these.
-- A column that says the same in all rows comes as an array of one value. `bound` are the teams; rows name theirs by its number.
-- "state + 0": while statistics are young or few sends are under way, the index of unsettled sends looks like the way to a
-- single one, and each send of a batch then reads all that are under way.
-- A row that another transaction (a receipt's, say) changed after the statement had begun is locked as it is by then, and not found at
-- that place by the same statement; the next one finds it. A send that was passed over would look like another's, and be repeated.
CREATE OR REPLACE FUNCTION postpone_sends(
    bound uuid[], own uuid, team_numbers smallint[], effect_keys uuid[], delays_s double precision[], part_counts integer[],
    message_id_lists text[], doubts boolean[], attempt_counts integer[]
) RETURNS uuid[]
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    kept uuid[];
    is_whole boolean;
BEGIN
    PERFORM platform.bind(bound);
    LOOP
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
                 WHERE delivery.team_id = w.team_id AND delivery.effect_key = w.effect_key AND state + 0 >= send_state('ACCEPTED') AND sender = own
                   FOR UPDATE
             ) AS d
        ), done AS (
            UPDATE delivery AS d
               SET state = send_state('ACCEPTED'), next_attempt_at = clock_timestamp() + make_interval(secs => h.delay_s), parts_sent = h.parts_sent,
                   message_ids = string_to_array(h.message_ids, E'\n'), doubtful = h.doubtful, attempts = h.attempts
              FROM held AS h WHERE d.ctid = h.place
            RETURNING d.effect_key
        )
        SELECT ARRAY(SELECT done.effect_key FROM done), (SELECT count(DISTINCT h.place) FROM held AS h) = (SELECT count(*) FROM done)
          INTO kept, is_whole;
        EXIT WHEN is_whole;
    END LOOP;
    RETURN kept;
END
$$;
