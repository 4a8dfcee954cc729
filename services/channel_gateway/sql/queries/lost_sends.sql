-- name: lost_sends
-- Of sends, by their place from 0: those of which nothing will be heard after a number of their customer's mail. What is settled
-- and what is not are of one moment.
SELECT k.place - 1 AS place
  FROM unnest(:team_ids::uuid[], :customer_ids::uuid[], :shards::smallint[], :effect_keys::uuid[], :after_numbers::bigint[])
       WITH ORDINALITY AS k (team_id, customer_id, shard, effect_key, after_number, place)
 WHERE NOT EXISTS (
        SELECT FROM delivery AS d
         WHERE d.team_id = k.team_id AND d.effect_key = k.effect_key AND d.state >= send_state('ACCEPTED'))
   AND NOT EXISTS (
        SELECT FROM history AS h
         WHERE h.team_id = k.team_id AND h.customer_id = k.customer_id AND h.mail_number > k.after_number
           AND h.effect_key = k.effect_key)
   AND NOT EXISTS (
        -- A record has the keys of its sends as they are.
        SELECT FROM customer_records(k.team_id, k.customer_id, k.shard, k.after_number, 2147483647) AS r
         WHERE position(uuid_send(k.effect_key) IN r.body) > 0)
 ORDER BY k.place
