-- name: lost_sends
-- Of sends, by their place from 0: those of which nothing will be heard after a number of their customer's mail. What is settled
-- and what is not are of one moment. "state + 0": a send is found by its key, not among all that are under way.
SELECT k.place - 1 AS place
  FROM unnest(:team_ids::uuid[], :customer_ids::uuid[], :effect_keys::uuid[], :after_numbers::bigint[]) WITH ORDINALITY
       AS k (team_id, customer_id, effect_key, after_number, place)
 WHERE NOT EXISTS (
        SELECT FROM delivery AS d
         WHERE d.team_id = k.team_id AND d.effect_key = k.effect_key AND d.state + 0 >= send_state('ACCEPTED'))
   AND NOT EXISTS (
        SELECT FROM history AS h
         WHERE h.team_id = k.team_id AND h.customer_id = k.customer_id AND h.mail_number > k.after_number
           AND h.effect_key = k.effect_key)
 ORDER BY k.place
