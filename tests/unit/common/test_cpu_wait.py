"""How long a thread waits for a CPU."""

from pathlib import Path

from libs.common.cpu_wait import CpuWait


def test_the_share_is_that_of_the_time_since_the_last_look(tmp_path: Path) -> None:
    account = tmp_path / "schedstat"
    account.write_text("1000 500 7\n")
    with CpuWait(account) as cpu:
        assert cpu.share() is None
        account.write_text("1300 600 9\n")
        assert cpu.share() == 0.25
        account.write_text("1400 600 9\n")
        assert cpu.share() == 0.0
        assert cpu.share() is None


def test_nothing_is_known_without_an_account(tmp_path: Path) -> None:
    with CpuWait(tmp_path / "missing") as cpu:
        assert cpu.share() is None


def test_this_thread_has_an_account_where_the_kernel_keeps_one() -> None:
    with CpuWait() as cpu:
        sum(range(1_000_000))
        share = cpu.share()
    assert share is None or 0 <= share < 1
    assert cpu.share() is None
