"""Where the folder of a model is: an embedded one, a folder, the hub, or a refusal in one line."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import assert_refused
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

from earmark.engine.answerers.hub_models import downloaded, folder_here
from earmark.engine.answerers.loading import load_model
from earmark.engine.answerers.tiny import TINY_A, TINY_B
from earmark.engine.errors import InputError

SILENT_ADDRESS = "http://127.0.0.1:9"  # nobody listens there


def test_what_lies_here_is_a_folder_and_what_may_lie_on_the_hub_is_none(tmp_path: Path) -> None:
    assert [folder_here(name) for name in ("tiny", "tiny-b", str(tmp_path))] == [TINY_A, TINY_B, tmp_path]
    assert folder_here("Qwen/Qwen2-Audio-7B-Instruct") is None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "tinny",
            "is no folder here, no embedded answerer and no name on the hub, which is OWNER/NAME; did you mean t",
        ),
        ("WRONG", "OWNER/NAME; name a folder with config.json"),
        ("a/b/c", "OWNER/NAME; name a folder with config.json"),
        ("./models/none", "there is no folder models/none; name a folder with config.json"),
    ],
)
def test_a_name_that_can_be_nothing_is_refused_at_once(name: str, words: str) -> None:
    with pytest.raises(InputError) as refused:
        load_model(name)
    assert words in str(refused.value)


def hub(monkeypatch: pytest.MonkeyPatch, info: Any = None, snapshot: Any = None) -> list[dict[str, Any]]:
    """A hub that answers so, or raises it; returns what was asked of `snapshot_download`."""
    calls: list[dict[str, Any]] = []

    def answer(value: Any) -> Any:
        if isinstance(value, BaseException):
            raise value
        return value

    def snapshot_download(name: str, **options: Any) -> Any:
        calls.append({"name": name, **options})
        return answer(snapshot)

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda *_, **__: answer(info))
    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    return calls


def raised(kind: type[Exception]) -> Exception:
    """An error of the hub's, without the response that it comes with."""
    return kind.__new__(kind)


def test_a_model_of_the_hub_is_the_folder_of_its_snapshot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls = hub(monkeypatch, snapshot=str(tmp_path))
    assert downloaded("lab/model") == tmp_path
    assert [call["local_files_only"] for call in calls] == [False]
    assert not [pattern for pattern in calls[0]["allow_patterns"] if pattern.endswith(("bin", "py", "pt"))]


def test_where_the_hub_cannot_be_reached_an_earlier_download_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls = hub(monkeypatch, info=ConnectionError("no route"), snapshot=str(tmp_path))
    assert downloaded("lab/model") == tmp_path
    assert [call["local_files_only"] for call in calls] == [True]


@pytest.mark.parametrize(
    ("info", "snapshot", "words"),
    [
        (
            RepositoryNotFoundError,
            None,
            "the hub shows no such model; correct the name, or log in with `hf auth login`",
        ),
        (
            None,
            GatedRepoError,
            "is given only to who was granted access; ask for access at https://huggingface.co/lab/",
        ),
    ],
)
def test_what_the_hub_does_not_give_is_refused_with_what_to_do(
    info: type[Exception] | None, snapshot: type[Exception] | None, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub(monkeypatch, raised(info) if info else None, raised(snapshot) if snapshot else None)
    with pytest.raises(InputError) as refused:
        downloaded("lab/model")
    assert words in str(refused.value)


def test_without_a_network_a_name_on_the_hub_is_one_line(tmp_path: Path) -> None:
    """In a process of its own: its library reads the address when it is imported."""
    command = [sys.executable, "-m", "earmark.cli.main", "answerer", "lab/model"]
    environment = {**os.environ, "HF_ENDPOINT": SILENT_ADDRESS, "HF_HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert_refused(
        done, "answerer lab/model: is no folder here, and the hub cannot be reached", "`hf download lab/model`"
    )
    assert len(done.stderr.splitlines()) == 1
