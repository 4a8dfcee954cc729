-- Live journeys that name something that is gone or has changed since they name it, with each of these things: the things given in
-- parallel, and whatever the journeys given name. What is `lasting` may have come back since.
CREATE OR REPLACE FUNCTION journeys_without_v2(teams uuid[], kinds smallint[], things text[], journeys uuid[])
RETURNS TABLE (team_id uuid, journey_id uuid, kind smallint, thing text, lasting boolean)
LANGUAGE sql STABLE SET search_path FROM CURRENT
AS $$
    WITH named AS (
        SELECT r.* FROM unnest(teams, kinds, things) AS asked (team_id, kind, thing)
          JOIN journey_reference AS r ON r.team_id = asked.team_id AND r.kind = asked.kind AND r.thing = asked.thing
         UNION
        SELECT r.* FROM journey_reference AS r WHERE r.team_id = ANY (teams) AND r.journey_id = ANY (journeys)
    )
    SELECT j.team_id, j.journey_id, r.kind, r.thing, g.lasting
      FROM named AS r
      JOIN gone_thing AS g ON g.team_id = r.team_id AND g.kind = r.kind AND g.thing = r.thing
      JOIN journey AS j ON j.team_id = r.team_id AND j.journey_id = r.journey_id
     WHERE j.status BETWEEN journey_status('SCHEDULED') AND journey_status('TRIGGER_CLOSED') AND j.deleted_at IS NULL
       AND (g.lasting OR g.at >= GREATEST(r.since, j.published_at))
     ORDER BY j.journey_id, r.kind, r.thing, g.lasting
$$;
