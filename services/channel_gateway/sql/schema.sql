-- The schema channel_gateway as all migrations leave it. Written by `make schema`, never by hand.
-- Functions stand in files of their own.

-- Messages taken under the caps of a journey, and the lowest of these.
CREATE TYPE cap_row AS (
    team_id uuid,
    journey_id uuid,
    channel smallint,
    messages bigint,
    cap bigint
);

CREATE TYPE contact_event_row AS (
    team_id uuid,
    event_id uuid,
    event_type text,
    occurred_at timestamp with time zone,
    body bytea
);

CREATE TYPE contact_step AS (
    partition smallint,
    before bigint,
    after bigint
);

-- Content as the batch was made of it. `kind` as of facts that content is gone: 1 bot module, 2 template; 3: all accounts of the
-- team, without an id, and the version is the sum of theirs.
CREATE TYPE content_version_row AS (
    kind smallint,
    team_id uuid,
    content_id uuid,
    version bigint
);

-- A link that was opened, together with others of the same batch.
CREATE TYPE opened_row AS (
    team_id uuid,
    effect_key uuid,
    link_id bigint,
    journey_id uuid,
    node_id text,
    customer_id uuid,
    sent_at timestamp with time zone,
    click_id uuid,
    agent text
);

-- Sends that ended alike. Message ids are joined by a line feed. `gives_back`: some took more messages than they used.
CREATE TYPE outcome_row AS (
    team_id uuid,
    state smallint,
    reason text,
    messages integer,
    parts_sent integer,
    gives_back boolean,
    effect_keys uuid[],
    message_ids text[]
);

-- What a team's prepaid balance pays.
CREATE TYPE payment_row AS (
    team_id uuid,
    currency text,
    micros bigint
);

-- Messages taken from the plan of an account in a month.
CREATE TYPE plan_row AS (
    team_id uuid,
    account_id uuid,
    month date,
    messages bigint
);

-- A team's own price of a message; null where it has none.
CREATE TYPE price_row AS (
    team_id uuid,
    channel smallint,
    currency text,
    micros bigint
);

-- A record before it has a position. `mailed`: its sends are mail.
CREATE TYPE record_row AS (
    shard smallint,
    team_id uuid,
    customers uuid[],
    mailed boolean,
    body bytea
);

-- A send that is refused: where its fact goes.
CREATE TYPE refusal_row AS (
    team_id uuid,
    effect_key uuid,
    partition smallint,
    event_id uuid
);

-- What a batch of sends takes.
CREATE TYPE reservation_places AS (
    caps cap_row[],
    plans plan_row[],
    payments payment_row[]
);

-- What a batch of sends was decided upon.
CREATE TYPE reservation_premises AS (
    stops stop_row[],
    versions content_version_row[],
    prices price_row[]
);

-- Sends with what they have in common.
CREATE TYPE send_group_row AS (
    team_id uuid,
    journey_id uuid,
    node_id text,
    channel smallint,
    account_id uuid,
    template_id uuid,
    stop_epoch bigint,
    currency text,
    price_micros bigint,
    capped boolean,
    quota_month date,
    state smallint,
    reason text,
    messages integer,
    not_after timestamp with time zone,
    depth integer,
    sends send_row[]
);

-- What a send has of its own.
CREATE TYPE send_row AS (
    effect_key uuid,
    customer_id uuid,
    enrolment_id uuid,
    recipient text,
    parts bytea
);

-- A journey, and the lowest stop epoch in which its sends were decided.
CREATE TYPE stop_row AS (
    team_id uuid,
    journey_id uuid,
    epoch bigint
);

CREATE TABLE account (
    team_id         uuid NOT NULL,
    account_id      uuid NOT NULL,
    channel         smallint NOT NULL,
    display_name    text NOT NULL,
    state           smallint NOT NULL DEFAULT 1,
    state_reason    text NOT NULL DEFAULT ''::text,
    connection      jsonb NOT NULL,
    rate_per_second integer NOT NULL,
    concurrency_max integer NOT NULL,
    created_at      timestamp with time zone NOT NULL,
    updated_at      timestamp with time zone NOT NULL,
    version         bigint NOT NULL DEFAULT 1,
    deleted         boolean NOT NULL DEFAULT false,
    sealed          bytea,
    CONSTRAINT account_pkey PRIMARY KEY (team_id, account_id),
    CONSTRAINT account_channel_check CHECK (((channel >= 1) AND (channel <= 4))),
    CONSTRAINT account_concurrency_max_check CHECK (((concurrency_max >= 1) AND (concurrency_max <= 256))),
    CONSTRAINT account_rate_per_second_check CHECK (((rate_per_second >= 1) AND (rate_per_second <= 10000))),
    CONSTRAINT account_sealed_check CHECK (((length(sealed) >= 37) AND (length(sealed) <= 65536))),
    CONSTRAINT account_state_check CHECK (((state >= 1) AND (state <= 3)))
);
CREATE TRIGGER known AFTER INSERT OR UPDATE OF deleted ON channel_gateway.account FOR EACH ROW EXECUTE FUNCTION note_account();
ALTER TABLE account ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON account USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

CREATE TABLE account_hold (
    team_id    uuid NOT NULL,
    account_id uuid NOT NULL,
    recipient  text NOT NULL,
    until_time timestamp with time zone NOT NULL,
    CONSTRAINT account_hold_pkey PRIMARY KEY (team_id, account_id, recipient),
    CONSTRAINT account_hold_until_time_check CHECK (((until_time >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (until_time < '9999-12-31 00:00:00+00'::timestamp with time zone)))
);
ALTER TABLE account_hold ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON account_hold USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

CREATE TABLE account_share (
    team_id    uuid NOT NULL,
    account_id uuid NOT NULL,
    sender     uuid NOT NULL,
    share      double precision NOT NULL,
    weight     smallint NOT NULL,
    until_time timestamp with time zone NOT NULL,
    CONSTRAINT account_share_pkey PRIMARY KEY (team_id, account_id, sender),
    CONSTRAINT account_share_share_check CHECK ((share >= (0)::double precision)),
    CONSTRAINT account_share_until_time_check CHECK (((until_time >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (until_time < '9999-12-31 00:00:00+00'::timestamp with time zone))),
    CONSTRAINT account_share_weight_check CHECK ((weight > 0))
);
ALTER TABLE account_share ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON account_share USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Below which balance a team is warned; null: never. `fired`: it was warned, and the balance has not been above since.
CREATE TABLE balance_alert (
    team_id          uuid NOT NULL,
    threshold_micros bigint,
    currency         text NOT NULL,
    fired            boolean NOT NULL DEFAULT false,
    version          bigint NOT NULL DEFAULT 1,
    updated_at       timestamp with time zone NOT NULL,
    CONSTRAINT balance_alert_pkey PRIMARY KEY (team_id),
    CONSTRAINT balance_alert_currency_check CHECK ((length(currency) = 3)),
    CONSTRAINT balance_alert_threshold_micros_check CHECK ((threshold_micros > 0))
);
ALTER TABLE balance_alert ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON balance_alert USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

CREATE TABLE bot_module (
    team_id       uuid NOT NULL,
    bot_module_id uuid NOT NULL,
    name          text NOT NULL,
    cards         jsonb NOT NULL,
    created_at    timestamp with time zone NOT NULL,
    updated_at    timestamp with time zone NOT NULL,
    version       bigint NOT NULL DEFAULT 1,
    deleted       boolean NOT NULL DEFAULT false,
    CONSTRAINT bot_module_pkey PRIMARY KEY (team_id, bot_module_id)
);
ALTER TABLE bot_module ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON bot_module USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- What a team's customers said through the API, whatever channels they are on; channel 0: all. `opt_out` has what people said themselves.
CREATE TABLE consent (
    team_id     uuid NOT NULL,
    customer_id uuid NOT NULL,
    channel     smallint NOT NULL,
    withdrawn   boolean NOT NULL,
    source      smallint NOT NULL,
    changed_at  timestamp with time zone NOT NULL,
    CONSTRAINT consent_pkey PRIMARY KEY (team_id, customer_id, channel),
    CONSTRAINT consent_channel_check CHECK (((channel >= 0) AND (channel <= 4))),
    CONSTRAINT consent_source_check CHECK (((source >= 1) AND (source <= 4))),
    CONSTRAINT consent_time_readable CHECK (((changed_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (changed_at < '9999-12-31 00:00:00+00'::timestamp with time zone)))
);
ALTER TABLE consent ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON consent USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- The changes of both, for good. Of a customer, or of somebody on a channel whose customer the gateway does not know.
CREATE TABLE consent_change (
    team_id      uuid NOT NULL,
    change_id    uuid NOT NULL,
    customer_id  uuid,
    channel      smallint NOT NULL,
    external_id  text,
    withdrawn    boolean NOT NULL,
    before_state smallint NOT NULL,
    source       smallint NOT NULL,
    note         text NOT NULL,
    actor        text NOT NULL,
    changed_at   timestamp with time zone NOT NULL,
    CONSTRAINT consent_change_pkey PRIMARY KEY (team_id, change_id),
    CONSTRAINT consent_change_actor_check CHECK ((length(actor) <= 200)),
    CONSTRAINT consent_change_before_state_check CHECK (((before_state >= 0) AND (before_state <= 2))),
    CONSTRAINT consent_change_channel_check CHECK (((channel >= 0) AND (channel <= 4))),
    CONSTRAINT consent_change_note_check CHECK ((length(note) <= 500)),
    CONSTRAINT consent_change_of_one CHECK (((customer_id IS NULL) <> (external_id IS NULL))),
    CONSTRAINT consent_change_source_check CHECK (((source >= 1) AND (source <= 4))),
    CONSTRAINT consent_change_time_readable CHECK (((changed_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (changed_at < '9999-12-31 00:00:00+00'::timestamp with time zone)))
);
CREATE INDEX consent_change_of_customer ON channel_gateway.consent_change USING btree (team_id, customer_id, changed_at, change_id) WHERE (customer_id IS NOT NULL);
CREATE INDEX consent_change_of_person ON channel_gateway.consent_change USING btree (team_id, channel, external_id, changed_at, change_id) WHERE (external_id IS NOT NULL);
ALTER TABLE consent_change ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON consent_change USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- How far the history of segment is taken.
CREATE TABLE contact_cursor (
    partition smallint NOT NULL,
    position  bigint NOT NULL DEFAULT 0,
    CONSTRAINT contact_cursor_pkey PRIMARY KEY (partition),
    CONSTRAINT contact_cursor_partition_check CHECK (((partition >= 0) AND (partition <= 63))),
    CONSTRAINT contact_cursor_position_check CHECK (("position" >= 0))
) WITH (fillfactor=10, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=1000);

CREATE TABLE contact_row_set_aside (
    partition   smallint NOT NULL,
    position    bigint NOT NULL,
    reason      text NOT NULL,
    create_time timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT contact_row_set_aside_pkey PRIMARY KEY (partition, "position")
);

-- Until when the contents of deliveries were removed, by the time of their acceptance: what is older has none. One row.
CREATE TABLE content_pruning (
    only_row     boolean NOT NULL DEFAULT true,
    pruned_until timestamp with time zone NOT NULL,
    CONSTRAINT content_pruning_pkey PRIMARY KEY (only_row),
    CONSTRAINT content_pruning_only_row_check CHECK (only_row),
    CONSTRAINT content_pruning_time_readable CHECK (((pruned_until >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (pruned_until < '9999-12-31 00:00:00+00'::timestamp with time zone)))
);

-- Until when the contents of deliveries were removed, as in `content_pruning`, of teams that say or said themselves how long they keep them.
CREATE TABLE content_pruning_of_team (
    team_id      uuid NOT NULL,
    pruned_until timestamp with time zone NOT NULL,
    CONSTRAINT content_pruning_of_team_pkey PRIMARY KEY (team_id),
    CONSTRAINT content_pruning_of_team_time_readable CHECK (((pruned_until >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (pruned_until < '9999-12-31 00:00:00+00'::timestamp with time zone)))
);
ALTER TABLE content_pruning_of_team ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON content_pruning_of_team USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Presses of coupons' buttons that wait for their answers; those that have one are gone.
CREATE TABLE coupon_press (
    team_id     uuid NOT NULL,
    press_id    uuid NOT NULL,
    account_id  uuid NOT NULL,
    channel     smallint NOT NULL,
    external_id text NOT NULL,
    customer_id uuid NOT NULL,
    coupon_id   uuid NOT NULL,
    offer_id    uuid NOT NULL,
    tries       integer NOT NULL DEFAULT 0,
    try_at      timestamp with time zone DEFAULT clock_timestamp(),
    reason      text NOT NULL DEFAULT ''::text,
    kept_at     timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT coupon_press_pkey PRIMARY KEY (team_id, press_id),
    CONSTRAINT coupon_press_channel_check CHECK (((channel >= 1) AND (channel <= 4))),
    CONSTRAINT coupon_press_external_id_check CHECK ((char_length(external_id) <= 200)),
    CONSTRAINT coupon_press_kept_at_check CHECK (((kept_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (kept_at < '9999-12-31 00:00:00+00'::timestamp with time zone))),
    CONSTRAINT coupon_press_reason_check CHECK ((char_length(reason) <= 1000)),
    CONSTRAINT coupon_press_tries_check CHECK ((tries >= 0)),
    CONSTRAINT coupon_press_try_at_check CHECK (((try_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (try_at < '9999-12-31 00:00:00+00'::timestamp with time zone)))
);
CREATE INDEX coupon_press_due ON channel_gateway.coupon_press USING btree (try_at, team_id) WHERE (try_at IS NOT NULL);
-- Presses that may be tried, team by team.
CREATE INDEX coupon_press_due_of ON channel_gateway.coupon_press USING btree (team_id, try_at) WHERE (try_at IS NOT NULL);
ALTER TABLE coupon_press ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON coupon_press USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Last number of the mail of each customer.
CREATE TABLE customer_mail (
    team_id         uuid NOT NULL,
    customer_id     uuid NOT NULL,
    last_number     bigint NOT NULL,
    last_position   bigint NOT NULL DEFAULT 0,
    before_position bigint NOT NULL DEFAULT 0,
    CONSTRAINT customer_mail_pkey PRIMARY KEY (team_id, customer_id)
) WITH (fillfactor=80, autovacuum_analyze_scale_factor=0.5);
SELECT platform.sample_lightly('customer_mail');
ALTER TABLE customer_mail ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON customer_mail USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- One row a send, by the key of its effect. States: 1 sent … 7 cancelled, 8 accepted, 9 marked for the wire.
CREATE TABLE delivery (
    team_id           uuid NOT NULL,
    effect_key        uuid NOT NULL,
    customer_id       uuid NOT NULL,
    enrolment_id      uuid NOT NULL,
    journey_id        uuid NOT NULL,
    node_id           text NOT NULL,
    channel           smallint NOT NULL,
    account_id        uuid,
    template_id       uuid,
    state             smallint NOT NULL,
    accepted          boolean NOT NULL,
    reason            text NOT NULL,
    messages          integer NOT NULL,
    price_micros      bigint NOT NULL,
    currency          text NOT NULL,
    capped            boolean NOT NULL,
    quota_month       date,
    stop_epoch        bigint NOT NULL,
    not_after         timestamp with time zone,
    depth             integer NOT NULL,
    recipient         text NOT NULL,
    parts             bytea,
    parts_sent        integer NOT NULL DEFAULT 0,
    message_ids       text[] NOT NULL DEFAULT '{}'::text[],
    sender            uuid,
    attempts          integer NOT NULL DEFAULT 0,
    first_attempt_at  timestamp with time zone,
    next_attempt_at   timestamp with time zone,
    doubtful          boolean NOT NULL DEFAULT false,
    created_at        timestamp with time zone NOT NULL,
    settled_at        timestamp with time zone,
    receipt           smallint NOT NULL DEFAULT 0,
    stint_id          uuid DEFAULT '00000000-0000-0000-0000-000000000000'::uuid,
    messages_reported integer NOT NULL DEFAULT 0,
    CONSTRAINT delivery_pkey PRIMARY KEY (team_id, effect_key),
    CONSTRAINT delivery_state_check CHECK (((state >= 1) AND (state <= 9))),
    CONSTRAINT delivery_times_readable CHECK (((not_after >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (not_after < '9999-12-31 00:00:00+00'::timestamp with time zone) AND (first_attempt_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (first_attempt_at < '9999-12-31 00:00:00+00'::timestamp with time zone) AND (next_attempt_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (next_attempt_at < '9999-12-31 00:00:00+00'::timestamp with time zone))) NOT VALID
) WITH (autovacuum_vacuum_scale_factor=0.02, fillfactor=50, autovacuum_analyze_scale_factor=0.5);
ALTER TABLE delivery ALTER team_id SET STATISTICS 10, ALTER effect_key SET STATISTICS 10, ALTER customer_id SET STATISTICS 10, ALTER enrolment_id SET STATISTICS 10, ALTER journey_id SET STATISTICS 10, ALTER node_id SET STATISTICS 10, ALTER channel SET STATISTICS 10, ALTER account_id SET STATISTICS 10, ALTER template_id SET STATISTICS 10, ALTER state SET STATISTICS 10, ALTER accepted SET STATISTICS 10, ALTER reason SET STATISTICS 10, ALTER messages SET STATISTICS 10, ALTER price_micros SET STATISTICS 10, ALTER currency SET STATISTICS 10, ALTER capped SET STATISTICS 10, ALTER quota_month SET STATISTICS 10, ALTER stop_epoch SET STATISTICS 10, ALTER not_after SET STATISTICS 10, ALTER depth SET STATISTICS 10, ALTER recipient SET STATISTICS 10, ALTER parts SET STATISTICS 0, ALTER parts_sent SET STATISTICS 10, ALTER message_ids SET STATISTICS 10, ALTER sender SET STATISTICS 10, ALTER attempts SET STATISTICS 10, ALTER first_attempt_at SET STATISTICS 10, ALTER next_attempt_at SET STATISTICS 10, ALTER doubtful SET STATISTICS 10, ALTER created_at SET STATISTICS 10, ALTER settled_at SET STATISTICS 10, ALTER receipt SET STATISTICS 10, ALTER stint_id SET STATISTICS 10;
CREATE INDEX delivery_by_time ON channel_gateway.delivery USING btree (team_id, created_at, effect_key);
-- Sends that cost something, for the list of charges: beside many that cost nothing. Its columns and its condition change with no outcome,
-- so that a send is still changed in its place.
CREATE INDEX delivery_charged ON channel_gateway.delivery USING btree (team_id, created_at, effect_key) WHERE (price_micros > 0);
CREATE INDEX delivery_of_stint ON channel_gateway.delivery USING btree (stint_id, team_id) WHERE (stint_id IS NOT NULL);
-- Messenger and Instagram tell of messages by the person they went to, and name no send. Of the other channels nothing is in it. Its columns
-- and its condition change with no outcome, so that a send is still changed in its place.
CREATE INDEX delivery_to_person ON channel_gateway.delivery USING btree (team_id, account_id, recipient, created_at) WHERE (channel = ANY (ARRAY[3, 4]));
ALTER TABLE delivery ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON delivery USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- How many messages one customer gets at most, over all journeys of a team: `rules` as JSON, none: no cap.
CREATE TABLE frequency_cap (
    team_id    uuid NOT NULL,
    rules      jsonb NOT NULL,
    version    bigint NOT NULL DEFAULT 1,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT frequency_cap_pkey PRIMARY KEY (team_id)
);
ALTER TABLE frequency_cap ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON frequency_cap USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Sends that count under a cap, from their reservation on: by customer, which `delivery` has no index by. What became of them stands there.
CREATE TABLE frequency_use (
    team_id     uuid NOT NULL,
    customer_id uuid NOT NULL,
    effect_key  uuid NOT NULL,
    noted_at    timestamp with time zone NOT NULL,
    CONSTRAINT frequency_use_pkey PRIMARY KEY (team_id, customer_id, effect_key)
) WITH (autovacuum_analyze_scale_factor=0.5);
SELECT platform.sample_lightly('frequency_use');
CREATE INDEX frequency_use_by_time ON channel_gateway.frequency_use USING btree (team_id, noted_at);
ALTER TABLE frequency_use ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON frequency_use USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Append only. Kinds: 1 send settled, 2 receipt, 3 click, 4 content gone. A row with a mail number is mail, too.
CREATE TABLE history (
    partition    smallint NOT NULL,
    position     bigint NOT NULL,
    team_id      uuid NOT NULL,
    customer_id  uuid,
    kind         smallint NOT NULL,
    occurred_at  timestamp with time zone NOT NULL,
    event_id     uuid NOT NULL,
    mail_number  bigint,
    depth        integer NOT NULL DEFAULT 0,
    effect_key   uuid,
    enrolment_id uuid,
    journey_id   uuid,
    node_id      text,
    channel      smallint,
    account_id   uuid,
    outcome      smallint,
    reason       text NOT NULL DEFAULT ''::text,
    messages     integer NOT NULL DEFAULT 0,
    micros       bigint NOT NULL DEFAULT 0,
    currency     text NOT NULL DEFAULT ''::text,
    CONSTRAINT history_pkey PRIMARY KEY (partition, "position"),
    CONSTRAINT history_kind_check CHECK (((kind >= 1) AND (kind <= 4))),
    CONSTRAINT history_time_readable CHECK (((occurred_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (occurred_at < '9999-12-31 00:00:00+00'::timestamp with time zone))) NOT VALID
) WITH (autovacuum_analyze_scale_factor=0.5);
SELECT platform.sample_lightly('history');
CREATE UNIQUE INDEX history_mail ON channel_gateway.history USING btree (team_id, customer_id, mail_number) WHERE (mail_number IS NOT NULL);
CREATE TRIGGER refused BEFORE INSERT ON channel_gateway.history FOR EACH ROW EXECUTE FUNCTION refuse_old_fact();
ALTER TABLE history ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON history USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

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

-- Facts are records: what one commit settled of the sends of one team and one shard is one row. `body` is msgpack, in the form of
-- libs/common/feeds/gateway_records.py. `customers` are those of the sends in `body`, in its order; `mails` has two numbers for each of
-- them, the number of the mail that it is and the position of the record that holds the customer's mail before (0: none does). A
-- record without mail has no `mails`: the answers to the call were the outcomes.
CREATE TABLE history_record (
    shard     smallint NOT NULL,
    position  bigint NOT NULL,
    team_id   uuid NOT NULL,
    customers uuid[] NOT NULL,
    mails     bigint[],
    body      bytea NOT NULL,
    CONSTRAINT history_record_pkey PRIMARY KEY (shard, "position")
) WITH (toast_tuple_target=8160, autovacuum_analyze_scale_factor=0.5);
SELECT platform.sample_lightly('history_record');
ALTER TABLE history_record ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON history_record USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- When a person last wrote to an account: the start of the window for free content.
CREATE TABLE inbound (
    team_id     uuid NOT NULL,
    account_id  uuid NOT NULL,
    external_id text NOT NULL,
    last_at     timestamp with time zone NOT NULL,
    sent_key    uuid,
    sent_at     timestamp with time zone,
    CONSTRAINT inbound_pkey PRIMARY KEY (team_id, account_id, external_id),
    CONSTRAINT inbound_sent_at_check CHECK (((sent_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (sent_at < '9999-12-31 00:00:00+00'::timestamp with time zone))),
    CONSTRAINT inbound_time_readable CHECK (((last_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (last_at < '9999-12-31 00:00:00+00'::timestamp with time zone))) NOT VALID
) WITH (autovacuum_analyze_scale_factor=0.5);
SELECT platform.sample_lightly('inbound');
ALTER TABLE inbound ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON inbound USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

CREATE TABLE inbox_refusal (
    team_id  uuid NOT NULL,
    sequence bigint NOT NULL,
    index    integer NOT NULL,
    reason   text NOT NULL,
    CONSTRAINT inbox_refusal_pkey PRIMARY KEY (team_id, sequence, index),
    CONSTRAINT inbox_refusal_sequence_fkey FOREIGN KEY (sequence) REFERENCES webhook_inbox(sequence)
);
-- Old webhooks go with what was refused of them; that they do is looked up by this.
CREATE INDEX inbox_refusal_by_webhook ON channel_gateway.inbox_refusal USING btree (sequence);
ALTER TABLE inbox_refusal ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON inbox_refusal USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Webhooks of a team that are handed on again: which ones, how far it is, and how it ended. 1 running, 2 done, 3 cancelled.
CREATE TABLE inbox_replay (
    team_id      uuid NOT NULL,
    replay_id    uuid NOT NULL,
    source       smallint NOT NULL,
    start_time   timestamp with time zone NOT NULL,
    end_time     timestamp with time zone NOT NULL,
    refused_only boolean NOT NULL,
    reached      bigint NOT NULL,
    done_count   bigint NOT NULL,
    state        smallint NOT NULL,
    created_at   timestamp with time zone NOT NULL,
    updated_at   timestamp with time zone NOT NULL,
    CONSTRAINT inbox_replay_pkey PRIMARY KEY (team_id, replay_id),
    CONSTRAINT inbox_replay_done_count_check CHECK ((done_count >= 0)),
    CONSTRAINT inbox_replay_reached_check CHECK ((reached >= 0)),
    CONSTRAINT inbox_replay_source_check CHECK (((source >= 0) AND (source <= 7))),
    CONSTRAINT inbox_replay_state_check CHECK (((state >= 1) AND (state <= 3))),
    CONSTRAINT inbox_replay_time_readable CHECK (((start_time >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (start_time < '9999-12-31 00:00:00+00'::timestamp with time zone) AND (end_time >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (end_time < '9999-12-31 00:00:00+00'::timestamp with time zone) AND (created_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (created_at < '9999-12-31 00:00:00+00'::timestamp with time zone) AND (updated_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (updated_at < '9999-12-31 00:00:00+00'::timestamp with time zone)))
);
CREATE INDEX inbox_replay_newest ON channel_gateway.inbox_replay USING btree (team_id, created_at, replay_id);
CREATE INDEX inbox_replay_running ON channel_gateway.inbox_replay USING btree (team_id, created_at) WHERE (state = 1);
ALTER TABLE inbox_replay ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON inbox_replay USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Sends that were decided in a lower epoch are cancelled. Reservations hold the row shared, a stop changes it: so a stop
-- that has the row knows every send reserved before it.
CREATE TABLE journey_stop (
    team_id    uuid NOT NULL,
    journey_id uuid NOT NULL,
    epoch      bigint NOT NULL,
    CONSTRAINT journey_stop_pkey PRIMARY KEY (team_id, journey_id),
    CONSTRAINT journey_stop_epoch_check CHECK ((epoch >= 0))
);
ALTER TABLE journey_stop ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON journey_stop USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Messages taken under a journey's own caps.
CREATE TABLE journey_usage (
    team_id    uuid NOT NULL,
    journey_id uuid NOT NULL,
    channel    smallint NOT NULL,
    used       bigint NOT NULL DEFAULT 0,
    CONSTRAINT journey_usage_pkey PRIMARY KEY (team_id, journey_id, channel),
    CONSTRAINT journey_usage_used_check CHECK ((used >= 0))
) WITH (fillfactor=20);
ALTER TABLE journey_usage ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON journey_usage USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- People to whom a channel delivers no marketing for now: WhatsApp limits what one person gets of all businesses (131049), and asks not to try
-- again within a day. Kept for that day.
CREATE TABLE limited_person (
    team_id     uuid NOT NULL,
    channel     smallint NOT NULL,
    external_id text NOT NULL,
    noted_at    timestamp with time zone NOT NULL,
    CONSTRAINT limited_person_pkey PRIMARY KEY (team_id, channel, external_id),
    CONSTRAINT limited_person_channel_check CHECK (((channel >= 1) AND (channel <= 4))),
    CONSTRAINT limited_person_noted_at_check CHECK (((noted_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (noted_at < '9999-12-31 00:00:00+00'::timestamp with time zone)))
);
CREATE INDEX limited_person_by_time ON channel_gateway.limited_person USING btree (noted_at);
ALTER TABLE limited_person ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON limited_person USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Every opening. `agent`: the program that it was, empty for a person.
CREATE TABLE link_click (
    team_id    uuid NOT NULL,
    effect_key uuid NOT NULL,
    link_id    bigint NOT NULL,
    click_id   uuid NOT NULL,
    clicked_at timestamp with time zone NOT NULL,
    agent      text NOT NULL,
    CONSTRAINT link_click_pkey PRIMARY KEY (team_id, effect_key, link_id, click_id),
    CONSTRAINT link_click_agent_check CHECK ((length(agent) <= 100)),
    CONSTRAINT link_click_clicked_at_check CHECK (((clicked_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (clicked_at < '9999-12-31 00:00:00+00'::timestamp with time zone)))
) WITH (autovacuum_analyze_scale_factor=0.5);
SELECT platform.sample_lightly('link_click');
ALTER TABLE link_click ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON link_click USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- The one key that tokens are made with, sealed as other secrets are. It never changes: links that were sent hold it.
CREATE TABLE link_key (
    link_key_id smallint NOT NULL,
    sealed      bytea NOT NULL,
    CONSTRAINT link_key_pkey PRIMARY KEY (link_key_id),
    CONSTRAINT link_key_link_key_id_check CHECK ((link_key_id = 1)),
    CONSTRAINT link_key_sealed_check CHECK (((length(sealed) >= 37) AND (length(sealed) <= 256)))
);

-- What links of messages lead to: a row for each address that a team sends, however often and to whomever. A send has no row of its
-- links: their tokens name the address and the send.
CREATE TABLE link_target (
    link_id    bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
    team_id    uuid NOT NULL,
    digest     bytea NOT NULL,
    url        text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT link_target_pkey PRIMARY KEY (link_id),
    CONSTRAINT link_target_team_id_digest_key UNIQUE (team_id, digest),
    CONSTRAINT link_target_created_at_check CHECK (((created_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (created_at < '9999-12-31 00:00:00+00'::timestamp with time zone))),
    CONSTRAINT link_target_digest_check CHECK ((length(digest) = 16)),
    CONSTRAINT link_target_url_check CHECK (((length(url) >= 8) AND (length(url) <= 2000)))
);
ALTER TABLE link_target ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON link_target USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- How far the relay has handed this service's mail to the mailboxes.
CREATE TABLE mail_cursor (
    partition smallint NOT NULL,
    position  bigint NOT NULL DEFAULT 0,
    CONSTRAINT mail_cursor_pkey PRIMARY KEY (partition),
    CONSTRAINT mail_cursor_partition_check CHECK (((partition >= 0) AND (partition <= 63))),
    CONSTRAINT mail_cursor_position_check CHECK (("position" >= 0))
) WITH (fillfactor=10, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=1000);

-- Customers who were merged into others: their deliveries and the changes of their consents are listed with those.
CREATE TABLE merged_customer (
    team_id     uuid NOT NULL,
    customer_id uuid NOT NULL,
    survivor_id uuid NOT NULL,
    merge_id    uuid NOT NULL,
    CONSTRAINT merged_customer_pkey PRIMARY KEY (team_id, customer_id),
    CONSTRAINT merged_customer_check CHECK ((customer_id <> survivor_id))
);
CREATE INDEX merged_customer_of_survivor ON channel_gateway.merged_customer USING btree (team_id, survivor_id);
ALTER TABLE merged_customer ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON merged_customer USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

CREATE TABLE message_price (
    team_id  uuid NOT NULL,
    channel  smallint NOT NULL,
    currency text NOT NULL,
    micros   bigint NOT NULL,
    CONSTRAINT message_price_pkey PRIMARY KEY (team_id, channel),
    CONSTRAINT message_price_currency_check CHECK ((length(currency) = 3)),
    CONSTRAINT message_price_micros_check CHECK ((micros >= 0))
);
ALTER TABLE message_price ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON message_price USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- What was given back of them. Append only, once a send.
CREATE TABLE message_refund (
    team_id     uuid NOT NULL,
    effect_key  uuid NOT NULL,
    journey_id  uuid NOT NULL,
    channel     smallint NOT NULL,
    messages    integer NOT NULL,
    micros      bigint NOT NULL,
    currency    text NOT NULL,
    refunded_at timestamp with time zone NOT NULL,
    CONSTRAINT message_refund_pkey PRIMARY KEY (team_id, effect_key),
    CONSTRAINT message_refund_channel_check CHECK (((channel >= 1) AND (channel <= 4))),
    CONSTRAINT message_refund_currency_check CHECK ((length(currency) = 3)),
    CONSTRAINT message_refund_messages_check CHECK ((messages > 0)),
    CONSTRAINT message_refund_micros_check CHECK ((micros > 0))
);
CREATE INDEX message_refund_by_time ON channel_gateway.message_refund USING btree (team_id, refunded_at, effect_key);
ALTER TABLE message_refund ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON message_refund USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- By which id somebody was known on an account until when: what they wrote before that and is told after it is theirs.
CREATE TABLE moved_person (
    team_id    uuid NOT NULL,
    account_id uuid NOT NULL,
    old_id     text NOT NULL,
    moved_at   timestamp with time zone NOT NULL,
    moved_to   text NOT NULL,
    CONSTRAINT moved_person_pkey PRIMARY KEY (team_id, account_id, old_id, moved_at),
    CONSTRAINT moved_person_time_readable CHECK (((moved_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (moved_at < '9999-12-31 00:00:00+00'::timestamp with time zone)))
);
ALTER TABLE moved_person ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON moved_person USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Who wants no messages of a team on a channel, whichever of its accounts they come from.
CREATE TABLE opt_out (
    team_id     uuid NOT NULL,
    channel     smallint NOT NULL,
    external_id text NOT NULL,
    withdrawn   boolean NOT NULL,
    source      smallint NOT NULL,
    changed_at  timestamp with time zone NOT NULL,
    CONSTRAINT opt_out_pkey PRIMARY KEY (team_id, channel, external_id),
    CONSTRAINT opt_out_channel_check CHECK (((channel >= 1) AND (channel <= 4))),
    CONSTRAINT opt_out_source_check CHECK (((source >= 1) AND (source <= 4))),
    CONSTRAINT opt_out_time_readable CHECK (((changed_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (changed_at < '9999-12-31 00:00:00+00'::timestamp with time zone)))
);
ALTER TABLE opt_out ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON opt_out USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Webhooks that go out, until they are taken. `dead_at`: given up; such a one waits for a person. Times of attempts are real.
CREATE TABLE outgoing_webhook (
    team_id         uuid NOT NULL,
    subscription_id uuid NOT NULL,
    webhook_id      uuid NOT NULL,
    event_type      text NOT NULL,
    body            bytea NOT NULL,
    occurred_at     timestamp with time zone NOT NULL,
    attempts        integer NOT NULL DEFAULT 0,
    next_at         timestamp with time zone NOT NULL,
    give_up_at      timestamp with time zone NOT NULL,
    last_error      text NOT NULL DEFAULT ''::text,
    dead_at         timestamp with time zone,
    CONSTRAINT outgoing_webhook_pkey PRIMARY KEY (team_id, subscription_id, webhook_id),
    CONSTRAINT outgoing_webhook_attempts_check CHECK ((attempts >= 0)),
    CONSTRAINT outgoing_webhook_body_check CHECK ((length(body) <= 65536)),
    CONSTRAINT outgoing_webhook_occurred_at_check CHECK (((occurred_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (occurred_at < '9999-12-31 00:00:00+00'::timestamp with time zone)))
) WITH (autovacuum_analyze_scale_factor=0.5);
SELECT platform.sample_lightly('outgoing_webhook');
CREATE INDEX outgoing_webhook_dead ON channel_gateway.outgoing_webhook USING btree (team_id, dead_at, webhook_id) WHERE (dead_at IS NOT NULL);
-- Given-up webhooks of a subscription.
CREATE INDEX outgoing_webhook_dead_of ON channel_gateway.outgoing_webhook USING btree (team_id, subscription_id, dead_at, webhook_id) WHERE (dead_at IS NOT NULL);
CREATE INDEX outgoing_webhook_due ON channel_gateway.outgoing_webhook USING btree (team_id, subscription_id, next_at) WHERE (dead_at IS NULL);
ALTER TABLE outgoing_webhook ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON outgoing_webhook USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Deliveries behind the time up to which contents were removed, that may still have some: not settled when that time passed them, or put off.
CREATE TABLE overdue_content (
    team_id    uuid NOT NULL,
    effect_key uuid NOT NULL,
    CONSTRAINT overdue_content_pkey PRIMARY KEY (team_id, effect_key)
);
ALTER TABLE overdue_content ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON overdue_content USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Keys that stand in a shop's pages. They are no secrets: they name a shop, and the pages that may report to it. One that is ended is
-- kept, so that lists show it; a shop has 100 at most.
CREATE TABLE pixel_key (
    team_id    uuid NOT NULL,
    key_id     uuid NOT NULL,
    shop_id    text NOT NULL,
    origins    text[] NOT NULL,
    created_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone,
    CONSTRAINT pixel_key_pkey PRIMARY KEY (team_id, key_id),
    CONSTRAINT pixel_key_origins_check CHECK (((cardinality(origins) >= 1) AND (cardinality(origins) <= 20))),
    CONSTRAINT pixel_key_time_readable CHECK (((created_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (created_at < '9999-12-31 00:00:00+00'::timestamp with time zone) AND (revoked_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (revoked_at < '9999-12-31 00:00:00+00'::timestamp with time zone))),
    CONSTRAINT pixel_key_team_id_shop_id_fkey FOREIGN KEY (team_id, shop_id) REFERENCES shop(team_id, shop_id)
);
CREATE INDEX pixel_key_by_shop ON channel_gateway.pixel_key USING btree (team_id, shop_id, created_at, key_id);
ALTER TABLE pixel_key ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON pixel_key USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Messages a month that a LINE account's plan holds; no row or no limit: the channel tells when it is used up.
CREATE TABLE plan_quota (
    team_id       uuid NOT NULL,
    account_id    uuid NOT NULL,
    message_limit bigint,
    updated_at    timestamp with time zone NOT NULL,
    CONSTRAINT plan_quota_pkey PRIMARY KEY (team_id, account_id),
    CONSTRAINT plan_quota_message_limit_check CHECK ((message_limit >= 0))
);
ALTER TABLE plan_quota ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON plan_quota USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

CREATE TABLE plan_usage (
    team_id    uuid NOT NULL,
    account_id uuid NOT NULL,
    month      date NOT NULL,
    used       bigint NOT NULL DEFAULT 0,
    CONSTRAINT plan_usage_pkey PRIMARY KEY (team_id, account_id, month),
    CONSTRAINT plan_usage_used_check CHECK ((used >= 0))
) WITH (fillfactor=20);
ALTER TABLE plan_usage ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON plan_usage USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Sends in doubt that were put off: they may have left, and keep their places until they are asked for again, or until the channel cannot be
-- asked any more.
CREATE TABLE put_off_send (
    team_id          uuid NOT NULL,
    effect_key       uuid NOT NULL,
    first_attempt_at timestamp with time zone NOT NULL,
    CONSTRAINT put_off_send_pkey PRIMARY KEY (team_id, effect_key),
    CONSTRAINT put_off_send_first_attempt_at_check CHECK (((first_attempt_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (first_attempt_at < '9999-12-31 00:00:00+00'::timestamp with time zone)))
);
CREATE INDEX put_off_send_by_time ON channel_gateway.put_off_send USING btree (first_attempt_at);
ALTER TABLE put_off_send ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON put_off_send USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Last position given to each shard, locked in the order of shards by the transaction that writes. The first record of a shard lies
-- beyond all facts that the release before wrote for its partitions, those up to `old_end`; null: there is none yet.
CREATE TABLE record_head (
    shard    smallint NOT NULL,
    position bigint NOT NULL DEFAULT 0,
    old_end  bigint,
    CONSTRAINT record_head_pkey PRIMARY KEY (shard),
    CONSTRAINT record_head_position_check CHECK (("position" >= 0)),
    CONSTRAINT record_head_shard_check CHECK (((shard >= 0) AND (shard <= 7)))
) WITH (fillfactor=10, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=1000);

-- Prepaid sends of which their channel told, after it had taken them, that they failed. They are given back when they are settled.
CREATE TABLE refund_due (
    team_id    uuid NOT NULL,
    effect_key uuid NOT NULL,
    told_at    timestamp with time zone NOT NULL,
    CONSTRAINT refund_due_pkey PRIMARY KEY (team_id, effect_key)
);
ALTER TABLE refund_due ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON refund_due USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

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
CREATE INDEX request_log_by_time ON channel_gateway.request_log USING btree (real_time);
ALTER TABLE request_log ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON request_log USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Of sends that belong to a sampled trace: the context, for what channels report of them later (ADR 69).
CREATE TABLE send_trace (
    team_id       uuid NOT NULL,
    effect_key    uuid NOT NULL,
    trace_context bytea NOT NULL,
    noted_at      timestamp with time zone NOT NULL,
    CONSTRAINT send_trace_pkey PRIMARY KEY (team_id, effect_key),
    CONSTRAINT send_trace_noted_at_check CHECK (((noted_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (noted_at < '9999-12-31 00:00:00+00'::timestamp with time zone))),
    CONSTRAINT send_trace_trace_context_check CHECK ((octet_length(trace_context) = 24))
);
CREATE INDEX send_trace_by_time ON channel_gateway.send_trace USING btree (noted_at);
ALTER TABLE send_trace ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON send_trace USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- A stretch of a sender's sends. It stands here until all of them are settled, so unsettled sends are found through it, and no index
-- holds a column that settling changes.
CREATE TABLE sender_stint (
    stint_id uuid NOT NULL,
    sender   uuid NOT NULL,
    CONSTRAINT sender_stint_pkey PRIMARY KEY (stint_id)
);

CREATE TABLE shop (
    team_id      uuid NOT NULL,
    shop_id      text NOT NULL,
    display_name text NOT NULL,
    enabled      boolean NOT NULL DEFAULT true,
    created_at   timestamp with time zone NOT NULL,
    updated_at   timestamp with time zone NOT NULL,
    version      bigint NOT NULL DEFAULT 1,
    deleted      boolean NOT NULL DEFAULT false,
    CONSTRAINT shop_pkey PRIMARY KEY (team_id, shop_id)
);
ALTER TABLE shop ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON shop USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

CREATE TABLE shop_key (
    team_id    uuid NOT NULL,
    shop_id    text NOT NULL,
    key_id     uuid NOT NULL,
    secret     bytea,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone,
    sealed     bytea,
    CONSTRAINT shop_key_pkey PRIMARY KEY (team_id, shop_id, key_id),
    CONSTRAINT shop_key_in_one_form CHECK ((num_nonnulls(secret, sealed) = 1)),
    CONSTRAINT shop_key_sealed_check CHECK (((length(sealed) >= 37) AND (length(sealed) <= 256))),
    CONSTRAINT shop_key_secret_check CHECK (((length(secret) >= 24) AND (length(secret) <= 64))),
    CONSTRAINT shop_key_time_readable CHECK (((expires_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (expires_at < '9999-12-31 00:00:00+00'::timestamp with time zone))) NOT VALID
);
ALTER TABLE shop_key ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON shop_key USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Messages of which a channel says that it has them, whatever became of the answer to their requests, of sends that are not settled yet or
-- unknown. What is told of a send is taken, with its row, when the send is settled.
CREATE TABLE taken_message (
    team_id     uuid NOT NULL,
    effect_key  uuid NOT NULL,
    number      smallint NOT NULL,
    message_id  text NOT NULL,
    reported_at timestamp with time zone NOT NULL,
    CONSTRAINT taken_message_pkey PRIMARY KEY (team_id, effect_key, number),
    CONSTRAINT taken_message_number_check CHECK ((number >= 0)),
    CONSTRAINT taken_message_reported_at_check CHECK (((reported_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (reported_at < '9999-12-31 00:00:00+00'::timestamp with time zone)))
);
ALTER TABLE taken_message ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON taken_message USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

CREATE TABLE template (
    team_id          uuid NOT NULL,
    template_id      uuid NOT NULL,
    account_id       uuid NOT NULL,
    name             text NOT NULL,
    language         text NOT NULL,
    state            smallint NOT NULL,
    category         text NOT NULL,
    parameter_names  text[] NOT NULL,
    parameter_count  integer NOT NULL,
    created_at       timestamp with time zone NOT NULL,
    updated_at       timestamp with time zone NOT NULL,
    version          bigint NOT NULL DEFAULT 1,
    deleted          boolean NOT NULL DEFAULT false,
    state_told_at    timestamp with time zone,
    category_told_at timestamp with time zone,
    shape            jsonb,
    rejected_reason  text NOT NULL DEFAULT ''::text,
    CONSTRAINT template_pkey PRIMARY KEY (team_id, template_id),
    CONSTRAINT template_parameter_count_check CHECK (((parameter_count >= 0) AND (parameter_count <= 100))),
    CONSTRAINT template_state_check CHECK (((state >= 1) AND (state <= 5))),
    CONSTRAINT template_times_readable CHECK (((state_told_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (state_told_at < '9999-12-31 00:00:00+00'::timestamp with time zone) AND (category_told_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (category_told_at < '9999-12-31 00:00:00+00'::timestamp with time zone))) NOT VALID,
    CONSTRAINT template_team_id_account_id_fkey FOREIGN KEY (team_id, account_id) REFERENCES account(team_id, account_id)
);
CREATE UNIQUE INDEX template_by_name ON channel_gateway.template USING btree (team_id, account_id, name, language) WHERE (NOT deleted);
ALTER TABLE template ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON template USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- A link in the message of a send, from the first time that it is opened.
CREATE TABLE tracked_link (
    team_id          uuid NOT NULL,
    effect_key       uuid NOT NULL,
    link_id          bigint NOT NULL,
    journey_id       uuid NOT NULL,
    node_id          text NOT NULL,
    customer_id      uuid NOT NULL,
    sent_at          timestamp with time zone NOT NULL,
    clicks           bigint NOT NULL,
    automated_clicks bigint NOT NULL,
    opened_at        timestamp with time zone NOT NULL,
    last_click_at    timestamp with time zone,
    CONSTRAINT tracked_link_pkey PRIMARY KEY (team_id, effect_key, link_id),
    CONSTRAINT tracked_link_automated_clicks_check CHECK ((automated_clicks >= 0)),
    CONSTRAINT tracked_link_clicks_check CHECK ((clicks >= 0)),
    CONSTRAINT tracked_link_last_click_at_check CHECK (((last_click_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (last_click_at < '9999-12-31 00:00:00+00'::timestamp with time zone))),
    CONSTRAINT tracked_link_opened_at_check CHECK (((opened_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (opened_at < '9999-12-31 00:00:00+00'::timestamp with time zone))),
    CONSTRAINT tracked_link_sent_at_check CHECK (((sent_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (sent_at < '9999-12-31 00:00:00+00'::timestamp with time zone)))
) WITH (autovacuum_analyze_scale_factor=0.5);
SELECT platform.sample_lightly('tracked_link');
CREATE INDEX tracked_link_by_time ON channel_gateway.tracked_link USING btree (team_id, opened_at, effect_key, link_id);
CREATE INDEX tracked_link_of_journey ON channel_gateway.tracked_link USING btree (team_id, journey_id, opened_at, effect_key, link_id);
-- Links by the age of their messages, for those that are forgotten.
CREATE INDEX tracked_link_sent ON channel_gateway.tracked_link USING btree (sent_at);
ALTER TABLE tracked_link ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON tracked_link USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Prepaid balance; reservations are taken off at once.
CREATE TABLE wallet (
    team_id        uuid NOT NULL,
    currency       text NOT NULL,
    balance_micros bigint NOT NULL,
    last_sequence  bigint NOT NULL DEFAULT 0,
    updated_at     timestamp with time zone NOT NULL,
    CONSTRAINT wallet_pkey PRIMARY KEY (team_id),
    CONSTRAINT wallet_balance_micros_check CHECK ((balance_micros >= 0)),
    CONSTRAINT wallet_currency_check CHECK ((length(currency) = 3))
) WITH (fillfactor=20);
ALTER TABLE wallet ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON wallet USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

CREATE TABLE wallet_entry (
    team_id              uuid NOT NULL,
    sequence             bigint NOT NULL,
    amount_micros        bigint NOT NULL,
    balance_after_micros bigint NOT NULL,
    note                 text NOT NULL,
    created_at           timestamp with time zone NOT NULL,
    currency             text,
    CONSTRAINT wallet_entry_pkey PRIMARY KEY (team_id, sequence),
    CONSTRAINT wallet_entry_currency_check CHECK ((length(currency) = 3))
);
ALTER TABLE wallet_entry ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON wallet_entry USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Calls of an address, the latest. `reason`: why there was no answer.
CREATE TABLE webhook_attempt (
    team_id         uuid NOT NULL,
    subscription_id uuid NOT NULL,
    attempt_id      uuid NOT NULL,
    webhook_id      uuid NOT NULL,
    event_type      text NOT NULL,
    attempt         integer NOT NULL,
    status_code     integer NOT NULL,
    reason          text NOT NULL,
    duration_ms     integer NOT NULL,
    attempted_at    timestamp with time zone NOT NULL,
    CONSTRAINT webhook_attempt_pkey PRIMARY KEY (team_id, subscription_id, attempt_id)
) WITH (autovacuum_analyze_scale_factor=0.5);
SELECT platform.sample_lightly('webhook_attempt');
ALTER TABLE webhook_attempt ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON webhook_attempt USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Bodies as they came. Sources: 1 shop, 2 pixel, 3 LINE, 4 Meta. States: 1 stored, 2 recorded, 3 refused in part or whole.
CREATE TABLE webhook_inbox (
    sequence    bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
    team_id     uuid NOT NULL,
    source      smallint NOT NULL,
    origin      text NOT NULL,
    webhook_id  text NOT NULL,
    body        bytea NOT NULL,
    digest      bytea NOT NULL,
    event_count integer NOT NULL,
    received_at timestamp with time zone NOT NULL,
    state       smallint NOT NULL DEFAULT 1,
    CONSTRAINT webhook_inbox_pkey PRIMARY KEY (sequence),
    CONSTRAINT webhook_inbox_team_id_source_origin_webhook_id_key UNIQUE (team_id, source, origin, webhook_id),
    CONSTRAINT webhook_inbox_source_check CHECK (((source >= 1) AND (source <= 7))) NOT VALID,
    CONSTRAINT webhook_inbox_state_check CHECK (((state >= 1) AND (state <= 3))),
    CONSTRAINT webhook_inbox_time_readable CHECK (((received_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (received_at < '9999-12-31 00:00:00+00'::timestamp with time zone))) NOT VALID
) WITH (fillfactor=80, autovacuum_analyze_scale_factor=0.5);
SELECT platform.sample_lightly('webhook_inbox');
CREATE INDEX webhook_inbox_stored ON channel_gateway.webhook_inbox USING btree (sequence) WHERE (state = 1);
-- What waits is found team by team, so that one team's backlog stands in nobody's way. The index by sequence alone goes with a
-- later migration: the release before reads by it.
CREATE INDEX webhook_inbox_waiting ON channel_gateway.webhook_inbox USING btree (team_id, sequence) INCLUDE (event_count) WHERE (state = 1);
-- Worked webhooks of a team, for those that are worked once more.
CREATE INDEX webhook_inbox_worked ON channel_gateway.webhook_inbox USING btree (team_id, sequence) WHERE (state <> 1);
ALTER TABLE webhook_inbox ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON webhook_inbox USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Who is told of contact events. States: 1 active, 2 paused, 3 gone. `sealed`: its signing keys. The rest is of the breaker and of the
-- turns that endpoints take, in real time: failures in a row, when it is called again, when it was last looked at.
CREATE TABLE webhook_subscription (
    team_id         uuid NOT NULL,
    subscription_id uuid NOT NULL,
    url             text NOT NULL,
    event_types     text[] NOT NULL,
    state           smallint NOT NULL,
    sealed          bytea NOT NULL,
    created_at      timestamp with time zone NOT NULL,
    updated_at      timestamp with time zone NOT NULL,
    version         bigint NOT NULL DEFAULT 1,
    failures        integer NOT NULL DEFAULT 0,
    closed_until    timestamp with time zone,
    looked_at       timestamp with time zone NOT NULL DEFAULT '1970-01-02 00:00:00+00'::timestamp with time zone,
    CONSTRAINT webhook_subscription_pkey PRIMARY KEY (team_id, subscription_id),
    CONSTRAINT webhook_subscription_created_at_check CHECK (((created_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (created_at < '9999-12-31 00:00:00+00'::timestamp with time zone))),
    CONSTRAINT webhook_subscription_event_types_check CHECK (((cardinality(event_types) >= 1) AND (cardinality(event_types) <= 20))),
    CONSTRAINT webhook_subscription_failures_check CHECK ((failures >= 0)),
    CONSTRAINT webhook_subscription_sealed_check CHECK (((length(sealed) >= 37) AND (length(sealed) <= 1024))),
    CONSTRAINT webhook_subscription_state_check CHECK (((state >= 1) AND (state <= 3))),
    CONSTRAINT webhook_subscription_updated_at_check CHECK (((updated_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (updated_at < '9999-12-31 00:00:00+00'::timestamp with time zone))),
    CONSTRAINT webhook_subscription_url_check CHECK (((length(url) >= 8) AND (length(url) <= 2000)))
);
ALTER TABLE webhook_subscription ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON webhook_subscription USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));
