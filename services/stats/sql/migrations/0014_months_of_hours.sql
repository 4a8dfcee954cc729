-- What is asked for by the year takes a row a month: sums of figures by hour of UTC.
CREATE TABLE counter_month (
    team_id    uuid NOT NULL,
    -- JOURNEY: a journey as a whole. TEAM, with the nil journey: a team as a whole, and by channel what it sent.
    scope      smallint NOT NULL CHECK (scope IN (2, 3)),
    journey_id uuid NOT NULL,
    -- Of UTC.
    month      timestamptz NOT NULL
        CHECK (month >= '0001-01-02 00:00+00' AND month < '9999-12-31 00:00+00' AND month = date_trunc('month', month, 'UTC')),
    metric     smallint NOT NULL,
    channel    smallint NOT NULL,
    currency   text NOT NULL,
    -- Hours of the month, from 0, in order, and what each adds.
    hours      smallint[] NOT NULL CHECK (cardinality(hours) BETWEEN 1 AND 744 AND hours[1] >= 0 AND hours[cardinality(hours)] < 744),
    sums       bigint[] NOT NULL CHECK (cardinality(sums) = cardinality(hours)),
    PRIMARY KEY (team_id, scope, journey_id, month, metric, channel, currency)
) WITH (autovacuum_analyze_scale_factor = 0.5);
SELECT platform.hold_teams_apart('counter_month');
SELECT platform.sample_lightly('counter_month');

-- JOURNEY of days is what months have now. Of teams: what is counted without a journey or a node, and not of a send.
WITH summed AS (
    SELECT d.team_id, 2 AS scope, d.journey_id, d.day, d.metric, d.channel, d.currency, s.slot / 4 AS hour, s.value
      FROM counter_day AS d CROSS JOIN LATERAL unnest(d.slots, d.sums) AS s (slot, value) WHERE d.scope = 2
     UNION ALL
    SELECT d.team_id, 3, d.journey_id, d.day, d.metric, d.channel, d.currency, s.slot / 4, s.value
      FROM counter_day AS d CROSS JOIN LATERAL unnest(d.slots, d.sums) AS s (slot, value)
     WHERE d.scope = 3 OR d.scope = 1 AND d.journey_id = '00000000-0000-0000-0000-000000000000' AND d.metric BETWEEN 30 AND 47
), hours AS (
    SELECT team_id, scope, journey_id, date_trunc('month', day, 'UTC') AS month, metric, channel, currency,
           (extract(day FROM day AT TIME ZONE 'UTC') - 1) * 24 + hour AS hour, sum(value)::bigint AS value
      FROM summed GROUP BY 1, 2, 3, 4, 5, 6, 7, 8 HAVING sum(value) <> 0
)
INSERT INTO counter_month (team_id, scope, journey_id, month, metric, channel, currency, hours, sums)
SELECT team_id, scope, journey_id, month, metric, channel, currency, array_agg(hour::smallint ORDER BY hour), array_agg(value ORDER BY hour)
  FROM hours GROUP BY 1, 2, 3, 4, 5, 6, 7;
DELETE FROM counter_day WHERE scope = 2;
