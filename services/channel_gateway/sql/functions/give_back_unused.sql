-- Gives back what sends took and did not use, before they are settled; locks them in the order of their keys.
CREATE OR REPLACE FUNCTION give_back_unused(own uuid, domain_now timestamptz, outcomes outcome_row[]) RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    taken delivery[];
    unused integer[];
BEGIN
    SELECT array_agg(d.whole), array_agg(d.messages - w.messages) INTO taken, unused
      FROM (
        SELECT o.team_id, s.effect_key, o.messages
          FROM unnest(outcomes) AS o CROSS JOIN LATERAL unnest(o.effect_keys) AS s (effect_key)
         WHERE o.gives_back
         ORDER BY 1, 2
      ) AS w
     CROSS JOIN LATERAL (
        SELECT delivery AS whole, delivery.messages FROM delivery
         WHERE delivery.team_id = w.team_id AND delivery.effect_key = w.effect_key AND delivery.sender = own
           AND delivery.state >= send_state('ACCEPTED')
           FOR UPDATE
     ) AS d;
    IF taken IS NOT NULL THEN
        PERFORM give_back(domain_now, taken, unused);
    END IF;
END
$$;
