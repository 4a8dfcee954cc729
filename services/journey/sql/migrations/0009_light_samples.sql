-- Tables that grow with traffic: ANALYZE takes smaller samples of them, and less often.
SELECT platform.sample_lightly('actor');
SELECT platform.sample_lightly('enrolment');
SELECT platform.sample_lightly('history');
SELECT platform.sample_lightly('mail');
SELECT platform.sample_lightly('mail_number');
SELECT platform.sample_lightly('verdict');
