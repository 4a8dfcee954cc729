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
    PRIMARY KEY (shard, position)
) WITH (toast_tuple_target = 8160);
-- Mostly ids, which do not get smaller: bodies stay as they are, and up to a page in the row.
ALTER TABLE history_record ALTER COLUMN body SET STORAGE EXTERNAL;
ALTER TABLE history_record ALTER COLUMN customers SET STORAGE EXTERNAL;
SELECT platform.hold_teams_apart('history_record');

-- Last position given to each shard, locked in the order of shards by the transaction that writes. The first record of a shard lies
-- beyond all facts that the release before wrote for its partitions, those up to `old_end`; null: there is none yet.
CREATE TABLE record_head (
    shard    smallint PRIMARY KEY CHECK (shard BETWEEN 0 AND 7),
    position bigint NOT NULL DEFAULT 0 CHECK (position >= 0),
    old_end  bigint
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
INSERT INTO record_head (shard) SELECT generate_series(0, 7);

-- A record before it has a position. `mailed`: its sends are mail.
CREATE TYPE record_row AS (
    shard     smallint,
    team_id   uuid,
    customers uuid[],
    mailed    boolean,
    body      bytea
);

-- Sends that ended alike. Message ids are joined by a line feed. `gives_back`: some took more messages than they used.
CREATE TYPE outcome_row AS (
    team_id     uuid,
    state       smallint,
    reason      text,
    messages    integer,
    parts_sent  integer,
    gives_back  boolean,
    effect_keys uuid[],
    message_ids text[]
);

-- What a batch of sends was decided upon.
CREATE TYPE reservation_premises AS (
    stops    stop_row[],
    versions content_version_row[],
    prices   price_row[]
);

-- What a batch of sends takes.
CREATE TYPE reservation_places AS (
    caps     cap_row[],
    plans    plan_row[],
    payments payment_row[]
);

-- Where the customer's last mail lies and the one before; 0: nowhere, or in `history`.
ALTER TABLE customer_mail
    ADD COLUMN last_position bigint NOT NULL DEFAULT 0,
    ADD COLUMN before_position bigint NOT NULL DEFAULT 0;

-- A stretch of a sender's sends. It stands here until all of them are settled, so unsettled sends are found through it, and no index
-- holds a column that settling changes.
CREATE TABLE sender_stint (
    stint_id uuid PRIMARY KEY,
    sender   uuid NOT NULL
);
-- Of sends that processes of the release before reserve.
INSERT INTO sender_stint (stint_id, sender) VALUES ('00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-000000000000');
ALTER TABLE delivery ADD COLUMN stint_id uuid;
ALTER TABLE delivery ALTER COLUMN stint_id SET DEFAULT '00000000-0000-0000-0000-000000000000';
UPDATE delivery SET stint_id = '00000000-0000-0000-0000-000000000000' WHERE state >= 8;
CREATE INDEX delivery_of_stint ON delivery (stint_id) WHERE stint_id IS NOT NULL;
DROP INDEX delivery_unsettled;
-- A page's sends are settled together: the second forms of all of them have room beside the first.
ALTER TABLE delivery SET (fillfactor = 50);

SELECT platform.sample_lightly('customer_mail');
SELECT platform.sample_lightly('delivery');
SELECT platform.sample_lightly('history_record');

-- The release before writes its facts here. When the first record of a shard is written that is over, so that no fact gets a position
-- below one that was read.
CREATE FUNCTION refuse_old_fact() RETURNS trigger
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
    IF (SELECT h.old_end FROM record_head AS h WHERE h.shard = NEW.partition % 8) IS NOT NULL THEN
        RAISE EXCEPTION 'a gateway of a later release writes the history: stop the gateways of the release before'
            USING ERRCODE = 'OJ105';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER refused BEFORE INSERT ON history FOR EACH ROW EXECUTE FUNCTION refuse_old_fact();
