-- Coupons and their claims.

-- name: insert_coupon
INSERT INTO points.coupon (team_id, coupon_id, name, type, cost, insufficient_text, claims_per_customer_max, claims_max,
                           start_at, expires_at, claims, archived, version, created_at)
VALUES (:team_id, :coupon_id, :name, :type, :cost, :insufficient_text, :claims_per_customer_max, :claims_max,
        :start_at, :expires_at, 0, false, 1, :created_at)

-- name: read_coupon
SELECT team_id, coupon_id, name, type, cost, insufficient_text, claims_per_customer_max, claims_max, start_at, expires_at,
       claims, archived, version, created_at
  FROM points.coupon
 WHERE team_id = :team_id AND coupon_id = :coupon_id

-- name: lock_coupon
-- Locked after the account and before orders.
SELECT team_id, coupon_id, name, type, cost, insufficient_text, claims_per_customer_max, claims_max, start_at, expires_at,
       claims, archived, version, created_at
  FROM points.coupon
 WHERE team_id = :team_id AND coupon_id = :coupon_id
   FOR NO KEY UPDATE

-- name: update_coupon
-- The coupon is locked.
UPDATE points.coupon
   SET name = :name, type = :type, cost = :cost, insufficient_text = :insufficient_text,
       claims_per_customer_max = :claims_per_customer_max, claims_max = :claims_max, start_at = :start_at,
       expires_at = :expires_at, archived = :archived, version = version + 1
 WHERE team_id = :team_id AND coupon_id = :coupon_id

-- name: list_coupons
-- `after_*`: where the page before ended, nulls on the first page.
SELECT team_id, coupon_id, name, type, cost, insufficient_text, claims_per_customer_max, claims_max, start_at, expires_at,
       claims, archived, version, created_at
  FROM points.coupon
 WHERE team_id = :team_id AND (NOT archived OR :include_archived)
   AND (:after_created_at::timestamptz IS NULL
        OR (created_at, coupon_id) < (:after_created_at::timestamptz, :after_coupon_id::uuid))
 ORDER BY created_at DESC, coupon_id DESC
 LIMIT :row_max

-- name: count_claims
-- With those of customers who were merged into this one.
SELECT count(*) FROM points.coupon_claim
 WHERE team_id = :team_id AND coupon_id = :coupon_id
   AND customer_id = ANY (ARRAY(
        SELECT :customer_id::uuid UNION ALL
        SELECT m.customer_id FROM points.merged_customer AS m WHERE m.team_id = :team_id AND m.survivor_id = :customer_id))

-- name: insert_claim
INSERT INTO points.coupon_claim (team_id, claim_id, coupon_id, customer_id, code, points_paid, sequence, created_at,
                                 expires_at, offer_id)
VALUES (:team_id, :claim_id, :coupon_id, :customer_id, :code, :points_paid, :sequence, :created_at, :expires_at, :offer_id)

-- name: count_up_coupon
-- The coupon is locked.
UPDATE points.coupon SET claims = claims + 1 WHERE team_id = :team_id AND coupon_id = :coupon_id

-- name: read_claim
SELECT team_id, claim_id, coupon_id, customer_id, code, points_paid, sequence, created_at, expires_at, used_at
  FROM points.coupon_claim LEFT JOIN points.coupon_use USING (team_id, claim_id)
 WHERE team_id = :team_id AND claim_id = :claim_id

-- name: read_claim_by_code
SELECT team_id, claim_id, coupon_id, customer_id, code, points_paid, sequence, created_at, expires_at, used_at
  FROM points.coupon_claim LEFT JOIN points.coupon_use USING (team_id, claim_id)
 WHERE team_id = :team_id AND code = :code

-- name: read_claim_of_offer
SELECT team_id, claim_id, coupon_id, customer_id, code, points_paid, sequence, created_at, expires_at, used_at
  FROM points.coupon_claim LEFT JOIN points.coupon_use USING (team_id, claim_id)
 WHERE team_id = :team_id AND customer_id = :customer_id AND coupon_id = :coupon_id AND offer_id = :offer_id

-- name: list_claims
-- A coupon or customer that is null takes all; with claims of those who were merged into the customer. `after_*`: where the page before ended, nulls on the first page.
SELECT team_id, claim_id, coupon_id, customer_id, code, points_paid, sequence, created_at, expires_at, used_at
  FROM points.coupon_claim LEFT JOIN points.coupon_use USING (team_id, claim_id)
 WHERE team_id = :team_id AND (:coupon_id::uuid IS NULL OR coupon_id = :coupon_id)
   AND (:customer_id::uuid IS NULL OR customer_id = ANY (ARRAY(
        SELECT :customer_id UNION ALL
        SELECT m.customer_id FROM points.merged_customer AS m WHERE m.team_id = :team_id AND m.survivor_id = :customer_id)))
   AND (:after_created_at::timestamptz IS NULL
        OR (created_at, claim_id) < (:after_created_at::timestamptz, :after_claim_id::uuid))
 ORDER BY created_at DESC, claim_id DESC
 LIMIT :row_max

-- name: insert_coupon_use
-- None where it was used before.
INSERT INTO points.coupon_use (team_id, claim_id, used_at, place, actor)
VALUES (:team_id, :claim_id, :used_at, :place, :actor)
ON CONFLICT (team_id, claim_id) DO NOTHING RETURNING used_at
