-- A whole number as msgpack writes it, in its shortest form; null below 0. The planner puts the body in the place of a call.
CREATE OR REPLACE FUNCTION packed_whole(number bigint) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN number >= 4294967296 THEN '\xcf'::bytea || int8send(number)
    WHEN number >= 65536 THEN '\xce'::bytea || substring(int8send(number) FROM 5)
    WHEN number >= 256 THEN '\xcd'::bytea || substring(int8send(number) FROM 7)
    WHEN number >= 128 THEN '\xcc'::bytea || substring(int8send(number) FROM 8)
    WHEN number >= 0 THEN substring(int8send(number) FROM 8)
END;
