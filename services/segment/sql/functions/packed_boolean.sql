-- A truth value as msgpack has it.
CREATE OR REPLACE FUNCTION packed_boolean(value boolean) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN value THEN '\xc3'::bytea ELSE '\xc2'::bytea END;
