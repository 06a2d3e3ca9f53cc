"""What `init` writes is a spec of what was meant, whatever families, paths and answerers are called."""

import json
import tomllib
from pathlib import Path

from command_line import assert_refused, earmark

HOSTILE = 'x"\n[corpus]\npath = "/etc"\n# \x1b[2J\u202e\x7f\u2028\\'


def manifest(folder: Path) -> Path:
    """A corpus whose families of several sizes have hostile names."""
    folder.mkdir()
    rows = [
        {
            "sample_id": str(number),
            "audio": f"{number}.wav",
            "question": "What?",
            "choices": ["a", "b"],
            "answer": "a",
            "family": HOSTILE if number < 2 else "f",
        }
        for number in range(90)
    ]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "corpus.jsonl"


def test_no_name_writes_into_the_spec(tmp_path: Path) -> None:
    corpus = manifest(tmp_path / HOSTILE.replace("/", "-"))
    out = tmp_path / f"{HOSTILE.replace('/', '-')}.toml"
    (tmp_path / "models" / HOSTILE).mkdir(parents=True)
    options = ["--no-measure", "--answerer", f"models/{HOSTILE}", "--name", HOSTILE]
    done = earmark("init", corpus, *options, "--out", out, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    spec = tomllib.loads(out.read_text())
    assert spec["corpus"] == {"path": str(corpus), "name": HOSTILE}
    assert [answerer["model"] for answerer in spec["answerers"]] == [f"models/{HOSTILE}"]
    assert set(spec) == {
        "corpus", "answerers", "sweep", "methods", "streams", "partitions", "rule", "audits", "machine",
    }  # fmt: skip
    assert "\x1b" not in out.read_text()
    assert b"\x1b" not in done.stdout + done.stderr


def test_a_path_that_no_spec_can_hold(tmp_path: Path) -> None:
    corpus = manifest(tmp_path / "\udcff")
    done = earmark("init", corpus, "--no-measure", "--out", tmp_path / "spec.toml")
    assert_refused(done, "UTF-8")
    assert not (tmp_path / "spec.toml").exists()
