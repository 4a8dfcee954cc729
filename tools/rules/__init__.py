"""Which rules of the product are proved by tests: the catalogue, the pytest plugin and the table.

A clause is proved when at least one test that names it with ``@pytest.mark.rule("J-01a")`` ran and passed, and
none that names it failed; a rule is proved when all of its clauses are. A skip, an expected failure or a marker
alone proves nothing.
"""
