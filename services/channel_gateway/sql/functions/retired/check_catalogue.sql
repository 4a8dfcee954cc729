-- Whether accounts, content and prices are those that the batch was made of. Every change of an account raises its version, and
-- none is ever removed, so their sum tells of any change in a team. No price of its own is null. OJ103: one has changed.
CREATE OR REPLACE FUNCTION check_catalogue(
    account_teams uuid[], account_versions bigint[],
    module_teams uuid[], module_ids uuid[], module_versions bigint[],
    template_teams uuid[], template_ids uuid[], template_versions bigint[],
    price_teams uuid[], price_channels smallint[], price_currencies text[], price_micros bigint[]
) RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    present_currency text;
    present_micros bigint;
    stale boolean := false;
BEGIN
    FOR n IN 1 .. cardinality(account_teams) LOOP
        stale := stale OR account_versions[n] IS DISTINCT FROM
            (SELECT COALESCE(sum(a.version), 0) FROM account AS a WHERE a.team_id = account_teams[n]);
    END LOOP;
    FOR n IN 1 .. cardinality(module_teams) LOOP
        stale := stale OR NOT EXISTS (
            SELECT FROM bot_module AS m WHERE m.team_id = module_teams[n] AND m.bot_module_id = module_ids[n]
               AND m.version = module_versions[n] AND NOT m.deleted);
    END LOOP;
    FOR n IN 1 .. cardinality(template_teams) LOOP
        stale := stale OR NOT EXISTS (
            SELECT FROM template AS t WHERE t.team_id = template_teams[n] AND t.template_id = template_ids[n]
               AND t.version = template_versions[n] AND NOT t.deleted);
    END LOOP;
    FOR n IN 1 .. cardinality(price_teams) LOOP
        SELECT p.currency, p.micros INTO present_currency, present_micros FROM message_price AS p
         WHERE p.team_id = price_teams[n] AND p.channel = price_channels[n];
        stale := stale OR present_currency IS DISTINCT FROM price_currencies[n]
            OR present_micros IS DISTINCT FROM price_micros[n];
    END LOOP;
    IF stale THEN
        RAISE EXCEPTION 'accounts, content or prices have changed' USING ERRCODE = 'OJ103';
    END IF;
END
$$;
