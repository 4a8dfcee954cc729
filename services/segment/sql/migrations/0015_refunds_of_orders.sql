-- The refunds of an order are found by the order that their bodies name. The function stands here as well, since functions are made
-- after the migrations: it is the one of functions/refund_order_id.sql.
CREATE OR REPLACE FUNCTION refund_order_id(body bytea, shop_id text, refund_id text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path FROM CURRENT
AS $$
DECLARE
    place integer := 2 + octet_length(packed_text(shop_id)) + octet_length(packed_text(refund_id));
    head integer;
    size integer;
BEGIN
    IF octet_length(body) < place + 6 THEN
        RETURN NULL;
    END IF;
    head := get_byte(body, place);
    place := place + CASE WHEN head < 204 THEN 1 ELSE 1 + (1 << ((head - 204) % 4)) END;  -- the amount
    place := place + 4;  -- the currency
    IF octet_length(body) <= place + 1 THEN
        RETURN NULL;
    END IF;
    head := get_byte(body, place);
    IF head = 217 THEN
        size := get_byte(body, place + 1);
        place := place + 2;
    ELSIF head = 218 AND octet_length(body) > place + 2 THEN
        size := get_byte(body, place + 1) * 256 + get_byte(body, place + 2);
        place := place + 3;
    ELSE
        size := head - 160;
        place := place + 1;
    END IF;
    IF size < 1 OR octet_length(body) < place + size THEN
        RETURN NULL;
    END IF;
    RETURN convert_from(substring(body FROM place + 1 FOR size), 'UTF8');
END
$$;

CREATE INDEX refund_by_order ON refund (team_id, shop_id, refund_order_id(body, shop_id, refund_id));

-- Orders, newest first. Those of one customer are found in it, too: an index of their own would cost each order more than a list of
-- them is worth.
CREATE INDEX shop_order_newest ON shop_order (team_id, occur_time DESC, order_key DESC) INCLUDE (customer_id);
