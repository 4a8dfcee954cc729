-- Whom each hint leads to (null: nobody), whether they have a phone, and whether its order is known already. In the order of `hints`.
CREATE OR REPLACE FUNCTION find_usual(
    teams uuid[], hints customer_hint[], OUT customers uuid[], OUT have_phones boolean[], OUT are_known boolean[])
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
AS $$
BEGIN
    PERFORM platform.bind(teams);
    SELECT array_agg(c.customer_id ORDER BY h.place), array_agg(c.phone IS NOT NULL ORDER BY h.place),
           array_agg(EXISTS (SELECT FROM shop_order AS o
                              WHERE o.team_id = h.team_id AND o.shop_id = h.shop_id AND o.order_id = h.order_id OFFSET 0)
                     ORDER BY h.place)
      INTO customers, have_phones, are_known
      FROM unnest(hints) WITH ORDINALITY AS h (team_id, member_id, phone, email, shop_id, order_id, place)
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
