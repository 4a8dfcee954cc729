"""The log of accepted messages survives what happens to its writer."""

from pathlib import Path

from libs.emulators.bucket import Buckets
from libs.emulators.journal import Journal, read_journal


def test_a_reader_sees_each_line_as_soon_as_it_is_appended(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "log.jsonl"
    journal = Journal(path)
    assert list(read_journal(path)) == []
    journal.append([{"id": "1"}, {"id": "2", "text": "你好"}])
    assert list(read_journal(path)) == [{"id": "1"}, {"id": "2", "text": "你好"}]
    journal.close()


def test_nobody_else_reads_what_customers_were_sent(tmp_path: Path) -> None:
    path = tmp_path / "emulators" / "log.jsonl"
    Journal(path).close()
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    path.chmod(0o644)  # of a release before
    journal = Journal(path)
    journal.rotate()
    journal.close()
    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}


def test_a_restart_goes_on_where_the_file_ends(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    first = Journal(path)
    first.append([{"id": "1"}])
    first.close()
    second = Journal(path)
    second.append([{"id": "2"}])
    second.close()
    assert [record["id"] for record in read_journal(path)] == ["1", "2"]


def test_a_line_torn_by_a_kill_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"id":"1"}\n{"id":"2","te')
    assert [record["id"] for record in read_journal(path)] == ["1"]
    journal = Journal(path)
    journal.append([{"id": "3"}])
    journal.close()
    assert [record["id"] for record in read_journal(path)] == ["1", "3"]


def test_a_reset_puts_the_old_file_aside(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    journal = Journal(path)
    journal.append([{"id": "1"}])
    journal.rotate()
    journal.append([{"id": "2"}])
    journal.rotate()
    journal.close()
    assert [len(list(read_journal(path.with_name(name)))) for name in ("log.jsonl.1", "log.jsonl.2")] == [
        1,
        1,
    ]
    assert list(read_journal(path)) == []


def test_a_bucket_refills_with_time() -> None:
    now = [0.0]
    buckets = Buckets(rate=2, depth=3, monotonic=lambda: now[0])
    assert [buckets.take("a") for _ in range(4)] == [True, True, True, False]
    assert buckets.take("b")
    now[0] = 0.5
    assert [buckets.take("a"), buckets.take("a")] == [True, False]
