-- Presses of coupons' buttons that wait for their answers.

-- name: keep_coupon_presses
INSERT INTO coupon_press (team_id, press_id, account_id, channel, external_id, customer_id, coupon_id, offer_id)
SELECT * FROM unnest(:teams::uuid[], :presses::uuid[], :accounts::uuid[], :channels::smallint[], :external_ids::text[],
                     :customers::uuid[], :coupons::uuid[], :offers::uuid[])
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
