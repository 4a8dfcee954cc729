-- What customers of teams are judged by beside themselves: settings (the zone) and active attributes.
CREATE OR REPLACE FUNCTION judging_rules(teams uuid[]) RETURNS TABLE (team_id uuid, settings bytea, attributes typed_key[])
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT SET enable_seqscan = off
AS $$
#variable_conflict use_column
BEGIN
    PERFORM platform.bind(teams);
    RETURN QUERY
        SELECT t.team_id, t.settings,
               ARRAY(SELECT ROW(a.key, a.type)::typed_key FROM attribute AS a
                      WHERE a.team_id = t.team_id AND NOT a.archived)
          FROM team AS t WHERE t.team_id = ANY (teams);
END
$$;
