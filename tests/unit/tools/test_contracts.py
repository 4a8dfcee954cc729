"""What the tools say about the contracts: drift, the list of unimplemented RPCs, the baseline."""

import subprocess
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
    ServiceDescriptorProto,
)

from tools.contracts import baseline, generate, unimplemented


def _message(name: str, *uses: str, nested: str | None = None) -> DescriptorProto:
    fields = [
        FieldDescriptorProto(name=f"f{n}", number=n, type_name=use) for n, use in enumerate(uses, start=1)
    ]
    inner = [DescriptorProto(name=nested)] if nested else []
    return DescriptorProto(name=name, field=fields, nested_type=inner)


def _method(name: str) -> MethodDescriptorProto:
    return MethodDescriptorProto(
        name=name,
        input_type=f".omnijourney.a.v1.{name}Request",
        output_type=f".omnijourney.a.v1.{name}Response",
    )


def _image() -> FileDescriptorSet:
    service = ServiceDescriptorProto(name="AService", method=[_method("Do"), _method("Plan")])
    return FileDescriptorSet(
        file=[
            FileDescriptorProto(
                name="omnijourney/common/v1/reason.proto",
                package="omnijourney.common.v1",
                enum_type=[EnumDescriptorProto(name="Reason")],
            ),
            FileDescriptorProto(
                name="omnijourney/a/v1/plan.proto",
                package="omnijourney.a.v1",
                message_type=[_message("Plan")],
            ),
            FileDescriptorProto(
                name="omnijourney/a/v1/a_service.proto",
                package="omnijourney.a.v1",
                dependency=["omnijourney/a/v1/plan.proto", "omnijourney/common/v1/reason.proto"],
                message_type=[
                    _message("DoRequest", ".omnijourney.a.v1.Thing.Part"),
                    _message("DoResponse"),
                    _message("PlanRequest", ".omnijourney.a.v1.Plan", ".omnijourney.a.v1.Thing"),
                    _message("PlanResponse"),
                    _message("Thing", ".omnijourney.a.v1.Thing", nested="Part"),
                ],
                service=[service],
            ),
        ]
    )


def test_the_baseline_holds_what_implemented_rpcs_reach_and_all_that_is_shared() -> None:
    kept = baseline.prune(_image(), {"omnijourney.a.v1.AService.Plan"})
    assert list(baseline.rpcs(kept)) == ["omnijourney.a.v1.AService.Do"]
    assert [file.name for file in kept.file] == [
        "omnijourney/common/v1/reason.proto",
        "omnijourney/a/v1/a_service.proto",
    ]
    service_file = kept.file[1]
    assert [message.name for message in service_file.message_type] == ["DoRequest", "DoResponse", "Thing"]
    assert list(service_file.dependency) == ["omnijourney/common/v1/reason.proto"]


def test_a_service_without_implemented_rpcs_is_left_out() -> None:
    missing = {"omnijourney.a.v1.AService.Plan", "omnijourney.a.v1.AService.Do"}
    kept = baseline.prune(_image(), missing)
    assert [file.name for file in kept.file] == ["omnijourney/common/v1/reason.proto"]


def test_pruning_leaves_the_image_alone() -> None:
    image = _image()
    baseline.prune(image, {"omnijourney.a.v1.AService.Plan"})
    assert image == _image()


def test_implemented_rpcs_outside_the_baseline_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "baseline.binpb"
    monkeypatch.setattr(baseline, "BASELINE", file)
    assert baseline.unguarded(["x.Do"]) == ["x.Do"]
    file.write_bytes(_image().SerializeToString())
    assert baseline.unguarded(["omnijourney.a.v1.AService.Do", "x.Do"]) == ["x.Do"]


def test_the_baseline_moves_only_with_a_line_in_the_change_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.com")
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)

    log = tmp_path / "CHANGELOG.md"
    monkeypatch.setattr(baseline, "ROOT", tmp_path)
    monkeypatch.setattr(baseline, "_CHANGELOG", log)
    monkeypatch.setattr(baseline, "BASELINE", tmp_path / "baseline.binpb")
    monkeypatch.setattr(baseline, "image", _image)
    git("init", "-q")
    log.write_text("first\n", encoding="utf-8")
    assert baseline.write(set()) == 2  # the first baseline needs no line
    git("add", ".")
    git("commit", "-q", "-m", "first")
    with pytest.raises(baseline.BaselineError, match=r"CHANGELOG\.md"):
        baseline.write(set())
    log.write_text("first\nsecond\n", encoding="utf-8")
    git("commit", "-q", "-a", "-m", "the line may be committed before the baseline")
    assert baseline.write(set()) == 2


def test_every_service_of_the_contracts_is_found() -> None:
    names = {service.name for service in unimplemented.services()}
    assert names >= {
        "omnijourney.channel_gateway.v1.ChannelGatewayService",
        "omnijourney.common.v1.InstallationService",
        "omnijourney.journey.v1.JourneyService",
        "omnijourney.points.v1.PointsService",
        "omnijourney.segment.v1.SegmentService",
        "omnijourney.stats.v1.StatsService",
    }


def test_the_page_of_unimplemented_rpcs_is_what_the_servicers_lack() -> None:
    assert unimplemented.PAGE.read_text(encoding="utf-8") == unimplemented.page(), "run: make unimplemented"


def test_drift_names_what_differs_is_missing_or_left_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "expected", lambda: {"a.py": b"1", "b.py": b"2", "c.py": b"3"})
    monkeypatch.setattr(generate, "committed", lambda: {"a.py": b"1", "b.py": b"x", "d.py": b"4"})
    assert generate.drift() == ["missing: c.py", "left over: d.py", "differs: b.py"]
