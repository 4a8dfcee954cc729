-- Appends the records of a commit, in their order, and numbers the mail that they are; last thing in a transaction, since it locks
-- the heads of their shards. The head is locked before the numbers of its customers: nobody else numbers their mail meanwhile.
-- `positions` of the records; `numbers` of their mails, all one after the other.
CREATE OR REPLACE FUNCTION append_records(records record_row[], OUT positions bigint[], OUT numbers bigint[])
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    one record_row := records[1];
    old_end bigint;
    at bigint;
    last bigint;
    before bigint;
BEGIN
    IF cardinality(records) = 1 AND cardinality(one.customers) = 1 AND one.mailed THEN
        -- A batch of one, which the general statements below would cost more than all of its other work.
        UPDATE record_head AS h SET position = h.position + 1 WHERE h.shard = one.shard RETURNING h.position, h.old_end INTO at, old_end;
        IF old_end IS NULL THEN
            PERFORM open_shards(ARRAY[one.shard]);
            UPDATE record_head AS h SET position = h.position + 1 WHERE h.shard = one.shard RETURNING h.position INTO at;
        END IF;
        INSERT INTO customer_mail AS m (team_id, customer_id, last_number, last_position)
        VALUES (one.team_id, one.customers[1], 1, at)
        ON CONFLICT (team_id, customer_id) DO UPDATE
           SET last_number = m.last_number + 1, before_position = m.last_position, last_position = EXCLUDED.last_position
        RETURNING m.last_number, m.before_position INTO last, before;
        INSERT INTO history_record (shard, position, team_id, customers, mails, body)
        VALUES (one.shard, at, one.team_id, one.customers, ARRAY[last, before], one.body);
        positions := ARRAY[at];
        numbers := ARRAY[last];
        RETURN;
    END IF;
    IF EXISTS (SELECT FROM record_head AS h WHERE h.old_end IS NULL) THEN
        PERFORM open_shards(ARRAY(SELECT r.shard FROM unnest(records) AS r));
    END IF;
    WITH ranked AS (
        SELECT r.shard, r.place, row_number() OVER (PARTITION BY r.shard ORDER BY r.place) AS rank
          FROM unnest(records) WITH ORDINALITY AS r (shard, team_id, customers, mailed, body, place)
    ), held AS (
        SELECT h.shard, counted.n
          FROM record_head AS h JOIN (SELECT c.shard, count(*) AS n FROM ranked AS c GROUP BY c.shard) AS counted USING (shard)
         ORDER BY h.shard
           FOR UPDATE OF h
    ), moved AS (
        UPDATE record_head AS h SET position = h.position + held.n
          FROM held WHERE h.shard = held.shard
        RETURNING h.shard, h.position - held.n AS before
    )
    SELECT array_agg(moved.before + ranked.rank ORDER BY ranked.place) INTO positions FROM ranked JOIN moved USING (shard);
    WITH mail AS (
        SELECT r.place, r.team_id, c.customer_id, c.n,
               row_number() OVER (PARTITION BY r.place, c.customer_id ORDER BY c.n) AS rank,
               count(*) OVER (PARTITION BY r.place, c.customer_id) AS count
          FROM unnest(records) WITH ORDINALITY AS r (shard, team_id, customers, mailed, body, place)
         CROSS JOIN LATERAL unnest(r.customers) WITH ORDINALITY AS c (customer_id, n)
         WHERE r.mailed
    ), moved AS (
        INSERT INTO customer_mail AS m (team_id, customer_id, last_number, last_position)
        SELECT team_id, customer_id, count, positions[place] FROM mail WHERE rank = 1 ORDER BY 1, 2
        ON CONFLICT (team_id, customer_id) DO UPDATE
           SET last_number = m.last_number + EXCLUDED.last_number, before_position = m.last_position,
               last_position = EXCLUDED.last_position
        RETURNING m.team_id, m.customer_id, m.last_number, m.before_position
    ), numbered AS (
        SELECT mail.place, mail.n, moved.last_number - mail.count + mail.rank AS number, moved.before_position
          FROM mail JOIN moved USING (team_id, customer_id)
    ), packed AS (
        SELECT u.place, array_agg(u.value ORDER BY u.n, u.part) AS mails
          FROM (
            SELECT place, n, 1 AS part, number AS value FROM numbered
            UNION ALL SELECT place, n, 2, before_position FROM numbered
          ) AS u GROUP BY u.place
    ), written AS (
        INSERT INTO history_record (shard, position, team_id, customers, mails, body)
        SELECT r.shard, positions[r.place], r.team_id, r.customers, packed.mails, r.body
          FROM unnest(records) WITH ORDINALITY AS r (shard, team_id, customers, mailed, body, place)
          LEFT JOIN packed ON packed.place = r.place
    )
    SELECT array_agg(numbered.number ORDER BY numbered.place, numbered.n) INTO numbers FROM numbered;
END
$$;
