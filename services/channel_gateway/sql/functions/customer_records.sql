-- Records with a customer's mail after a number, in order, at most `row_max`: from the last one back, each says where the one before
-- lies. The numbers of a record begin with the one at the customer's first place in it.
CREATE OR REPLACE FUNCTION customer_records(customer_team uuid, customer uuid, customer_shard smallint, after_number bigint, row_max integer)
RETURNS SETOF history_record
LANGUAGE sql STABLE
SET search_path FROM CURRENT
AS $$
    WITH RECURSIVE chain (position, number, before) AS (
        SELECT r.position, r.mails[2 * p.place - 1], r.mails[2 * p.place]
          FROM customer_mail AS m
          JOIN history_record AS r ON r.shard = customer_shard AND r.position = m.last_position
         CROSS JOIN LATERAL array_position(r.customers, customer) AS p (place)
         WHERE m.team_id = customer_team AND m.customer_id = customer AND m.last_number > after_number
        UNION ALL
        SELECT r.position, r.mails[2 * p.place - 1], r.mails[2 * p.place]
          FROM chain AS c
          JOIN history_record AS r ON r.shard = customer_shard AND r.position = c.before
         CROSS JOIN LATERAL array_position(r.customers, customer) AS p (place)
         WHERE c.number > after_number + 1
    )
    SELECT r.*
      FROM (SELECT position FROM chain ORDER BY position LIMIT row_max) AS c
      JOIN history_record AS r ON r.shard = customer_shard AND r.position = c.position
     ORDER BY r.position
$$;
