-- Pieces of the condition that an audience is turned into. `c` is the customer; `:name` becomes a parameter. Each piece is
-- true or false, never null: a predicate on a missing value is false. `store/audience_sql.py` puts them together.

-- name: window_end
-- The last customer of a window; null when fewer than a window's are left.
SELECT w.customer_id FROM team_customer AS w
 WHERE w.team_id = :team::uuid AND w.customer_id > :after::uuid
 ORDER BY w.customer_id OFFSET :rows::bigint - 1 LIMIT 1

-- name: list
SELECT c.customer_id FROM customer AS c
 WHERE c.team_id = :team::uuid AND c.customer_id > :after::uuid AND (:until::uuid IS NULL OR c.customer_id <= :until)
   AND /* condition */
 ORDER BY c.customer_id LIMIT :limit::bigint

-- name: tags_any_of
EXISTS (SELECT 1 FROM customer_tag AS t
         WHERE t.team_id = c.team_id AND t.customer_id = c.customer_id AND t.tag_folded = ANY (:tags::text[]))

-- name: tags_all_of
(SELECT count(*) FROM customer_tag AS t
  WHERE t.team_id = c.team_id AND t.customer_id = c.customer_id AND t.tag_folded = ANY (:tags::text[]))
= cardinality(:tags::text[])

-- name: tags_none_of
NOT EXISTS (SELECT 1 FROM customer_tag AS t
             WHERE t.team_id = c.team_id AND t.customer_id = c.customer_id AND t.tag_folded = ANY (:tags::text[]))

-- name: attribute
-- A value of the type that the definition has now.
EXISTS (SELECT 1 FROM customer_attribute AS v
         WHERE v.team_id = c.team_id AND v.customer_id = c.customer_id AND v.key = :key::text
           AND v.type = :type::smallint AND /* test */)

-- name: bound_to_channel
EXISTS (SELECT 1 FROM identity AS i
         WHERE i.team_id = c.team_id AND i.customer_id = c.customer_id AND i.channel = :channel::smallint)

-- name: bound_to_account
EXISTS (SELECT 1 FROM identity AS i
         WHERE i.team_id = c.team_id AND i.customer_id = c.customer_id AND i.channel = :channel::smallint
           AND i.account_id = :account::uuid)

-- name: points
-- No row: none.
COALESCE((SELECT /* test */ FROM customer_points AS p WHERE p.team_id = c.team_id AND p.customer_id = c.customer_id),
         (SELECT /* test */ FROM (VALUES (0::bigint, 0::bigint)) AS p (balance, cumulative)))

-- name: text_equals
-- Plain comparisons beside IS NOT NULL: never null, and an index can be used.
(/* value */ IS NOT NULL AND /* value */ = ANY (:values::text[]))

-- name: text_equals_one
-- Of one value the index gives customers in the order of their ids, of a list it does not: then sets are merged as they come.
(/* value */ IS NOT NULL AND /* value */ = :text::text)

-- name: text_not_equals
COALESCE(/* value */ <> ALL (:values::text[]), false)

-- name: text_contains
strpos(/* value */, :part::text) > 0

-- name: text_starts_with
starts_with(/* value */, :part::text)

-- name: compare_equals
/* value */ = :value::/* type */

-- name: compare_not_equals
/* value */ <> :value::/* type */

-- name: compare_less
/* value */ < :value::/* type */

-- name: compare_less_or_equal
/* value */ <= :value::/* type */

-- name: compare_greater
/* value */ > :value::/* type */

-- name: compare_greater_or_equal
/* value */ >= :value::/* type */

-- name: compare_between
/* value */ BETWEEN :value::/* type */ AND :upper::/* type */

-- name: boolean
/* value */ = :value::text

-- name: time_within
COALESCE(/* value */ >= :start::timestamptz AND /* value */ < :end::timestamptz, false)

-- name: time_from
COALESCE(/* value */ >= :start::timestamptz, false)

-- name: time_before
COALESCE(/* value */ < :end::timestamptz, false)
