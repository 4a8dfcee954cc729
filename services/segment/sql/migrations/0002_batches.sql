-- A batch costs a round trip for what it names and one for what was decided, instead of one for each kind of row. What
-- nothing must be decided about is a transaction of its own, in one statement.
--
-- Batches come and go as arrays of rows: with types of their own, so that a table may get a column without any process
-- that runs noticing. An absent part is null and costs nothing. Rows are looked up by LATERAL with LIMIT or OFFSET 0 and
-- changed at the place that such a probe found, see `queries.sql`. Plans are made once a connection, perhaps while tables are
-- still empty, so the functions rule out the plan that is good for empty tables only.

-- Only of those who have one. Over all customers it served lookups by the customer's id as well as the primary key did in
-- the eyes of a planner that knew an empty table: plans that were kept read every customer of the team.
DROP INDEX customer_member_id;
CREATE UNIQUE INDEX customer_member_id ON customer (team_id, member_id_folded) WHERE member_id_folded IS NOT NULL;

CREATE TYPE told_customer AS (team_id uuid, customer_id uuid);
-- `unsure`: if nobody is found by it, somebody may have to be created.
CREATE TYPE told_text AS (team_id uuid, text text, unsure boolean);
CREATE TYPE told_identity AS (team_id uuid, channel smallint, account_id uuid, external_id text, unsure boolean);
CREATE TYPE told_report AS (team_id uuid, shop_id text, report_id text);
CREATE TYPE told_key AS (team_id uuid, key text);
CREATE TYPE told_trait AS (team_id uuid, customer_id uuid, key text);
CREATE TYPE told_effect AS (team_id uuid, effect_key uuid);

CREATE TYPE team_policy AS (team_id uuid, unsigned_orders_count boolean);
CREATE TYPE found_text AS (team_id uuid, text text, customer_id uuid);
CREATE TYPE found_identity AS (
    team_id uuid, channel smallint, account_id uuid, external_id text, customer_id uuid, blocked boolean);
CREATE TYPE report AS (
    team_id uuid, shop_id text, report_id text, report_key uuid, customer_id uuid, uncounted smallint,
    occur_time timestamptz, body bytea);
CREATE TYPE used_key AS (team_id uuid, event_key text, digest bytea, customer_id uuid);
CREATE TYPE used_effect AS (team_id uuid, effect_key uuid, digest bytea, status smallint, reason text);
CREATE TYPE held_tag AS (team_id uuid, customer_id uuid, tag_folded text, tag text);
CREATE TYPE held_value AS (team_id uuid, customer_id uuid, key text, type smallint, value text);
CREATE TYPE defined_attribute AS (
    team_id uuid, key text, display_name text, type smallint, archived boolean, revision bigint,
    create_time timestamptz, update_time timestamptz);
CREATE TYPE known_customer AS (
    team_id uuid, customer_id uuid, member_id text, name text, phone text, email text,
    customer_interact_time timestamptz, team_interact_time timestamptz, marketed_time timestamptz,
    checkout_time timestamptz, mail_number bigint, revision bigint, create_time timestamptz, update_time timestamptz);

CREATE TYPE named_customer AS (
    team_id uuid, customer_id uuid, member_id text, member_id_folded text, name text, name_folded text, phone text,
    email text, email_folded text);
CREATE TYPE new_customer AS (
    team_id uuid, customer_id uuid, member_id text, member_id_folded text, name text, name_folded text, phone text,
    email text, email_folded text, customer_interact_time timestamptz, team_interact_time timestamptz,
    marketed_time timestamptz, checkout_time timestamptz, mail_number bigint, revision bigint);
CREATE TYPE timed_customer AS (
    team_id uuid, customer_id uuid, customer_interact_time timestamptz, team_interact_time timestamptz,
    marketed_time timestamptz, checkout_time timestamptz, mail_number bigint, revision bigint);
CREATE TYPE changed_report AS (
    team_id uuid, shop_id text, report_id text, customer_id uuid, uncounted smallint, occur_time timestamptz,
    body bytea, was_uncounted smallint);
CREATE TYPE new_value AS (
    team_id uuid, customer_id uuid, key text, type smallint, value text, value_folded text, number_value numeric);
CREATE TYPE new_fact AS (
    partition smallint, team_id uuid, customer_id uuid, event_id uuid, occur_time timestamptz, depth integer,
    mail_number bigint, body bytea);
CREATE TYPE mark AS (team_id uuid, customer_id uuid, place integer, at timestamptz);

CREATE TYPE typed_key AS (key text, type smallint);
CREATE TYPE own_value AS (key text, value text);
CREATE TYPE own_identity AS (
    channel smallint, account_id uuid, external_id text, blocked boolean, bind_time timestamptz);

-- Locks customers in one order everywhere, so that batches wait for each other and never in a circle; those that are not
-- there are left out.
CREATE FUNCTION lock_customers(wanted told_customer[]) RETURNS known_customer[]
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN (
        SELECT array_agg(ROW(c.team_id, c.customer_id, c.member_id, c.name, c.phone, c.email, c.customer_interact_time,
                             c.team_interact_time, c.marketed_time, c.checkout_time, c.mail_number, c.revision,
                             c.create_time, c.update_time)::known_customer)
          FROM (SELECT DISTINCT w.team_id, w.customer_id FROM unnest(wanted) AS w ORDER BY 1, 2) AS w
         CROSS JOIN LATERAL (
            SELECT * FROM customer AS r
             WHERE r.team_id = w.team_id AND r.customer_id = w.customer_id
               FOR NO KEY UPDATE
         ) AS c
    );
END
$$;

-- Everything that a batch of events names. Customers are locked at once when each of the `unsure_count` hints that are
-- unsure found somebody. Else nobody is (`locked` is false): whether somebody must be created is then decided by the
-- caller, who asks again with the teams in which that is so, in order, as `creating`. Two transactions that both find
-- nobody must not both create: from there on one of them waits, and looks again when the other has committed.
CREATE FUNCTION recall_events(
    teams uuid[], told_keys told_key[], told_orders told_report[], told_refunds told_report[],
    told_members told_text[], told_phones told_text[], told_emails told_text[], told_tokens told_text[],
    told_identities told_identity[], told_customers told_customer[], unsure_count integer, creating uuid[],
    OUT policies team_policy[], OUT keys used_key[], OUT orders report[], OUT refunds report[],
    OUT members found_text[], OUT phones found_text[], OUT emails found_text[], OUT tokens found_text[],
    OUT identities found_identity[], OUT customers known_customer[], OUT locked boolean)
LANGUAGE plpgsql
SET enable_seqscan = off
AS $$
DECLARE
    wanted told_customer[] := told_customers;
    found_count bigint := 0;
    unsure_found bigint;
BEGIN
    IF cardinality(creating) > 0 THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('segment customers ' || guarded, 0))
           FROM unnest(creating) AS guarded;
    END IF;
    IF teams IS NOT NULL THEN
        SELECT array_agg(ROW(t.team_id, t.unsigned_orders_count)::team_policy) INTO policies
          FROM team AS t WHERE t.team_id = ANY (teams);
    END IF;
    IF told_keys IS NOT NULL THEN
        SELECT array_agg(ROW(k.team_id, k.event_key, k.digest, k.customer_id)::used_key) INTO keys
          FROM unnest(told_keys) AS told
         CROSS JOIN LATERAL (
            SELECT * FROM event_key AS r WHERE r.team_id = told.team_id AND r.event_key = told.key LIMIT 1
         ) AS k;
    END IF;
    IF told_orders IS NOT NULL THEN
        SELECT array_agg(ROW(o.team_id, o.shop_id, o.order_id, o.order_key, o.customer_id, o.uncounted, o.occur_time,
                             o.body)::report),
               wanted || array_agg(ROW(o.team_id, o.customer_id)::told_customer) FILTER (WHERE o.customer_id IS NOT NULL)
          INTO orders, wanted
          FROM unnest(told_orders) AS told
         CROSS JOIN LATERAL (
            SELECT * FROM shop_order AS r
             WHERE r.team_id = told.team_id AND r.shop_id = told.shop_id AND r.order_id = told.report_id LIMIT 1
         ) AS o;
    END IF;
    IF told_refunds IS NOT NULL THEN
        SELECT array_agg(ROW(o.team_id, o.shop_id, o.refund_id, o.refund_key, o.customer_id, o.uncounted, o.occur_time,
                             o.body)::report),
               wanted || array_agg(ROW(o.team_id, o.customer_id)::told_customer) FILTER (WHERE o.customer_id IS NOT NULL)
          INTO refunds, wanted
          FROM unnest(told_refunds) AS told
         CROSS JOIN LATERAL (
            SELECT * FROM refund AS r
             WHERE r.team_id = told.team_id AND r.shop_id = told.shop_id AND r.refund_id = told.report_id LIMIT 1
         ) AS o;
    END IF;
    IF told_members IS NOT NULL THEN
        SELECT array_agg(ROW(told.team_id, told.text, c.customer_id)::found_text),
               wanted || array_agg(ROW(told.team_id, c.customer_id)::told_customer), count(*) FILTER (WHERE told.unsure)
          INTO members, wanted, unsure_found
          FROM unnest(told_members) AS told
         CROSS JOIN LATERAL (
            SELECT r.customer_id FROM customer AS r
             WHERE r.team_id = told.team_id AND r.member_id_folded = told.text LIMIT 1
         ) AS c;
        found_count := found_count + unsure_found;
    END IF;
    IF told_phones IS NOT NULL THEN
        SELECT array_agg(ROW(told.team_id, told.text, c.customer_id)::found_text),
               wanted || array_agg(ROW(told.team_id, c.customer_id)::told_customer), count(*) FILTER (WHERE told.unsure)
          INTO phones, wanted, unsure_found
          FROM unnest(told_phones) AS told
         CROSS JOIN LATERAL (
            SELECT r.customer_id FROM customer AS r
             WHERE r.team_id = told.team_id AND r.phone = told.text
             ORDER BY r.create_time, r.customer_id LIMIT 1
         ) AS c;
        found_count := found_count + unsure_found;
    END IF;
    IF told_emails IS NOT NULL THEN
        SELECT array_agg(ROW(told.team_id, told.text, c.customer_id)::found_text),
               wanted || array_agg(ROW(told.team_id, c.customer_id)::told_customer), count(*) FILTER (WHERE told.unsure)
          INTO emails, wanted, unsure_found
          FROM unnest(told_emails) AS told
         CROSS JOIN LATERAL (
            SELECT r.customer_id FROM customer AS r
             WHERE r.team_id = told.team_id AND r.email_folded = told.text
             ORDER BY r.create_time, r.customer_id LIMIT 1
         ) AS c;
        found_count := found_count + unsure_found;
    END IF;
    IF told_tokens IS NOT NULL THEN
        SELECT array_agg(ROW(told.team_id, told.text, b.customer_id)::found_text),
               wanted || array_agg(ROW(told.team_id, b.customer_id)::told_customer), count(*) FILTER (WHERE told.unsure)
          INTO tokens, wanted, unsure_found
          FROM unnest(told_tokens) AS told
         CROSS JOIN LATERAL (
            SELECT r.customer_id FROM browser AS r WHERE r.team_id = told.team_id AND r.token = told.text LIMIT 1
         ) AS b;
        found_count := found_count + unsure_found;
    END IF;
    IF told_identities IS NOT NULL THEN
        SELECT array_agg(ROW(i.team_id, i.channel, i.account_id, i.external_id, i.customer_id, i.blocked)
                         ::found_identity),
               wanted || array_agg(ROW(i.team_id, i.customer_id)::told_customer), count(*) FILTER (WHERE told.unsure)
          INTO identities, wanted, unsure_found
          FROM unnest(told_identities) AS told
         CROSS JOIN LATERAL (
            SELECT * FROM identity AS r
             WHERE r.team_id = told.team_id AND r.channel = told.channel
               AND r.account_id = told.account_id AND r.external_id = told.external_id LIMIT 1
         ) AS i;
        found_count := found_count + unsure_found;
    END IF;
    locked := creating IS NOT NULL OR found_count = unsure_count;
    IF locked AND wanted IS NOT NULL THEN
        customers := lock_customers(wanted);
    END IF;
END
$$;

-- Everything that a batch of changes names: the customers, locked, before what they have is read.
CREATE FUNCTION recall_changes(
    wanted told_customer[], told_effects told_effect[], told_tags told_trait[], told_values told_trait[],
    told_attributes told_key[],
    OUT customers known_customer[], OUT effects used_effect[], OUT tags held_tag[], OUT own_values held_value[],
    OUT attributes defined_attribute[])
LANGUAGE plpgsql
SET enable_seqscan = off
AS $$
BEGIN
    IF wanted IS NOT NULL THEN
        customers := lock_customers(wanted);
    END IF;
    IF told_effects IS NOT NULL THEN
        SELECT array_agg(ROW(e.team_id, e.effect_key, e.digest, e.status, e.reason)::used_effect) INTO effects
          FROM unnest(told_effects) AS told
         CROSS JOIN LATERAL (
            SELECT * FROM effect AS r
             WHERE r.team_id = told.team_id AND r.effect_key = told.effect_key LIMIT 1
         ) AS e;
    END IF;
    IF told_tags IS NOT NULL THEN
        SELECT array_agg(ROW(t.team_id, t.customer_id, t.tag_folded, t.tag)::held_tag) INTO tags
          FROM unnest(told_tags) AS told
         CROSS JOIN LATERAL (
            SELECT * FROM customer_tag AS r
             WHERE r.team_id = told.team_id AND r.customer_id = told.customer_id AND r.tag_folded = told.key LIMIT 1
         ) AS t;
    END IF;
    IF told_values IS NOT NULL THEN
        SELECT array_agg(ROW(v.team_id, v.customer_id, v.key, v.type, v.value)::held_value) INTO own_values
          FROM unnest(told_values) AS told
         CROSS JOIN LATERAL (
            SELECT * FROM customer_attribute AS r
             WHERE r.team_id = told.team_id AND r.customer_id = told.customer_id AND r.key = told.key LIMIT 1
         ) AS v;
    END IF;
    IF told_attributes IS NOT NULL THEN
        SELECT array_agg(ROW(a.team_id, a.key, a.display_name, a.type, a.archived, a.revision, a.create_time,
                             a.update_time)::defined_attribute)
          INTO attributes
          FROM unnest(told_attributes) AS told
         CROSS JOIN LATERAL (
            SELECT * FROM attribute AS r WHERE r.team_id = told.team_id AND r.key = told.key LIMIT 1
         ) AS a;
    END IF;
END
$$;

-- Writes whatever was decided and returns the positions of the facts, in their order; last of all, since they lock their
-- partitions. `serialization_failure`: a report that was decided on has been changed by another transaction.
CREATE FUNCTION save_batch(
    recorded timestamptz, created new_customer[], changed timed_customer[], renamed named_customer[],
    bound found_identity[], switched found_identity[], learned found_text[],
    new_orders report[], changed_orders changed_report[], new_refunds report[], changed_refunds changed_report[],
    keys used_key[], effects used_effect[], gone_tags told_trait[], new_tags held_tag[], gone_values told_trait[],
    new_values new_value[], facts new_fact[]
) RETURNS bigint[]
LANGUAGE plpgsql
SET enable_seqscan = off
AS $$
DECLARE
    positions bigint[];
    changed_count bigint;
BEGIN
    IF created IS NOT NULL THEN
        INSERT INTO customer (team_id, customer_id, member_id, member_id_folded, name, name_folded, phone, email,
                              email_folded, customer_interact_time, team_interact_time, marketed_time, checkout_time,
                              mail_number, revision, create_time, update_time)
        SELECT n.*, recorded, recorded FROM unnest(created) AS n;
    END IF;
    IF changed IS NOT NULL THEN
        -- The columns that events of known customers change; nothing that is indexed.
        UPDATE customer AS c
           SET customer_interact_time = n.customer_interact_time, team_interact_time = n.team_interact_time,
               marketed_time = n.marketed_time, checkout_time = n.checkout_time, mail_number = n.mail_number,
               revision = n.revision, update_time = recorded
          FROM unnest(changed) AS n
         CROSS JOIN LATERAL (
            SELECT r.ctid AS place FROM customer AS r
             WHERE r.team_id = n.team_id AND r.customer_id = n.customer_id LIMIT 1
         ) AS found
         WHERE c.ctid = found.place;
    END IF;
    IF renamed IS NOT NULL THEN
        UPDATE customer AS c
           SET member_id = n.member_id, member_id_folded = n.member_id_folded, name = n.name,
               name_folded = n.name_folded, phone = n.phone, email = n.email, email_folded = n.email_folded
          FROM unnest(renamed) AS n
         CROSS JOIN LATERAL (
            SELECT r.ctid AS place FROM customer AS r
             WHERE r.team_id = n.team_id AND r.customer_id = n.customer_id LIMIT 1
         ) AS found
         WHERE c.ctid = found.place;
    END IF;
    IF bound IS NOT NULL THEN
        INSERT INTO identity (team_id, channel, account_id, external_id, customer_id, blocked, bind_time)
        SELECT n.*, recorded FROM unnest(bound) AS n;
    END IF;
    IF switched IS NOT NULL THEN
        UPDATE identity AS i SET blocked = n.blocked
          FROM unnest(switched) AS n
         CROSS JOIN LATERAL (
            SELECT r.ctid AS place FROM identity AS r
             WHERE r.team_id = n.team_id AND r.channel = n.channel
               AND r.account_id = n.account_id AND r.external_id = n.external_id LIMIT 1
         ) AS found
         WHERE i.ctid = found.place;
    END IF;
    IF learned IS NOT NULL THEN
        INSERT INTO browser (team_id, token, customer_id) SELECT n.* FROM unnest(learned) AS n;
    END IF;
    IF new_orders IS NOT NULL THEN
        INSERT INTO shop_order (team_id, shop_id, order_id, order_key, customer_id, uncounted, occur_time, body)
        SELECT n.* FROM unnest(new_orders) AS n;
    END IF;
    IF changed_orders IS NOT NULL THEN
        UPDATE shop_order AS o
           SET customer_id = n.customer_id, uncounted = n.uncounted, occur_time = n.occur_time, body = n.body
          FROM unnest(changed_orders) AS n
         CROSS JOIN LATERAL (
            SELECT r.ctid AS place FROM shop_order AS r
             WHERE r.team_id = n.team_id AND r.shop_id = n.shop_id AND r.order_id = n.report_id LIMIT 1
         ) AS found
         WHERE o.ctid = found.place AND o.uncounted = n.was_uncounted;
        GET DIAGNOSTICS changed_count = ROW_COUNT;
        IF changed_count < cardinality(changed_orders) THEN
            RAISE EXCEPTION 'orders changed while they were decided on' USING ERRCODE = 'serialization_failure';
        END IF;
    END IF;
    IF new_refunds IS NOT NULL THEN
        INSERT INTO refund (team_id, shop_id, refund_id, refund_key, customer_id, uncounted, occur_time, body)
        SELECT n.* FROM unnest(new_refunds) AS n;
    END IF;
    IF changed_refunds IS NOT NULL THEN
        UPDATE refund AS o
           SET customer_id = n.customer_id, uncounted = n.uncounted, occur_time = n.occur_time, body = n.body
          FROM unnest(changed_refunds) AS n
         CROSS JOIN LATERAL (
            SELECT r.ctid AS place FROM refund AS r
             WHERE r.team_id = n.team_id AND r.shop_id = n.shop_id AND r.refund_id = n.report_id LIMIT 1
         ) AS found
         WHERE o.ctid = found.place AND o.uncounted = n.was_uncounted;
        GET DIAGNOSTICS changed_count = ROW_COUNT;
        IF changed_count < cardinality(changed_refunds) THEN
            RAISE EXCEPTION 'refunds changed while they were decided on' USING ERRCODE = 'serialization_failure';
        END IF;
    END IF;
    IF keys IS NOT NULL THEN
        INSERT INTO event_key (team_id, event_key, digest, customer_id) SELECT n.* FROM unnest(keys) AS n;
    END IF;
    IF effects IS NOT NULL THEN
        INSERT INTO effect (team_id, effect_key, digest, status, reason) SELECT n.* FROM unnest(effects) AS n;
    END IF;
    IF gone_tags IS NOT NULL THEN
        DELETE FROM customer_tag AS t
         USING unnest(gone_tags) AS gone
         CROSS JOIN LATERAL (
            SELECT r.ctid AS place FROM customer_tag AS r
             WHERE r.team_id = gone.team_id AND r.customer_id = gone.customer_id AND r.tag_folded = gone.key LIMIT 1
         ) AS found
         WHERE t.ctid = found.place;
    END IF;
    IF new_tags IS NOT NULL THEN
        INSERT INTO customer_tag (team_id, customer_id, tag_folded, tag, apply_time)
        SELECT n.*, recorded FROM unnest(new_tags) AS n
        ON CONFLICT (team_id, customer_id, tag_folded) DO UPDATE SET tag = excluded.tag, apply_time = excluded.apply_time;
    END IF;
    IF gone_values IS NOT NULL THEN
        DELETE FROM customer_attribute AS v
         USING unnest(gone_values) AS gone
         CROSS JOIN LATERAL (
            SELECT r.ctid AS place FROM customer_attribute AS r
             WHERE r.team_id = gone.team_id AND r.customer_id = gone.customer_id AND r.key = gone.key LIMIT 1
         ) AS found
         WHERE v.ctid = found.place;
    END IF;
    IF new_values IS NOT NULL THEN
        INSERT INTO customer_attribute (team_id, customer_id, key, type, value, value_folded, number_value)
        SELECT n.* FROM unnest(new_values) AS n
        ON CONFLICT (team_id, customer_id, key) DO UPDATE
           SET type = excluded.type, value = excluded.value, value_folded = excluded.value_folded,
               number_value = excluded.number_value;
    END IF;
    IF facts IS NOT NULL THEN
        positions := allocate_positions(ARRAY(SELECT n.partition FROM unnest(facts) AS n));
        INSERT INTO fact (partition, position, team_id, customer_id, event_id, occur_time, record_time, depth,
                          mail_number, body)
        SELECT n.partition, n.position, n.team_id, n.customer_id, n.event_id, n.occur_time, recorded, n.depth,
               n.mail_number, n.body
          FROM ROWS FROM (unnest(facts), unnest(positions))
            AS n (partition, team_id, customer_id, event_id, occur_time, depth, mail_number, body, position);
    END IF;
    RETURN positions;
END
$$;

-- Moves "last marketed" on, a transaction of its own: `moved` are the places of marks that moved it, `present` those of
-- customers that are there (null: all). The later of two times, whatever the order and however often they are told, so
-- marks are not remembered. The plan is held to one probe a mark, in the one order in which customers are locked.
CREATE FUNCTION mark_marketed(
    teams uuid[], marks mark[], recorded timestamptz, OUT moved integer[], OUT present integer[])
LANGUAGE plpgsql
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
AS $$
BEGIN
    PERFORM platform.bind(teams);
    WITH updated AS (
        UPDATE customer AS c SET marketed_time = n.at, revision = c.revision + 1, update_time = recorded
          FROM (SELECT * FROM unnest(marks) ORDER BY team_id, customer_id) AS n
         WHERE c.team_id = n.team_id AND c.customer_id = n.customer_id
           AND (c.marketed_time IS NULL OR c.marketed_time < n.at)
        RETURNING n.place
    )
    SELECT array_agg(place) INTO moved FROM updated;
    IF moved IS NULL OR cardinality(moved) < cardinality(marks) THEN
        present := ARRAY(
            SELECT n.place FROM unnest(marks) AS n
             CROSS JOIN LATERAL (
                SELECT FROM customer AS r WHERE r.team_id = n.team_id AND r.customer_id = n.customer_id LIMIT 1
             ) AS c
        );
    END IF;
END
$$;

-- Customers with what belongs to them, as of one moment. `teams` null: the transaction is bound already. Values have the
-- type that the definition has now, and are of archived attributes only where those are asked for, too.
CREATE FUNCTION customer_views(
    teams uuid[], wanted told_customer[], with_tags boolean, with_values boolean, with_archived boolean,
    with_identities boolean)
RETURNS TABLE (
    team_id uuid, customer_id uuid, member_id text, name text, phone text, email text,
    customer_interact_time timestamptz, team_interact_time timestamptz, marketed_time timestamptz,
    checkout_time timestamptz, mail_number bigint, revision bigint, create_time timestamptz, update_time timestamptz,
    tags text[], own_values own_value[], identities own_identity[])
LANGUAGE plpgsql STABLE
SET enable_seqscan = off
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
                    ORDER BY r.channel, r.account_id, r.external_id
               ) END
          FROM unnest(wanted) AS w
         CROSS JOIN LATERAL (
            SELECT * FROM customer AS r
             WHERE r.team_id = w.team_id AND r.customer_id = w.customer_id LIMIT 1
         ) AS c;
END
$$;

-- What customers of teams are judged by beside themselves: settings (the zone) and active attributes.
CREATE FUNCTION judging_rules(teams uuid[]) RETURNS TABLE (team_id uuid, settings bytea, attributes typed_key[])
LANGUAGE plpgsql STABLE
SET enable_seqscan = off
AS $$
#variable_conflict use_column
BEGIN
    PERFORM platform.bind(teams);
    RETURN QUERY
        SELECT t.team_id, t.settings,
               ARRAY(SELECT ROW(a.key, a.type)::typed_key FROM attribute AS a
                      WHERE a.team_id = t.team_id AND NOT a.archived)
          FROM team AS t WHERE t.team_id = ANY (teams);
END
$$;

-- A page of the feed. Positions have no gaps and a partition's head moves in the transaction that writes the rows, so as
-- of one moment everything up to the head is there: a reader goes on from there, however little of it was of its kinds.
-- `kinds` are tags of bodies (the second byte of each), null: all. One read looks at 5,000 rows of a partition at most.
CREATE FUNCTION fact_feed_teams(
    partitions smallint[], after bigint[], upto bigint[], kinds smallint[], only_mail boolean, row_max integer)
RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path FROM CURRENT SET enable_seqscan = off
AS $$
    SELECT DISTINCT page.team_id
      FROM unnest(partitions, after, upto) AS span (partition, after, upto)
     CROSS JOIN LATERAL (
        SELECT h.team_id FROM fact AS h
         WHERE h.partition = span.partition AND h.position > span.after AND h.position <= span.upto
           AND (kinds IS NULL OR get_byte(h.body, 1) = ANY (kinds)) AND (NOT only_mail OR h.mail_number IS NOT NULL)
         ORDER BY h.position LIMIT row_max
     ) AS page
$$;

-- Facts in order of partition and position, `row_max` at most; then one row without a body for each partition that has
-- anything after its cursor: how far it was looked at.
CREATE FUNCTION fact_feed(
    partitions smallint[], after bigint[], kinds smallint[], only_mail boolean, row_max integer)
RETURNS TABLE (
    partition smallint, "position" bigint, team_id uuid, customer_id uuid, event_id uuid, occur_time timestamptz,
    record_time timestamptz, depth integer, mail_number bigint, body bytea)
LANGUAGE plpgsql STABLE
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    moved smallint[];
    starts bigint[];
    ends bigint[];
    touched uuid[];
BEGIN
    SELECT array_agg(c.partition), array_agg(c.after), array_agg(LEAST(h.position, c.after + 5000))
      INTO moved, starts, ends
      FROM unnest(partitions, after) AS c (partition, after)
      JOIN history_head AS h ON h.partition = c.partition AND h.position > c.after;
    IF moved IS NULL THEN
        RETURN;
    END IF;
    touched := ARRAY(SELECT fact_feed_teams(moved, starts, ends, kinds, only_mail, row_max));
    IF cardinality(touched) > 0 THEN
        PERFORM platform.bind(touched);
        RETURN QUERY
            SELECT page.*
              FROM unnest(moved, starts, ends) AS span (partition, after, upto)
             CROSS JOIN LATERAL (
                SELECT h.partition, h.position, h.team_id, h.customer_id, h.event_id, h.occur_time, h.record_time,
                       h.depth, h.mail_number, h.body
                  FROM fact AS h
                 WHERE h.partition = span.partition AND h.position > span.after AND h.position <= span.upto
                   AND (kinds IS NULL OR get_byte(h.body, 1) = ANY (kinds))
                   AND (NOT only_mail OR h.mail_number IS NOT NULL)
                 ORDER BY h.position LIMIT row_max
             ) AS page
             ORDER BY page.partition, page.position LIMIT row_max;
    END IF;
    RETURN QUERY
        SELECT span.partition, span.upto, NULL::uuid, NULL::uuid, NULL::uuid, NULL::timestamptz, NULL::timestamptz,
               NULL::integer, NULL::bigint, NULL::bytea
          FROM unnest(moved, ends) AS span (partition, upto);
END
$$;

-- Mail of one customer after a number, a transaction of its own.
CREATE FUNCTION customer_mail(of_team uuid, of_customer uuid, after bigint, row_max integer) RETURNS SETOF fact
LANGUAGE plpgsql STABLE
SET enable_seqscan = off
AS $$
BEGIN
    PERFORM platform.bind(ARRAY[of_team]);
    RETURN QUERY
        SELECT * FROM fact AS f
         WHERE f.team_id = of_team AND f.customer_id = of_customer AND f.mail_number > after
         ORDER BY f.mail_number LIMIT row_max;
END
$$;
