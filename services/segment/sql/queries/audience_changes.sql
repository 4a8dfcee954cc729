-- Changes of everyone in an audience.

-- name: unfinished_audience_changes
SELECT team_id, change_id FROM unfinished_audience_changes()

-- name: count_unfinished_audience_changes
SELECT count(*) FROM audience_change WHERE team_id = :team_id AND NOT ended

-- name: insert_audience_change
INSERT INTO audience_change (team_id, change_id, audience, add_tags, remove_tags, keys, texts, triggers, of_tag, total_count,
                             created_at, updated_at)
VALUES (:team_id, :change_id, :audience, :add_tags, :remove_tags, :keys, :texts, :triggers, :of_tag, :total_count, :now, :now)

-- name: convert_by_audience_change
UPDATE audience_change
   SET convert_key = :key, convert_from = :old_type::smallint, convert_to = :new_type::smallint, merge_into = :merge_into
 WHERE team_id = :team_id AND change_id = :change_id

-- name: read_audience_change
SELECT team_id, change_id, audience, add_tags, remove_tags, keys, texts, triggers, of_tag, state, reached, done_count,
       refused_count, total_count, reason, message, created_at, updated_at, convert_key,
       convert_from, convert_to, merge_into
  FROM audience_change WHERE team_id = :team_id AND change_id = :change_id

-- name: lock_audience_change
SELECT team_id, change_id, audience, add_tags, remove_tags, keys, texts, triggers, of_tag, state, reached, done_count,
       refused_count, total_count, reason, message, created_at, updated_at, convert_key,
       convert_from, convert_to, merge_into
  FROM audience_change WHERE team_id = :team_id AND change_id = :change_id FOR UPDATE

-- name: move_audience_change
UPDATE audience_change
   SET state = :state, ended = :ended, reached = :reached, done_count = :done_count, refused_count = :refused_count, reason = :reason,
       message = :message, updated_at = :updated_at
 WHERE team_id = :team_id AND change_id = :change_id

-- name: list_audience_changes
-- Newest first; `before_time` may be null.
SELECT team_id, change_id, audience, add_tags, remove_tags, keys, texts, triggers, of_tag, state, reached, done_count,
       refused_count, total_count, reason, message, created_at, updated_at, convert_key,
       convert_from, convert_to, merge_into
  FROM audience_change
 WHERE team_id = :team_id
   AND (:before_time::timestamptz IS NULL OR (created_at, change_id) < (:before_time, :before_id::uuid))
 ORDER BY created_at DESC, change_id DESC LIMIT :row_max

-- name: has_tag
SELECT EXISTS (SELECT FROM customer_tag WHERE team_id = :team_id AND tag_folded = :tag_folded)

-- name: spell_tag
UPDATE customer_tag SET tag = :tag
 WHERE team_id = :team_id AND customer_id = ANY (:customers::uuid[]) AND tag_folded = :tag_folded

-- name: next_customers
SELECT customer_id FROM customer
 WHERE team_id = :team_id AND (:after::uuid IS NULL OR customer_id > :after) ORDER BY customer_id LIMIT :row_max

-- name: values_of_type
SELECT v.customer_id, v.value
  FROM unnest(:customers::uuid[]) AS n (customer_id)
  JOIN customer_attribute AS v
    ON v.team_id = :team_id AND v.customer_id = n.customer_id AND v.key = :key AND v.type = :type::smallint

-- name: convert_values
-- A value that was set meanwhile stays.
UPDATE customer_attribute AS v
   SET type = :type::smallint, value = n.value, value_folded = n.folded, number_value = n.number
  FROM unnest(:customers::uuid[], :before::text[], :texts::text[], :folded::text[], :numbers::numeric[])
    AS n (customer_id, before, value, folded, number)
 WHERE v.team_id = :team_id AND v.customer_id = n.customer_id AND v.key = :key AND v.type = :old_type::smallint
   AND v.value = n.before

-- name: values_of_attribute
SELECT value FROM customer_attribute
 WHERE team_id = :team_id AND key = :key AND type = :type::smallint LIMIT :row_max

-- name: unfinished_works_on_values
-- Of attributes: those that convert, delete or merge them, and those that merge others into them.
SELECT team_id, change_id, audience, add_tags, remove_tags, keys, texts, triggers, of_tag, state, reached, done_count,
       refused_count, total_count, reason, message, created_at, updated_at, convert_key,
       convert_from, convert_to, merge_into
  FROM audience_change
 WHERE team_id = :team_id AND NOT ended AND (convert_key = ANY (:keys::text[]) OR merge_into = ANY (:keys::text[]))
 ORDER BY created_at, change_id

-- name: customers_with_value
-- Each part is read by an index of its own; the policy of the table itself would not let them.
SELECT customer_id FROM (
    (SELECT customer_id FROM team_attribute WHERE team_id = :team_id AND key = :key AND type = 2 LIMIT :row_max)
    UNION
    (SELECT customer_id FROM team_attribute
      WHERE team_id = :team_id AND key = :key AND type <> 2 AND octet_length(value_folded) <= 200 LIMIT :row_max)
    UNION
    (SELECT customer_id FROM team_attribute
      WHERE team_id = :team_id AND key = :key AND octet_length(value_folded) > 200 LIMIT :row_max)
) AS found
 ORDER BY customer_id LIMIT :row_max

-- name: count_values
SELECT (SELECT count(*) FROM team_attribute WHERE team_id = :team_id AND key = :key AND type = 2)
     + (SELECT count(*) FROM team_attribute
         WHERE team_id = :team_id AND key = :key AND type <> 2 AND octet_length(value_folded) <= 200)
     + (SELECT count(*) FROM team_attribute
         WHERE team_id = :team_id AND key = :key AND type <> 2 AND octet_length(value_folded) > 200)

-- name: delete_values
DELETE FROM customer_attribute
 WHERE team_id = :team_id AND customer_id = ANY (:customers::uuid[]) AND key = :key

-- name: delete_archived_attribute
DELETE FROM attribute WHERE team_id = :team_id AND key = :key AND archived
