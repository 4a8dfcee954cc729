-- The schema journey as all migrations leave it. Written by `make schema`, never by hand.
-- Functions stand in files of their own.

-- What the actor of a customer remembers after a turn. `sending`: one of the customer's enrolments awaits a send.
CREATE TYPE actor_row AS (
    partition smallint,
    team_id uuid,
    customer_id uuid,
    taken_segment bigint,
    taken_gateway bigint,
    taken_journey bigint,
    entries bytea,
    wake_at timestamp with time zone,
    sending boolean
);

CREATE TYPE cursor_step AS (
    partition smallint,
    position_before bigint,
    position_after bigint
);

-- An enrolment, and where it lies.
CREATE TYPE enrolment_key AS (
    partition smallint,
    team_id uuid,
    customer_id uuid,
    enrolment_id uuid
);

-- An enrolment after a turn. `actor` is the place of its actor among the rows of the batch, from 1.
CREATE TYPE enrolment_row AS (
    actor integer,
    enrolment_id uuid,
    journey_id uuid,
    trigger_event_id uuid,
    created_at timestamp with time zone,
    wake_at timestamp with time zone,
    depth smallint,
    state smallint,
    rest smallint,
    visit smallint,
    node_id text
);

-- A row of history before it has a position.
CREATE TYPE history_row AS (
    partition smallint,
    team_id uuid,
    journey_id uuid,
    customer_id uuid,
    enrolment_id uuid,
    at timestamp with time zone,
    kind smallint,
    body bytea
);

-- An enrolment that has a row: it has ended, or is not the first that is live of its customer.
CREATE TYPE listed_enrolment_row AS (
    partition smallint,
    team_id uuid,
    customer_id uuid,
    enrolment_id uuid,
    journey_id uuid,
    trigger_event_id uuid,
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    wake_at timestamp with time zone,
    depth smallint,
    state smallint,
    rest smallint,
    visit smallint,
    node_id text,
    commit_keys bigint[]
);

-- An enrolment that nothing would wake, as it was found.
CREATE TYPE orphan_row AS (
    partition smallint,
    team_id uuid,
    customer_id uuid,
    enrolment_id uuid,
    rest smallint,
    rested_at timestamp with time zone
);

CREATE TYPE packed_actor_row AS (
    partition smallint,
    team_id uuid,
    customer_id uuid,
    taken_segment integer,
    taken_gateway integer,
    taken_journey integer,
    wake_at timestamp with time zone,
    sending_since timestamp with time zone,
    live_enrolment_id uuid,
    live_journey_id uuid,
    live_since timestamp with time zone,
    live_wait smallint,
    state bytea,
    verdicts bytea,
    version integer,
    live_node text,
    live_wake_at timestamp with time zone
);

CREATE TYPE place_row AS (
    team_id uuid,
    month date,
    month_start timestamp with time zone,
    most bigint,
    partition smallint,
    customer_id uuid,
    enrolment_id uuid,
    source smallint,
    number integer
);

-- A record before it has a position.
CREATE TYPE record_row AS (
    shard smallint,
    team_id uuid,
    body bytea
);

-- Mail of a system trigger.
CREATE TYPE trigger_mail_row AS (
    partition smallint,
    position bigint,
    team_id uuid,
    customer_id uuid,
    number bigint,
    request_key uuid,
    journey_id uuid,
    occurred_at timestamp with time zone
);

-- A verdict that is not needed any more; without a key all of the enrolment.
CREATE TYPE verdict_key AS (
    team_id uuid,
    enrolment_id uuid,
    key uuid
);

-- What a condition of a customer came to, with all that is kept of the customer.
CREATE TYPE verdicts_row AS (
    partition smallint,
    team_id uuid,
    customer_id uuid,
    verdicts bytea,
    version integer
);

-- What the actor of a customer remembers. Written by the owner of the partition only, in the commit of a turn.
-- `entries` counts enrolments by journey (msgpack map), where a journey limits them.
CREATE TABLE actor (
    partition         smallint NOT NULL,
    team_id           uuid NOT NULL,
    customer_id       uuid NOT NULL,
    taken_segment     integer NOT NULL DEFAULT 0,
    taken_gateway     integer NOT NULL DEFAULT 0,
    taken_journey     integer NOT NULL DEFAULT 0,
    entries           bytea,
    wake_at           timestamp with time zone,
    sending_since     timestamp with time zone,
    live_enrolment_id uuid,
    live_journey_id   uuid,
    live_since        timestamp with time zone,
    live_wait         smallint,
    state             bytea,
    verdicts          bytea,
    version           integer NOT NULL DEFAULT 0,
    live_node         text,
    live_wake_at      timestamp with time zone,
    CONSTRAINT actor_pkey PRIMARY KEY (partition, team_id, customer_id),
    CONSTRAINT actor_live_wake_readable CHECK (((live_wake_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (live_wake_at < '9999-12-31 00:00:00+00'::timestamp with time zone))) NOT VALID,
    CONSTRAINT actor_partition_check CHECK (((partition >= 0) AND (partition <= 63))),
    CONSTRAINT actor_times_readable CHECK (((wake_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (wake_at < '9999-12-31 00:00:00+00'::timestamp with time zone) AND (sending_since >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (sending_since < '9999-12-31 00:00:00+00'::timestamp with time zone))) NOT VALID
) WITH (autovacuum_vacuum_scale_factor=0.02, fillfactor=70, autovacuum_analyze_scale_factor=0.5);
SELECT platform.sample_lightly('actor');
CREATE INDEX actor_due ON journey.actor USING btree (partition, wake_at) WHERE (wake_at IS NOT NULL);
CREATE INDEX actor_live ON journey.actor USING btree (live_enrolment_id) WHERE (live_enrolment_id IS NOT NULL);
-- Without the id, which would be told apart for each: those of one moment share an entry.
CREATE INDEX actor_live_by_journey ON journey.actor USING btree (team_id, live_journey_id, live_since DESC, live_node, live_wait, live_wake_at) WHERE (live_journey_id IS NOT NULL);
CREATE INDEX actor_sending ON journey.actor USING btree (partition, sending_since) WHERE (sending_since IS NOT NULL);
CREATE INDEX actor_unplaced ON journey.actor USING btree (team_id, live_journey_id) WHERE ((live_journey_id IS NOT NULL) AND (live_node IS NULL));
ALTER TABLE actor ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON actor USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Saved audiences that enrol: who asked for what at which rate, how far each is, and what became of its customers. They have places 0, 1,
-- 2 … in the order in which they were found: `found` so far, all when `found_all`; `handed` are triggered, of the first `settled` the outcome
-- is known, and the six counts add up to it. `state` is an OperationState. `due_at` is real time; who takes a step moves it on and raises
-- `version`, by which a step that was overtaken writes nothing. `audience` is a segment.v1.Audience.
CREATE TABLE audience_trigger (
    team_id             uuid NOT NULL,
    operation_id        uuid NOT NULL,
    journey_id          uuid NOT NULL,
    audience_id         uuid NOT NULL,
    audience            bytea NOT NULL,
    rate                integer NOT NULL,
    state               smallint NOT NULL DEFAULT 1,
    paused              boolean NOT NULL DEFAULT false,
    version             bigint NOT NULL DEFAULT 0,
    tries               smallint NOT NULL DEFAULT 0,
    due_at              timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    found               bigint NOT NULL DEFAULT 0,
    found_all           boolean NOT NULL DEFAULT false,
    through             uuid,
    handed              bigint NOT NULL DEFAULT 0,
    settled             bigint NOT NULL DEFAULT 0,
    enrolled            bigint NOT NULL DEFAULT 0,
    over_customer_limit bigint NOT NULL DEFAULT 0,
    over_plan_limit     bigint NOT NULL DEFAULT 0,
    not_live            bigint NOT NULL DEFAULT 0,
    set_aside           bigint NOT NULL DEFAULT 0,
    dropped             bigint NOT NULL DEFAULT 0,
    reason              text NOT NULL DEFAULT ''::text,
    message             text NOT NULL DEFAULT ''::text,
    created_at          timestamp with time zone NOT NULL,
    started_at          timestamp with time zone,
    ended_at            timestamp with time zone,
    over_live_limit     bigint NOT NULL DEFAULT 0,
    CONSTRAINT audience_trigger_pkey PRIMARY KEY (team_id, operation_id),
    CONSTRAINT audience_trigger_check CHECK (((0 <= settled) AND (settled <= handed) AND (handed <= found))),
    CONSTRAINT audience_trigger_check1 CHECK ((((((((enrolled + over_customer_limit) + over_live_limit) + over_plan_limit) + not_live) + set_aside) + dropped) = settled)),
    CONSTRAINT audience_trigger_check2 CHECK (((state > 2) = (ended_at IS NOT NULL))),
    CONSTRAINT audience_trigger_check3 CHECK (((state <> 3) OR (found_all AND (settled = found)))),
    CONSTRAINT audience_trigger_rate_check CHECK ((rate > 0)),
    CONSTRAINT audience_trigger_state_check CHECK (((state >= 1) AND (state <= 5)))
);
CREATE INDEX audience_trigger_by_time ON journey.audience_trigger USING btree (team_id, created_at DESC, operation_id DESC);
-- Those that somebody has to work on: PENDING, RUNNING, and ended with customers whose outcome is not known yet.
CREATE INDEX audience_trigger_open ON journey.audience_trigger USING btree (due_at) WHERE ((state = ANY (ARRAY[1, 2])) OR (settled < handed));
ALTER TABLE audience_trigger ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON audience_trigger USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Customers of audience triggers, some hundred a row, from the place `first` on; gone when their outcomes are known.
CREATE TABLE audience_trigger_page (
    team_id      uuid NOT NULL,
    operation_id uuid NOT NULL,
    first        bigint NOT NULL,
    customer_ids uuid[] NOT NULL,
    CONSTRAINT audience_trigger_page_pkey PRIMARY KEY (team_id, operation_id, first),
    CONSTRAINT audience_trigger_page_customer_ids_check CHECK (((cardinality(customer_ids) >= 1) AND (cardinality(customer_ids) <= 1000)))
);
ALTER TABLE audience_trigger_page ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON audience_trigger_page USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Mail of customers that were set aside which operators dropped: numbers of a source after `after_number`, up to `through_number`.
CREATE TABLE dropped_mail (
    team_id        uuid NOT NULL,
    customer_id    uuid NOT NULL,
    source         smallint NOT NULL,
    through_number integer NOT NULL,
    after_number   integer NOT NULL,
    at             timestamp with time zone NOT NULL,
    CONSTRAINT dropped_mail_pkey PRIMARY KEY (team_id, customer_id, source, through_number),
    CONSTRAINT dropped_mail_at_check CHECK (((at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (at < '9999-12-31 00:00:00+00'::timestamp with time zone)))
);
ALTER TABLE dropped_mail ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON dropped_mail USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- One row a run. `wake_at` is the durable timer: it is set exactly while the run rests until a time.
CREATE TABLE enrolment (
    partition        smallint NOT NULL,
    team_id          uuid NOT NULL,
    customer_id      uuid NOT NULL,
    enrolment_id     uuid NOT NULL,
    journey_id       uuid NOT NULL,
    trigger_event_id uuid NOT NULL,
    created_at       timestamp with time zone NOT NULL,
    updated_at       timestamp with time zone NOT NULL,
    wake_at          timestamp with time zone,
    depth            smallint NOT NULL,
    state            smallint NOT NULL,
    rest             smallint NOT NULL,
    visit            smallint NOT NULL,
    node_id          text NOT NULL,
    commit_keys      bigint[],
    CONSTRAINT enrolment_pkey PRIMARY KEY (partition, team_id, customer_id, enrolment_id),
    CONSTRAINT enrolment_check CHECK (((wake_at IS NOT NULL) = (rest = ANY (ARRAY[1, 3, 4])))) NOT VALID,
    CONSTRAINT enrolment_check1 CHECK (((state = 1) OR (rest = 0))),
    CONSTRAINT enrolment_check2 CHECK (((state <> 1) OR (rest <> 0))),
    CONSTRAINT enrolment_partition_check CHECK (((partition >= 0) AND (partition <= 63))),
    CONSTRAINT enrolment_rest_check CHECK (((rest >= 0) AND (rest <= 4))) NOT VALID,
    CONSTRAINT enrolment_state_check CHECK (((state >= 1) AND (state <= 5))) NOT VALID,
    CONSTRAINT enrolment_times_readable CHECK (((created_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (created_at < '9999-12-31 00:00:00+00'::timestamp with time zone) AND (updated_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (updated_at < '9999-12-31 00:00:00+00'::timestamp with time zone) AND (wake_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (wake_at < '9999-12-31 00:00:00+00'::timestamp with time zone))) NOT VALID
) WITH (autovacuum_vacuum_scale_factor=0.02, fillfactor=85, autovacuum_analyze_scale_factor=0.5);
SELECT platform.sample_lightly('enrolment');
CREATE INDEX enrolment_by_id ON journey.enrolment USING btree (enrolment_id);
-- Without the id, which would be told apart for each: those of one moment share an entry.
CREATE INDEX enrolment_by_journey ON journey.enrolment USING btree (team_id, journey_id, created_at DESC);
-- Those inside that have a row (state LIVE): a stop does not go through everybody who has ended.
CREATE INDEX enrolment_live ON journey.enrolment USING btree (team_id, journey_id, created_at DESC, node_id COLLATE "C", rest, wake_at) WHERE (state = 1);
ALTER TABLE enrolment ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON enrolment USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- How far the histories of segment (1) and of the gateway (2) are taken.
CREATE TABLE followed_cursor (
    source    smallint NOT NULL,
    partition smallint NOT NULL,
    position  bigint NOT NULL,
    CONSTRAINT followed_cursor_pkey PRIMARY KEY (source, partition),
    CONSTRAINT followed_cursor_position_check CHECK (("position" >= 0))
);

-- Rows of these histories that could not be applied: passed over, and kept with the reason.
CREATE TABLE followed_row_set_aside (
    source       smallint NOT NULL,
    partition    smallint NOT NULL,
    position     bigint NOT NULL,
    reason       text NOT NULL,
    set_aside_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT followed_row_set_aside_pkey PRIMARY KEY (source, partition, "position")
);

-- What other services have told of such things: deleted or archived (`lasting`, until it is restored), or changed at `at`.
CREATE TABLE gone_thing (
    team_id uuid NOT NULL,
    kind    smallint NOT NULL,
    thing   text NOT NULL,
    lasting boolean NOT NULL,
    at      timestamp with time zone NOT NULL,
    CONSTRAINT gone_thing_pkey PRIMARY KEY (team_id, kind, thing, lasting),
    CONSTRAINT gone_thing_at_check CHECK (((at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (at < '9999-12-31 00:00:00+00'::timestamp with time zone)))
);
ALTER TABLE gone_thing ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON gone_thing USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Append-only: what happened, as other services read it. `body` is msgpack, by `kind`: 1 a burst, 2 a refused trigger,
-- 3 a change of status.
CREATE TABLE history (
    partition    smallint NOT NULL,
    position     bigint NOT NULL,
    team_id      uuid NOT NULL,
    journey_id   uuid NOT NULL,
    customer_id  uuid,
    enrolment_id uuid,
    at           timestamp with time zone NOT NULL,
    kind         smallint NOT NULL,
    body         bytea NOT NULL,
    CONSTRAINT history_pkey PRIMARY KEY (partition, "position"),
    CONSTRAINT history_kind_check CHECK (((kind >= 1) AND (kind <= 3))),
    CONSTRAINT history_time_readable CHECK (((at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (at < '9999-12-31 00:00:00+00'::timestamp with time zone))) NOT VALID
) WITH (autovacuum_analyze_scale_factor=0.5);
SELECT platform.sample_lightly('history');
CREATE INDEX history_of_enrolment ON journey.history USING btree (enrolment_id, "position") WHERE (enrolment_id IS NOT NULL);
CREATE TRIGGER ended BEFORE INSERT ON journey.history FOR EACH STATEMENT EXECUTE FUNCTION refuse_history();
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

-- History as records: what one commit did to the customers of one team and one shard is one row. `body` is msgpack, in the form of
-- libs/common/feeds/journey_records.py. `commit_key`: real time and chance, the same for all records of a commit; the enrolments that took
-- part keep it.
CREATE TABLE history_record (
    shard      smallint NOT NULL,
    position   bigint NOT NULL,
    team_id    uuid NOT NULL,
    commit_key bigint NOT NULL,
    body       bytea NOT NULL,
    CONSTRAINT history_record_pkey PRIMARY KEY (shard, "position")
) WITH (toast_tuple_target=8160, autovacuum_analyze_scale_factor=0.5);
SELECT platform.sample_lightly('history_record');
CREATE INDEX history_record_of_commit ON journey.history_record USING btree (commit_key);
ALTER TABLE history_record ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON history_record USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

CREATE TABLE journey (
    team_id         uuid NOT NULL,
    journey_id      uuid NOT NULL,
    status          smallint NOT NULL,
    reason          smallint NOT NULL DEFAULT 0,
    revision        bigint NOT NULL,
    version         bigint NOT NULL,
    stop_epoch      bigint NOT NULL DEFAULT 0,
    name            text NOT NULL,
    name_folded     text NOT NULL,
    trigger_type    text NOT NULL DEFAULT ''::text,
    definition      jsonb NOT NULL,
    starts_at       timestamp with time zone,
    ends_at         timestamp with time zone,
    created_at      timestamp with time zone NOT NULL,
    updated_at      timestamp with time zone NOT NULL,
    published_at    timestamp with time zone,
    deleted_at      timestamp with time zone,
    braked_epoch    bigint NOT NULL DEFAULT 0,
    indexed_version bigint NOT NULL DEFAULT 0,
    recall_epoch    bigint NOT NULL DEFAULT 0,
    CONSTRAINT journey_pkey PRIMARY KEY (team_id, journey_id),
    CONSTRAINT journey_revision_check CHECK ((revision > 0)),
    CONSTRAINT journey_status_check CHECK (((status >= 1) AND (status <= 6))),
    CONSTRAINT journey_times_readable CHECK (((starts_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (starts_at < '9999-12-31 00:00:00+00'::timestamp with time zone) AND (ends_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (ends_at < '9999-12-31 00:00:00+00'::timestamp with time zone))) NOT VALID,
    CONSTRAINT journey_version_check CHECK ((version > 0))
) WITH (fillfactor=70);
CREATE INDEX journey_by_creation ON journey.journey USING btree (team_id, created_at DESC, journey_id DESC) WHERE (deleted_at IS NULL);
-- Lists of one status, however many there are of others.
CREATE INDEX journey_by_status ON journey.journey USING btree (team_id, status, created_at DESC, journey_id DESC) WHERE (deleted_at IS NULL);
-- What the schedule has to look at: journeys that change by time, and those that are stopping.
CREATE INDEX journey_changing ON journey.journey USING btree (status, starts_at, ends_at) WHERE (status = ANY (ARRAY[2, 3, 4, 5]));
-- Journeys that customers can be in, which every load of turns looks at: a team's stopped ones are not read for it, however many there are.
CREATE INDEX journey_inside ON journey.journey USING btree (team_id, journey_id) INCLUDE (version) WHERE ((deleted_at IS NULL) AND (status = ANY (ARRAY[2, 3, 4, 5])));
-- Those for which the gateway has to be asked: none, most of the time.
CREATE INDEX journey_unbraked ON journey.journey USING btree (team_id, journey_id) WHERE ((stop_epoch > braked_epoch) AND (deleted_at IS NULL));
-- Few at a time: what was changed a moment ago. Nobody asks any more what a stopped one names.
CREATE INDEX journey_unindexed ON journey.journey USING btree (team_id, journey_id) WHERE ((indexed_version <> version) AND (deleted_at IS NULL) AND ((status >= 1) AND (status <= 4)));
ALTER TABLE journey ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON journey USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- What each journey names in other services, at which paths of its definition, and since when (domain time): made of the definition
-- after each change of the journey, of `journey.indexed_version`. `kind` is a ReferenceKind of domain/references.py.
CREATE TABLE journey_reference (
    team_id    uuid NOT NULL,
    kind       smallint NOT NULL,
    thing      text NOT NULL,
    journey_id uuid NOT NULL,
    fields     text[] NOT NULL,
    since      timestamp with time zone NOT NULL,
    CONSTRAINT journey_reference_pkey PRIMARY KEY (team_id, kind, thing, journey_id),
    CONSTRAINT journey_reference_since_check CHECK (((since >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (since < '9999-12-31 00:00:00+00'::timestamp with time zone))),
    CONSTRAINT journey_reference_team_id_journey_id_fkey FOREIGN KEY (team_id, journey_id) REFERENCES journey(team_id, journey_id)
);
CREATE INDEX journey_reference_by_journey ON journey.journey_reference USING btree (team_id, journey_id);
ALTER TABLE journey_reference ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON journey_reference USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

CREATE TABLE journey_revision (
    team_id    uuid NOT NULL,
    journey_id uuid NOT NULL,
    revision   bigint NOT NULL,
    definition jsonb NOT NULL,
    actor      text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT journey_revision_pkey PRIMARY KEY (team_id, journey_id, revision),
    CONSTRAINT journey_revision_team_id_journey_id_fkey FOREIGN KEY (team_id, journey_id) REFERENCES journey(team_id, journey_id)
);
ALTER TABLE journey_revision ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON journey_revision USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

CREATE TABLE lease_worker (
    worker_id  text NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    draining   boolean NOT NULL DEFAULT false,
    CONSTRAINT lease_worker_pkey PRIMARY KEY (worker_id)
);

-- Mail that started nothing in a journey, since its customer was inside as many enrolments as one may be: nothing else tells it later.
CREATE TABLE live_refusal (
    team_id     uuid NOT NULL,
    customer_id uuid NOT NULL,
    source      smallint NOT NULL,
    number      bigint NOT NULL,
    journey_id  uuid NOT NULL,
    CONSTRAINT live_refusal_pkey PRIMARY KEY (team_id, customer_id, journey_id, source, number)
);
ALTER TABLE live_refusal ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON live_refusal USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Mail of this service to actors: system triggers. `number` has no gaps within a customer.
CREATE TABLE mail (
    partition         smallint NOT NULL,
    position          bigint NOT NULL,
    team_id           uuid NOT NULL,
    customer_id       uuid NOT NULL,
    number            bigint NOT NULL,
    request_key       uuid NOT NULL,
    journey_id        uuid NOT NULL,
    occurred_at       timestamp with time zone NOT NULL,
    ends_enrolment_id uuid,
    note              text,
    data              jsonb,
    CONSTRAINT mail_pkey PRIMARY KEY (partition, "position"),
    CONSTRAINT mail_team_id_customer_id_number_key UNIQUE (team_id, customer_id, number),
    CONSTRAINT mail_team_id_request_key_key UNIQUE (team_id, request_key),
    CONSTRAINT mail_time_readable CHECK (((occurred_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (occurred_at < '9999-12-31 00:00:00+00'::timestamp with time zone))) NOT VALID
) WITH (autovacuum_analyze_scale_factor=0.5);
ALTER TABLE mail ALTER partition SET STATISTICS 10, ALTER position SET STATISTICS 10, ALTER team_id SET STATISTICS 10, ALTER customer_id SET STATISTICS 10, ALTER number SET STATISTICS 10, ALTER request_key SET STATISTICS 10, ALTER journey_id SET STATISTICS 10, ALTER occurred_at SET STATISTICS 10;
-- Data of triggers are kept as long as each team says: found team by team, those that were there first before the others.
CREATE INDEX mail_with_data_of_team ON journey.mail USING btree (team_id, occurred_at) WHERE ((data IS NOT NULL) AND (data <> '{}'::jsonb));
ALTER TABLE mail ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON mail USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Up to which position each source's mail of a partition is taken for sure: where a repair of the mailboxes begins.
CREATE TABLE mail_checkpoint (
    partition smallint NOT NULL,
    source    smallint NOT NULL,
    position  bigint NOT NULL,
    CONSTRAINT mail_checkpoint_pkey PRIMARY KEY (partition, source)
) WITH (fillfactor=10);

-- How far the relay has handed this service's mail to the mailboxes.
CREATE TABLE mail_cursor (
    partition smallint NOT NULL,
    position  bigint NOT NULL DEFAULT 0,
    CONSTRAINT mail_cursor_pkey PRIMARY KEY (partition),
    CONSTRAINT mail_cursor_partition_check CHECK (((partition >= 0) AND (partition <= 63))),
    CONSTRAINT mail_cursor_position_check CHECK (("position" >= 0))
) WITH (fillfactor=10, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=1000);

-- Last mail number given to each customer. Apart from `actor`, which belongs to the partition's owner.
CREATE TABLE mail_number (
    team_id     uuid NOT NULL,
    customer_id uuid NOT NULL,
    number      bigint NOT NULL,
    CONSTRAINT mail_number_pkey PRIMARY KEY (team_id, customer_id)
) WITH (fillfactor=75, autovacuum_analyze_scale_factor=0.5);
SELECT platform.sample_lightly('mail_number');
ALTER TABLE mail_number ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON mail_number USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Customers whose actors were merged into others': who they are from then on. `shard` has the records of what they did before.
CREATE TABLE merged_customer (
    team_id     uuid NOT NULL,
    customer_id uuid NOT NULL,
    survivor_id uuid NOT NULL,
    merge_id    uuid NOT NULL,
    shard       smallint NOT NULL,
    CONSTRAINT merged_customer_pkey PRIMARY KEY (team_id, customer_id),
    CONSTRAINT merged_customer_check CHECK ((customer_id <> survivor_id))
);
CREATE INDEX merged_customer_of_survivor ON journey.merged_customer USING btree (team_id, survivor_id);
ALTER TABLE merged_customer ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON merged_customer USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Orphans that were found and are not healed yet; empty, unless something was lost. `rest` and `rested_at` are the
-- enrolment's when it was found: as soon as they differ, a turn has healed it.
CREATE TABLE orphan (
    partition    smallint NOT NULL,
    team_id      uuid NOT NULL,
    customer_id  uuid NOT NULL,
    enrolment_id uuid NOT NULL,
    rest         smallint NOT NULL,
    rested_at    timestamp with time zone NOT NULL,
    CONSTRAINT orphan_pkey PRIMARY KEY (partition, team_id, customer_id, enrolment_id)
);
ALTER TABLE orphan ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON orphan USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Customers whose turn kept failing. Their mail stays with its sources, after the numbers that the actor has taken.
CREATE TABLE parked_customer (
    partition   smallint NOT NULL,
    team_id     uuid NOT NULL,
    customer_id uuid NOT NULL,
    error       text NOT NULL,
    attempts    integer NOT NULL,
    parked_at   timestamp with time zone NOT NULL,
    CONSTRAINT parked_customer_pkey PRIMARY KEY (partition, team_id, customer_id)
);
ALTER TABLE parked_customer ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON parked_customer USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Who owns a partition, and since which epoch; see `libs/common/leases.py`. Lease time is real time.
CREATE TABLE partition_lease (
    partition  smallint NOT NULL,
    owner      text,
    epoch      bigint NOT NULL DEFAULT 0,
    expires_at timestamp with time zone NOT NULL DEFAULT '-infinity'::timestamp with time zone,
    CONSTRAINT partition_lease_pkey PRIMARY KEY (partition),
    CONSTRAINT partition_lease_partition_check CHECK (((partition >= 0) AND (partition <= 63)))
) WITH (fillfactor=10, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=1000);

-- How many enrolments of a team's plan are used in a calendar month of its zone, and whose places among these are not settled: a place is
-- taken before the enrolment's first effect, by `enrolment_id`, for the mail `number` of a `source`, and stays when its turn is run again.
CREATE TABLE plan_month (
    team_id uuid NOT NULL,
    month   date NOT NULL,
    used    bigint NOT NULL,
    lapsed  boolean NOT NULL DEFAULT false,
    CONSTRAINT plan_month_pkey PRIMARY KEY (team_id, month),
    CONSTRAINT plan_month_used_check CHECK ((used >= 0))
) WITH (fillfactor=50);
ALTER TABLE plan_month ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON plan_month USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

CREATE TABLE plan_place (
    team_id      uuid NOT NULL,
    month        date NOT NULL,
    enrolment_id uuid NOT NULL,
    partition    smallint NOT NULL,
    customer_id  uuid NOT NULL,
    source       smallint NOT NULL,
    number       integer NOT NULL,
    CONSTRAINT plan_place_pkey PRIMARY KEY (team_id, month, enrolment_id)
) WITH (autovacuum_analyze_scale_factor=0.5);
SELECT platform.sample_lightly('plan_place');
ALTER TABLE plan_place ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON plan_place USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Last position given to each shard. As `history_head`: locked in the order of shards by the transaction that writes.
CREATE TABLE record_head (
    shard    smallint NOT NULL,
    position bigint NOT NULL DEFAULT 0,
    CONSTRAINT record_head_pkey PRIMARY KEY (shard),
    CONSTRAINT record_head_position_check CHECK (("position" >= 0)),
    CONSTRAINT record_head_shard_check CHECK (((shard >= 0) AND (shard <= 7)))
) WITH (fillfactor=10, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=1000);

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
CREATE INDEX request_log_by_time ON journey.request_log USING btree (real_time);
ALTER TABLE request_log ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON request_log USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Journeys whose do-not-disturb was drawn otherwise, and who makes due those that rest in them: `owner` until `claimed_until` (real time), who
-- renews that with each batch; then whoever comes. `done` for the stop epoch `epoch` and those before it.
CREATE TABLE resting_wake (
    team_id       uuid NOT NULL,
    journey_id    uuid NOT NULL,
    epoch         bigint NOT NULL,
    owner         uuid NOT NULL,
    claimed_until timestamp with time zone NOT NULL,
    done          boolean NOT NULL DEFAULT false,
    CONSTRAINT resting_wake_pkey PRIMARY KEY (team_id, journey_id),
    CONSTRAINT resting_wake_claimed_until_check CHECK (((claimed_until >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (claimed_until < '9999-12-31 00:00:00+00'::timestamp with time zone)))
);
ALTER TABLE resting_wake ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON resting_wake USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Simulations: what each was asked, how far it is, and what it found. `state` is an OperationState. Who works on one holds a claim until
-- a real time and renews it; what it has found so far is kept nowhere, so one that is taken over begins again.
CREATE TABLE simulation (
    team_id       uuid NOT NULL,
    simulation_id uuid NOT NULL,
    journey_id    uuid NOT NULL,
    definition    jsonb NOT NULL,
    start_at      timestamp with time zone NOT NULL,
    end_at        timestamp with time zone NOT NULL,
    state         smallint NOT NULL DEFAULT 1,
    done          bigint NOT NULL DEFAULT 0,
    tries         smallint NOT NULL DEFAULT 0,
    claim         uuid,
    claimed_until timestamp with time zone,
    reason        text NOT NULL DEFAULT ''::text,
    message       text NOT NULL DEFAULT ''::text,
    findings      bytea,
    created_at    timestamp with time zone NOT NULL,
    ended_at      timestamp with time zone,
    counts        bytea,
    CONSTRAINT simulation_pkey PRIMARY KEY (team_id, simulation_id),
    CONSTRAINT simulation_check CHECK ((start_at < end_at)),
    CONSTRAINT simulation_check1 CHECK (((state > 2) = (ended_at IS NOT NULL))),
    CONSTRAINT simulation_check2 CHECK (((state = 3) = (findings IS NOT NULL))),
    CONSTRAINT simulation_done_check CHECK ((done >= 0)),
    CONSTRAINT simulation_state_check CHECK (((state >= 1) AND (state <= 5))),
    CONSTRAINT simulation_times_readable CHECK (((start_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (start_at < '9999-12-31 00:00:00+00'::timestamp with time zone) AND (end_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (end_at < '9999-12-31 00:00:00+00'::timestamp with time zone)))
);
CREATE INDEX simulation_by_time ON journey.simulation USING btree (team_id, created_at DESC, simulation_id DESC);
-- PENDING and RUNNING: those that somebody has to work on.
CREATE INDEX simulation_unfinished ON journey.simulation USING btree (created_at) WHERE (state = ANY (ARRAY[1, 2]));
ALTER TABLE simulation ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON simulation USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

-- Every change of a journey's status: who or what, why, when. `version` is the journey's after it; `subject` is what was missing or used
-- up, empty without one. They stay when the journey is deleted.
CREATE TABLE status_change (
    team_id    uuid NOT NULL,
    journey_id uuid NOT NULL,
    version    bigint NOT NULL,
    before     smallint NOT NULL,
    after      smallint NOT NULL,
    reason     smallint NOT NULL,
    subject    text NOT NULL,
    actor      text NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    CONSTRAINT status_change_pkey PRIMARY KEY (team_id, journey_id, version),
    CONSTRAINT status_change_changed_at_check CHECK (((changed_at >= '0001-01-02 00:00:00+00'::timestamp with time zone) AND (changed_at < '9999-12-31 00:00:00+00'::timestamp with time zone))),
    CONSTRAINT status_change_team_id_journey_id_fkey FOREIGN KEY (team_id, journey_id) REFERENCES journey(team_id, journey_id)
);
ALTER TABLE status_change ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON status_change USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));

CREATE TABLE verdict (
    team_id      uuid NOT NULL,
    enrolment_id uuid NOT NULL,
    key          uuid NOT NULL,
    belongs      boolean NOT NULL,
    reason       text NOT NULL,
    CONSTRAINT verdict_pkey PRIMARY KEY (team_id, enrolment_id, key)
) WITH (autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=5000, autovacuum_analyze_scale_factor=0.5);
SELECT platform.sample_lightly('verdict');
ALTER TABLE verdict ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON verdict USING ((( SELECT platform.teams() AS teams) @> ARRAY[team_id]));
