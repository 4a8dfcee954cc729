-- Statements of segment. Each runs in a transaction that is bound to the teams it concerns.
--
-- Rows are looked up by LATERAL with LIMIT or OFFSET 0, one index probe each, and changed at the place that such a probe
-- found: to a plain join the planner prefers reading all rows of the team, since the condition of row-level security is
-- an index condition too and looks cheap while tables are small.

-- ============================================================ teams

-- name: insert_team
-- $1 team, $2 name, $3 settings, $4 unsigned orders count, $5 time
INSERT INTO team (team_id, name, settings, unsigned_orders_count, revision, create_time, update_time)
VALUES ($1, $2, $3, $4, 1, $5, $5)
ON CONFLICT (team_id) DO NOTHING
RETURNING team_id, name, settings, revision, create_time, update_time

-- name: load_teams
-- $1 teams
SELECT team_id, name, settings, revision, create_time, update_time
  FROM team WHERE team_id = ANY ($1::uuid[]) ORDER BY team_id

-- name: lock_team
-- $1 team
SELECT team_id, name, settings, revision, create_time, update_time FROM team WHERE team_id = $1 FOR UPDATE

-- name: update_team
-- $1 team, $2 name, $3 settings, $4 unsigned orders count, $5 time
UPDATE team
   SET name = $2, settings = $3, unsigned_orders_count = $4, revision = revision + 1, update_time = $5
 WHERE team_id = $1
RETURNING team_id, name, settings, revision, create_time, update_time

-- name: list_team_ids
-- $1 after (may be null), $2 row_max
SELECT team_ids($1, $2)

-- ============================================================ who is who

-- name: find_members
-- $1 teams, $2 folded member ids
SELECT hint.team_id, hint.key, found.customer_id
  FROM unnest($1::uuid[], $2::text[]) AS hint (team_id, key)
 CROSS JOIN LATERAL (
    SELECT c.customer_id FROM customer AS c
     WHERE c.team_id = hint.team_id AND c.member_id_folded = hint.key LIMIT 1
 ) AS found

-- name: find_listed
-- $1 team, $2 items, $3 folded member ids, $4 folded e-mail addresses, $5 phones; nulls are not looked for
-- Up to two customers of each item and rank (1 member id, 2 e-mail, 3 phone), with the channels they are on.
SELECT hint.item, found.rank, found.customer_id,
       ARRAY(SELECT DISTINCT i.channel FROM identity AS i
              WHERE i.team_id = $1 AND i.customer_id = found.customer_id ORDER BY i.channel) AS channels
  FROM unnest($2::integer[], $3::text[], $4::text[], $5::text[]) AS hint (item, member_id, email, phone)
 CROSS JOIN LATERAL (
    SELECT 1 AS rank, c.customer_id FROM customer AS c
     WHERE c.team_id = $1 AND c.member_id_folded = hint.member_id
    UNION ALL
    (SELECT 2, c.customer_id FROM customer AS c
      WHERE c.team_id = $1 AND c.email_folded = hint.email
        AND (hint.member_id IS NULL OR c.member_id_folded IS NULL OR c.member_id_folded = hint.member_id)
      ORDER BY c.create_time, c.customer_id LIMIT 2)
    UNION ALL
    (SELECT 3, c.customer_id FROM customer AS c
      WHERE c.team_id = $1 AND c.phone = hint.phone
        AND (hint.member_id IS NULL OR c.member_id_folded IS NULL OR c.member_id_folded = hint.member_id)
      ORDER BY c.create_time, c.customer_id LIMIT 2)
 ) AS found
 ORDER BY hint.item, found.rank

-- name: find_identities
-- $1 teams, $2 channels, $3 accounts, $4 external ids
SELECT i.team_id, i.channel, i.account_id, i.external_id, i.customer_id, i.blocked
  FROM unnest($1::uuid[], $2::smallint[], $3::uuid[], $4::text[]) AS hint (team_id, channel, account_id, external_id)
 CROSS JOIN LATERAL (
    SELECT * FROM identity AS r
     WHERE r.team_id = hint.team_id AND r.channel = hint.channel
       AND r.account_id = hint.account_id AND r.external_id = hint.external_id LIMIT 1
 ) AS i

-- ============================================================ batches, see the migration `batches`

-- name: recall_events
-- $1 teams, $2 event keys, $3 orders, $4 refunds, $5 folded member ids, $6 phones, $7 folded e-mail addresses, $8 browser
-- tokens, $9 identities, $10 customers, $11 how many hints are unsure (null: lock nobody), $12 creating; rows, or null
SELECT * FROM recall_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)

-- name: recall_changes
-- $1 customers to be locked, $2 effects, $3 tags, $4 values, $5 attributes; rows, or null
SELECT * FROM recall_changes($1, $2, $3, $4, $5)

-- name: lock_customers
-- $1 customers
SELECT lock_customers($1)

-- name: save_batch
-- $1 time of recording; then rows, or null
SELECT save_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)

-- name: mark_marketed
-- $1 teams, $2 marks, $3 time of recording
SELECT moved, present FROM mark_marketed($1, $2, $3)

-- name: guard_creation
-- $1 team. Two transactions that both find nobody must not both create: from here on one of them waits.
SELECT pg_advisory_xact_lock(hashtextextended('segment customers ' || $1::uuid, 0))

-- name: delete_identity
-- $1 team, $2 channel, $3 account, $4 external id, $5 customer
DELETE FROM identity
 WHERE team_id = $1 AND channel = $2 AND account_id = $3 AND external_id = $4 AND customer_id = $5
RETURNING blocked

-- ============================================================ attributes

-- name: find_attributes
-- $1 teams, $2 keys
SELECT a.team_id, a.key, a.display_name, a.type, a.archived, a.revision, a.create_time, a.update_time
  FROM unnest($1::uuid[], $2::text[]) AS hint (team_id, key)
 CROSS JOIN LATERAL (
    SELECT * FROM attribute AS r WHERE r.team_id = hint.team_id AND r.key = hint.key LIMIT 1
 ) AS a

-- name: team_attributes
-- $1 team. Active ones.
SELECT key, type FROM attribute WHERE team_id = $1 AND NOT archived

-- name: list_attributes
-- $1 team, $2 after key, $3 archived (null: any), $4 row_max
SELECT team_id, key, display_name, type, archived, revision, create_time, update_time
  FROM attribute
 WHERE team_id = $1 AND key > $2 AND ($3::boolean IS NULL OR archived = $3)
 ORDER BY key LIMIT $4

-- name: insert_attribute
-- $1 team, $2 key, $3 display name, $4 type, $5 time
INSERT INTO attribute (team_id, key, display_name, type, archived, revision, create_time, update_time)
VALUES ($1, $2, $3, $4, false, 1, $5, $5)
ON CONFLICT (team_id, key) DO NOTHING
RETURNING team_id, key, display_name, type, archived, revision, create_time, update_time

-- name: lock_attribute
-- $1 team, $2 key
SELECT team_id, key, display_name, type, archived, revision, create_time, update_time
  FROM attribute WHERE team_id = $1 AND key = $2 FOR UPDATE

-- name: update_attribute
-- $1 team, $2 key, $3 display name, $4 type, $5 archived, $6 time
UPDATE attribute SET display_name = $3, type = $4, archived = $5, revision = revision + 1, update_time = $6
 WHERE team_id = $1 AND key = $2
RETURNING team_id, key, display_name, type, archived, revision, create_time, update_time

-- ============================================================ reading customers

-- name: customer_views
-- $1 teams (null: those of the transaction), $2 customers, $3..$6 with tags, values, archived attributes, identities
SELECT * FROM customer_views($1, $2, $3, $4, $5, $6)

-- name: judging_rules
-- $1 teams
SELECT team_id, settings, attributes FROM judging_rules($1)

-- name: list_customers
-- $1 team, $2 after (may be null), $3 row_max
SELECT team_id, customer_id, member_id, name, phone, email, customer_interact_time, team_interact_time,
       marketed_time, checkout_time, mail_number, revision, create_time, update_time
  FROM customer
 WHERE team_id = $1 AND ($2::uuid IS NULL OR customer_id > $2)
 ORDER BY customer_id LIMIT $3

-- name: search_customers
-- $1 team, $2 after (may be null), $3 row_max, $4 folded keyword
SELECT team_id, customer_id, member_id, name, phone, email, customer_interact_time, team_interact_time,
       marketed_time, checkout_time, mail_number, revision, create_time, update_time
  FROM customer
 WHERE team_id = $1 AND ($2::uuid IS NULL OR customer_id > $2)
   AND (strpos(name_folded, $4) > 0 OR strpos(member_id_folded, $4) > 0 OR strpos(email_folded, $4) > 0
        OR strpos(phone, $4) > 0)
 ORDER BY customer_id LIMIT $3

-- name: list_tags
-- $1 team, $2 after folded tag, $3 row_max
SELECT tag_folded, min(tag) AS tag, count(*) AS customers
  FROM customer_tag WHERE team_id = $1 AND tag_folded > $2
 GROUP BY tag_folded ORDER BY tag_folded LIMIT $3

-- ============================================================ history

-- name: fact_feed
-- $1 partitions, $2 positions, $3 kinds (may be null), $4 only mail, $5 row_max
SELECT partition, position, team_id, customer_id, event_id, occur_time, record_time, depth, mail_number, body
  FROM fact_feed($1, $2, $3, $4, $5)

-- name: customer_mail
-- $1 team, $2 customer, $3 after number, $4 row_max
SELECT partition, position, team_id, customer_id, event_id, occur_time, record_time, depth, mail_number, body
  FROM customer_mail($1, $2, $3, $4)

-- name: list_facts
-- $1 team, $2 customer (may be null), $3 start, $4 end, $5..$7 after (time, partition, position), $8 row_max
SELECT partition, position, team_id, customer_id, event_id, occur_time, record_time, depth, mail_number, body
  FROM fact
 WHERE team_id = $1 AND ($2::uuid IS NULL OR customer_id = $2) AND occur_time >= $3 AND occur_time < $4
   AND (occur_time, partition, position) > ($5, $6, $7)
 ORDER BY occur_time, partition, position LIMIT $8

-- name: load_mail_cursors
SELECT partition, position FROM mail_cursor

-- name: save_mail_cursors
-- $1 partitions, $2 positions
UPDATE mail_cursor AS c SET position = n.position
  FROM unnest($1::smallint[], $2::bigint[]) AS n (partition, position)
 WHERE c.partition = n.partition AND c.position < n.position

-- ============================================================ saved audiences

-- name: insert_saved_audience
-- $1 team, $2 id, $3 name, $4 folded name, $5 audience, $6 time
INSERT INTO saved_audience (team_id, audience_id, name, name_folded, audience, revision, create_time, update_time)
VALUES ($1, $2, $3, $4, $5, 1, $6, $6)
RETURNING audience_id, name, audience, revision, create_time, update_time

-- name: load_saved_audience
-- $1 team, $2 id
SELECT audience_id, name, audience, revision, create_time, update_time
  FROM saved_audience WHERE team_id = $1 AND audience_id = $2

-- name: lock_saved_audience
-- $1 team, $2 id
SELECT audience_id, name, audience, revision, create_time, update_time
  FROM saved_audience WHERE team_id = $1 AND audience_id = $2 FOR UPDATE

-- name: update_saved_audience
-- $1 team, $2 id, $3 name, $4 folded name, $5 audience, $6 time
UPDATE saved_audience SET name = $3, name_folded = $4, audience = $5, revision = revision + 1, update_time = $6
 WHERE team_id = $1 AND audience_id = $2
RETURNING audience_id, name, audience, revision, create_time, update_time

-- name: delete_saved_audience
-- $1 team, $2 id
DELETE FROM saved_audience WHERE team_id = $1 AND audience_id = $2

-- name: list_saved_audiences
-- $1 team, $2 after (may be null), $3 row_max
SELECT audience_id, name, audience, revision, create_time, update_time
  FROM saved_audience WHERE team_id = $1 AND ($2::uuid IS NULL OR audience_id > $2)
 ORDER BY audience_id LIMIT $3
