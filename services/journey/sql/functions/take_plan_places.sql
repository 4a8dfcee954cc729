-- version: 2
-- Gives enrolments their places in the months of their teams' plans; returns those that have one, now or before. Each month is locked while
-- it is given from, in their order, and by nobody for longer than this takes. Where a month has no room, or has grown by thousands,
-- places whose turns are over are settled first.
CREATE OR REPLACE FUNCTION take_plan_places(places place_row[]) RETURNS SETOF uuid
LANGUAGE plpgsql SET search_path FROM CURRENT SET enable_seqscan = off
AS $$
DECLARE
    of record;
    had bigint;
    wanted bigint;
BEGIN
    FOR of IN
        SELECT p.team_id, p.month, min(p.month_start) AS start, min(p.most) AS most
          FROM unnest(places) AS p GROUP BY p.team_id, p.month ORDER BY p.team_id, p.month
    LOOP
        SELECT m.used INTO had FROM plan_month AS m
         WHERE m.team_id = of.team_id AND m.month = of.month AND NOT m.lapsed FOR UPDATE;
        IF had IS NULL THEN
            had := open_plan_month(of.team_id, of.month, of.start);
        END IF;
        SELECT count(DISTINCT p.enrolment_id) INTO wanted
          FROM unnest(places) AS p
          LEFT JOIN LATERAL (
            SELECT true AS given FROM plan_place AS r
             WHERE r.team_id = of.team_id AND r.month = of.month AND r.enrolment_id = p.enrolment_id OFFSET 0
          ) AS h ON true
         WHERE p.team_id = of.team_id AND p.month = of.month AND h.given IS NULL;
        IF had + wanted > of.most OR had / 10000 <> (had + wanted) / 10000 THEN
            had := settle_plan_places(of.team_id, of.month);
        END IF;
        IF wanted > 0 AND had < of.most THEN
            WITH given AS (
                INSERT INTO plan_place (team_id, month, enrolment_id, partition, customer_id, source, number)
                SELECT p.team_id, p.month, p.enrolment_id, p.partition, p.customer_id, p.source, p.number
                  FROM unnest(places) WITH ORDINALITY
                       AS p (team_id, month, month_start, most, partition, customer_id, enrolment_id, source, number, place)
                  LEFT JOIN LATERAL (
                    SELECT true AS given FROM plan_place AS r
                     WHERE r.team_id = of.team_id AND r.month = of.month AND r.enrolment_id = p.enrolment_id OFFSET 0
                  ) AS h ON true
                 WHERE p.team_id = of.team_id AND p.month = of.month AND h.given IS NULL
                 ORDER BY p.place LIMIT of.most - had
                RETURNING 1
            )
            UPDATE plan_month AS m SET used = m.used + (SELECT count(*) FROM given)
             WHERE m.team_id = of.team_id AND m.month = of.month;
        END IF;
    END LOOP;
    RETURN QUERY
        SELECT h.enrolment_id FROM unnest(places) AS p
         CROSS JOIN LATERAL (
            SELECT r.enrolment_id FROM plan_place AS r
             WHERE r.team_id = p.team_id AND r.month = p.month AND r.enrolment_id = p.enrolment_id OFFSET 0
         ) AS h;
END
$$;
