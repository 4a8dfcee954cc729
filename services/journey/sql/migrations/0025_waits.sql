-- Enrolments may wait for an event, for a time (4), and end by reaching the goal (5). Rows that are there keep to less: none is read.
ALTER TABLE enrolment DROP CONSTRAINT enrolment_rest_check;
ALTER TABLE enrolment ADD CONSTRAINT enrolment_rest_check CHECK (rest BETWEEN 0 AND 4) NOT VALID;
ALTER TABLE enrolment DROP CONSTRAINT enrolment_state_check;
ALTER TABLE enrolment ADD CONSTRAINT enrolment_state_check CHECK (state BETWEEN 1 AND 5) NOT VALID;
ALTER TABLE enrolment DROP CONSTRAINT enrolment_check;
ALTER TABLE enrolment ADD CONSTRAINT enrolment_check CHECK ((wake_at IS NOT NULL) = (rest IN (1, 3, 4))) NOT VALID;
