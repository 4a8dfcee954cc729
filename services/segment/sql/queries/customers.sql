-- Customers, as people read and edit them.
--
-- Rows are looked up by LATERAL with LIMIT or OFFSET 0, one index probe each, and changed at the place that such a probe
-- found: to a plain join the planner prefers reading all rows of the team, since the condition of row-level security is
-- an index condition too and looks cheap while tables are small.

-- name: find_members
-- `keys`: folded member ids.
SELECT named.team_id, named.key, found.customer_id
  FROM unnest(:keys::input_key[]) AS named
 CROSS JOIN LATERAL (
    (SELECT c.customer_id FROM customer AS c
      WHERE c.team_id = named.team_id AND c.member_id_folded = named.key LIMIT 1)
     UNION ALL
    (SELECT a.customer_id FROM customer_alias AS a
      WHERE a.team_id = named.team_id AND a.kind = alias_kind('MEMBER_ID') AND a.text = named.key LIMIT 1)
     LIMIT 1
 ) AS found

-- name: find_listed
-- Up to two customers of each line and rank (1 member id, 2 e-mail, 3 phone), with the channels they are on.
SELECT line.item, found.rank, found.customer_id,
       ARRAY(SELECT DISTINCT i.channel FROM identity AS i
              WHERE i.team_id = :team_id AND i.customer_id = found.customer_id ORDER BY i.channel) AS channels
  FROM unnest(:lines::input_line[]) AS line
 CROSS JOIN LATERAL (
    SELECT 1 AS rank, c.customer_id FROM customer AS c
     WHERE c.team_id = :team_id AND c.member_id_folded = line.member_id
    UNION ALL
    SELECT 1, a.customer_id FROM customer_alias AS a
     WHERE a.team_id = :team_id AND a.kind = alias_kind('MEMBER_ID') AND a.text = line.member_id
    UNION ALL
    (SELECT 2, c.customer_id FROM customer AS c
      WHERE c.team_id = :team_id AND c.email_folded = line.email
        AND (line.member_id IS NULL OR c.member_id_folded IS NULL OR c.member_id_folded = line.member_id)
      ORDER BY c.create_time, c.customer_id LIMIT 2)
    UNION ALL
    (SELECT 3, c.customer_id FROM customer AS c
      WHERE c.team_id = :team_id AND c.phone = line.phone
        AND (line.member_id IS NULL OR c.member_id_folded IS NULL OR c.member_id_folded = line.member_id)
      ORDER BY c.create_time, c.customer_id LIMIT 2)
    UNION ALL
    SELECT a.kind, a.customer_id FROM customer_alias AS a
     WHERE a.team_id = :team_id AND a.kind = alias_kind('EMAIL') AND a.text = line.email
       AND NOT EXISTS (SELECT FROM customer AS c WHERE c.team_id = :team_id AND c.email_folded = line.email)
    UNION ALL
    SELECT a.kind, a.customer_id FROM customer_alias AS a
     WHERE a.team_id = :team_id AND a.kind = alias_kind('PHONE') AND a.text = line.phone
       AND NOT EXISTS (SELECT FROM customer AS c WHERE c.team_id = :team_id AND c.phone = line.phone)
 ) AS found
 ORDER BY line.item, found.rank

-- name: lock_customers
SELECT lock_customers_v2(:keys)

-- name: guard_creation
-- Two transactions that both find nobody must not both create: from here on one of them waits.
SELECT pg_advisory_xact_lock(hashtextextended('segment customers ' || :team_id::uuid, 0))

-- name: load_customer_views
-- `teams` null: those of the transaction; else a transaction of its own.
SELECT * FROM customer_views_v2(:teams, :keys, :with_tags, :with_values, :with_archived, :with_identities)

-- name: read_judged
-- A transaction of its own.
SELECT * FROM judged_customers_v2(
    :teams, :team_ids, :customer_ids, :with_basics, :with_times, :tags, :keys, :with_accounts)

-- name: list_customers
-- `after` may be null.
SELECT team_id, customer_id, member_id, name, phone, email, customer_interact_time, team_interact_time,
       marketed_time, checkout_time, mail_number, revision, create_time, update_time
  FROM customer
 WHERE team_id = :team_id AND (:after::uuid IS NULL OR customer_id > :after)
 ORDER BY customer_id LIMIT :row_max

-- name: search_customers
-- `after` may be null; `keyword` is folded; `phone` is the same, or the number that it is.
SELECT team_id, customer_id, member_id, name, phone, email, customer_interact_time, team_interact_time,
       marketed_time, checkout_time, mail_number, revision, create_time, update_time
  FROM customer
 WHERE team_id = :team_id AND (:after::uuid IS NULL OR customer_id > :after)
   AND (strpos(name_folded, :keyword) > 0 OR strpos(member_id_folded, :keyword) > 0
        OR strpos(email_folded, :keyword) > 0 OR strpos(phone, :phone) > 0)
 ORDER BY customer_id LIMIT :row_max

-- name: list_tags
-- `after` is folded.
SELECT tag_folded, min(tag) AS tag, count(*) AS customers
  FROM customer_tag WHERE team_id = :team_id AND tag_folded > :after
 GROUP BY tag_folded ORDER BY tag_folded LIMIT :row_max
