-- version: 2
-- Customers with what belongs to them, as of one moment. `teams` null: the transaction is bound already. Values have the
-- type that the definition has now, and are of archived attributes only where those are asked for, too.
-- Of identities on one account the one that was bound first is first.
CREATE OR REPLACE FUNCTION customer_views_v2(
    teams uuid[], wanted input_customer[], with_tags boolean, with_values boolean, with_archived boolean,
    with_identities boolean)
RETURNS TABLE (
    team_id uuid, customer_id uuid, member_id text, name text, phone text, email text,
    customer_interact_time timestamptz, team_interact_time timestamptz, marketed_time timestamptz,
    checkout_time timestamptz, mail_number bigint, revision bigint, create_time timestamptz, update_time timestamptz,
    tags text[], own_values own_value[], identities own_identity[])
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT SET enable_seqscan = off
AS $$
#variable_conflict use_column
BEGIN
    IF teams IS NOT NULL THEN
        PERFORM platform.bind(teams);
    END IF;
    RETURN QUERY
        SELECT c.team_id, c.customer_id, c.member_id, c.name, c.phone, c.email, c.customer_interact_time,
               c.team_interact_time, c.marketed_time, c.checkout_time, c.mail_number, c.revision, c.create_time,
               c.update_time,
               CASE WHEN with_tags THEN ARRAY(
                   SELECT r.tag FROM customer_tag AS r
                    WHERE r.team_id = w.team_id AND r.customer_id = w.customer_id
                    ORDER BY r.apply_time, r.tag_folded
               ) END,
               CASE WHEN with_values THEN ARRAY(
                   SELECT ROW(r.key, r.value)::own_value FROM customer_attribute AS r
                    CROSS JOIN LATERAL (
                       SELECT d.archived FROM attribute AS d
                        WHERE d.team_id = r.team_id AND d.key = r.key AND d.type = r.type LIMIT 1
                    ) AS d
                    WHERE r.team_id = w.team_id AND r.customer_id = w.customer_id AND (with_archived OR NOT d.archived)
               ) END,
               CASE WHEN with_identities THEN ARRAY(
                   SELECT ROW(r.channel, r.account_id, r.external_id, r.blocked, r.bind_time)::own_identity
                     FROM identity AS r
                    WHERE r.team_id = w.team_id AND r.customer_id = w.customer_id
                    ORDER BY r.channel, r.account_id, r.bind_time, r.external_id
               ) END
          FROM unnest(wanted) AS w
         CROSS JOIN LATERAL (
            SELECT * FROM customer AS r
             WHERE r.team_id = w.team_id AND r.customer_id = w.customer_id LIMIT 1
         ) AS c;
END
$$;
