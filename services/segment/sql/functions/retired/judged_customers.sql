-- What customers are judged by, as of one moment, and no more of it than audiences name. A transaction of its own. `places` are those of
-- the customers in `wanted` who are there; each column of theirs, asked for by `with_…`, is in that order. Beside them, by place: which of
-- `tags` (folded) they have, the values that they have of the attributes in `keys` (a team's, of its type; texts folded) with the place of
-- the attribute, and on which accounts they are.
CREATE OR REPLACE FUNCTION judged_customers(
    teams uuid[], wanted input_customer[], with_basics boolean, with_times boolean, tags text[],
    key_teams uuid[], keys text[], key_types smallint[], with_accounts boolean,
    OUT places integer[], OUT have_phones boolean[], OUT member_ids text[], OUT phones text[], OUT emails text[],
    OUT customer_interact_times timestamptz[], OUT team_interact_times timestamptz[], OUT marketed_times timestamptz[],
    OUT checkout_times timestamptz[],
    OUT tag_places integer[], OUT tag_texts text[],
    OUT value_places integer[], OUT value_keys integer[], OUT value_texts text[],
    OUT account_places integer[], OUT account_channels smallint[], OUT account_ids uuid[])
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
AS $$
BEGIN
    PERFORM platform.bind(teams);
    SELECT array_agg(w.place), array_agg(c.phone IS NOT NULL),
           array_agg(c.member_id_folded) FILTER (WHERE with_basics), array_agg(c.phone) FILTER (WHERE with_basics),
           array_agg(c.email_folded) FILTER (WHERE with_basics),
           array_agg(c.customer_interact_time) FILTER (WHERE with_times),
           array_agg(c.team_interact_time) FILTER (WHERE with_times),
           array_agg(c.marketed_time) FILTER (WHERE with_times), array_agg(c.checkout_time) FILTER (WHERE with_times)
      INTO places, have_phones, member_ids, phones, emails, customer_interact_times, team_interact_times, marketed_times,
           checkout_times
      FROM unnest(wanted) WITH ORDINALITY AS w (team_id, customer_id, place)
     CROSS JOIN LATERAL (
        SELECT * FROM customer AS r WHERE r.team_id = w.team_id AND r.customer_id = w.customer_id LIMIT 1
     ) AS c;
    IF tags IS NOT NULL THEN
        SELECT array_agg(w.place), array_agg(t.tag_folded) INTO tag_places, tag_texts
          FROM unnest(wanted) WITH ORDINALITY AS w (team_id, customer_id, place)
         CROSS JOIN LATERAL (
            SELECT r.tag_folded FROM customer_tag AS r
             WHERE r.team_id = w.team_id AND r.customer_id = w.customer_id AND r.tag_folded = ANY (tags) OFFSET 0
         ) AS t;
    END IF;
    IF keys IS NOT NULL THEN
        SELECT array_agg(w.place), array_agg(k.place), array_agg(v.text) INTO value_places, value_keys, value_texts
          FROM unnest(wanted) WITH ORDINALITY AS w (team_id, customer_id, place)
          JOIN unnest(key_teams, keys, key_types) WITH ORDINALITY AS k (team_id, key, type, place) ON k.team_id = w.team_id
         CROSS JOIN LATERAL (
            SELECT CASE r.type WHEN attribute_type('TEXT') THEN r.value_folded ELSE r.value END AS text
              FROM customer_attribute AS r
             WHERE r.team_id = w.team_id AND r.customer_id = w.customer_id AND r.key = k.key AND r.type = k.type LIMIT 1
         ) AS v;
    END IF;
    IF with_accounts THEN
        SELECT array_agg(w.place), array_agg(i.channel), array_agg(i.account_id)
          INTO account_places, account_channels, account_ids
          FROM unnest(wanted) WITH ORDINALITY AS w (team_id, customer_id, place)
         CROSS JOIN LATERAL (
            SELECT r.channel, r.account_id FROM identity AS r
             WHERE r.team_id = w.team_id AND r.customer_id = w.customer_id OFFSET 0
         ) AS i;
    END IF;
END
$$;
