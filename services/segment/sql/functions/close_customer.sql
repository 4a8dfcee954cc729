-- Puts a customer, who is locked, aside as merged into another one, who is locked, too: whatever leads to them leads there, identities are the
-- other's, and the pair is settled. Tags and values are gone; what the other gets of them is written by the caller afterwards.
CREATE OR REPLACE FUNCTION close_customer(of_team uuid, loser uuid, survivor uuid, recorded timestamptz) RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT SET enable_seqscan = off
AS $$
BEGIN
    UPDATE merged_customer SET survivor_id = survivor WHERE team_id = of_team AND survivor_id = loser;
    UPDATE customer_alias SET customer_id = survivor WHERE team_id = of_team AND customer_id = loser;
    INSERT INTO merged_customer (team_id, customer_id, survivor_id, member_id, name, phone, email, customer_interact_time,
                                 team_interact_time, marketed_time, checkout_time, mail_number, revision, create_time, update_time)
    SELECT c.team_id, c.customer_id, survivor, c.member_id, c.name, c.phone, c.email, c.customer_interact_time,
           c.team_interact_time, c.marketed_time, c.checkout_time, c.mail_number, c.revision, c.create_time, c.update_time
      FROM customer AS c WHERE c.team_id = of_team AND c.customer_id = loser;
    INSERT INTO customer_alias (team_id, kind, text, customer_id)
    SELECT of_team, a.kind::smallint, a.text, survivor
      FROM customer AS c
     CROSS JOIN LATERAL (VALUES (alias_kind('MEMBER_ID'), c.member_id_folded), (alias_kind('EMAIL'), c.email_folded),
                                (alias_kind('PHONE'), c.phone)) AS a (kind, text)
     WHERE c.team_id = of_team AND c.customer_id = loser AND a.text IS NOT NULL
    ON CONFLICT DO NOTHING;
    UPDATE customer AS c SET create_time = LEAST(c.create_time, gone.create_time)
      FROM customer AS gone
     WHERE c.team_id = of_team AND c.customer_id = survivor AND gone.team_id = of_team AND gone.customer_id = loser;
    UPDATE identity SET customer_id = survivor, bind_time = recorded WHERE team_id = of_team AND customer_id = loser;
    DELETE FROM customer_tag WHERE team_id = of_team AND customer_id = loser;
    DELETE FROM customer_attribute WHERE team_id = of_team AND customer_id = loser;
    UPDATE customer_points SET known = false WHERE team_id = of_team AND customer_id = loser;
    DELETE FROM customer WHERE team_id = of_team AND customer_id = loser;
    UPDATE identity_conflict AS k
       SET customer_id = CASE k.customer_id WHEN loser THEN survivor ELSE k.customer_id END,
           other_customer_id = CASE k.other_customer_id WHEN loser THEN survivor ELSE k.other_customer_id END
     WHERE k.team_id = of_team AND loser IN (k.customer_id, k.other_customer_id) AND survivor NOT IN (k.customer_id, k.other_customer_id)
       AND NOT k.resolved AND NOT EXISTS (
           SELECT FROM identity_conflict AS r
            WHERE r.team_id = of_team AND survivor IN (r.customer_id, r.other_customer_id)
              AND CASE k.customer_id WHEN loser THEN k.other_customer_id ELSE k.customer_id END IN (r.customer_id, r.other_customer_id));
    UPDATE identity_conflict AS k SET resolved = true
     WHERE k.team_id = of_team AND loser IN (k.customer_id, k.other_customer_id) AND NOT k.resolved;
END
$$;
