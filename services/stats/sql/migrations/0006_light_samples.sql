-- Tables that grow with traffic: ANALYZE takes smaller samples of them, and less often.
SELECT platform.sample_lightly('counter');
SELECT platform.sample_lightly('first_time');
SELECT platform.sample_lightly('total');
