-- Pieces of the condition that an audience is turned into. `c` is the customer; `:name` becomes a parameter. Each piece is
-- true or false, never null: a predicate on a missing value is false. `store/audience_sql.py` puts them together.

-- name: count
SELECT count(*) FROM customer AS c WHERE c.team_id = :team::uuid AND /* condition */

-- name: list
SELECT c.customer_id FROM customer AS c
 WHERE c.team_id = :team::uuid AND c.customer_id > :after::uuid AND /* condition */
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

-- name: text_equals
-- Plain comparisons beside IS NOT NULL: never null, and an index can be used.
(/* value */ IS NOT NULL AND /* value */ = ANY (:values::text[]))

-- name: text_not_equals
COALESCE(/* value */ <> ALL (:values::text[]), false)

-- name: text_contains
COALESCE((SELECT bool_or(strpos(/* value */, part) > 0) FROM unnest(:values::text[]) AS part), false)

-- name: text_not_contains
COALESCE((SELECT bool_and(strpos(/* value */, part) = 0) FROM unnest(:values::text[]) AS part), false)

-- name: text_starts_with
COALESCE((SELECT bool_or(starts_with(/* value */, part)) FROM unnest(:values::text[]) AS part), false)

-- name: number_equals
v.number_value = :value::numeric

-- name: number_not_equals
v.number_value <> :value::numeric

-- name: number_less
v.number_value < :value::numeric

-- name: number_less_or_equal
v.number_value <= :value::numeric

-- name: number_greater
v.number_value > :value::numeric

-- name: number_greater_or_equal
v.number_value >= :value::numeric

-- name: number_between
v.number_value BETWEEN :value::numeric AND :upper::numeric

-- name: date_equals
-- Canonical days are in the order of their texts.
v.value = :value::text

-- name: date_not_equals
v.value <> :value::text

-- name: date_less
v.value COLLATE "C" < :value::text

-- name: date_less_or_equal
v.value COLLATE "C" <= :value::text

-- name: date_greater
v.value COLLATE "C" > :value::text

-- name: date_greater_or_equal
v.value COLLATE "C" >= :value::text

-- name: date_between
v.value COLLATE "C" BETWEEN :value::text AND :upper::text

-- name: boolean
v.value = :value::text

-- name: time_within
COALESCE(/* value */ >= :start::timestamptz AND /* value */ < :end::timestamptz, false)

-- name: time_from
COALESCE(/* value */ >= :start::timestamptz, false)

-- name: time_before
COALESCE(/* value */ < :end::timestamptz, false)
