-- Whether accounts, content and prices are those that a batch was made of. Every change of an account raises its version, and
-- none is ever removed, so their sum tells of any change in a team. OJ103: one has changed.
CREATE OR REPLACE FUNCTION check_catalogue_v2(versions content_version_row[], prices price_row[]) RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    content content_version_row;
    price price_row;
    present_version bigint;
    present_currency text;
    present_micros bigint;
    stale boolean := false;
BEGIN
    FOREACH content IN ARRAY versions LOOP
        IF content.kind = content_kind('ACCOUNT') THEN
            SELECT COALESCE(sum(a.version), 0) INTO present_version FROM account AS a WHERE a.team_id = content.team_id;
        ELSIF content.kind = content_kind('BOT_MODULE') THEN
            SELECT m.version INTO present_version FROM bot_module AS m
             WHERE m.team_id = content.team_id AND m.bot_module_id = content.content_id AND NOT m.deleted;
        ELSE
            SELECT t.version INTO present_version FROM template AS t
             WHERE t.team_id = content.team_id AND t.template_id = content.content_id AND NOT t.deleted;
        END IF;
        stale := stale OR present_version IS DISTINCT FROM content.version;
    END LOOP;
    FOREACH price IN ARRAY prices LOOP
        SELECT p.currency, p.micros INTO present_currency, present_micros FROM message_price AS p
         WHERE p.team_id = price.team_id AND p.channel = price.channel;
        stale := stale OR present_currency IS DISTINCT FROM price.currency OR present_micros IS DISTINCT FROM price.micros;
    END LOOP;
    IF stale THEN
        RAISE EXCEPTION 'accounts, content or prices have changed' USING ERRCODE = 'OJ103';
    END IF;
END
$$;
