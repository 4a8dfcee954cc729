-- What post_adds does, of one posting: its account is made or changed in one go, and nothing can come between. 40001 also while
-- the clock stands still since the account's last entry: that posting, too, has to be decided upon.
CREATE OR REPLACE FUNCTION post_add(
    teams uuid[], recorded_at timestamptz, figure_max bigint, partition smallint, posted add_row,
    OUT sequence bigint, OUT balance bigint, OUT cumulative bigint
)
LANGUAGE plpgsql
SET search_path FROM CURRENT SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    ids CONSTANT bytea := '\xc410'::bytea || uuid_send(posted.team_id) || '\xc410'::bytea || uuid_send(posted.customer_id);
    zeros CONSTANT bytea := decode(repeat('00', 32), 'hex');
    micros CONSTANT bigint := extract(epoch FROM recorded_at) * 1000000;
    times CONSTANT bytea := packed_whole(coalesce((extract(epoch FROM posted.occurred_at) * 1000000)::bigint, micros))
                            || packed_whole(micros);
    gift CONSTANT bytea := packed_whole(posted.points);
    after account;
BEGIN
    PERFORM platform.bind(teams);
    INSERT INTO account AS a (team_id, customer_id, balance, cumulative, sequence, last_at, last_hash)
    VALUES (posted.team_id, posted.customer_id, posted.points, posted.points, 1, recorded_at,
            sha256('\xdc0015c420'::bytea || zeros || ids || '\x01'::bytea || posted.head || gift || gift || times || posted.tail))
    ON CONFLICT (team_id, customer_id) DO UPDATE
       SET balance = a.balance + posted.points, cumulative = a.cumulative + posted.points, sequence = a.sequence + 1,
           last_at = recorded_at,
           last_hash = sha256('\xdc0015c420'::bytea || coalesce(a.last_hash, zeros) || ids || packed_whole(a.sequence + 1)
                              || posted.head || packed_whole(a.balance + posted.points)
                              || packed_whole(a.cumulative + posted.points) || times || posted.tail)
     WHERE (a.last_at IS NULL OR a.last_at < recorded_at)
       AND a.balance + posted.points <= figure_max AND a.cumulative + posted.points <= figure_max
    RETURNING a.* INTO after;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the account has no room' USING ERRCODE = 'serialization_failure';
    END IF;
    IF posted.order_key IS NOT NULL THEN
        INSERT INTO shop_order (team_id, order_key, customer_id, posted, earning, amount_micros, refunded_micros, earned, clawed,
                                taken)
        VALUES (posted.team_id, posted.order_key, posted.customer_id, true, true, posted.amount_micros, 0, posted.points, 0, 0);
    END IF;
    PERFORM pg_advisory_xact_lock_shared(1886350967, uuid_hash(posted.key) & 63);
    WITH moved AS (
        UPDATE history_head AS h SET position = h.position + 1 WHERE h.partition = post_add.partition
        RETURNING h.partition, h.position
    )
    INSERT INTO entry (team_id, customer_id, sequence, partition, position, source, source_id, source_name, delta_balance,
                       delta_cumulative, requested_balance, requested_cumulative, balance, cumulative, occurred_at, posted_at,
                       key, actor, order_key, enrolment_id, node_id, note, hash, fingerprint)
    SELECT posted.team_id, posted.customer_id, after.sequence, moved.partition, moved.position, posted.source, posted.source_id,
           posted.source_name, posted.points, posted.points, posted.points, posted.points, after.balance, after.cumulative,
           coalesce(posted.occurred_at, recorded_at), recorded_at, posted.key, posted.actor, posted.order_key,
           posted.enrolment_id, posted.node_id, posted.note, after.last_hash, posted.fingerprint
      FROM moved
     WHERE (SELECT true FROM outcome AS o WHERE o.team_id = posted.team_id AND o.key = posted.key LIMIT 1) IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the key is recorded' USING ERRCODE = 'serialization_failure';
    END IF;
    sequence := after.sequence;
    balance := after.balance;
    cumulative := after.cumulative;
END
$$;
