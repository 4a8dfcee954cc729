-- Posts a batch in which nothing is to be decided: each posting adds, whatever the figures are that it adds to. What they are
-- is read and written here. Locks are taken in the order of write_batch_v2: accounts, orders, keys, heads of the history.
-- `partitions` of the customers beside `adds`; `figure_max`: no figure goes beyond. Answers the figures after each add.
-- 40001, or a unique index: an account has changed, a key or an order is recorded, a figure leaves its range. Nothing is
-- written then, and the batch has to be decided upon.
CREATE OR REPLACE FUNCTION post_adds(
    teams uuid[], recorded_at timestamptz, figure_max bigint, partitions smallint[], adds add_row[],
    OUT sequences bigint[], OUT balances bigint[], OUT cumulatives bigint[]
)
LANGUAGE plpgsql
SET search_path FROM CURRENT SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    added added_row[];
    previous integer[];
    keys uuid[];
    account_count bigint;
    order_count bigint;
    written bigint;
    positions bigint[];
    recorded_micros CONSTANT bigint := extract(epoch FROM recorded_at) * 1000000;
BEGIN
    PERFORM platform.bind(teams);
    SELECT array_agg(ROW(a.before, a.before + a.number, a.balance, a.cumulative, a.posted_at,
                         CASE a.number WHEN 1 THEN sha256('\xdc0015c420'::bytea || a.last_hash || a.rest) ELSE a.rest END)::added_row),
           array_agg(a.before + a.number), array_agg(a.balance), array_agg(a.cumulative), array_agg(a.previous), array_agg(a.key),
           count(*) FILTER (WHERE a.is_last), count(a.order_key)
      INTO added, sequences, balances, cumulatives, previous, keys, account_count, order_count
      FROM (
        SELECT e.number, e.previous, e.key, e.is_last, e.order_key, f.before, f.last_hash, f.balance, f.cumulative, f.posted_at,
               '\xc410'::bytea || uuid_send(e.team_id) || '\xc410'::bytea || uuid_send(e.customer_id)
               || packed_whole(f.before + e.number) || e.head || packed_whole(f.balance) || packed_whole(f.cumulative)
               || packed_whole(coalesce((extract(epoch FROM e.occurred_at) * 1000000)::bigint, recorded_micros))
               || packed_whole(f.posted_micros) || e.tail AS rest
          FROM unnest(adds) AS e
          LEFT JOIN LATERAL (
            SELECT r.sequence, r.balance, r.cumulative, r.last_at, r.last_hash FROM account AS r
             WHERE r.team_id = e.team_id AND r.customer_id = e.customer_id LIMIT 1
          ) AS r ON true
         CROSS JOIN LATERAL (
            SELECT coalesce(r.sequence, 0), coalesce(r.last_hash, decode(repeat('00', 32), 'hex')),
                   coalesce(r.balance, 0) + e.gained, coalesce(r.cumulative, 0) + e.gained,
                   greatest(recorded_at, r.last_at + interval '1 microsecond') + (e.number - 1) * interval '1 microsecond',
                   CASE WHEN r.last_at >= recorded_at THEN (extract(epoch FROM r.last_at) * 1000000)::bigint + 1
                        ELSE recorded_micros END + e.number - 1
         ) AS f (before, last_hash, balance, cumulative, posted_at, posted_micros)
      ) AS a;
    IF account_count < cardinality(adds) THEN
        FOR place IN 1 .. cardinality(adds) LOOP
            IF previous[place] > 0 THEN
                added[place].hash := sha256('\xdc0015c420'::bytea || added[previous[place]].hash || added[place].hash);
            END IF;
        END LOOP;
    END IF;
    MERGE INTO account AS a
    USING (
        SELECT e.team_id, e.customer_id, e.sequence_before, e.sequence, e.balance, e.cumulative, e.posted_at, e.hash
          FROM ROWS FROM (unnest(adds), unnest(added)) AS e
         WHERE e.is_last
         ORDER BY e.team_id, e.customer_id
    ) AS e
       ON a.team_id = e.team_id AND a.customer_id = e.customer_id
     WHEN MATCHED AND a.sequence = e.sequence_before AND e.balance <= figure_max AND e.cumulative <= figure_max THEN
          UPDATE SET balance = e.balance, cumulative = e.cumulative, sequence = e.sequence, last_at = e.posted_at,
                     last_hash = e.hash
     WHEN NOT MATCHED AND e.balance <= figure_max AND e.cumulative <= figure_max THEN
          INSERT (team_id, customer_id, balance, cumulative, sequence, last_at, last_hash)
          VALUES (e.team_id, e.customer_id, e.balance, e.cumulative, e.sequence, e.posted_at, e.hash);
    GET DIAGNOSTICS written = ROW_COUNT;
    IF written <> account_count THEN
        RAISE EXCEPTION 'an account has changed, or has no room' USING ERRCODE = 'serialization_failure';
    END IF;
    IF order_count > 0 THEN
        INSERT INTO shop_order (team_id, order_key, customer_id, posted, earning, amount_micros, refunded_micros, earned, clawed,
                                taken)
        SELECT e.team_id, e.order_key, e.customer_id, true, true, e.amount_micros, 0, e.points, 0, 0
          FROM unnest(adds) AS e
         WHERE e.order_key IS NOT NULL
         ORDER BY e.team_id, e.order_key;
    END IF;
    PERFORM hold_keys(keys, NULL);
    positions := allocate_positions(partitions);
    INSERT INTO entry (team_id, customer_id, sequence, partition, position, source, source_id, source_name, delta_balance,
                       delta_cumulative, requested_balance, requested_cumulative, balance, cumulative, occurred_at, posted_at,
                       key, actor, order_key, enrolment_id, node_id, note, hash, fingerprint)
    SELECT e.team_id, e.customer_id, e.sequence, partitions[e.ordinality], positions[e.ordinality], e.source, e.source_id,
           e.source_name, e.points, e.points, e.points, e.points, e.balance, e.cumulative, coalesce(e.occurred_at, recorded_at),
           e.posted_at, e.key, e.actor, e.order_key, e.enrolment_id, e.node_id, e.note, e.hash, e.fingerprint
      FROM ROWS FROM (unnest(adds), unnest(added)) WITH ORDINALITY AS e
     WHERE (SELECT true FROM outcome AS o WHERE o.team_id = e.team_id AND o.key = e.key LIMIT 1) IS NULL
     ORDER BY e.team_id, e.key;
    GET DIAGNOSTICS written = ROW_COUNT;
    IF written <> cardinality(adds) THEN
        RAISE EXCEPTION 'a key is recorded' USING ERRCODE = 'serialization_failure';
    END IF;
END
$$;
