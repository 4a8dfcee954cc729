-- Whose order an order is: clicks of customers, and orders with the journey that each is counted for.
CREATE TABLE journey_click (
    team_id     uuid NOT NULL,
    customer_id uuid NOT NULL,
    clicked_at  timestamptz NOT NULL CHECK (clicked_at >= '0001-01-02 00:00+00' AND clicked_at < '9999-12-31 00:00+00'),
    journey_id  uuid NOT NULL,
    node_id     text NOT NULL,
    channel     smallint NOT NULL,
    PRIMARY KEY (team_id, customer_id, clicked_at, journey_id, node_id, channel)
);
SELECT platform.hold_teams_apart('journey_click');
SELECT platform.sample_lightly('journey_click');

-- A row without `ordered_at` is of an order of which only a refund was read so far. `counted_micros`: what its journey's revenue has
-- of it.
CREATE TABLE shop_order (
    team_id         uuid NOT NULL,
    order_key       uuid NOT NULL,
    customer_id     uuid,
    ordered_at      timestamptz CHECK (ordered_at >= '0001-01-02 00:00+00' AND ordered_at < '9999-12-31 00:00+00'),
    amount_micros   bigint NOT NULL DEFAULT 0,
    currency        text NOT NULL DEFAULT '',
    uncounted       smallint NOT NULL DEFAULT 0,
    click_window    interval NOT NULL DEFAULT '0',
    refunded_micros bigint NOT NULL DEFAULT 0,
    journey_id      uuid,
    node_id         text NOT NULL DEFAULT '',
    channel         smallint NOT NULL DEFAULT 0,
    clicked_at      timestamptz CHECK (clicked_at >= '0001-01-02 00:00+00' AND clicked_at < '9999-12-31 00:00+00'),
    counted_micros  bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (team_id, order_key)
);
CREATE INDEX shop_order_of_customer ON shop_order (team_id, customer_id, ordered_at) WHERE customer_id IS NOT NULL;
SELECT platform.hold_teams_apart('shop_order');
SELECT platform.sample_lightly('shop_order');

CREATE TYPE journey_click_row AS (
    team_id     uuid,
    customer_id uuid,
    clicked_at  timestamptz,
    journey_id  uuid,
    node_id     text,
    channel     smallint
);
CREATE TYPE shop_order_row AS (
    team_id       uuid,
    order_key     uuid,
    customer_id   uuid,
    ordered_at    timestamptz,
    amount_micros bigint,
    currency      text,
    uncounted     smallint,
    click_window  interval
);
CREATE TYPE order_refund_row AS (
    team_id   uuid,
    order_key uuid,
    micros    bigint,
    currency  text
);
