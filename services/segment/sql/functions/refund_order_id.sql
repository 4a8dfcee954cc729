-- The order that a refund names, out of its body as `msgspec` packs it: an array of the tag, shop id, refund id, amount, currency
-- and order id. Null for none, and for what is packed otherwise.
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
