-- Takes places from the limits, all or none; each array in the order of its keys, without doubles. OJ102: one is full.
CREATE OR REPLACE FUNCTION take_places_v2(
    domain_now timestamptz, caps cap_row[], plans plan_row[], payments payment_row[]
) RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    wanted_cap cap_row;
    plan plan_row;
    payment payment_row;
    present bigint;
BEGIN
    FOREACH wanted_cap IN ARRAY caps LOOP
        INSERT INTO journey_usage AS u (team_id, journey_id, channel, used)
        VALUES (wanted_cap.team_id, wanted_cap.journey_id, wanted_cap.channel, wanted_cap.messages)
        ON CONFLICT (team_id, journey_id, channel) DO UPDATE SET used = u.used + EXCLUDED.used
        RETURNING u.used INTO present;
        IF present > wanted_cap.cap THEN
            RAISE EXCEPTION 'a cap does not hold all' USING ERRCODE = 'OJ102';
        END IF;
    END LOOP;
    FOREACH plan IN ARRAY plans LOOP
        INSERT INTO plan_usage AS u (team_id, account_id, month, used)
        VALUES (plan.team_id, plan.account_id, plan.month, plan.messages)
        ON CONFLICT (team_id, account_id, month) DO UPDATE SET used = u.used + EXCLUDED.used
        RETURNING u.used INTO present;
        IF present > (SELECT q.message_limit FROM plan_quota AS q
                       WHERE q.team_id = plan.team_id AND q.account_id = plan.account_id) THEN
            RAISE EXCEPTION 'a plan does not hold all' USING ERRCODE = 'OJ102';
        END IF;
    END LOOP;
    FOREACH payment IN ARRAY payments LOOP
        UPDATE wallet AS w SET balance_micros = w.balance_micros - payment.micros, updated_at = domain_now
         WHERE w.team_id = payment.team_id AND w.currency = payment.currency AND w.balance_micros >= payment.micros;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'a balance does not hold all' USING ERRCODE = 'OJ102';
        END IF;
    END LOOP;
END
$$;
