-- Writes a batch: in this order accounts, orders, keys, outcomes, each by key, then the heads of the history, then the entries.
-- So every writer takes its locks in one order, and no two wait for each other in a circle. `entries` in the order of the fold,
-- `partitions` of their customers beside them; `account_count`: how many accounts they are of; `outcomes` made no entry.
-- `teams` null: the transaction is bound already. 40001: what was read does not hold any more, or a key is recorded, and
-- nothing is written.
CREATE OR REPLACE FUNCTION write_batch_v2(
    teams uuid[], recorded_at timestamptz, account_count integer, partitions smallint[], entries entry_row[],
    outcomes entryless_outcome_row[], orders order_row[]
)
RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    written bigint;
    positions bigint[];
BEGIN
    IF teams IS NOT NULL THEN
        PERFORM platform.bind(teams);
    END IF;
    IF entries IS NOT NULL THEN
        MERGE INTO account AS a
        USING (SELECT * FROM unnest(entries) AS e WHERE e.sequence_before IS NOT NULL ORDER BY e.team_id, e.customer_id) AS e
           ON a.team_id = e.team_id AND a.customer_id = e.customer_id
         WHEN MATCHED AND a.sequence = e.sequence_before THEN
              UPDATE SET balance = e.balance, cumulative = e.cumulative, sequence = e.sequence, last_at = e.posted_at,
                         last_hash = e.hash
         WHEN NOT MATCHED THEN
              INSERT (team_id, customer_id, balance, cumulative, sequence, last_at, last_hash)
              VALUES (e.team_id, e.customer_id, e.balance, e.cumulative, e.sequence, e.posted_at, e.hash);
        GET DIAGNOSTICS written = ROW_COUNT;
        IF written <> account_count THEN
            RAISE EXCEPTION 'an account has changed' USING ERRCODE = 'serialization_failure';
        END IF;
    END IF;
    IF orders IS NOT NULL THEN
        MERGE INTO shop_order AS o
        USING (SELECT * FROM unnest(orders) AS w ORDER BY w.team_id, w.order_key) AS w
           ON o.team_id = w.team_id AND o.order_key = w.order_key
         WHEN MATCHED AND o.posted = w.posted_before AND o.refunded_micros = w.refunded_before THEN
              UPDATE SET customer_id = w.customer_id, posted = w.posted, earning = w.earning, amount_micros = w.amount_micros,
                         refunded_micros = w.refunded_micros, earned = w.earned, clawed = w.clawed, taken = w.taken
         WHEN NOT MATCHED THEN
              INSERT (team_id, order_key, customer_id, posted, earning, amount_micros, refunded_micros, earned, clawed, taken)
              VALUES (w.team_id, w.order_key, w.customer_id, w.posted, w.earning, w.amount_micros, w.refunded_micros, w.earned,
                      w.clawed, w.taken);
        GET DIAGNOSTICS written = ROW_COUNT;
        IF written <> cardinality(orders) THEN
            RAISE EXCEPTION 'an order has changed' USING ERRCODE = 'serialization_failure';
        END IF;
    END IF;
    PERFORM hold_keys(ARRAY(SELECT e.key FROM unnest(entries) AS e WHERE e.fingerprint IS NOT NULL),
                      ARRAY(SELECT o.key FROM unnest(outcomes) AS o));
    IF EXISTS (
        SELECT FROM unnest(entries) AS e
         WHERE e.fingerprint IS NOT NULL
           AND (SELECT true FROM outcome AS o WHERE o.team_id = e.team_id AND o.key = e.key LIMIT 1)
    ) OR EXISTS (
        SELECT FROM unnest(outcomes) AS o
         WHERE (SELECT true FROM entry AS e WHERE e.team_id = o.team_id AND e.key = o.key AND e.fingerprint IS NOT NULL LIMIT 1)
    ) THEN
        RAISE EXCEPTION 'a key is recorded' USING ERRCODE = 'serialization_failure';
    END IF;
    IF outcomes IS NOT NULL THEN
        INSERT INTO outcome (team_id, key, fingerprint, customer_id, source, status, reason, requested_balance, delta_balance,
                             delta_cumulative, shortfall, balance, cumulative, sequence, recorded_at)
        SELECT o.team_id, o.key, o.fingerprint, o.customer_id, o.source, o.status, o.reason, o.requested_balance, 0, 0,
               o.shortfall, o.balance, o.cumulative, o.sequence, write_batch_v2.recorded_at
          FROM unnest(outcomes) AS o
         ORDER BY o.team_id, o.key;
    END IF;
    IF entries IS NOT NULL THEN
        positions := allocate_positions(partitions);
        INSERT INTO entry (team_id, customer_id, sequence, partition, position, source, source_id, source_name, delta_balance,
                           delta_cumulative, requested_balance, requested_cumulative, balance, cumulative, occurred_at,
                           posted_at, key, actor, order_key, enrolment_id, node_id, note, hash, fingerprint)
        SELECT e.team_id, e.customer_id, e.sequence, partitions[e.ordinality], positions[e.ordinality], e.source, e.source_id,
               e.source_name, e.delta_balance, e.delta_cumulative, e.requested_balance, e.requested_cumulative, e.balance,
               e.cumulative, e.occurred_at, e.posted_at, e.key, e.actor, e.order_key, e.enrolment_id, e.node_id, e.note,
               e.hash, e.fingerprint
          FROM unnest(entries) WITH ORDINALITY AS e
         ORDER BY e.team_id, e.key;
    END IF;
END
$$;
