-- Empties the answers kept for request ids of a team that hold one of these texts, of the next `row_max` after one; an id that holds one
-- becomes its digest. Who asks again under such an id gets an empty answer. Returns the last id looked at, null at the end. Texts are in
-- lower case, and stand in answers as they are.
CREATE OR REPLACE FUNCTION erase_answers(of_team uuid, behind text, row_max integer, identifiers text[]) RETURNS text
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    last text;
BEGIN
    WITH page AS MATERIALIZED (
        SELECT r.request_id, r.answer, lower(r.request_id) AS request_text
          FROM request_log AS r
         WHERE r.team_id = of_team AND r.request_id > behind
         ORDER BY r.request_id LIMIT row_max
    ), emptied AS (
        UPDATE request_log AS r
           SET answer = CASE WHEN r.answer IS NULL THEN NULL ELSE ''::bytea END,
               request_id = CASE WHEN EXISTS (SELECT FROM unnest(identifiers) AS i WHERE strpos(p.request_text, i) > 0)
                                 THEN encode(sha256(convert_to(r.request_id, 'UTF8')), 'hex') ELSE r.request_id END
          FROM page AS p
         WHERE r.team_id = of_team AND r.request_id = p.request_id
           AND EXISTS (SELECT FROM unnest(identifiers) AS i
                        WHERE strpos(lower(encode(p.answer, 'escape')), lower(encode(convert_to(i, 'UTF8'), 'escape'))) > 0
                           OR strpos(p.request_text, i) > 0)
    )
    SELECT p.request_id INTO last FROM page AS p ORDER BY 1 DESC LIMIT 1;
    RETURN last;
END
$$;
