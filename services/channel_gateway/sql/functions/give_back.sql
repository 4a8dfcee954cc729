-- version: 2
-- Gives back what settled sends did not use: `unused[n]` messages of `settled[n]`.
CREATE OR REPLACE FUNCTION give_back(domain_now timestamptz, settled delivery[], unused integer[]) RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    part record;
BEGIN
    FOR part IN
        SELECT s.team_id, s.journey_id, s.channel, sum(unused[s.ordinality::integer]) AS messages
          FROM unnest(settled) WITH ORDINALITY AS s
         WHERE s.capped AND unused[s.ordinality::integer] > 0 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    LOOP
        UPDATE journey_usage AS u SET used = u.used - part.messages
         WHERE u.team_id = part.team_id AND u.journey_id = part.journey_id AND u.channel = part.channel;
    END LOOP;
    FOR part IN
        SELECT s.team_id, s.account_id, s.quota_month, sum(unused[s.ordinality::integer]) AS messages
          FROM unnest(settled) WITH ORDINALITY AS s
         WHERE s.quota_month IS NOT NULL AND unused[s.ordinality::integer] > 0 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    LOOP
        UPDATE plan_usage AS u SET used = u.used - part.messages
         WHERE u.team_id = part.team_id AND u.account_id = part.account_id AND u.month = part.quota_month;
    END LOOP;
    FOR part IN
        -- WhatsApp: its messages are prepaid.
        SELECT s.team_id, sum(s.price_micros * unused[s.ordinality::integer]) AS micros
          FROM unnest(settled) WITH ORDINALITY AS s
         WHERE s.channel = channel('WHATSAPP') AND s.price_micros > 0 AND unused[s.ordinality::integer] > 0 GROUP BY 1 ORDER BY 1
    LOOP
        UPDATE wallet AS w SET balance_micros = w.balance_micros + part.micros, updated_at = domain_now
         WHERE w.team_id = part.team_id;
    END LOOP;
END
$$;
