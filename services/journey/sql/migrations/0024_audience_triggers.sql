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
    rate                integer NOT NULL CHECK (rate > 0),
    state               smallint NOT NULL DEFAULT 1 CHECK (state BETWEEN 1 AND 5),
    paused              boolean NOT NULL DEFAULT false,
    version             bigint NOT NULL DEFAULT 0,
    tries               smallint NOT NULL DEFAULT 0,
    due_at              timestamptz NOT NULL DEFAULT clock_timestamp(),
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
    reason              text NOT NULL DEFAULT '',
    message             text NOT NULL DEFAULT '',
    created_at          timestamptz NOT NULL,
    started_at          timestamptz,
    ended_at            timestamptz,
    PRIMARY KEY (team_id, operation_id),
    CHECK (0 <= settled AND settled <= handed AND handed <= found),
    CHECK (enrolled + over_customer_limit + over_plan_limit + not_live + set_aside + dropped = settled),
    CHECK ((state > 2) = (ended_at IS NOT NULL)),
    CHECK (state <> 3 OR (found_all AND settled = found))
);
SELECT platform.hold_teams_apart('audience_trigger');
CREATE INDEX audience_trigger_by_time ON audience_trigger (team_id, created_at DESC, operation_id DESC);
-- Those that somebody has to work on: PENDING, RUNNING, and ended with customers whose outcome is not known yet.
CREATE INDEX audience_trigger_open ON audience_trigger (due_at) WHERE state IN (1, 2) OR settled < handed;

-- Customers of audience triggers, some hundred a row, from the place `first` on; gone when their outcomes are known.
CREATE TABLE audience_trigger_page (
    team_id      uuid NOT NULL,
    operation_id uuid NOT NULL,
    first        bigint NOT NULL,
    customer_ids uuid[] NOT NULL CHECK (cardinality(customer_ids) BETWEEN 1 AND 1000),
    PRIMARY KEY (team_id, operation_id, first)
);
SELECT platform.hold_teams_apart('audience_trigger_page');
