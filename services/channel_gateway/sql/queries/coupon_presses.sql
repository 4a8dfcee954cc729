-- Presses of coupons' buttons that wait for their answers.

-- name: keep_coupon_presses
-- Not those that were answered: their webhook may be worked again when points has forgotten the request, and would pay for a claim then.
INSERT INTO coupon_press (team_id, press_id, account_id, channel, external_id, customer_id, coupon_id, offer_id)
SELECT n.*
  FROM unnest(:teams::uuid[], :presses::uuid[], :accounts::uuid[], :channels::smallint[], :external_ids::text[],
              :customers::uuid[], :coupons::uuid[], :offers::uuid[])
    AS n (team_id, press_id, account_id, channel, external_id, customer_id, coupon_id, offer_id)
 WHERE NOT EXISTS (SELECT FROM delivery AS d WHERE d.team_id = n.team_id AND d.effect_key = n.press_id OFFSET 0)
ON CONFLICT (team_id, press_id) DO NOTHING

-- name: due_press_teams
SELECT team_id FROM due_press_teams(:most) AS team_id

-- name: due_presses
SELECT press_id, account_id, channel, external_id, customer_id, coupon_id, offer_id, tries
  FROM coupon_press
 WHERE team_id = :team_id AND try_at <= clock_timestamp()
 ORDER BY kept_at, press_id LIMIT :most

-- name: end_press
DELETE FROM coupon_press WHERE team_id = :team_id AND press_id = :press_id

-- name: put_off_press
UPDATE coupon_press SET tries = tries + 1, try_at = clock_timestamp() + :wait::interval, reason = :reason
 WHERE team_id = :team_id AND press_id = :press_id

-- name: forget_presses
DELETE FROM coupon_press
 WHERE team_id = :team_id AND try_at IS NULL AND kept_at < clock_timestamp() - interval '30 days'
