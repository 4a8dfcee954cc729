-- The actor's row holds all that its customer's turns need. `state` is msgpack, as services/journey/store/packed.py packs it: the live
-- enrolments, and how many there ever were of journeys that limit them; null is the form of the release before, whose live
-- enrolments stand in `enrolment` alone. The live enrolment that has no row of its own is named in `live_…`, for those who look
-- enrolments up; `live_wait` is its wait reason. `verdicts`: what conditions came to, until a commit tells it.
ALTER TABLE actor
    ADD COLUMN live_enrolment_id uuid,
    ADD COLUMN live_journey_id uuid,
    ADD COLUMN live_since timestamptz,
    ADD COLUMN live_wait smallint,
    ADD COLUMN state bytea,
    ADD COLUMN verdicts bytea;
COMMENT ON COLUMN actor.entries IS 'of actors whose state is null';
CREATE INDEX actor_live ON actor (live_enrolment_id) WHERE live_enrolment_id IS NOT NULL;
-- Without the id, which would be told apart for each: those of one moment share an entry.
CREATE INDEX actor_live_by_journey ON actor (team_id, live_journey_id, live_since DESC) WHERE live_journey_id IS NOT NULL;

-- Keys of the commits whose records tell of the enrolment; null before there were records.
ALTER TABLE enrolment ADD COLUMN commit_keys bigint[];

CREATE TYPE packed_actor_row AS (
    partition         smallint,
    team_id           uuid,
    customer_id       uuid,
    taken_segment     integer,
    taken_gateway     integer,
    taken_journey     integer,
    wake_at           timestamptz,
    sending_since     timestamptz,
    live_enrolment_id uuid,
    live_journey_id   uuid,
    live_since        timestamptz,
    live_wait         smallint,
    state             bytea,
    verdicts          bytea
);

-- An enrolment that has a row: it has ended, or is not the first that is live of its customer.
CREATE TYPE listed_enrolment_row AS (
    partition        smallint,
    team_id          uuid,
    customer_id      uuid,
    enrolment_id     uuid,
    journey_id       uuid,
    trigger_event_id uuid,
    created_at       timestamptz,
    updated_at       timestamptz,
    wake_at          timestamptz,
    depth            smallint,
    state            smallint,
    rest             smallint,
    visit            smallint,
    node_id          text,
    commit_keys      bigint[]
);

-- What a condition of a customer came to, with all that is kept of the customer.
CREATE TYPE verdicts_row AS (
    partition   smallint,
    team_id     uuid,
    customer_id uuid,
    verdicts    bytea
);
