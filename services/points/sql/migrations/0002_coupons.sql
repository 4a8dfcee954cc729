-- Coupons and their claims. A claim that costs points is written in the transaction of its one deduction.

CREATE TABLE coupon (
    team_id                 uuid NOT NULL,
    coupon_id               uuid NOT NULL,
    name                    text NOT NULL,
    type                    smallint NOT NULL,
    cost                    bigint CHECK (cost > 0),
    insufficient_text       text NOT NULL,
    claims_per_customer_max integer NOT NULL CHECK (claims_per_customer_max >= 0),
    claims_max              bigint NOT NULL CHECK (claims_max >= 0),
    start_at                timestamptz NOT NULL,
    expires_at              timestamptz,
    claims                  bigint NOT NULL CHECK (claims >= 0),
    archived                boolean NOT NULL,
    version                 bigint NOT NULL,
    created_at              timestamptz NOT NULL,
    PRIMARY KEY (team_id, coupon_id),
    CHECK (claims_max = 0 OR claims <= claims_max)
) WITH (fillfactor = 80);

CREATE INDEX coupon_by_time ON coupon (team_id, created_at DESC, coupon_id DESC);

CREATE TABLE coupon_claim (
    team_id     uuid NOT NULL,
    claim_id    uuid NOT NULL,
    coupon_id   uuid NOT NULL,
    customer_id uuid NOT NULL,
    code        text NOT NULL,
    points_paid bigint NOT NULL CHECK (points_paid >= 0),
    sequence    bigint NOT NULL,
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz,
    PRIMARY KEY (team_id, claim_id),
    CONSTRAINT coupon_claim_code UNIQUE (team_id, code),
    FOREIGN KEY (team_id, coupon_id) REFERENCES coupon
);

CREATE INDEX coupon_claim_by_customer ON coupon_claim (team_id, customer_id, coupon_id);
CREATE INDEX coupon_claim_by_time ON coupon_claim (team_id, created_at DESC, claim_id DESC);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON coupon_claim
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

SELECT platform.hold_teams_apart(name) FROM unnest(ARRAY['coupon', 'coupon_claim']::regclass[]) AS name;
