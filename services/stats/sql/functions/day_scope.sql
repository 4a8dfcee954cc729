-- The numbers of services.stats.domain.days.Scope.
-- The planner puts the number in the place of a call.
CREATE OR REPLACE FUNCTION day_scope(name text) RETURNS smallint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE name
    WHEN 'FIGURE' THEN 1::smallint
    WHEN 'JOURNEY' THEN 2::smallint
    WHEN 'TEAM' THEN 3::smallint
END;
