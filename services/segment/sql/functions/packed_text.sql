-- A text, or null, as msgpack has it: what `msgspec` writes of it. Texts of facts have 64 kB at most.
CREATE OR REPLACE FUNCTION packed_text(content text) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN content IS NULL THEN '\xc0'::bytea
    WHEN octet_length(content) < 32 THEN set_byte('\x00'::bytea, 0, 160 + octet_length(content)) || convert_to(content, 'UTF8')
    WHEN octet_length(content) < 256 THEN set_byte('\xd900'::bytea, 1, octet_length(content)) || convert_to(content, 'UTF8')
    ELSE '\xda'::bytea || int2send((octet_length(content) - CASE WHEN octet_length(content) < 32768 THEN 0 ELSE 65536 END)::int2)
         || convert_to(content, 'UTF8')
END;
