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

-- name: load_team_policies
-- $1 teams
SELECT team_id, unsigned_orders_count FROM team WHERE team_id = ANY ($1::uuid[])

-- ============================================================ who is who

-- name: find_customers
-- $1 teams, $2 folded member ids; $3, $4 phones; $5, $6 folded e-mail addresses; $7, $8 browser tokens
-- One row per hint that finds somebody: kind 1 member id, 2 phone, 3 e-mail, 4 browser token.
SELECT 1 AS kind, hint.team_id, hint.key, found.customer_id
  FROM unnest($1::uuid[], $2::text[]) AS hint (team_id, key)
 CROSS JOIN LATERAL (
    SELECT c.customer_id FROM customer AS c
     WHERE c.team_id = hint.team_id AND c.member_id_folded = hint.key LIMIT 1
 ) AS found
UNION ALL
SELECT 2, hint.team_id, hint.key, found.customer_id
  FROM unnest($3::uuid[], $4::text[]) AS hint (team_id, key)
 CROSS JOIN LATERAL (
    SELECT c.customer_id FROM customer AS c
     WHERE c.team_id = hint.team_id AND c.phone = hint.key
     ORDER BY c.create_time, c.customer_id LIMIT 1
 ) AS found
UNION ALL
SELECT 3, hint.team_id, hint.key, found.customer_id
  FROM unnest($5::uuid[], $6::text[]) AS hint (team_id, key)
 CROSS JOIN LATERAL (
    SELECT c.customer_id FROM customer AS c
     WHERE c.team_id = hint.team_id AND c.email_folded = hint.key
     ORDER BY c.create_time, c.customer_id LIMIT 1
 ) AS found
UNION ALL
SELECT 4, hint.team_id, hint.key, found.customer_id
  FROM unnest($7::uuid[], $8::text[]) AS hint (team_id, key)
 CROSS JOIN LATERAL (
    SELECT b.customer_id FROM browser AS b WHERE b.team_id = hint.team_id AND b.token = hint.key LIMIT 1
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

-- name: find_orders
-- $1 teams, $2 shops, $3 order ids
SELECT o.team_id, o.shop_id, o.order_id, o.order_key, o.customer_id, o.uncounted, o.occur_time, o.body
  FROM unnest($1::uuid[], $2::text[], $3::text[]) AS hint (team_id, shop_id, order_id)
 CROSS JOIN LATERAL (
    SELECT * FROM shop_order AS r
     WHERE r.team_id = hint.team_id AND r.shop_id = hint.shop_id AND r.order_id = hint.order_id LIMIT 1
 ) AS o

-- name: find_refunds
-- $1 teams, $2 shops, $3 refund ids
SELECT r.team_id, r.shop_id, r.refund_id, r.refund_key, r.customer_id, r.uncounted, r.occur_time, r.body
  FROM unnest($1::uuid[], $2::text[], $3::text[]) AS hint (team_id, shop_id, refund_id)
 CROSS JOIN LATERAL (
    SELECT * FROM refund AS r
     WHERE r.team_id = hint.team_id AND r.shop_id = hint.shop_id AND r.refund_id = hint.refund_id LIMIT 1
 ) AS r

-- name: find_event_keys
-- $1 teams, $2 keys
SELECT k.team_id, k.event_key, k.digest, k.customer_id
  FROM unnest($1::uuid[], $2::text[]) AS hint (team_id, event_key)
 CROSS JOIN LATERAL (
    SELECT * FROM event_key AS r WHERE r.team_id = hint.team_id AND r.event_key = hint.event_key LIMIT 1
 ) AS k

-- name: guard_creation
-- $1 teams in order. Two transactions that both find nobody must not both create: from here on one of them waits.
SELECT pg_advisory_xact_lock(hashtextextended('segment customers ' || team_id, 0)) FROM unnest($1::uuid[]) AS team_id

-- name: lock_customers
-- $1 teams, $2 customers. In one order everywhere, so that batches wait for each other and never in a circle.
SELECT c.*
  FROM (SELECT * FROM unnest($1::uuid[], $2::uuid[]) AS given (team_id, customer_id) ORDER BY 1, 2) AS wanted
 CROSS JOIN LATERAL (
    SELECT r.team_id, r.customer_id, r.member_id, r.name, r.phone, r.email, r.customer_interact_time,
           r.team_interact_time, r.marketed_time, r.checkout_time, r.mail_number, r.revision, r.create_time,
           r.update_time
      FROM customer AS r
     WHERE r.team_id = wanted.team_id AND r.customer_id = wanted.customer_id
       FOR NO KEY UPDATE
 ) AS c

-- name: load_customers
-- $1 teams, $2 customers
SELECT c.team_id, c.customer_id, c.member_id, c.name, c.phone, c.email, c.customer_interact_time, c.team_interact_time,
       c.marketed_time, c.checkout_time, c.mail_number, c.revision, c.create_time, c.update_time
  FROM unnest($1::uuid[], $2::uuid[]) AS wanted (team_id, customer_id)
 CROSS JOIN LATERAL (
    SELECT * FROM customer AS r
     WHERE r.team_id = wanted.team_id AND r.customer_id = wanted.customer_id LIMIT 1
 ) AS c

-- ============================================================ writes of a batch

-- name: insert_customers
-- One array per column.
INSERT INTO customer (team_id, customer_id, member_id, member_id_folded, name, name_folded, phone, email, email_folded,
                      customer_interact_time, team_interact_time, marketed_time, checkout_time, mail_number, revision,
                      create_time, update_time)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                     $9::text[], $10::timestamptz[], $11::timestamptz[], $12::timestamptz[], $13::timestamptz[],
                     $14::bigint[], $15::bigint[], $16::timestamptz[], $17::timestamptz[])

-- name: update_customer_times
-- The columns that events of known customers change; nothing that is indexed.
UPDATE customer AS c
   SET customer_interact_time = n.customer_interact_time, team_interact_time = n.team_interact_time,
       marketed_time = n.marketed_time, checkout_time = n.checkout_time, mail_number = n.mail_number,
       revision = n.revision, update_time = n.update_time
  FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[],
              $7::bigint[], $8::bigint[], $9::timestamptz[])
       AS n (team_id, customer_id, customer_interact_time, team_interact_time, marketed_time, checkout_time,
             mail_number, revision, update_time)
 CROSS JOIN LATERAL (
    SELECT r.ctid AS place FROM customer AS r
     WHERE r.team_id = n.team_id AND r.customer_id = n.customer_id LIMIT 1
 ) AS found
 WHERE c.ctid = found.place

-- name: update_customer_names
-- Basic data, for the few whose it is that change.
UPDATE customer AS c
   SET member_id = n.member_id, member_id_folded = n.member_id_folded, name = n.name, name_folded = n.name_folded,
       phone = n.phone, email = n.email, email_folded = n.email_folded
  FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
              $9::text[])
       AS n (team_id, customer_id, member_id, member_id_folded, name, name_folded, phone, email, email_folded)
 CROSS JOIN LATERAL (
    SELECT r.ctid AS place FROM customer AS r
     WHERE r.team_id = n.team_id AND r.customer_id = n.customer_id LIMIT 1
 ) AS found
 WHERE c.ctid = found.place

-- name: insert_identities
INSERT INTO identity (team_id, customer_id, channel, account_id, external_id, blocked, bind_time)
SELECT team_id, customer_id, channel, account_id, external_id, false, bind_time
  FROM unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::uuid[], $5::text[], $6::timestamptz[])
       AS n (team_id, customer_id, channel, account_id, external_id, bind_time)

-- name: block_identities
UPDATE identity AS i SET blocked = n.blocked
  FROM unnest($1::uuid[], $2::smallint[], $3::uuid[], $4::text[], $5::boolean[])
       AS n (team_id, channel, account_id, external_id, blocked)
 CROSS JOIN LATERAL (
    SELECT r.ctid AS place FROM identity AS r
     WHERE r.team_id = n.team_id AND r.channel = n.channel
       AND r.account_id = n.account_id AND r.external_id = n.external_id LIMIT 1
 ) AS found
 WHERE i.ctid = found.place

-- name: delete_identity
-- $1 team, $2 channel, $3 account, $4 external id, $5 customer
DELETE FROM identity
 WHERE team_id = $1 AND channel = $2 AND account_id = $3 AND external_id = $4 AND customer_id = $5
RETURNING blocked

-- name: insert_browsers
INSERT INTO browser (team_id, token, customer_id) SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[])

-- name: insert_orders
INSERT INTO shop_order (team_id, shop_id, order_id, order_key, customer_id, uncounted, occur_time, body)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::uuid[], $6::smallint[], $7::timestamptz[],
                     $8::bytea[])

-- name: update_orders
-- As for inserting, and $9 the `uncounted` that was read: whoever is late changes no row.
UPDATE shop_order AS o
   SET customer_id = n.customer_id, uncounted = n.uncounted, occur_time = n.occur_time, body = n.body
  FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::uuid[], $6::smallint[], $7::timestamptz[],
              $8::bytea[], $9::smallint[])
       AS n (team_id, shop_id, order_id, order_key, customer_id, uncounted, occur_time, body, was_uncounted)
 CROSS JOIN LATERAL (
    SELECT r.ctid AS place FROM shop_order AS r
     WHERE r.team_id = n.team_id AND r.shop_id = n.shop_id AND r.order_id = n.order_id LIMIT 1
 ) AS found
 WHERE o.ctid = found.place AND o.uncounted = n.was_uncounted

-- name: insert_refunds
INSERT INTO refund (team_id, shop_id, refund_id, refund_key, customer_id, uncounted, occur_time, body)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::uuid[], $6::smallint[], $7::timestamptz[],
                     $8::bytea[])

-- name: update_refunds
-- As for orders.
UPDATE refund AS o
   SET customer_id = n.customer_id, uncounted = n.uncounted, occur_time = n.occur_time, body = n.body
  FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::uuid[], $6::smallint[], $7::timestamptz[],
              $8::bytea[], $9::smallint[])
       AS n (team_id, shop_id, refund_id, refund_key, customer_id, uncounted, occur_time, body, was_uncounted)
 CROSS JOIN LATERAL (
    SELECT r.ctid AS place FROM refund AS r
     WHERE r.team_id = n.team_id AND r.shop_id = n.shop_id AND r.refund_id = n.refund_id LIMIT 1
 ) AS found
 WHERE o.ctid = found.place AND o.uncounted = n.was_uncounted

-- name: insert_event_keys
INSERT INTO event_key (team_id, event_key, digest, customer_id)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::uuid[])

-- name: insert_facts
INSERT INTO fact (partition, position, team_id, customer_id, event_id, occur_time, record_time, depth, mail_number, body)
SELECT * FROM unnest($1::smallint[], $2::bigint[], $3::uuid[], $4::uuid[], $5::uuid[], $6::timestamptz[],
                     $7::timestamptz[], $8::integer[], $9::bigint[], $10::bytea[])

-- name: find_effects
-- $1 teams, $2 effect keys
SELECT e.team_id, e.effect_key, e.digest, e.status, e.reason
  FROM unnest($1::uuid[], $2::uuid[]) AS hint (team_id, effect_key)
 CROSS JOIN LATERAL (
    SELECT * FROM effect AS r WHERE r.team_id = hint.team_id AND r.effect_key = hint.effect_key LIMIT 1
 ) AS e

-- name: insert_effects
INSERT INTO effect (team_id, effect_key, digest, status, reason)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::smallint[], $5::text[])

-- name: find_tags
-- $1 teams, $2 customers, $3 folded tags
SELECT t.team_id, t.customer_id, t.tag_folded, t.tag
  FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS hint (team_id, customer_id, tag_folded)
 CROSS JOIN LATERAL (
    SELECT * FROM customer_tag AS r
     WHERE r.team_id = hint.team_id AND r.customer_id = hint.customer_id AND r.tag_folded = hint.tag_folded LIMIT 1
 ) AS t

-- name: insert_tags
INSERT INTO customer_tag (team_id, customer_id, tag_folded, tag, apply_time)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[])
ON CONFLICT (team_id, customer_id, tag_folded) DO UPDATE SET tag = excluded.tag, apply_time = excluded.apply_time

-- name: delete_tags
DELETE FROM customer_tag AS t
 USING unnest($1::uuid[], $2::uuid[], $3::text[]) AS gone (team_id, customer_id, tag_folded)
 CROSS JOIN LATERAL (
    SELECT r.ctid AS place FROM customer_tag AS r
     WHERE r.team_id = gone.team_id AND r.customer_id = gone.customer_id AND r.tag_folded = gone.tag_folded LIMIT 1
 ) AS found
 WHERE t.ctid = found.place

-- name: find_values
-- $1 teams, $2 customers, $3 keys
SELECT v.team_id, v.customer_id, v.key, v.type, v.value
  FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS hint (team_id, customer_id, key)
 CROSS JOIN LATERAL (
    SELECT * FROM customer_attribute AS r
     WHERE r.team_id = hint.team_id AND r.customer_id = hint.customer_id AND r.key = hint.key LIMIT 1
 ) AS v

-- name: upsert_values
INSERT INTO customer_attribute (team_id, customer_id, key, type, value, value_folded, number_value)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::smallint[], $5::text[], $6::text[], $7::numeric[])
ON CONFLICT (team_id, customer_id, key) DO UPDATE
   SET type = excluded.type, value = excluded.value, value_folded = excluded.value_folded,
       number_value = excluded.number_value

-- name: delete_values
DELETE FROM customer_attribute AS v
 USING unnest($1::uuid[], $2::uuid[], $3::text[]) AS gone (team_id, customer_id, key)
 CROSS JOIN LATERAL (
    SELECT r.ctid AS place FROM customer_attribute AS r
     WHERE r.team_id = gone.team_id AND r.customer_id = gone.customer_id AND r.key = gone.key LIMIT 1
 ) AS found
 WHERE v.ctid = found.place

-- ============================================================ attributes

-- name: find_attributes
-- $1 teams, $2 keys
SELECT a.team_id, a.key, a.display_name, a.type, a.archived, a.revision, a.create_time, a.update_time
  FROM unnest($1::uuid[], $2::text[]) AS hint (team_id, key)
 CROSS JOIN LATERAL (
    SELECT * FROM attribute AS r WHERE r.team_id = hint.team_id AND r.key = hint.key LIMIT 1
 ) AS a

-- name: team_attributes
-- $1 teams
SELECT team_id, key, display_name, type, archived, revision, create_time, update_time
  FROM attribute WHERE team_id = ANY ($1::uuid[])

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

-- name: customer_tags
-- $1 teams, $2 customers
SELECT t.team_id, t.customer_id, t.tag
  FROM unnest($1::uuid[], $2::uuid[]) AS wanted (team_id, customer_id)
 CROSS JOIN LATERAL (
    SELECT * FROM customer_tag AS r
     WHERE r.team_id = wanted.team_id AND r.customer_id = wanted.customer_id OFFSET 0
 ) AS t
 ORDER BY t.team_id, t.customer_id, t.apply_time, t.tag_folded

-- name: customer_values
-- $1 teams, $2 customers. Values of the type that the definition has now, of active and archived attributes.
SELECT v.team_id, v.customer_id, v.key, v.type, v.value, a.archived
  FROM unnest($1::uuid[], $2::uuid[]) AS wanted (team_id, customer_id)
 CROSS JOIN LATERAL (
    SELECT * FROM customer_attribute AS r
     WHERE r.team_id = wanted.team_id AND r.customer_id = wanted.customer_id OFFSET 0
 ) AS v
 CROSS JOIN LATERAL (
    SELECT r.archived FROM attribute AS r
     WHERE r.team_id = v.team_id AND r.key = v.key AND r.type = v.type LIMIT 1
 ) AS a

-- name: customer_identities
-- $1 teams, $2 customers
SELECT i.team_id, i.customer_id, i.channel, i.account_id, i.external_id, i.blocked, i.bind_time
  FROM unnest($1::uuid[], $2::uuid[]) AS wanted (team_id, customer_id)
 CROSS JOIN LATERAL (
    SELECT * FROM identity AS r WHERE r.team_id = wanted.team_id AND r.customer_id = wanted.customer_id OFFSET 0
 ) AS i
 ORDER BY i.team_id, i.customer_id, i.channel, i.account_id, i.external_id

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

-- name: fact_teams
-- $1 partitions, $2 positions, $3 row_max
SELECT fact_teams($1, $2, $3)

-- name: read_facts
-- $1 partitions, $2 positions, $3 row_max
SELECT f.partition, f.position, f.team_id, f.customer_id, f.event_id, f.occur_time, f.record_time, f.depth,
       f.mail_number, f.body
  FROM unnest($1::smallint[], $2::bigint[]) AS cursor (partition, position)
 CROSS JOIN LATERAL (
    SELECT * FROM fact AS h
     WHERE h.partition = cursor.partition AND h.position > cursor.position
     ORDER BY h.position LIMIT $3
 ) AS f
 ORDER BY f.partition, f.position

-- name: customer_mail
-- $1 team, $2 customer, $3 after number, $4 row_max
SELECT partition, position, team_id, customer_id, event_id, occur_time, record_time, depth, mail_number, body
  FROM fact
 WHERE team_id = $1 AND customer_id = $2 AND mail_number > $3
 ORDER BY mail_number LIMIT $4

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
