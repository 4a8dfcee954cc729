-- Every process reads the clients of all teams, and people the audit log: times are of years that Python has. Old rows are not
-- read. This takes the place of the checks that they are finite.
ALTER TABLE platform.api_client DROP CONSTRAINT api_client_times_finite;
ALTER TABLE platform.api_client ADD CONSTRAINT api_client_times_readable CHECK (
    old_token_expire_at >= '0001-01-02 00:00+00' AND old_token_expire_at < '9999-12-31 00:00+00'
    AND expire_at >= '0001-01-02 00:00+00' AND expire_at < '9999-12-31 00:00+00'
    AND revoked_at >= '0001-01-02 00:00+00' AND revoked_at < '9999-12-31 00:00+00'
    AND created_at >= '0001-01-02 00:00+00' AND created_at < '9999-12-31 00:00+00'
    AND last_used >= '0001-01-02 00:00+00' AND last_used < '9999-12-31 00:00+00'
) NOT VALID;
ALTER TABLE platform.audit_entry DROP CONSTRAINT audit_entry_changed_at_check;
ALTER TABLE platform.audit_entry ADD CONSTRAINT audit_entry_time_readable CHECK (
    changed_at >= '0001-01-02 00:00+00' AND changed_at < '9999-12-31 00:00+00'
) NOT VALID;
