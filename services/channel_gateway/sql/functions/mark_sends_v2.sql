-- Records sends as in flight: those still ours and unsettled, also if the answer to an earlier commit of the same was lost. The
-- keys of these; and of those that stay as they are because their customers want no messages by now. A send that has begun to leave, or may
-- have left, goes on.
-- "state + 0": while statistics are young or few sends are under way, the index of unsettled sends looks like the way to a
-- single one, and each send of a batch then reads all that are under way.
-- A column that says the same in all rows comes as an array of one value. `bound` are the teams; rows name theirs by its number.
-- A row that another transaction (a receipt's, say) changed after the statement had begun is locked as it is by then, and not found at
-- that place by the same statement; the next one finds it.
CREATE OR REPLACE FUNCTION mark_sends_v2(
    bound uuid[], own uuid, team_numbers smallint[], effect_keys uuid[], OUT in_flight uuid[], OUT unwanted uuid[]
)
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    looks boolean;
    is_whole boolean;
BEGIN
    PERFORM platform.bind(bound);
    looks := has_consents(bound);
    in_flight := '{}';
    LOOP
        WITH held AS (
            SELECT d.place, w.effect_key, d.is_unwanted
              FROM (SELECT bound[same_or(team_numbers, g.team)] AS team_id, g.effect_key
                      FROM unnest(team_numbers, effect_keys) AS g (team, effect_key)
                     WHERE g.effect_key <> ALL (in_flight)
                     ORDER BY 1, 2) AS w
             CROSS JOIN LATERAL (
                SELECT ctid AS place,
                       CASE WHEN looks AND parts_sent = 0 AND NOT doubtful
                            THEN wants_none(team_id, customer_id, channel, recipient) ELSE false END AS is_unwanted
                  FROM delivery
                 WHERE delivery.team_id = w.team_id AND delivery.effect_key = w.effect_key AND state + 0 >= send_state('ACCEPTED') AND sender = own
                   FOR UPDATE
             ) AS d
        ), done AS (
            UPDATE delivery AS d
               SET state = send_state('IN_FLIGHT'), attempts = d.attempts + 1,
                   first_attempt_at = COALESCE(d.first_attempt_at, clock_timestamp())
              FROM held AS h WHERE d.ctid = h.place AND NOT h.is_unwanted
            RETURNING d.effect_key
        )
        SELECT in_flight || ARRAY(SELECT done.effect_key FROM done), ARRAY(SELECT h.effect_key FROM held AS h WHERE h.is_unwanted),
               (SELECT count(DISTINCT h.place) FROM held AS h WHERE NOT h.is_unwanted) = (SELECT count(*) FROM done)
          INTO in_flight, unwanted, is_whole;
        EXIT WHEN is_whole;
    END LOOP;
END
$$;
