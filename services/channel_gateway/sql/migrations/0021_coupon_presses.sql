-- Presses of coupons' buttons that wait for their answers; those that have one are gone.
CREATE TABLE coupon_press (
    team_id     uuid NOT NULL,
    press_id    uuid NOT NULL,
    account_id  uuid NOT NULL,
    channel     smallint NOT NULL CHECK (channel BETWEEN 1 AND 4),
    external_id text NOT NULL CHECK (char_length(external_id) <= 200),
    customer_id uuid NOT NULL,
    coupon_id   uuid NOT NULL,
    offer_id    uuid NOT NULL,
    tries       integer NOT NULL DEFAULT 0 CHECK (tries >= 0),
    -- When it may be tried, real time; null: no more.
    try_at      timestamptz DEFAULT clock_timestamp()
                CHECK (try_at >= '0001-01-02 00:00:00+00' AND try_at < '9999-12-31 00:00:00+00'),
    reason      text NOT NULL DEFAULT '' CHECK (char_length(reason) <= 1000),
    kept_at     timestamptz NOT NULL DEFAULT clock_timestamp()
                CHECK (kept_at >= '0001-01-02 00:00:00+00' AND kept_at < '9999-12-31 00:00:00+00'),
    PRIMARY KEY (team_id, press_id)
);
CREATE INDEX coupon_press_due ON coupon_press (try_at, team_id) WHERE try_at IS NOT NULL;
SELECT platform.hold_teams_apart('coupon_press');
