-- How long figures are kept by quarter of an hour, where a team says so; null: as the installation says.
ALTER TABLE retention
    ADD COLUMN hourly_figures interval CHECK (hourly_figures BETWEEN '400 days' AND '3650 days');
