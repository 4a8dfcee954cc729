"""The archive of the log, without a server: what is kept is given back, and a gap is seen."""

from dataclasses import replace
from pathlib import Path

import pytest

from libs.common.sealing import key_id
from libs.embedded import archive
from libs.embedded.backup_home import Backup, BackupError, BackupHome, segment_name, start_of
from libs.embedded.backups import drop_older, opens

BACKUP = Backup(
    name="20261130T150102Z",
    begin_time="2026-11-30T15:01:02+00:00",
    end_time="2026-11-30T15:01:09+00:00",
    postgres_major=18,
    version="0.1.0",
    timeline=1,
    start_segment=254,
    secret_key_ids=[],
    has_secret_key=False,
    size_bytes=1,
)


@pytest.fixture
def home(tmp_path: Path) -> BackupHome:
    made = BackupHome(tmp_path / "0a1b2c3d")
    made.wal.mkdir(parents=True)
    return made


def keep(home: BackupHome, tmp_path: Path, name: str, content: bytes) -> int:
    (tmp_path / name).write_bytes(content)
    return archive.main(["keep", str(tmp_path / name), str(home.wal)])


def test_a_segment_is_given_back_as_it_was(home: BackupHome, tmp_path: Path) -> None:
    content = bytes(range(256)) * 5_000
    assert keep(home, tmp_path, "000000010000000000000001", content) == 0
    fetched = tmp_path / "fetched"
    assert archive.main(["fetch", "000000010000000000000001", str(home.wal), str(fetched)]) == 0
    assert fetched.read_bytes() == content
    assert [file.name for file in home.wal.iterdir()] == ["000000010000000000000001.gz"]


def test_a_segment_may_be_kept_again_but_no_other_of_its_name(home: BackupHome, tmp_path: Path) -> None:
    assert keep(home, tmp_path, "000000010000000000000001", b"a") == 0
    assert keep(home, tmp_path, "000000010000000000000001", b"a") == 0
    assert keep(home, tmp_path, "000000010000000000000001", b"b") == 1
    assert archive.main(["fetch", "000000010000000000000001", str(home.wal), str(tmp_path / "f")]) == 0
    assert (tmp_path / "f").read_bytes() == b"a"


def test_what_is_not_there_ends_the_log(home: BackupHome, tmp_path: Path) -> None:
    assert archive.main(["fetch", "000000010000000000000009", str(home.wal), str(tmp_path / "f")]) == 1


def test_names_of_segments_are_those_of_postgresql() -> None:
    assert segment_name(1, 254) == "0000000100000000000000FE"
    assert segment_name(2, 256) == "000000020000000100000000"


def test_a_manifest_says_where_the_log_begins(tmp_path: Path) -> None:
    manifest = tmp_path / "backup_manifest"
    manifest.write_text('{"WAL-Ranges": [{"Timeline": 3, "Start-LSN": "1/2000028", "End-LSN": "1/2000120"}]}')
    assert start_of(manifest) == (3, 258)


@pytest.mark.parametrize(
    ("there", "gap"),
    [
        ([], None),
        ([253], None),
        ([254, 255, 256], None),
        ([253, 254, 256], 255),
        ([255, 256], 254),
    ],
)
def test_a_gap_is_seen(home: BackupHome, there: list[int], gap: int | None) -> None:
    for number in there:
        (home.wal / (segment_name(1, number) + archive.SUFFIX)).touch()
    (home.wal / "00000002.history.gz").touch()
    assert home.gap_after(BACKUP) == gap


def test_older_backups_go_with_the_log_that_only_they_needed(home: BackupHome) -> None:
    for name, end, start in (("a", "2026-11-01", 200), ("b", "2026-11-02", 210), ("c", "2026-11-03", 220)):
        (home.path / name).mkdir()
        home.write(replace(BACKUP, name=name, end_time=f"{end}T00:00:00+00:00", start_segment=start))
    for number in (205, 209, 210, 221):
        (home.wal / (segment_name(1, number) + archive.SUFFIX)).touch()
    assert [each.name for each in drop_older(home, 2)] == ["a"]
    assert [each.name for each in home.backups()] == ["b", "c"]
    assert home.segments(1) == [210, 221]


def test_a_backup_of_a_newer_release_is_refused(home: BackupHome) -> None:
    (home.path / "a").mkdir()
    home.write(replace(BACKUP, name="a"))
    file = home.path / "a" / "backup.json"
    file.write_text(file.read_text().replace('"form": 1', '"form": 2'))
    with pytest.raises(BackupError, match="newer release"):
        home.backups()


def test_a_key_opens_what_names_it() -> None:
    key = bytes(range(32)).hex()
    named = replace(BACKUP, secret_key_ids=["bd2cb3f0b4e0a7d6"])
    assert not opens(named, key)
    assert not opens(named, "")
    assert opens(replace(BACKUP, secret_key_ids=[key_id(bytes.fromhex(key)).hex()]), key)
