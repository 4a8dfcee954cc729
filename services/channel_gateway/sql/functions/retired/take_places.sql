-- Takes places from the limits, all or none; each array in the order of its keys, without doubles. `caps`: the lowest of the
-- sends that take places of one. OJ102: one is full.
CREATE OR REPLACE FUNCTION take_places(
    domain_now timestamptz,
    cap_teams uuid[], cap_journeys uuid[], cap_channels smallint[], cap_counts bigint[], caps bigint[],
    plan_teams uuid[], plan_accounts uuid[], plan_months date[], plan_counts bigint[],
    payers uuid[], currencies text[], micros bigint[]
) RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    present bigint;
BEGIN
    FOR n IN 1 .. cardinality(cap_teams) LOOP
        INSERT INTO journey_usage AS u (team_id, journey_id, channel, used)
        VALUES (cap_teams[n], cap_journeys[n], cap_channels[n], cap_counts[n])
        ON CONFLICT (team_id, journey_id, channel) DO UPDATE SET used = u.used + EXCLUDED.used
        RETURNING u.used INTO present;
        IF present > caps[n] THEN
            RAISE EXCEPTION 'a cap does not hold all' USING ERRCODE = 'OJ102';
        END IF;
    END LOOP;
    FOR n IN 1 .. cardinality(plan_teams) LOOP
        INSERT INTO plan_usage AS u (team_id, account_id, month, used)
        VALUES (plan_teams[n], plan_accounts[n], plan_months[n], plan_counts[n])
        ON CONFLICT (team_id, account_id, month) DO UPDATE SET used = u.used + EXCLUDED.used
        RETURNING u.used INTO present;
        IF present > (SELECT q.message_limit FROM plan_quota AS q
                       WHERE q.team_id = plan_teams[n] AND q.account_id = plan_accounts[n]) THEN
            RAISE EXCEPTION 'a plan does not hold all' USING ERRCODE = 'OJ102';
        END IF;
    END LOOP;
    FOR n IN 1 .. cardinality(payers) LOOP
        UPDATE wallet AS w SET balance_micros = w.balance_micros - micros[n], updated_at = domain_now
         WHERE w.team_id = payers[n] AND w.currency = currencies[n] AND w.balance_micros >= micros[n];
        IF NOT FOUND THEN
            RAISE EXCEPTION 'a balance does not hold all' USING ERRCODE = 'OJ102';
        END IF;
    END LOOP;
END
$$;
