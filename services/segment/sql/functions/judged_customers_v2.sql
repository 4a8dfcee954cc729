-- version: 2
-- What customers are judged by, as of one moment, and no more of it than audiences name. A transaction of its own. Customers are those of
-- `customer_ids`, of the teams in `team_ids`, each once; `places` are those of them who are there, and each column of theirs is in that
-- order: basic texts if `with_basics`, the times for which `with_times` says so (in the order of the columns). Beside them, by place: which of `tags`
-- (folded) they have, the values that they have of the attributes in `keys`, and on which accounts they are. Of the teams: settings (the zone)
-- if keys or times are asked for, and which of `keys` are active attributes of which type; `value_keys` are places among those. A value of
-- another type than its attribute has now is none; texts are folded.
CREATE OR REPLACE FUNCTION judged_customers_v2(
    teams uuid[], team_ids uuid[], customer_ids uuid[], with_basics boolean, with_times boolean[], tags text[], keys text[],
    with_accounts boolean,
    OUT places integer[], OUT have_phones boolean[], OUT member_ids text[], OUT phones text[], OUT emails text[],
    OUT customer_interact_times timestamptz[], OUT team_interact_times timestamptz[], OUT marketed_times timestamptz[],
    OUT checkout_times timestamptz[],
    OUT tag_places integer[], OUT tag_texts text[],
    OUT value_places integer[], OUT value_keys integer[], OUT value_texts text[],
    OUT account_places integer[], OUT account_channels smallint[], OUT account_ids uuid[],
    OUT zone_teams uuid[], OUT zone_settings bytea[],
    OUT key_teams uuid[], OUT key_names text[], OUT key_types smallint[])
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
AS $$
BEGIN
    PERFORM platform.bind(teams);
    SELECT array_agg(w.place), array_agg(c.phone IS NOT NULL),
           array_agg(c.member_id_folded) FILTER (WHERE with_basics), array_agg(c.phone) FILTER (WHERE with_basics),
           array_agg(c.email_folded) FILTER (WHERE with_basics),
           array_agg(c.customer_interact_time) FILTER (WHERE with_times[1]),
           array_agg(c.team_interact_time) FILTER (WHERE with_times[2]),
           array_agg(c.marketed_time) FILTER (WHERE with_times[3]), array_agg(c.checkout_time) FILTER (WHERE with_times[4])
      INTO places, have_phones, member_ids, phones, emails, customer_interact_times, team_interact_times, marketed_times,
           checkout_times
      FROM unnest(team_ids, customer_ids) WITH ORDINALITY AS w (team_id, customer_id, place)
      JOIN customer AS c ON c.team_id = w.team_id AND c.customer_id = w.customer_id;
    IF tags IS NOT NULL THEN
        SELECT array_agg(w.place), array_agg(r.tag_folded) INTO tag_places, tag_texts
          FROM unnest(team_ids, customer_ids) WITH ORDINALITY AS w (team_id, customer_id, place)
         CROSS JOIN LATERAL (
            SELECT t.tag_folded FROM customer_tag AS t
             WHERE t.team_id = w.team_id AND t.customer_id = w.customer_id AND t.tag_folded = ANY (tags) OFFSET 0
         ) AS r;
    END IF;
    IF keys IS NOT NULL THEN
        SELECT array_agg(a.team_id), array_agg(a.key), array_agg(a.type) INTO key_teams, key_names, key_types
          FROM attribute AS a WHERE a.team_id = ANY (teams) AND a.key = ANY (keys) AND NOT a.archived;
    END IF;
    IF key_names IS NOT NULL THEN
        SELECT array_agg(w.place), array_agg(k.place),
               array_agg(CASE r.type WHEN attribute_type('TEXT') THEN r.value_folded ELSE r.value END)
          INTO value_places, value_keys, value_texts
          FROM unnest(team_ids, customer_ids) WITH ORDINALITY AS w (team_id, customer_id, place)
          JOIN unnest(key_teams, key_names, key_types) WITH ORDINALITY AS k (team_id, key, type, place) ON k.team_id = w.team_id
         CROSS JOIN LATERAL (
            SELECT v.type, v.value, v.value_folded FROM customer_attribute AS v
             WHERE v.team_id = w.team_id AND v.customer_id = w.customer_id AND v.key = k.key AND v.type = k.type OFFSET 0
         ) AS r;
    END IF;
    IF keys IS NOT NULL OR true = ANY (with_times) THEN
        SELECT array_agg(t.team_id), array_agg(t.settings) INTO zone_teams, zone_settings FROM team AS t WHERE t.team_id = ANY (teams);
    END IF;
    IF with_accounts THEN
        SELECT array_agg(w.place), array_agg(r.channel), array_agg(r.account_id)
          INTO account_places, account_channels, account_ids
          FROM unnest(team_ids, customer_ids) WITH ORDINALITY AS w (team_id, customer_id, place)
         CROSS JOIN LATERAL (
            SELECT i.channel, i.account_id FROM identity AS i
             WHERE i.team_id = w.team_id AND i.customer_id = w.customer_id OFFSET 0
         ) AS r;
    END IF;
END
$$;
