-- version: 2
-- Writes a batch: in this order accounts, orders, outcomes, each by key, then the heads of the history, then the entries. So
-- every writer takes its locks in one order, and no two wait for each other in a circle.
--
-- `entry_*`: the entries in the order of the fold. `entry_befores`: with the last entry of an account, the sequence that the
-- account had before the batch; else null. `entry_fingerprints`, `_reasons` and `_shortfalls` are of the outcome that an entry
-- belongs to; the fingerprint is null where an entry before it has told of the outcome. `entry_requests` and
-- `entry_cumulative_requests` are null where what was asked for is what was done. `told_*`: outcomes without entries.
-- `order_*`: orders as they become; `order_known_posted` and `_refunded` what was read of them, null of a new one.
-- 40001: what was read does not hold any more: an account has another sequence, an order other refunds, or a key was recorded.
-- Arrays are columns that are filled up: of one that says the same in every row one element is enough, and an array of
-- nothing, or of nulls, may be null itself. Rows are looked up one by one, in the order given: a plan is kept for long, and may
-- have been made while the tables were empty.
CREATE OR REPLACE FUNCTION write_batch(
    teams uuid[], recorded_at timestamptz,
    entry_teams uuid[], entry_customers uuid[], entry_sequences bigint[], entry_partitions smallint[], entry_sources smallint[],
    entry_source_ids text[], entry_source_names text[], entry_balance_deltas bigint[], entry_cumulative_deltas bigint[],
    entry_requests bigint[], entry_cumulative_requests bigint[], entry_balances bigint[], entry_cumulatives bigint[],
    entry_occurred timestamptz[], entry_posted timestamptz[], entry_keys uuid[], entry_actors text[], entry_orders uuid[],
    entry_enrolments uuid[], entry_nodes text[], entry_notes text[], entry_hashes bytea[],
    entry_befores bigint[], entry_fingerprints bytea[], entry_reasons smallint[], entry_shortfalls bigint[],
    told_teams uuid[], told_keys uuid[], told_fingerprints bytea[], told_customers uuid[], told_sources smallint[],
    told_statuses smallint[], told_reasons smallint[], told_requests bigint[], told_shortfalls bigint[],
    told_balances bigint[], told_cumulatives bigint[], told_sequences bigint[],
    order_teams uuid[], order_keys uuid[], order_customers uuid[], order_posted boolean[], order_earning boolean[],
    order_amounts bigint[], order_refunded bigint[], order_earned bigint[], order_clawed bigint[], order_taken bigint[],
    order_known_posted boolean[], order_known_refunded bigint[]
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
    IF entry_keys IS NOT NULL THEN
        MERGE INTO account AS a
        USING (
            SELECT coalesce(e.team_id, entry_teams[1]) AS team_id, e.customer_id, e.balance, e.cumulative, e.sequence,
                   coalesce(e.posted_at, entry_posted[1]) AS posted_at, e.hash, e.before
              FROM unnest(entry_teams, entry_customers, entry_balances, entry_cumulatives, entry_sequences, entry_posted,
                          entry_hashes, entry_befores)
                   AS e (team_id, customer_id, balance, cumulative, sequence, posted_at, hash, before)
             WHERE e.before IS NOT NULL
             ORDER BY 1, 2
        ) AS e
           ON a.team_id = e.team_id AND a.customer_id = e.customer_id
         WHEN MATCHED AND a.sequence = e.before THEN
              UPDATE SET balance = e.balance, cumulative = e.cumulative, sequence = e.sequence, last_at = e.posted_at,
                         last_hash = e.hash
         WHEN NOT MATCHED THEN
              INSERT (team_id, customer_id, balance, cumulative, sequence, last_at, last_hash)
              VALUES (e.team_id, e.customer_id, e.balance, e.cumulative, e.sequence, e.posted_at, e.hash);
        GET DIAGNOSTICS written = ROW_COUNT;
        IF written <> cardinality(array_remove(entry_befores, NULL)) THEN
            RAISE EXCEPTION 'an account has changed' USING ERRCODE = 'serialization_failure';
        END IF;
    END IF;
    IF order_keys IS NOT NULL THEN
        MERGE INTO shop_order AS o
        USING (
            SELECT coalesce(w.team_id, order_teams[1]) AS team_id, w.order_key, w.customer_id, w.posted, w.earning,
                   w.amount_micros, w.refunded_micros, w.earned, w.clawed, w.taken, w.known_posted, w.known_refunded
              FROM unnest(order_teams, order_keys, order_customers, order_posted, order_earning, order_amounts, order_refunded,
                          order_earned, order_clawed, order_taken, order_known_posted, order_known_refunded)
                   AS w (team_id, order_key, customer_id, posted, earning, amount_micros, refunded_micros, earned, clawed,
                         taken, known_posted, known_refunded)
             ORDER BY 1, 2
        ) AS w
           ON o.team_id = w.team_id AND o.order_key = w.order_key
         WHEN MATCHED AND o.posted = w.known_posted AND o.refunded_micros = w.known_refunded THEN
              UPDATE SET customer_id = w.customer_id, posted = w.posted, earning = w.earning, amount_micros = w.amount_micros,
                         refunded_micros = w.refunded_micros, earned = w.earned, clawed = w.clawed, taken = w.taken
         WHEN NOT MATCHED THEN
              INSERT (team_id, order_key, customer_id, posted, earning, amount_micros, refunded_micros, earned, clawed, taken)
              VALUES (w.team_id, w.order_key, w.customer_id, w.posted, w.earning, w.amount_micros, w.refunded_micros, w.earned,
                      w.clawed, w.taken);
        GET DIAGNOSTICS written = ROW_COUNT;
        IF written <> cardinality(order_keys) THEN
            RAISE EXCEPTION 'an order has changed' USING ERRCODE = 'serialization_failure';
        END IF;
    END IF;
    -- Its outcomes are all rows of `outcome`, and its entries have no keys of their own.
    PERFORM hold_keys(NULL, array_cat(entry_keys, told_keys));
    IF EXISTS (
        SELECT FROM (
            SELECT coalesce(e.team_id, entry_teams[1]) AS team_id, e.key FROM unnest(entry_teams, entry_keys) AS e (team_id, key)
             UNION ALL
            SELECT coalesce(t.team_id, told_teams[1]), t.key FROM unnest(told_teams, told_keys) AS t (team_id, key)
        ) AS w
         WHERE (SELECT true FROM entry AS p WHERE p.team_id = w.team_id AND p.key = w.key AND p.fingerprint IS NOT NULL LIMIT 1)
    ) THEN
        RAISE EXCEPTION 'a key is recorded' USING ERRCODE = 'serialization_failure';
    END IF;
    INSERT INTO outcome (team_id, key, fingerprint, customer_id, source, status, reason, requested_balance, delta_balance,
                         delta_cumulative, shortfall, balance, cumulative, sequence, recorded_at)
    SELECT coalesce(e.team_id, entry_teams[1]), e.key, e.fingerprint, e.customer_id, coalesce(e.source, entry_sources[1]), 1,
           coalesce(e.reason, entry_reasons[1]), coalesce(e.requested, e.delta_balance), e.delta_balance, e.delta_cumulative,
           coalesce(e.shortfall, entry_shortfalls[1]), e.balance, e.cumulative, e.sequence, write_batch.recorded_at
      FROM unnest(entry_teams, entry_keys, entry_fingerprints, entry_customers, entry_sources, entry_reasons, entry_requests,
                  entry_balance_deltas, entry_cumulative_deltas, entry_shortfalls, entry_balances, entry_cumulatives,
                  entry_sequences)
           AS e (team_id, key, fingerprint, customer_id, source, reason, requested, delta_balance, delta_cumulative, shortfall,
                 balance, cumulative, sequence)
     WHERE e.fingerprint IS NOT NULL
     UNION ALL
    SELECT coalesce(t.team_id, told_teams[1]), t.key, t.fingerprint, t.customer_id, t.source, t.status, t.reason, t.requested, 0,
           0, t.shortfall, t.balance, t.cumulative, t.sequence, write_batch.recorded_at
      FROM unnest(told_teams, told_keys, told_fingerprints, told_customers, told_sources, told_statuses, told_reasons,
                  told_requests, told_shortfalls, told_balances, told_cumulatives, told_sequences)
           AS t (team_id, key, fingerprint, customer_id, source, status, reason, requested, shortfall, balance, cumulative,
                 sequence)
     ORDER BY 1, 2;
    IF entry_keys IS NOT NULL THEN
        positions := allocate_positions(entry_partitions);
        INSERT INTO entry (team_id, customer_id, sequence, partition, position, source, source_id, source_name, delta_balance,
                           delta_cumulative, requested_balance, requested_cumulative, balance, cumulative, occurred_at,
                           posted_at, key, actor, order_key, enrolment_id, node_id, note, hash)
        SELECT coalesce(e.team_id, entry_teams[1]), e.customer_id, e.sequence, e.partition, e.position,
               coalesce(e.source, entry_sources[1]), coalesce(e.source_id, entry_source_ids[1]),
               coalesce(e.source_name, entry_source_names[1]), e.delta_balance, e.delta_cumulative,
               coalesce(e.requested, e.delta_balance), coalesce(e.cumulative_requested, e.delta_cumulative), e.balance,
               e.cumulative, coalesce(e.occurred_at, entry_occurred[1]), coalesce(e.posted_at, entry_posted[1]), e.key,
               coalesce(e.actor, entry_actors[1]), e.order_key, e.enrolment_id, coalesce(e.node_id, entry_nodes[1]),
               coalesce(e.note, entry_notes[1]), e.hash
          FROM unnest(entry_teams, entry_customers, entry_sequences, entry_partitions, positions, entry_sources,
                      entry_source_ids, entry_source_names, entry_balance_deltas, entry_cumulative_deltas, entry_requests,
                      entry_cumulative_requests, entry_balances, entry_cumulatives, entry_occurred, entry_posted, entry_keys,
                      entry_actors, entry_orders, entry_enrolments, entry_nodes, entry_notes, entry_hashes)
               AS e (team_id, customer_id, sequence, partition, position, source, source_id, source_name, delta_balance,
                     delta_cumulative, requested, cumulative_requested, balance, cumulative, occurred_at, posted_at, key,
                     actor, order_key, enrolment_id, node_id, note, hash);
    END IF;
END
$$;
