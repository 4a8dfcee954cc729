"""Made-up customers in any number, by statements over whole tables: 5 tags and 10 attributes each, points of most.

The same for the same seed: whatever a customer has follows from hashes of their number. Tags are as rare as those of a
shop.
"""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg

ATTRIBUTES: Final = {
    "city": 1,
    "tier": 1,
    "store": 1,
    "note": 1,
    "visits": 2,
    "spent": 2,
    "score": 2,
    "birthday": 3,
    "first_visit": 3,
    "newsletter": 4,
}
"""Keys with the numbers of their types."""
_STATEMENTS: Final = (
    """
    CREATE TABLE segment.bench_crowd AS
    SELECT n, (lpad(to_hex(1700000000000 + n * 1000), 12, '0') || '7' || substr(md5(n::text || $2), 1, 3) || '8'
               || substr(md5(n::text || $2), 4, 15))::uuid AS id
      FROM generate_series(1, $1::integer) AS n
    """,
    """
    INSERT INTO segment.customer (team_id, customer_id, member_id, member_id_folded, name, name_folded, phone, email,
                                  email_folded, customer_interact_time, marketed_time, checkout_time, mail_number,
                                  revision, create_time, update_time)
    SELECT $1::uuid, id,
           CASE WHEN hashint8extended(n, 1) & 1 = 0 THEN 'M' || n END,
           CASE WHEN hashint8extended(n, 1) & 1 = 0 THEN 'm' || n END,
           'Customer ' || n, 'customer ' || n,
           CASE WHEN hashint8extended(n, 2) & 3 <> 0 THEN '+8869' || lpad(n::text, 8, '0') END,
           CASE WHEN hashint8extended(n, 3) & 1 = 0 THEN 'u' || n || '@example.com' END,
           CASE WHEN hashint8extended(n, 3) & 1 = 0 THEN 'u' || n || '@example.com' END,
           CASE WHEN hashint8extended(n, 4) & 3 <> 0 THEN
                $2::timestamptz - make_interval(secs => (hashint8extended(n, 5) & 67108863)::float8) END,
           CASE WHEN hashint8extended(n, 6) & 1 = 0 THEN
                $2::timestamptz - make_interval(secs => (hashint8extended(n, 7) & 67108863)::float8) END,
           CASE WHEN hashint8extended(n, 8) & 3 = 0 THEN
                $2::timestamptz - make_interval(secs => (hashint8extended(n, 9) & 67108863)::float8) END,
           0, 1, $2, $2
      FROM segment.bench_crowd
    """,
    """
    INSERT INTO segment.customer_tag (team_id, customer_id, tag_folded, tag, apply_time)
    SELECT DISTINCT ON (id, tag) $1::uuid, id, tag, tag, $2::timestamptz
      FROM (SELECT id, 'tag-' || lpad(floor(exp(ln(200) * ((hashint8extended(n, 20 + k) & 1048575) / 1048576.0)))::text,
                                      3, '0') AS tag
              FROM segment.bench_crowd, generate_series(1, 5) AS k) AS tagged
     ORDER BY id, tag
    """,
    """
    INSERT INTO segment.customer_attribute (team_id, customer_id, key, type, value, value_folded, number_value)
    SELECT $1::uuid, w.id, a.key, a.type, a.value, a.value, CASE WHEN a.type = 2 THEN a.value::numeric END
      FROM segment.bench_crowd AS w CROSS JOIN LATERAL (VALUES
        ('birthday', 3, (date '1950-01-01' + (hashint8extended(n, 40) & 16383)::integer)::text),
        ('city', 1, (ARRAY['臺北','新北','桃園','臺中','臺南','高雄','基隆','新竹','嘉義','花蓮'])
                    [1 + (hashint8extended(n, 41) & 1048575) * (hashint8extended(n, 42) & 1048575) / 109951162777]),
        ('first_visit', 3, (date '2020-01-01' + (hashint8extended(n, 43) & 2047)::integer)::text),
        ('newsletter', 4, CASE WHEN hashint8extended(n, 44) & 1 = 0 THEN 'true' ELSE 'false' END),
        ('note', 1, 'note ' || md5(n::text) || ' of customer ' || n),
        ('score', 2, ((hashint8extended(n, 45) & 1023) / 10.0)::numeric(10, 1)::text),
        ('spent', 2, (hashint8extended(n, 46) & 131071)::text),
        ('store', 1, 'store ' || (hashint8extended(n, 47) & 511)),
        ('tier', 1, (ARRAY['bronze','bronze','bronze','bronze','silver','silver','gold','platinum'])
                    [1 + (hashint8extended(n, 48) & 7)]),
        ('visits', 2, (hashint8extended(n, 49) & 63)::text)) AS a (key, type, value)
     WHERE $2::timestamptz IS NOT NULL
    """,
    """
    INSERT INTO segment.identity (team_id, channel, account_id, external_id, customer_id, blocked, bind_time)
    SELECT $1::uuid, 1 + (n & 1), $1::uuid, 'U' || n, id, false, $2::timestamptz
      FROM segment.bench_crowd WHERE hashint8extended(n, 50) & 3 <> 0
    """,
    """
    INSERT INTO segment.customer_points (team_id, customer_id, balance, cumulative, known)
    SELECT $1::uuid, id, hashint8extended(n, 60) & 1023,
           (hashint8extended(n, 60) & 1023) + (hashint8extended(n, 61) & 4095), true
      FROM segment.bench_crowd WHERE hashint8extended(n, 62) & 3 <> 0 AND $2::timestamptz IS NOT NULL
    """,
)
_INDEXES: Final = """
SELECT indexname, indexdef FROM pg_indexes
 WHERE schemaname = 'segment' AND tablename = ANY ($1::text[]) AND indexname NOT IN (SELECT conname FROM pg_constraint)
"""
"""Those without which rows can be written; made anew afterwards, which takes a fraction of the time."""
_TIMEOUT_S: Final = 3_600.0
"""Of one statement: ten million values are written by one."""
TABLES: Final = ("customer", "customer_tag", "customer_attribute", "identity", "customer_points")


async def seed(admin: "asyncpg.Pool[Any]", team_id: UUID, count: int, now: datetime, seed: str = "1") -> None:
    """Makes `count` customers of a team whose attributes are defined; times reach up to `now`. Analysed as autovacuum
    would in time."""
    crowd, *statements = _STATEMENTS
    async with admin.acquire() as connection:
        await connection.execute("SET synchronous_commit = off")
        await connection.execute(crowd, count, seed, timeout=_TIMEOUT_S)
        indexes = await connection.fetch(_INDEXES, TABLES)
        for index in indexes:
            await connection.execute(f"DROP INDEX segment.{index['indexname']}")
        for statement in statements:
            await connection.execute(statement, team_id, now, timeout=_TIMEOUT_S)
        for index in indexes:
            await connection.execute(index["indexdef"], timeout=_TIMEOUT_S)
        for table in TABLES:
            await connection.execute(f"VACUUM ANALYZE segment.{table}", timeout=_TIMEOUT_S)
        await connection.execute("SET synchronous_commit = on")
