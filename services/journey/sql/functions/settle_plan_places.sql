-- Forgets the places of a month, which is locked, whose customers are past the mail that they were for, and gives back those that became no
-- enrolment. Returns what is used of the month. One statement: a turn that commits meanwhile is seen whole or not at all.
CREATE OR REPLACE FUNCTION settle_plan_places(of_team uuid, of_month date) RETURNS bigint
LANGUAGE sql SET search_path FROM CURRENT
AS $$
    WITH settled AS (
        DELETE FROM plan_place AS p USING actor AS a
         WHERE p.team_id = of_team AND p.month = of_month
           AND a.partition = p.partition AND a.team_id = p.team_id AND a.customer_id = p.customer_id
           AND p.number <= CASE p.source WHEN 1 THEN a.taken_segment WHEN 2 THEN a.taken_gateway ELSE a.taken_journey END
        RETURNING p.partition, p.team_id, p.customer_id, p.enrolment_id, a.live_enrolment_id
    ), unused AS (
        SELECT count(*) AS n FROM settled AS s
         WHERE s.live_enrolment_id IS DISTINCT FROM s.enrolment_id
           AND NOT EXISTS (SELECT FROM enrolment AS e
                            WHERE e.partition = s.partition AND e.team_id = s.team_id AND e.customer_id = s.customer_id
                              AND e.enrolment_id = s.enrolment_id)
    )
    UPDATE plan_month AS m SET used = m.used - unused.n FROM unused
     WHERE m.team_id = of_team AND m.month = of_month
    RETURNING m.used
$$;
