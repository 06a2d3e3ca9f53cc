"""The files of a sign-off are written in an order in which a stop between any two of them can be named and mended."""

import os
from pathlib import Path
from typing import Any

import pytest
import worlds
from as_json import certify, write

from earmark.engine.design.rule import Rule
from earmark.engine.report import signed_files
from earmark.engine.report.verify import verify
from earmark.engine.signoff.policy import POLICY_FILE

FILES = (POLICY_FILE, signed_files.REPORT, "certificate.json")
OLD = Rule(replicates=100, tolerances=(0.05,))
NEW = Rule(replicates=100, tolerances=(0.1,), claim="routing")  # writes policy.json, which OLD does not


class Stopped(BaseException):
    """What a kill is to the code that it stops."""


def contents(run: Path) -> dict[str, bytes]:
    return {name: (run / name).read_bytes() for name in FILES if (run / name).exists()}


@pytest.mark.parametrize(("before", "after"), [(OLD, NEW), (NEW, OLD)], ids=["gains a policy", "loses it"])
def test_a_stop_between_any_two_files_is_named_and_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: Rule, after: Rule
) -> None:
    worlds.write_run(tmp_path, [0.0] * 400, {"energy": {0.5: [0.0] * 400}}, ["a", "b"] * 200)
    first, second = certify(tmp_path, before), certify(tmp_path, after)
    write(second, tmp_path, tmp_path)
    undisturbed = contents(tmp_path)
    write(first, tmp_path, tmp_path)
    assert (POLICY_FILE in contents(tmp_path)) != (POLICY_FILE in undisturbed)
    replace, unlink = os.replace, Path.unlink
    for n_steps in range(3):
        write(first, tmp_path, tmp_path)
        old, left = contents(tmp_path), [n_steps]

        def step(left: list[int] = left) -> None:
            if not left[0]:
                raise Stopped
            left[0] -= 1

        def stopping_replace(source: Any, target: Any) -> None:
            step()
            replace(source, target)

        def stopping_unlink(path: Path, missing_ok: bool = False) -> None:
            if path.name == POLICY_FILE:
                step()
            unlink(path, missing_ok)

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", stopping_replace)
            patch.setattr(Path, "unlink", stopping_unlink)
            with pytest.raises(Stopped):
                write(second, tmp_path, tmp_path)
        assert contents(tmp_path) == old if n_steps == 0 else verify(tmp_path / "certificate.json") is not None
        write(second, tmp_path, tmp_path)
        assert contents(tmp_path) == undisturbed
