-- The schema segment as all migrations leave it. Written by `make schema`, never by hand.
-- Functions stand in files of their own.

CREATE TYPE asked_contact_import AS (
    team_id uuid,
    contact_import_id uuid,
    file_name text,
    file_sha256 bytea,
    file_bytes bigint,
    channel smallint,
    account_id uuid,
    deduct_cumulative boolean,
    triggers boolean,
    repeat boolean,
    actor text,
    headings text[],
    fields text[]
);

CREATE TYPE changed_report AS (
    team_id uuid,
    shop_id text,
    report_id text,
    customer_id uuid,
    uncounted smallint,
    occur_time timestamp with time zone,
    body bytea,
    was_uncounted smallint
);

CREATE TYPE contact_import_stand AS (
    state smallint,
    uploaded_bytes bigint,
    encoding text,
    separator text,
    line_count bigint,
    next_byte bigint,
    next_line bigint,
    waiting_count bigint,
    applied_count bigint,
    unchanged_count bigint,
    failed_count bigint,
    message text,
    ended_at timestamp with time zone
);

CREATE TYPE contact_row AS (
    line bigint,
    status smallint,
    reason text,
    message text,
    customer_id uuid,
    points bigint,
    cells text[]
);

CREATE TYPE contact_writes AS (
    bound found_identity[],
    switched found_identity[],
    learned found_text[]
);

CREATE TYPE contact_writes_v2 AS (
    bound timed_identity[],
    switched timed_identity[],
    departed departed_identity[],
    learned found_text[]
);

CREATE TYPE cursor_position AS (
    partition smallint,
    position bigint
);

-- A cursor that moves: it must still be at the position before.
CREATE TYPE cursor_row AS (
    partition smallint,
    before bigint,
    after bigint
);

-- One of the three; texts are folded, but for the phone.
CREATE TYPE customer_hint AS (
    team_id uuid,
    member_id text,
    phone text,
    email text,
    shop_id text,
    order_id text
);

CREATE TYPE customer_writes AS (
    created new_customer[],
    changed timed_customer[],
    renamed named_customer[]
);

CREATE TYPE defined_attribute AS (
    team_id uuid,
    key text,
    display_name text,
    type smallint,
    archived boolean,
    revision bigint,
    create_time timestamp with time zone,
    update_time timestamp with time zone
);

CREATE TYPE departed_identity AS (
    team_id uuid,
    channel smallint,
    account_id uuid,
    external_id text,
    left_at timestamp with time zone
);

CREATE TYPE found_identity AS (
    team_id uuid,
    channel smallint,
    account_id uuid,
    external_id text,
    customer_id uuid,
    blocked boolean
);

CREATE TYPE found_text AS (
    team_id uuid,
    text text,
    customer_id uuid
);

CREATE TYPE held_tag AS (
    team_id uuid,
    customer_id uuid,
    tag_folded text,
    tag text
);

CREATE TYPE held_value AS (
    team_id uuid,
    customer_id uuid,
    key text,
    type smallint,
    value text
);

CREATE TYPE input_customer AS (
    team_id uuid,
    customer_id uuid
);

CREATE TYPE input_effect AS (
    team_id uuid,
    effect_key uuid
);

CREATE TYPE input_identity AS (
    team_id uuid,
    channel smallint,
    account_id uuid,
    external_id text,
    unsure boolean
);

CREATE TYPE input_key AS (
    team_id uuid,
    key text
);

-- A line of a list: folded member id, folded e-mail address, phone; null is not looked for.
CREATE TYPE input_line AS (
    item integer,
    member_id text,
    email text,
    phone text
);

CREATE TYPE input_report AS (
    team_id uuid,
    shop_id text,
    report_id text
);

-- `unsure`: nobody is named by id, so whoever is not found by the hint may have to be created.
CREATE TYPE input_text AS (
    team_id uuid,
    text text,
    unsure boolean
);

CREATE TYPE input_trait AS (
    team_id uuid,
    customer_id uuid,
    key text
);

CREATE TYPE keyed_fact AS (
    partition smallint,
    team_id uuid,
    customer_id uuid,
    event_id uuid,
    occur_time timestamp with time zone,
    depth integer,
    mail_number bigint,
    body bytea,
    event_key text,
    effect_key uuid,
    digest bytea
);

CREATE TYPE known_customer AS (
    team_id uuid,
    customer_id uuid,
    member_id text,
    name text,
    phone text,
    email text,
    customer_interact_time timestamp with time zone,
    team_interact_time timestamp with time zone,
    marketed_time timestamp with time zone,
    checkout_time timestamp with time zone,
    mail_number bigint,
    revision bigint,
    create_time timestamp with time zone,
    update_time timestamp with time zone
);

CREATE TYPE mark AS (
    team_id uuid,
    customer_id uuid,
    place integer,
    at timestamp with time zone
);

CREATE TYPE merged_pair AS (
    team_id uuid,
    customer_id uuid,
    survivor_id uuid
);

CREATE TYPE named_customer AS (
    team_id uuid,
    customer_id uuid,
    member_id text,
    member_id_folded text,
    name text,
    name_folded text,
    phone text,
    email text,
    email_folded text
);

CREATE TYPE new_conflict AS (
    team_id uuid,
    identity_conflict_id uuid,
    customer_id uuid,
    other_customer_id uuid,
    matched_field text,
    other_matched_field text
);

CREATE TYPE new_customer AS (
    team_id uuid,
    customer_id uuid,
    member_id text,
    member_id_folded text,
    name text,
    name_folded text,
    phone text,
    email text,
    email_folded text,
    customer_interact_time timestamp with time zone,
    team_interact_time timestamp with time zone,
    marketed_time timestamp with time zone,
    checkout_time timestamp with time zone,
    mail_number bigint,
    revision bigint
);

CREATE TYPE new_fact AS (
    partition smallint,
    team_id uuid,
    customer_id uuid,
    event_id uuid,
    occur_time timestamp with time zone,
    depth integer,
    mail_number bigint,
    body bytea
);

CREATE TYPE new_value AS (
    team_id uuid,
    customer_id uuid,
    key text,
    type smallint,
    value text,
    value_folded text,
    number_value numeric
);

CREATE TYPE own_identity AS (
    channel smallint,
    account_id uuid,
    external_id text,
    blocked boolean,
    bind_time timestamp with time zone
);

CREATE TYPE own_value AS (
    key text,
    value text
);

CREATE TYPE points_change AS (
    team_id uuid,
    customer_id uuid,
    balance bigint,
    cumulative bigint
);

CREATE TYPE report AS (
    team_id uuid,
    shop_id text,
    report_id text,
    report_key uuid,
    customer_id uuid,
    uncounted smallint,
    occur_time timestamp with time zone,
    body bytea
);

CREATE TYPE report_writes AS (
    new_orders report[],
    changed_orders changed_report[],
    new_refunds report[],
    changed_refunds changed_report[]
);

CREATE TYPE team_policy AS (
    team_id uuid,
    unsigned_orders_count boolean
);

CREATE TYPE timed_customer AS (
    team_id uuid,
    customer_id uuid,
    customer_interact_time timestamp with time zone,
    team_interact_time timestamp with time zone,
    marketed_time timestamp with time zone,
    checkout_time timestamp with time zone,
    mail_number bigint,
    revision bigint
);

CREATE TYPE timed_identity AS (
    team_id uuid,
    channel smallint,
    account_id uuid,
    external_id text,
    customer_id uuid,
    blocked boolean,
    seen_at timestamp with time zone,
    left_at timestamp with time zone
);

CREATE TYPE told_customer AS (
    team_id uuid,
    customer_id uuid
);

CREATE TYPE told_effect AS (
    team_id uuid,
    effect_key uuid
);

CREATE TYPE told_identity AS (
    team_id uuid,
    channel smallint,
    account_id uuid,
    external_id text,
    unsure boolean
);

CREATE TYPE told_key AS (
    team_id uuid,
    key text
);

CREATE TYPE told_report AS (
    team_id uuid,
    shop_id text,
    report_id text
);

-- `unsure`: if nobody is found by it, somebody may have to be created.
CREATE TYPE told_text AS (
    team_id uuid,
    text text,
    unsure boolean
);

CREATE TYPE told_trait AS (
    team_id uuid,
    customer_id uuid,
    key text
);

CREATE TYPE trait_writes AS (
    gone_tags input_trait[],
    new_tags held_tag[],
    gone_values input_trait[],
    new_values new_value[]
);

CREATE TYPE typed_key AS (
    key text,
    type smallint
);

CREATE TYPE used_effect AS (
    team_id uuid,
    effect_key uuid,
    digest bytea,
    status smallint,
    reason text
);

CREATE TYPE used_key AS (
    team_id uuid,
    event_key text,
    digest bytea,
    customer_id uuid
);

-- An event of a known customer with all that follows from it, for `record_usual`: `place` is the caller's, times that are null are
-- not moved, of identity and order one is null. `has_…`: what the customer must have already.
CREATE TYPE usual_event AS (
    place integer,
    team_id uuid,
    customer_id uuid,
    event_key text,
    digest bytea,
    customer_interact_time timestamp with time zone,
    checkout_time timestamp with time zone,
    has_name boolean,
    has_member_id boolean,
    has_phone boolean,
    has_email boolean,
    partition smallint,
    event_id uuid,
    occur_time timestamp with time zone,
    body bytea,
    channel smallint,
    account_id uuid,
    external_id text,
    shop_id text,
    order_id text,
    order_key uuid,
    order_body bytea,
    by_member_id text,
    by_phone text,
    by_email text
);

-- As `usual_event`; `other_…` are hints beside the one that was followed: none may lead to somebody else whom no conflict is kept of.
CREATE TYPE usual_event_v2 AS (
    place integer,
    team_id uuid,
    customer_id uuid,
    event_key text,
    digest bytea,
    customer_interact_time timestamp with time zone,
    checkout_time timestamp with time zone,
    has_name boolean,
    has_member_id boolean,
    has_phone boolean,
    has_email boolean,
    partition smallint,
    event_id uuid,
    occur_time timestamp with time zone,
    body bytea,
    channel smallint,
    account_id uuid,
    external_id text,
    shop_id text,
    order_id text,
    order_key uuid,
    order_body bytea,
    by_member_id text,
    by_phone text,
    by_email text,
    other_member_id text,
    other_phone text,
    other_email text
);

-- A text attribute to be set by an effect, for `set_usual`. The fact's body is `body_head`, the value before, `body_tail`.
CREATE TYPE usual_value AS (
    place integer,
    team_id uuid,
    customer_id uuid,
    effect_key uuid,
    digest bytea,
    key text,
    value text,
    value_folded text,
    partition smallint,
    event_id uuid,
    occur_time timestamp with time zone,
    depth integer,
    body_head bytea,
    body_tail bytea
);

CREATE TABLE attribute (
    team_id      uuid NOT NULL,
    key          text NOT NULL,
    display_name text NOT NULL,
    type         smallint NOT NULL,
    archived     boolean NOT NULL,
    revision     bigint NOT NULL,
    create_time  timestamp with time zone NOT NULL,
    update_time  timestamp with time zone NOT NULL,
    CONSTRAINT attribute_pkey PRIMARY KEY (team_id, key),
    CONSTRAINT attribute_revision_check CHECK ((revision > 0)),
    CONSTRAINT attribute_type_check CHECK (((type >= 1) AND (type <= 4)))
);
ALTER TABLE attribute ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON attribute USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Changes of everyone in an audience, done step by step (`worker/audience_changes.py`). One may convert the values of one attribute of
-- everyone instead (`convert_key`; empty: none), from a type to another.
CREATE TABLE audience_change (
    team_id       uuid NOT NULL,
    change_id     uuid NOT NULL,
    audience      bytea NOT NULL,
    add_tags      text[] NOT NULL,
    remove_tags   text[] NOT NULL,
    keys          text[] NOT NULL,
    texts         text[] NOT NULL,
    triggers      boolean NOT NULL,
    of_tag        boolean NOT NULL,
    state         smallint NOT NULL DEFAULT 1,
    ended         boolean NOT NULL DEFAULT false,
    reached       uuid,
    done_count    bigint NOT NULL DEFAULT 0,
    refused_count bigint NOT NULL DEFAULT 0,
    total_count   bigint NOT NULL,
    reason        text NOT NULL DEFAULT ''::text,
    message       text NOT NULL DEFAULT ''::text,
    created_at    timestamp with time zone NOT NULL,
    updated_at    timestamp with time zone NOT NULL,
    convert_key   text NOT NULL DEFAULT ''::text,
    convert_from  smallint NOT NULL DEFAULT 0,
    convert_to    smallint NOT NULL DEFAULT 0,
    merge_into    text NOT NULL DEFAULT ''::text,
    CONSTRAINT audience_change_pkey PRIMARY KEY (team_id, change_id),
    CONSTRAINT audience_change_state_check CHECK (((state >= 1) AND (state <= 5)))
);
CREATE INDEX audience_change_newest ON segment.audience_change USING btree (team_id, created_at DESC, change_id DESC);
CREATE INDEX audience_change_unfinished ON segment.audience_change USING btree (created_at) WHERE (NOT ended);
ALTER TABLE audience_change ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON audience_change USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

CREATE TABLE browser (
    team_id     uuid NOT NULL,
    token       text NOT NULL,
    customer_id uuid NOT NULL,
    CONSTRAINT browser_pkey PRIMARY KEY (team_id, token)
);
-- Browsers of one customer. Each is learnt once.
CREATE INDEX browser_customer ON segment.browser USING btree (team_id, customer_id);
ALTER TABLE browser ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON browser USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Imports of contacts: what each was asked, and up to where its file is uploaded and applied. `state` is an OperationState. A field of
-- `fields` is what the column of `headings` at its place fills; '' is a column that is passed over. `encoding` is '' until the file was read through.
CREATE TABLE contact_import (
    team_id           uuid NOT NULL,
    contact_import_id uuid NOT NULL,
    file_name         text NOT NULL,
    file_sha256       bytea NOT NULL,
    file_bytes        bigint NOT NULL,
    channel           smallint NOT NULL,
    account_id        uuid,
    deduct_cumulative boolean NOT NULL,
    triggers          boolean NOT NULL,
    repeat            boolean NOT NULL,
    actor             text NOT NULL,
    headings          text[] NOT NULL,
    fields            text[] NOT NULL,
    state             smallint NOT NULL DEFAULT 1,
    uploaded_bytes    bigint NOT NULL DEFAULT 0,
    encoding          text NOT NULL DEFAULT ''::text,
    separator         text NOT NULL DEFAULT ''::text,
    line_count        bigint NOT NULL DEFAULT 0,
    next_byte         bigint NOT NULL DEFAULT 0,
    next_line         bigint NOT NULL DEFAULT 1,
    waiting_count     bigint NOT NULL DEFAULT 0,
    applied_count     bigint NOT NULL DEFAULT 0,
    unchanged_count   bigint NOT NULL DEFAULT 0,
    failed_count      bigint NOT NULL DEFAULT 0,
    message           text NOT NULL DEFAULT ''::text,
    created_at        timestamp with time zone NOT NULL,
    ended_at          timestamp with time zone,
    touched_at        timestamp with time zone NOT NULL DEFAULT now(),
    CONSTRAINT contact_import_pkey PRIMARY KEY (team_id, contact_import_id),
    CONSTRAINT contact_import_check CHECK (((uploaded_bytes >= 0) AND (uploaded_bytes <= file_bytes))),
    CONSTRAINT contact_import_check1 CHECK (((account_id IS NULL) = (channel = 0))),
    CONSTRAINT contact_import_check2 CHECK ((cardinality(headings) = cardinality(fields))),
    CONSTRAINT contact_import_check3 CHECK (((state > 2) = (ended_at IS NOT NULL))),
    CONSTRAINT contact_import_file_bytes_check CHECK ((file_bytes > 0)),
    CONSTRAINT contact_import_state_check CHECK (((state >= 1) AND (state <= 5))),
    CONSTRAINT contact_import_waiting_count_check CHECK ((waiting_count >= 0))
) WITH (fillfactor=50);
CREATE INDEX contact_import_by_time ON segment.contact_import USING btree (team_id, created_at DESC, contact_import_id DESC);
-- The same file a second time is refused, unless that was asked for, or the first time was ended early.
CREATE UNIQUE INDEX contact_import_file ON segment.contact_import USING btree (team_id, file_sha256) WHERE ((NOT repeat) AND (state <= 3));
-- Those that a worker may have to go on with; one that was cancelled still posts the points of the lines that it applied.
CREATE INDEX contact_import_unfinished ON segment.contact_import USING btree (created_at) WHERE ((state = ANY (ARRAY[1, 2])) OR (waiting_count > 0));
ALTER TABLE contact_import ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON contact_import USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Parts of files, until they are applied.
CREATE TABLE contact_import_part (
    team_id           uuid NOT NULL,
    contact_import_id uuid NOT NULL,
    start_byte        bigint NOT NULL,
    csv               bytea NOT NULL,
    CONSTRAINT contact_import_part_pkey PRIMARY KEY (team_id, contact_import_id, start_byte),
    CONSTRAINT contact_import_part_start_byte_check CHECK ((start_byte >= 0)),
    CONSTRAINT contact_import_part_team_id_contact_import_id_fkey FOREIGN KEY (team_id, contact_import_id) REFERENCES contact_import(team_id, contact_import_id) ON DELETE CASCADE
);
ALTER TABLE contact_import_part ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON contact_import_part USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Lines of which there is something to say, and those whose points are to be posted (status 0).
CREATE TABLE contact_import_row (
    team_id           uuid NOT NULL,
    contact_import_id uuid NOT NULL,
    line              bigint NOT NULL,
    status            smallint NOT NULL,
    reason            text NOT NULL,
    message           text NOT NULL,
    customer_id       uuid,
    points            bigint NOT NULL,
    cells             text[] NOT NULL,
    CONSTRAINT contact_import_row_pkey PRIMARY KEY (team_id, contact_import_id, line),
    CONSTRAINT contact_import_row_check CHECK (((status <> 0) OR (customer_id IS NOT NULL))),
    CONSTRAINT contact_import_row_line_check CHECK ((line > 0)),
    CONSTRAINT contact_import_row_status_check CHECK (((status >= 0) AND (status <= 3))),
    CONSTRAINT contact_import_row_team_id_contact_import_id_fkey FOREIGN KEY (team_id, contact_import_id) REFERENCES contact_import(team_id, contact_import_id) ON DELETE CASCADE
);
CREATE INDEX contact_import_row_of_customer ON segment.contact_import_row USING btree (team_id, customer_id) WHERE (customer_id IS NOT NULL);
CREATE INDEX contact_import_row_waiting ON segment.contact_import_row USING btree (team_id, contact_import_id, line) WHERE (status = 0);
ALTER TABLE contact_import_row ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON contact_import_row USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- No column that a checkout changes is indexed, and pages keep room, so that those updates stay in place.
CREATE TABLE customer (
    team_id                uuid NOT NULL,
    customer_id            uuid NOT NULL,
    member_id              text,
    member_id_folded       text,
    name                   text NOT NULL,
    name_folded            text NOT NULL,
    phone                  text,
    email                  text,
    email_folded           text,
    customer_interact_time timestamp with time zone,
    team_interact_time     timestamp with time zone,
    marketed_time          timestamp with time zone,
    checkout_time          timestamp with time zone,
    mail_number            bigint NOT NULL,
    revision               bigint NOT NULL,
    create_time            timestamp with time zone NOT NULL,
    update_time            timestamp with time zone NOT NULL,
    CONSTRAINT customer_pkey PRIMARY KEY (team_id, customer_id),
    CONSTRAINT customer_mail_number_check CHECK ((mail_number >= 0)),
    CONSTRAINT customer_revision_check CHECK ((revision > 0)),
    CONSTRAINT customer_times_readable CHECK (((customer_interact_time >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (customer_interact_time < '9999-12-31 00:00:00+00'::timestamp with time zone) AND (team_interact_time >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (team_interact_time < '9999-12-31 00:00:00+00'::timestamp with time zone) AND (marketed_time >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (marketed_time < '9999-12-31 00:00:00+00'::timestamp with time zone) AND (checkout_time >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (checkout_time < '9999-12-31 00:00:00+00'::timestamp with time zone))) NOT VALID
) WITH (fillfactor=70, autovacuum_vacuum_scale_factor=0.05, autovacuum_analyze_scale_factor=0.5);
CREATE INDEX customer_email ON segment.customer USING btree (team_id, email_folded, create_time, customer_id) WHERE (email_folded IS NOT NULL);
CREATE UNIQUE INDEX customer_member_id ON segment.customer USING btree (team_id, member_id_folded) WHERE (member_id_folded IS NOT NULL);
-- People share phones and addresses; the one known longest is found first.
CREATE INDEX customer_phone ON segment.customer USING btree (team_id, phone, create_time, customer_id) WHERE (phone IS NOT NULL);
ALTER TABLE customer ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON customer USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Member ids (kind 1), e-mail addresses (2) and phones (3) that led to customers who were merged, folded as customers have them: they lead
-- to `customer_id` where nobody has them.
CREATE TABLE customer_alias (
    team_id     uuid NOT NULL,
    kind        smallint NOT NULL,
    text        text NOT NULL,
    customer_id uuid NOT NULL,
    CONSTRAINT customer_alias_pkey PRIMARY KEY (team_id, kind, text),
    CONSTRAINT customer_alias_kind_check CHECK (((kind >= 1) AND (kind <= 3)))
);
CREATE INDEX customer_alias_of_customer ON segment.customer_alias USING btree (team_id, customer_id);
ALTER TABLE customer_alias ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON customer_alias USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- A value counts while the definition has the type under which it was set. `number_value` is the same value for types
-- that are compared as numbers.
CREATE TABLE customer_attribute (
    team_id      uuid NOT NULL,
    customer_id  uuid NOT NULL,
    key          text NOT NULL,
    type         smallint NOT NULL,
    value        text NOT NULL,
    value_folded text NOT NULL,
    number_value numeric,
    CONSTRAINT customer_attribute_pkey PRIMARY KEY (team_id, customer_id, key),
    CONSTRAINT customer_attribute_check CHECK (((number_value IS NULL) = (type <> 2))),
    CONSTRAINT customer_attribute_type_check CHECK (((type >= 1) AND (type <= 4)))
) WITH (autovacuum_analyze_scale_factor=0.5, fillfactor=80);
CREATE INDEX customer_attribute_long_text ON segment.customer_attribute USING btree (team_id, key, type, customer_id) WHERE (octet_length(value_folded) > 200);
-- Audiences look for values by indexes that hold all that is asked of them (ADR 60). Numbers are compared as numbers, everything
-- else as folded text; a text of more than 200 bytes is found by its key alone, since an index has no room for the longest.
CREATE INDEX customer_attribute_number ON segment.customer_attribute USING btree (team_id, key, number_value, customer_id) WHERE (type = 2);
CREATE INDEX customer_attribute_text ON segment.customer_attribute USING btree (team_id, key, type, value_folded COLLATE "C", customer_id) WHERE ((type <> 2) AND (octet_length(value_folded) <= 200));
ALTER TABLE customer_attribute ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON customer_attribute USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Merges of customers: who asked for what, and how far each is. `state` is an OperationState, `step` a MergeStep: the one that is being
-- done. `due_at` is real time; who takes a step moves it on and raises `version`, by which a step that was overtaken writes nothing.
-- `last_mail_number` is the last of the mail of the one who goes.
CREATE TABLE customer_merge (
    team_id           uuid NOT NULL,
    customer_merge_id uuid NOT NULL,
    survivor_id       uuid NOT NULL,
    loser_id          uuid NOT NULL,
    actor             text NOT NULL,
    last_mail_number  bigint NOT NULL,
    state             smallint NOT NULL,
    step              smallint NOT NULL,
    waits_for         text NOT NULL DEFAULT ''::text,
    version           bigint NOT NULL DEFAULT 0,
    tries             smallint NOT NULL DEFAULT 0,
    due_at            timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    create_time       timestamp with time zone NOT NULL,
    end_time          timestamp with time zone,
    CONSTRAINT customer_merge_pkey PRIMARY KEY (team_id, customer_merge_id),
    CONSTRAINT customer_merge_team_id_loser_id_key UNIQUE (team_id, loser_id),
    CONSTRAINT customer_merge_check CHECK ((survivor_id <> loser_id))
);
CREATE INDEX customer_merge_due ON segment.customer_merge USING btree (due_at) WHERE (end_time IS NULL);
CREATE INDEX customer_merge_into ON segment.customer_merge USING btree (team_id, survivor_id) WHERE (end_time IS NULL);
CREATE INDEX customer_merge_newest ON segment.customer_merge USING btree (team_id, create_time DESC, customer_merge_id DESC);
ALTER TABLE customer_merge ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON customer_merge USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Points as audiences count them: what the history of the ledger adds up to. No row: none. `known`: there is such a customer.
CREATE TABLE customer_points (
    team_id     uuid NOT NULL,
    customer_id uuid NOT NULL,
    balance     bigint NOT NULL,
    cumulative  bigint NOT NULL,
    known       boolean NOT NULL,
    CONSTRAINT customer_points_pkey PRIMARY KEY (team_id, customer_id)
) WITH (fillfactor=80);
CREATE INDEX customer_points_of_nobody ON segment.customer_points USING btree (team_id, customer_id) WHERE (NOT known);
ALTER TABLE customer_points ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON customer_points USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

CREATE TABLE customer_tag (
    team_id     uuid NOT NULL,
    customer_id uuid NOT NULL,
    tag_folded  text NOT NULL,
    tag         text NOT NULL,
    apply_time  timestamp with time zone NOT NULL,
    CONSTRAINT customer_tag_pkey PRIMARY KEY (team_id, customer_id, tag_folded)
) WITH (autovacuum_analyze_scale_factor=0.5);
CREATE INDEX customer_tag_tag ON segment.customer_tag USING btree (team_id, tag_folded, customer_id);
ALTER TABLE customer_tag ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON customer_tag USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Who left an account before anything else was heard of them: whoever binds the identity learns of it.
CREATE TABLE departure (
    team_id     uuid NOT NULL,
    channel     smallint NOT NULL,
    account_id  uuid NOT NULL,
    external_id text NOT NULL,
    left_at     timestamp with time zone NOT NULL,
    CONSTRAINT departure_pkey PRIMARY KEY (team_id, channel, account_id, external_id),
    CONSTRAINT departure_channel_check CHECK ((channel > 0)),
    CONSTRAINT departure_time_readable CHECK (((left_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (left_at < '9999-12-31 00:00:00+00'::timestamp with time zone)))
);
ALTER TABLE departure ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON departure USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Effects that were applied, with their first answers.
CREATE TABLE effect (
    team_id    uuid NOT NULL,
    effect_key uuid NOT NULL,
    digest     bytea NOT NULL,
    status     smallint NOT NULL,
    reason     text NOT NULL,
    CONSTRAINT effect_pkey PRIMARY KEY (team_id, effect_key),
    CONSTRAINT effect_status_check CHECK (((status >= 1) AND (status <= 3)))
) WITH (autovacuum_analyze_scale_factor=0.5);
SELECT platform.sample_lightly('effect');
ALTER TABLE effect ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON effect USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Erasures of persons: one for each customer who was erased, or is being erased. The row is what is left of the customer. `known` is what
-- other services find their rows by; it is gone with the last step. `step` is an ErasureStep, `cursor` how far it is. Who works on one
-- holds a claim until a real time.
CREATE TABLE erasure (
    team_id       uuid NOT NULL,
    erasure_id    uuid NOT NULL,
    customer_id   uuid NOT NULL,
    step          smallint NOT NULL DEFAULT 1,
    cursor        text NOT NULL DEFAULT ''::text,
    known         bytea,
    mail_number   bigint NOT NULL DEFAULT 0,
    tries         integer NOT NULL DEFAULT 0,
    claim         uuid,
    claimed_until timestamp with time zone,
    created_at    timestamp with time zone NOT NULL,
    updated_at    timestamp with time zone NOT NULL,
    CONSTRAINT erasure_pkey PRIMARY KEY (team_id, erasure_id),
    CONSTRAINT erasure_of_customer UNIQUE (team_id, customer_id),
    CONSTRAINT erasure_check CHECK (((step < 11) OR (known IS NULL))),
    CONSTRAINT erasure_mail_number_check CHECK ((mail_number >= 0)),
    CONSTRAINT erasure_step_check CHECK (((step >= 1) AND (step <= 11))),
    CONSTRAINT erasure_times_readable CHECK (((created_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (created_at < '9999-12-31 00:00:00+00'::timestamp with time zone) AND (updated_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (updated_at < '9999-12-31 00:00:00+00'::timestamp with time zone)))
);
CREATE INDEX erasure_by_time ON segment.erasure USING btree (team_id, created_at DESC, erasure_id DESC);
-- Those that somebody has to work on.
CREATE INDEX erasure_unfinished ON segment.erasure USING btree (created_at) WHERE (step < 11);
ALTER TABLE erasure ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON erasure USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Reports that were taken, by their key.
CREATE TABLE event_key (
    team_id     uuid NOT NULL,
    event_key   text NOT NULL,
    digest      bytea NOT NULL,
    customer_id uuid,
    CONSTRAINT event_key_pkey PRIMARY KEY (team_id, event_key)
) WITH (autovacuum_analyze_scale_factor=0.5);
SELECT platform.sample_lightly('event_key');
ALTER TABLE event_key ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON event_key USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- The history. Append-only; rows with a mail number are mail to the customer's actor.
CREATE TABLE fact (
    partition   smallint NOT NULL,
    position    bigint NOT NULL,
    team_id     uuid NOT NULL,
    customer_id uuid,
    event_id    uuid NOT NULL,
    occur_time  timestamp with time zone NOT NULL,
    record_time timestamp with time zone NOT NULL,
    depth       integer NOT NULL,
    mail_number bigint,
    body        bytea NOT NULL,
    event_key   text,
    effect_key  uuid,
    digest      bytea,
    CONSTRAINT fact_pkey PRIMARY KEY (partition, "position"),
    CONSTRAINT fact_body_has_kind CHECK ((octet_length(body) >= 2)) NOT VALID,
    CONSTRAINT fact_check CHECK (((mail_number IS NULL) OR (customer_id IS NOT NULL))),
    CONSTRAINT fact_depth_check CHECK ((depth >= 0)),
    CONSTRAINT fact_keys CHECK ((((event_key IS NULL) OR (effect_key IS NULL)) AND ((digest IS NULL) = ((event_key IS NULL) AND (effect_key IS NULL))))) NOT VALID,
    CONSTRAINT fact_mail_number_check CHECK ((mail_number > 0)),
    CONSTRAINT fact_partition_check CHECK (((partition >= 0) AND (partition <= 63))),
    CONSTRAINT fact_position_check CHECK (("position" > 0)),
    CONSTRAINT fact_times_readable CHECK (((occur_time >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (occur_time < '9999-12-31 00:00:00+00'::timestamp with time zone) AND (record_time >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (record_time < '9999-12-31 00:00:00+00'::timestamp with time zone))) NOT VALID
) WITH (autovacuum_analyze_scale_factor=0.5);
SELECT platform.sample_lightly('fact');
CREATE UNIQUE INDEX fact_effect_key ON segment.fact USING btree (team_id, effect_key) WHERE (effect_key IS NOT NULL);
CREATE UNIQUE INDEX fact_event_key ON segment.fact USING btree (team_id, event_key) WHERE (event_key IS NOT NULL);
-- Gaps are found and doubles refused by it.
CREATE UNIQUE INDEX fact_mail ON segment.fact USING btree (team_id, customer_id, mail_number) WHERE (mail_number IS NOT NULL);
CREATE INDEX fact_time ON segment.fact USING btree (team_id, occur_time, partition, "position");
-- A customer's facts are found without passing by those of the whole team: those that are mail by `fact_mail`, the few others by this.
CREATE INDEX fact_unmailed ON segment.fact USING btree (team_id, customer_id) WHERE ((mail_number IS NULL) AND (customer_id IS NOT NULL));
ALTER TABLE fact ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON fact USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- The last fact that was emptied in the history of a team that says how long it keeps it.
CREATE TABLE fact_pruning (
    team_id    uuid NOT NULL,
    occur_time timestamp with time zone NOT NULL,
    partition  smallint NOT NULL,
    position   bigint NOT NULL,
    CONSTRAINT fact_pruning_pkey PRIMARY KEY (team_id),
    CONSTRAINT fact_pruning_time_readable CHECK (((occur_time >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (occur_time < '9999-12-31 00:00:00+00'::timestamp with time zone)))
);
ALTER TABLE fact_pruning ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON fact_pruning USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- "Team last marketed" is taken from the gateway's history: the position of each of its partitions up to which that is done.
CREATE TABLE gateway_cursor (
    partition smallint NOT NULL,
    position  bigint NOT NULL DEFAULT 0,
    CONSTRAINT gateway_cursor_pkey PRIMARY KEY (partition),
    CONSTRAINT gateway_cursor_partition_check CHECK (((partition >= 0) AND (partition <= 63))),
    CONSTRAINT gateway_cursor_position_check CHECK (("position" >= 0))
) WITH (fillfactor=10, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=1000);

-- Last position given to each partition of the service's history. Rows are locked in the order of partitions by the
-- transaction that writes the history, so the order of positions is the order of commits. The table is small and hot:
-- room on its pages keeps the updates in place.
CREATE TABLE history_head (
    partition smallint NOT NULL,
    position  bigint NOT NULL DEFAULT 0,
    CONSTRAINT history_head_pkey PRIMARY KEY (partition),
    CONSTRAINT history_head_partition_check CHECK (((partition >= 0) AND (partition <= 63))),
    CONSTRAINT history_head_position_check CHECK (("position" >= 0))
) WITH (fillfactor=10, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=1000);

CREATE TABLE identity (
    team_id     uuid NOT NULL,
    channel     smallint NOT NULL,
    account_id  uuid NOT NULL,
    external_id text NOT NULL,
    customer_id uuid NOT NULL,
    blocked     boolean NOT NULL,
    bind_time   timestamp with time zone NOT NULL,
    seen_at     timestamp with time zone,
    left_at     timestamp with time zone,
    CONSTRAINT identity_pkey PRIMARY KEY (team_id, channel, account_id, external_id),
    CONSTRAINT identity_channel_check CHECK ((channel > 0)),
    CONSTRAINT identity_times_readable CHECK (((seen_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (seen_at < '9999-12-31 00:00:00+00'::timestamp with time zone) AND (left_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (left_at < '9999-12-31 00:00:00+00'::timestamp with time zone))) NOT VALID
) WITH (autovacuum_analyze_scale_factor=0.5);
ALTER TABLE identity ALTER team_id SET STATISTICS 10, ALTER channel SET STATISTICS 10, ALTER account_id SET STATISTICS 10, ALTER external_id SET STATISTICS 10, ALTER customer_id SET STATISTICS 10, ALTER blocked SET STATISTICS 10, ALTER bind_time SET STATISTICS 10;
CREATE INDEX identity_customer ON segment.identity USING btree (team_id, customer_id, channel, account_id);
ALTER TABLE identity ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON identity USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Two customers whom one event named. A pair is kept once, whichever of the two an event went to.
CREATE TABLE identity_conflict (
    team_id              uuid NOT NULL,
    identity_conflict_id uuid NOT NULL,
    customer_id          uuid NOT NULL,
    other_customer_id    uuid NOT NULL,
    matched_field        text NOT NULL,
    other_matched_field  text NOT NULL,
    resolved             boolean NOT NULL DEFAULT false,
    create_time          timestamp with time zone NOT NULL,
    CONSTRAINT identity_conflict_pkey PRIMARY KEY (team_id, identity_conflict_id),
    CONSTRAINT identity_conflict_check CHECK ((customer_id <> other_customer_id))
);
CREATE INDEX identity_conflict_newest ON segment.identity_conflict USING btree (team_id, create_time DESC, identity_conflict_id DESC);
CREATE UNIQUE INDEX identity_conflict_pair ON segment.identity_conflict USING btree (team_id, LEAST(customer_id, other_customer_id), GREATEST(customer_id, other_customer_id));
ALTER TABLE identity_conflict ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON identity_conflict USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- How far the relay has handed this service's mail to the mailboxes.
CREATE TABLE mail_cursor (
    partition smallint NOT NULL,
    position  bigint NOT NULL DEFAULT 0,
    CONSTRAINT mail_cursor_pkey PRIMARY KEY (partition),
    CONSTRAINT mail_cursor_partition_check CHECK (((partition >= 0) AND (partition <= 63))),
    CONSTRAINT mail_cursor_position_check CHECK (("position" >= 0))
) WITH (fillfactor=10, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=1000);

-- Customers who were merged, as they were, and who they are now: never somebody who was merged in turn.
CREATE TABLE merged_customer (
    team_id                uuid NOT NULL,
    customer_id            uuid NOT NULL,
    survivor_id            uuid NOT NULL,
    member_id              text,
    name                   text NOT NULL,
    phone                  text,
    email                  text,
    customer_interact_time timestamp with time zone,
    team_interact_time     timestamp with time zone,
    marketed_time          timestamp with time zone,
    checkout_time          timestamp with time zone,
    mail_number            bigint NOT NULL,
    revision               bigint NOT NULL,
    create_time            timestamp with time zone NOT NULL,
    update_time            timestamp with time zone NOT NULL,
    CONSTRAINT merged_customer_pkey PRIMARY KEY (team_id, customer_id),
    CONSTRAINT merged_customer_check CHECK ((customer_id <> survivor_id)),
    CONSTRAINT merged_customer_times_readable CHECK (((customer_interact_time >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (customer_interact_time < '9999-12-31 00:00:00+00'::timestamp with time zone) AND (team_interact_time >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (team_interact_time < '9999-12-31 00:00:00+00'::timestamp with time zone) AND (marketed_time >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (marketed_time < '9999-12-31 00:00:00+00'::timestamp with time zone) AND (checkout_time >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (checkout_time < '9999-12-31 00:00:00+00'::timestamp with time zone)))
);
CREATE INDEX merged_customer_of_survivor ON segment.merged_customer USING btree (team_id, survivor_id);
ALTER TABLE merged_customer ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON merged_customer USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- By which id somebody was known until when: what they wrote before that and is told after it is theirs. Kept for as long as a
-- channel may be late, whether anybody had the identity or not.
CREATE TABLE moved_identity (
    team_id     uuid NOT NULL,
    channel     smallint NOT NULL,
    account_id  uuid NOT NULL,
    external_id text NOT NULL,
    moved_at    timestamp with time zone NOT NULL,
    moved_to    text NOT NULL,
    CONSTRAINT moved_identity_pkey PRIMARY KEY (team_id, channel, account_id, external_id, moved_at),
    CONSTRAINT moved_identity_channel_check CHECK ((channel > 0)),
    CONSTRAINT moved_identity_time_readable CHECK (((moved_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (moved_at < '9999-12-31 00:00:00+00'::timestamp with time zone)))
);
ALTER TABLE moved_identity ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON moved_identity USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Up to where facts were looked at for that, as they are recorded, by partition.
CREATE TABLE overdue_cursor (
    partition smallint NOT NULL,
    position  bigint NOT NULL,
    CONSTRAINT overdue_cursor_pkey PRIMARY KEY (partition),
    CONSTRAINT overdue_cursor_partition_check CHECK (((partition >= 0) AND (partition <= 63))),
    CONSTRAINT overdue_cursor_position_check CHECK (("position" >= 0))
) WITH (fillfactor=10, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=1000);

-- Facts behind the place up to which their team's history was emptied, or texts of messages were taken out of it, that are still to be:
-- recorded since with an older time, or then not yet taken by the actor of their customer. `text_only`: behind the place of texts.
CREATE TABLE overdue_fact (
    team_id   uuid NOT NULL,
    text_only boolean NOT NULL,
    partition smallint NOT NULL,
    position  bigint NOT NULL,
    CONSTRAINT overdue_fact_pkey PRIMARY KEY (team_id, text_only, partition, "position")
);
ALTER TABLE overdue_fact ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON overdue_fact USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- The position of each partition of that history up to which it is added up.
CREATE TABLE points_cursor (
    partition smallint NOT NULL,
    position  bigint NOT NULL DEFAULT 0,
    CONSTRAINT points_cursor_pkey PRIMARY KEY (partition),
    CONSTRAINT points_cursor_partition_check CHECK (((partition >= 0) AND (partition <= 63))),
    CONSTRAINT points_cursor_position_check CHECK (("position" >= 0))
) WITH (fillfactor=10, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=1000);

-- Rows of it that could not be added.
CREATE TABLE points_row_set_aside (
    partition    smallint NOT NULL,
    position     bigint NOT NULL,
    reason       text NOT NULL,
    set_aside_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT points_row_set_aside_pkey PRIMARY KEY (partition, "position")
);

CREATE TABLE refund (
    team_id     uuid NOT NULL,
    shop_id     text NOT NULL,
    refund_id   text NOT NULL,
    refund_key  uuid NOT NULL,
    customer_id uuid,
    uncounted   smallint NOT NULL,
    occur_time  timestamp with time zone NOT NULL,
    body        bytea NOT NULL,
    CONSTRAINT refund_pkey PRIMARY KEY (team_id, shop_id, refund_id),
    CONSTRAINT refund_check CHECK (((customer_id IS NOT NULL) OR (uncounted <> 0))),
    CONSTRAINT refund_time_readable CHECK (((occur_time >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (occur_time < '9999-12-31 00:00:00+00'::timestamp with time zone))) NOT VALID,
    CONSTRAINT refund_uncounted_check CHECK (((uncounted >= 0) AND (uncounted <= 4)))
) WITH (autovacuum_analyze_scale_factor=0.5);
SELECT platform.sample_lightly('refund');
CREATE INDEX refund_by_order ON segment.refund USING btree (team_id, shop_id, refund_order_id(body, shop_id, refund_id));
ALTER TABLE refund ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON refund USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- First answers to writes, by request id: the same request gets the same answer again, another one is refused.
-- `answer` is absent only inside the transaction that does the work.
CREATE TABLE request_log (
    team_id    uuid NOT NULL,
    request_id text NOT NULL,
    digest     bytea NOT NULL,
    answer     bytea,
    real_time  timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT request_log_pkey PRIMARY KEY (team_id, request_id),
    CONSTRAINT request_log_request_id_check CHECK (((length(request_id) >= 1) AND (length(request_id) <= 128)))
);
CREATE INDEX request_log_by_time ON segment.request_log USING btree (real_time);
ALTER TABLE request_log ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON request_log USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- How long each kind of a team's records is kept, where the team says so itself; null: as the installation says.
CREATE TABLE retention (
    team_id          uuid NOT NULL,
    webhook_bodies   interval,
    message_contents interval,
    audit_entries    interval,
    revision         bigint NOT NULL DEFAULT 1,
    enrolment_steps  interval,
    histories        interval,
    hourly_figures   interval,
    CONSTRAINT retention_pkey PRIMARY KEY (team_id),
    CONSTRAINT retention_audit_entries_check CHECK (((audit_entries >= '365 days'::interval) AND (audit_entries <= '3650 days'::interval))),
    CONSTRAINT retention_enrolment_steps_check CHECK (((enrolment_steps >= '30 days'::interval) AND (enrolment_steps <= '3650 days'::interval))),
    CONSTRAINT retention_histories_check CHECK (((histories >= '30 days'::interval) AND (histories <= '3650 days'::interval))),
    CONSTRAINT retention_hourly_figures_check CHECK (((hourly_figures >= '400 days'::interval) AND (hourly_figures <= '3650 days'::interval))),
    CONSTRAINT retention_message_contents_check CHECK (((message_contents >= '1 day'::interval) AND (message_contents <= '3650 days'::interval))),
    CONSTRAINT retention_revision_check CHECK ((revision > 0)),
    CONSTRAINT retention_webhook_bodies_check CHECK (((webhook_bodies >= '7 days'::interval) AND (webhook_bodies <= '3650 days'::interval)))
);
ALTER TABLE retention ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON retention USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Rows of that history from which no time could be taken.
CREATE TABLE row_set_aside (
    partition    smallint NOT NULL,
    position     bigint NOT NULL,
    reason       text NOT NULL,
    set_aside_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT row_set_aside_pkey PRIMARY KEY (partition, "position")
);

CREATE TABLE saved_audience (
    team_id         uuid NOT NULL,
    audience_id     uuid NOT NULL,
    name            text NOT NULL,
    name_folded     text NOT NULL,
    audience        bytea NOT NULL,
    revision        bigint NOT NULL,
    create_time     timestamp with time zone NOT NULL,
    update_time     timestamp with time zone NOT NULL,
    named_audiences uuid[] NOT NULL DEFAULT '{}'::uuid[],
    CONSTRAINT saved_audience_pkey PRIMARY KEY (team_id, audience_id),
    CONSTRAINT saved_audience_revision_check CHECK ((revision > 0))
);
CREATE UNIQUE INDEX saved_audience_name ON segment.saved_audience USING btree (team_id, name_folded);
ALTER TABLE saved_audience ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON saved_audience USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Named `shop_order` since "order" is a word of SQL. `uncounted` 0: it counts, and its checkout was told.
CREATE TABLE shop_order (
    team_id     uuid NOT NULL,
    shop_id     text NOT NULL,
    order_id    text NOT NULL,
    order_key   uuid NOT NULL,
    customer_id uuid,
    uncounted   smallint NOT NULL,
    occur_time  timestamp with time zone NOT NULL,
    body        bytea NOT NULL,
    CONSTRAINT shop_order_pkey PRIMARY KEY (team_id, shop_id, order_id),
    CONSTRAINT shop_order_check CHECK (((customer_id IS NOT NULL) OR (uncounted <> 0))),
    CONSTRAINT shop_order_time_readable CHECK (((occur_time >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (occur_time < '9999-12-31 00:00:00+00'::timestamp with time zone))) NOT VALID,
    CONSTRAINT shop_order_uncounted_check CHECK (((uncounted >= 0) AND (uncounted <= 4)))
) WITH (autovacuum_analyze_scale_factor=0.5);
SELECT platform.sample_lightly('shop_order');
-- Orders, newest first. Those of one customer are found in it, too: an index of their own would cost each order more than a list of
-- them is worth.
CREATE INDEX shop_order_newest ON segment.shop_order USING btree (team_id, occur_time DESC, order_key DESC);
-- Orders of one customer have an index of their own: through that of all the team's, a page for one who ordered long ago reads every
-- order since. In exchange the latter no longer names customers.
CREATE INDEX shop_order_of_customer ON segment.shop_order USING btree (team_id, customer_id, occur_time DESC, order_key DESC) WHERE (customer_id IS NOT NULL);
ALTER TABLE shop_order ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON shop_order USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Up to where customers were looked at for texts that a release before spelled otherwise than they are spelled now. One row, until the last
-- pass has ended: the second one finds what a process of the release before wrote during the first.
CREATE TABLE spelling_search (
    only_row            boolean NOT NULL DEFAULT true,
    reached_team_id     uuid NOT NULL,
    reached_customer_id uuid NOT NULL,
    passes_left         smallint NOT NULL,
    due_at              timestamp with time zone NOT NULL,
    CONSTRAINT spelling_search_pkey PRIMARY KEY (only_row),
    CONSTRAINT spelling_search_only_row_check CHECK (only_row),
    CONSTRAINT spelling_search_passes_left_check CHECK ((passes_left > 0)),
    CONSTRAINT spelling_search_time_readable CHECK (((due_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (due_at < '9999-12-31 00:00:00+00'::timestamp with time zone)))
);

CREATE TABLE team (
    team_id               uuid NOT NULL,
    name                  text NOT NULL,
    settings              bytea NOT NULL,
    revision              bigint NOT NULL,
    create_time           timestamp with time zone NOT NULL,
    update_time           timestamp with time zone NOT NULL,
    unsigned_orders_count boolean NOT NULL,
    CONSTRAINT team_pkey PRIMARY KEY (team_id),
    CONSTRAINT team_revision_check CHECK ((revision > 0))
);
CREATE TRIGGER known AFTER INSERT ON segment.team FOR EACH ROW EXECUTE FUNCTION note_team();
ALTER TABLE team ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON team USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Up to where texts of messages were taken out of the history, by partition.
CREATE TABLE text_cursor (
    partition smallint NOT NULL,
    position  bigint NOT NULL DEFAULT 0,
    CONSTRAINT text_cursor_pkey PRIMARY KEY (partition),
    CONSTRAINT text_cursor_partition_check CHECK (((partition >= 0) AND (partition <= 63))),
    CONSTRAINT text_cursor_position_check CHECK (("position" >= 0))
) WITH (fillfactor=10, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=1000);

-- The last message whose text was taken out of the history, of teams that keep texts for less than the installation does.
CREATE TABLE text_pruning (
    team_id    uuid NOT NULL,
    occur_time timestamp with time zone NOT NULL,
    partition  smallint NOT NULL,
    position   bigint NOT NULL,
    CONSTRAINT text_pruning_pkey PRIMARY KEY (team_id),
    CONSTRAINT text_pruning_time_readable CHECK (((occur_time >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (occur_time < '9999-12-31 00:00:00+00'::timestamp with time zone)))
);
ALTER TABLE text_pruning ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON text_pruning USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

CREATE VIEW team_attribute WITH (check_option=cascaded) AS
 SELECT team_id,
    customer_id,
    key,
    type,
    value_folded,
    number_value
   FROM customer_attribute
  WHERE team_id = (( SELECT (platform.teams())[1] AS teams
          WHERE cardinality(platform.teams()) = 1));

-- What searches over all customers of a team reads: rows of the one team that the transaction is bound to. The team is looked at once a
-- statement, not in each row, and whatever else is asked may be an index's condition, which the policy of the tables allows to few
-- operators only. Nothing is written through them.
CREATE VIEW team_customer WITH (check_option=cascaded) AS
 SELECT team_id,
    customer_id,
    member_id_folded,
    phone,
    email_folded,
    customer_interact_time,
    team_interact_time,
    marketed_time,
    checkout_time
   FROM customer
  WHERE team_id = (( SELECT (platform.teams())[1] AS teams
          WHERE cardinality(platform.teams()) = 1));

CREATE VIEW team_identity WITH (check_option=cascaded) AS
 SELECT team_id,
    customer_id,
    channel,
    account_id
   FROM identity
  WHERE team_id = (( SELECT (platform.teams())[1] AS teams
          WHERE cardinality(platform.teams()) = 1));

CREATE VIEW team_points WITH (check_option=cascaded) AS
 SELECT team_id,
    customer_id,
    balance,
    cumulative
   FROM customer_points
  WHERE known AND team_id = (( SELECT (platform.teams())[1] AS teams
          WHERE cardinality(platform.teams()) = 1));

CREATE VIEW team_tag WITH (check_option=cascaded) AS
 SELECT team_id,
    customer_id,
    tag_folded
   FROM customer_tag
  WHERE team_id = (( SELECT (platform.teams())[1] AS teams
          WHERE cardinality(platform.teams()) = 1));
