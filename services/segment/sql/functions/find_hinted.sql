-- Whom each hint leads to, and whether they have a phone; null where it leads to nobody. In the order of `hints`.
CREATE OR REPLACE FUNCTION find_hinted(
    teams uuid[], hints customer_hint[], OUT customers uuid[], OUT have_phones boolean[])
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
AS $$
BEGIN
    PERFORM platform.bind(teams);
    SELECT array_agg(c.customer_id ORDER BY h.place), array_agg(c.phone IS NOT NULL ORDER BY h.place)
      INTO customers, have_phones
      FROM unnest(hints) WITH ORDINALITY AS h (team_id, member_id, phone, email, place)
      LEFT JOIN LATERAL (
        (SELECT r.customer_id, r.phone FROM customer AS r
          WHERE r.team_id = h.team_id AND r.member_id_folded = h.member_id LIMIT 1)
         UNION ALL
        (SELECT r.customer_id, r.phone FROM customer AS r
          WHERE r.team_id = h.team_id AND r.phone = h.phone ORDER BY r.create_time, r.customer_id LIMIT 1)
         UNION ALL
        (SELECT r.customer_id, r.phone FROM customer AS r
          WHERE r.team_id = h.team_id AND r.email_folded = h.email ORDER BY r.create_time, r.customer_id LIMIT 1)
         LIMIT 1
     ) AS c ON true;
END
$$;
