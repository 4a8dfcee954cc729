-- Adds to counters of days what is given by quarter of an hour, and to the sums that are kept beside them: of teams those of `send_metrics` that
-- have a channel, and those of months (see `add_to_months`). `daily`: it stands at beginnings of days where it has to.
-- In a transaction that holds the lock of the days.
CREATE OR REPLACE FUNCTION add_to_days(
    moved counter_row[], daily boolean, journey_metrics smallint[], send_metrics smallint[], no_channel smallint
) RETURNS void
LANGUAGE sql
SET search_path FROM CURRENT
AS $$
    WITH placed AS (
        SELECT m.*, date_trunc('day', m.quarter, 'UTC') AS day,
               (extract(epoch FROM m.quarter)::bigint / 900 % 96 + 96)::integer % 96 AS slot
          FROM unnest(moved) AS m
    ), added AS (
        SELECT team_id, day_scope('FIGURE') AS scope, journey_id, day, metric, node_id, channel, currency, slot, delta FROM placed
         UNION ALL
        SELECT team_id, day_scope('TEAM'), '00000000-0000-0000-0000-000000000000', day, metric, '', channel, currency, slot, delta FROM placed
         WHERE metric = ANY (send_metrics) AND channel <> no_channel
    ), touched AS MATERIALIZED (
        SELECT DISTINCT team_id, scope, journey_id, day, metric, node_id, channel, currency FROM added
    ), summed AS (
        SELECT team_id, scope, journey_id, day, metric, node_id, channel, currency, slot, sum(value)::bigint AS value
          FROM (
            SELECT team_id, scope, journey_id, day, metric, node_id, channel, currency, slot, delta AS value FROM added
             UNION ALL
            SELECT t.team_id, t.scope, t.journey_id, t.day, t.metric, t.node_id, t.channel, t.currency, s.slot, s.value
              FROM touched AS t
              JOIN counter_day AS d USING (team_id, scope, journey_id, day, metric, node_id, channel, currency)
             CROSS JOIN LATERAL unnest(d.slots, d.sums) AS s (slot, value)) AS parts
         GROUP BY team_id, scope, journey_id, day, metric, node_id, channel, currency, slot HAVING sum(value) <> 0
    ), packed AS MATERIALIZED (
        SELECT team_id, scope, journey_id, day, metric, node_id, channel, currency, array_agg(slot::smallint ORDER BY slot) AS slots,
               array_agg(value ORDER BY slot) AS sums
          FROM summed GROUP BY team_id, scope, journey_id, day, metric, node_id, channel, currency
    ), emptied AS (
        DELETE FROM counter_day AS d
         USING (SELECT * FROM touched EXCEPT SELECT team_id, scope, journey_id, day, metric, node_id, channel, currency FROM packed) AS e
         WHERE d.team_id = e.team_id AND d.scope = e.scope AND d.journey_id = e.journey_id AND d.day = e.day AND d.metric = e.metric
           AND d.node_id = e.node_id AND d.channel = e.channel AND d.currency = e.currency
    )
    INSERT INTO counter_day AS d (team_id, scope, journey_id, day, metric, node_id, channel, currency, is_daily, slots, sums)
    SELECT team_id, scope, journey_id, day, metric, node_id, channel, currency, daily, slots, sums FROM packed
    ON CONFLICT (team_id, scope, journey_id, day, metric, node_id, channel, currency)
    DO UPDATE SET slots = EXCLUDED.slots, sums = EXCLUDED.sums, is_daily = d.is_daily AND EXCLUDED.is_daily;
    SELECT add_to_months(moved, journey_metrics, send_metrics, no_channel);
$$;
