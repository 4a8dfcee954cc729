-- Pieces of the set of customers that an audience is turned into, for counting it and for the pages that are not found near the
-- place where they begin. A piece selects customer ids, each once, through the views `team_…`, which show the one team that the
-- transaction is bound to. `/* within */` becomes the bounds of the ids wanted. `store/audience_sets.py` puts them together.

-- name: plan_sets
-- What the values of a key are is not known of each key, so estimates of how many have one are far too low: joins go by hashing or
-- merging, which a wrong guess costs little, with memory for a million ids.
SELECT set_config('plan_cache_mode', 'force_custom_plan', true), set_config('enable_nestloop', 'off', true),
       set_config('enable_hashjoin', 'on', true), set_config('enable_mergejoin', 'on', true), set_config('work_mem', '64MB', true)

-- name: plan_two_processes
-- Where every customer is looked at, each of two processes looks at half of them, which costs hardly more. Sets that indexes hand out in
-- order are joined by one: two would each read all of one side.
SELECT set_config('max_parallel_workers_per_gather', '1', true), set_config('parallel_setup_cost', '100', true),
       set_config('parallel_tuple_cost', '0.01', true), set_config('min_parallel_index_scan_size', '64kB', true)

-- name: middle
-- The customer in the middle of a sample, about that of all: ids follow times, but most of a team may have come in an hour.
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY c.customer_id)
  FROM customer AS c TABLESAMPLE SYSTEM (:percent::real) WHERE c.team_id = :team::uuid

-- name: plan_window
-- Each customer of a window is looked up by keys.
SELECT set_config('plan_cache_mode', 'force_custom_plan', true), set_config('enable_hashjoin', 'off', true),
       set_config('enable_mergejoin', 'off', true)

-- name: note_known_points
-- Points that were posted before there was the customer.
UPDATE customer_points AS p SET known = true
 WHERE p.team_id = :team::uuid AND NOT p.known
   AND EXISTS (SELECT FROM customer AS c WHERE c.team_id = p.team_id AND c.customer_id = p.customer_id)

-- name: count_set
SELECT count(*) FROM (/* set */) AS s

-- name: count_others
SELECT (SELECT count(*) FROM team_customer AS c WHERE c.team_id = :team::uuid /* within c */) - (SELECT count(*) FROM (/* set */) AS s)

-- name: list_set
SELECT s.customer_id FROM (/* set */) AS s ORDER BY s.customer_id LIMIT :limit::bigint

-- name: list_others
SELECT c.customer_id FROM team_customer AS c
 WHERE c.team_id = :team::uuid /* within c */
   AND NOT EXISTS (SELECT FROM (/* set */) AS s WHERE s.customer_id = c.customer_id)
 ORDER BY c.customer_id LIMIT :limit::bigint

-- name: written
-- The ids of a list as one text: a row for each costs more than the search for it.
SELECT string_agg(l.customer_id::text, ',' ORDER BY l.customer_id) FROM (/* list */) AS l

-- name: joined
SELECT s1.customer_id FROM (/* set */) AS s1 /* joins */

-- name: join
JOIN (/* set */) AS /* row */ ON /* row */.customer_id = s1.customer_id

-- name: without
NOT EXISTS (SELECT FROM (/* set */) AS n WHERE n.customer_id = s1.customer_id)

-- name: set_nobody
SELECT c.customer_id FROM team_customer AS c WHERE c.team_id = :team::uuid AND false

-- name: set_customers
SELECT c.customer_id FROM team_customer AS c WHERE c.team_id = :team::uuid /* within c */ AND /* condition */

-- name: set_tag
SELECT t.customer_id FROM team_tag AS t
 WHERE t.team_id = :team::uuid /* within t */ AND t.tag_folded = :tag::text

-- name: set_tags_any
SELECT DISTINCT t.customer_id FROM team_tag AS t
 WHERE t.team_id = :team::uuid /* within t */ AND t.tag_folded = ANY (:tags::text[])

-- name: set_tags_all
SELECT t.customer_id FROM team_tag AS t
 WHERE t.team_id = :team::uuid /* within t */ AND t.tag_folded = ANY (:tags::text[])
 GROUP BY t.customer_id HAVING count(*) = cardinality(:tags::text[])

-- name: set_attribute
-- A value of the type that the definition has now.
SELECT v.customer_id FROM team_attribute AS v
 WHERE v.team_id = :team::uuid /* within v */ AND v.key = :key::text AND v.type = :type::smallint AND /* test */

-- name: set_bound_to_channel
SELECT DISTINCT i.customer_id FROM team_identity AS i
 WHERE i.team_id = :team::uuid /* within i */ AND i.channel = :channel::smallint

-- name: set_bound_to_account
SELECT DISTINCT i.customer_id FROM team_identity AS i
 WHERE i.team_id = :team::uuid /* within i */ AND i.channel = :channel::smallint AND i.account_id = :account::uuid

-- name: set_points
SELECT p.customer_id FROM team_points AS p WHERE p.team_id = :team::uuid /* within p */ AND /* test */

-- name: after
AND /* row */.customer_id > :after::uuid

-- name: until
AND /* row */.customer_id <= :until::uuid
