-- Adds to the sums by hour that are kept of months what is given by quarter of an hour: of journeys those of `journey_metrics`; of teams those of
-- `send_metrics` that have a channel, by channel, and what is counted of no journey, node or channel. In a transaction that holds the lock of the
-- days.
CREATE OR REPLACE FUNCTION add_to_months(
    moved counter_row[], journey_metrics smallint[], send_metrics smallint[], no_channel smallint
) RETURNS void
LANGUAGE sql
SET search_path FROM CURRENT
AS $$
    WITH placed AS (
        SELECT m.*, date_trunc('month', m.quarter, 'UTC') AS month FROM unnest(moved) AS m
    ), hourly AS (
        SELECT p.*, floor(extract(epoch FROM p.quarter - p.month) / 3600)::integer AS hour FROM placed AS p
    ), added AS (
        SELECT team_id, day_scope('JOURNEY') AS scope, journey_id, month, metric, no_channel AS channel, currency, hour, delta FROM hourly
         WHERE metric = ANY (journey_metrics)
         UNION ALL
        SELECT team_id, day_scope('TEAM'), '00000000-0000-0000-0000-000000000000', month, metric, channel, currency, hour, delta FROM hourly
         WHERE metric = ANY (send_metrics) AND channel <> no_channel
            OR journey_id = '00000000-0000-0000-0000-000000000000' AND node_id = '' AND channel = no_channel
               AND metric <> ALL (journey_metrics)
    ), touched AS MATERIALIZED (
        SELECT DISTINCT team_id, scope, journey_id, month, metric, channel, currency FROM added
    ), summed AS (
        SELECT team_id, scope, journey_id, month, metric, channel, currency, hour, sum(value)::bigint AS value
          FROM (
            SELECT team_id, scope, journey_id, month, metric, channel, currency, hour, delta AS value FROM added
             UNION ALL
            SELECT t.team_id, t.scope, t.journey_id, t.month, t.metric, t.channel, t.currency, s.hour, s.value
              FROM touched AS t JOIN counter_month AS m USING (team_id, scope, journey_id, month, metric, channel, currency)
             CROSS JOIN LATERAL unnest(m.hours, m.sums) AS s (hour, value)) AS parts
         GROUP BY team_id, scope, journey_id, month, metric, channel, currency, hour HAVING sum(value) <> 0
    ), packed AS MATERIALIZED (
        SELECT team_id, scope, journey_id, month, metric, channel, currency, array_agg(hour::smallint ORDER BY hour) AS hours,
               array_agg(value ORDER BY hour) AS sums
          FROM summed GROUP BY team_id, scope, journey_id, month, metric, channel, currency
    ), emptied AS (
        DELETE FROM counter_month AS m
         USING (SELECT * FROM touched EXCEPT SELECT team_id, scope, journey_id, month, metric, channel, currency FROM packed) AS e
         WHERE m.team_id = e.team_id AND m.scope = e.scope AND m.journey_id = e.journey_id AND m.month = e.month AND m.metric = e.metric
           AND m.channel = e.channel AND m.currency = e.currency
    )
    INSERT INTO counter_month AS m (team_id, scope, journey_id, month, metric, channel, currency, hours, sums)
    SELECT team_id, scope, journey_id, month, metric, channel, currency, hours, sums FROM packed
    ON CONFLICT (team_id, scope, journey_id, month, metric, channel, currency) DO UPDATE SET hours = EXCLUDED.hours, sums = EXCLUDED.sums
$$;
