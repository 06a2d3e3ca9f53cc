"""What was edited in a certificate, its page or its policy is found; the page forbids everything but its own styles."""

import base64
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import assert_refused, earmark

N = 200
LONG = "a very long name of a family " * 20
QUICK = ("--replicates", "100")


def write_run(run: Path, columns: dict[str, dict[str, list]] | None = None, families: tuple = ("a", "b")) -> Path:
    """A run of raw audio and of one method at two budgets; `columns` adds some to cells, by METHOD@BUDGET."""
    for method, budget in (("uncompressed", 1.0), ("energy", 0.8), ("energy", 0.4)):
        folder = run / f"cells/answerer=tiny/corpus=sounds/method={method}/budget={budget}"
        folder.mkdir(parents=True)
        rows = {
            "sample_id": [f"s{i:04}" for i in range(N)],
            "query_family": [families[i % len(families)] for i in range(N)],
            "loss": [0.0] * N,
            **(columns or {}).get(f"{method}@{budget}", {}),
        }
        pq.write_table(pa.table(rows), folder / "part-0.parquet")
    return run


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = write_run(tmp_path_factory.mktemp("signed") / "run")
    assert earmark("certify", run, *QUICK).returncode == 0
    return run


def differs(run: Path, *words: str) -> None:
    """`verify` says one line with these words, and leaves with 1."""
    done = earmark("verify", run / "certificate.json")
    lines = done.stdout.decode().splitlines()
    assert (done.returncode, len(lines)) == (1, 1), done
    for word in words:
        assert word in lines[0], (word, lines[0])


def test_what_nobody_touched_holds(signed: Path) -> None:
    assert earmark("verify", signed / "certificate.json").returncode == 0


def reorder(text: str) -> str:
    content = json.loads(text)
    return json.dumps(dict(reversed(content.items())), indent=1, ensure_ascii=False) + "\n"


EDITS: dict[str, tuple[str, Callable[[str], str] | None, str]] = {
    "a field in another place": ("certificate.json", reorder, "certificate.json: from byte"),
    "a number written otherwise": ("certificate.json", lambda t: t.replace("0.025,", "2.5e-2,", 1), "from byte"),
    "bytes behind the end": ("certificate.json", lambda t: t + " ", "certificate.json: from byte"),
    "a byte of the page": ("report.html", lambda t: t.replace("Earmark sign-off", "Earmark sign-oft"), "report.html"),
    "no page": ("report.html", None, "report.html: the file is gone"),
    "a policy of nothing": ("policy.json", lambda _: "{}", "policy.json: the certificate routes nothing"),
}


@pytest.mark.parametrize(("name", "edit", "word"), EDITS.values(), ids=EDITS)
def test_what_was_edited_is_found(signed: Path, tmp_path: Path, name: str, edit, word: str) -> None:
    run = shutil.copytree(signed, tmp_path / "run")
    file = run / name
    if edit is None:
        file.unlink()
    else:
        text = file.read_text() if file.exists() else ""
        assert edit(text) != text
        file.write_text(edit(text))
    differs(run, word)


def test_the_page_of_another_certificate_is_called_that(signed: Path, tmp_path: Path) -> None:
    run = shutil.copytree(signed, tmp_path / "run")
    assert earmark("certify", signed, *QUICK, "--tolerance", "0.1", "--out", tmp_path / "other").returncode == 0
    shutil.copy(tmp_path / "other" / "report.html", run)
    differs(run, "report.html: is the page of another certificate")


def test_the_page_of_another_version_is_not_judged(signed: Path, tmp_path: Path) -> None:
    run = shutil.copytree(signed, tmp_path / "run")
    text = (run / "certificate.json").read_text()
    (run / "certificate.json").write_text(re.sub(r'"earmark": "[^"]+"', '"earmark": "0.0.1"', text))
    assert_refused(earmark("verify", run / "certificate.json"), "report.html", "Earmark 0.0.1", "certify again")


def test_a_link_to_a_certificate_is_as_good_and_a_copy_says_what_was_not_compared(signed: Path, tmp_path: Path) -> None:
    run = shutil.copytree(signed, tmp_path / "run")
    (run / "link.json").symlink_to("certificate.json")
    (tmp_path / "elsewhere.json").symlink_to("run/certificate.json")
    shutil.copy(run / "certificate.json", run / "copy.json")
    (run / "report.html").write_text("forged")
    for link in (run / "link.json", tmp_path / "elsewhere.json"):
        done = earmark("verify", link)
        assert (done.returncode, b"report.html: " in done.stdout) == (1, True), done
    done = earmark("verify", run / "copy.json")
    assert (done.returncode, done.stdout.endswith(b"; policy.json and report.html were not compared\n")) == (0, True)
    answer = json.loads(earmark("verify", run / "copy.json", "--json").stdout)
    assert answer == {"holds": True, "difference": None, "not_compared": ["policy.json", "report.html"]}


NO_CERTIFICATES = {
    "a key twice": lambda text: text.replace('"results":', '"results": [], "results":', 1).encode(),
    "deep": lambda _: b"[" * 200_000,
    "no JSON": lambda _: b"certificate",
    "a huge number": lambda text: re.sub(r'"replicates": \d+', '"replicates": 1' + "0" * 400, text).encode(),
    "a path that is none": lambda text: text.replace('"run": "."', '"run": "\\u0000"').encode(),
}


@pytest.mark.parametrize("content", NO_CERTIFICATES.values(), ids=NO_CERTIFICATES)
def test_what_is_no_certificate_is_refused(signed: Path, tmp_path: Path, content) -> None:
    file = tmp_path / "certificate.json"
    file.write_bytes(content((signed / "certificate.json").read_text()))
    assert_refused(earmark("verify", file), "certificate.json")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "folder.json").mkdir()
    for name in ("pipe.json", "folder.json"):
        assert_refused(earmark("verify", tmp_path / name, limit_s=60), name)


@pytest.mark.parametrize("kind", ["folder", "link", "read-only"])
def test_what_cannot_be_replaced_is_left(signed: Path, tmp_path: Path, kind: str) -> None:
    run = shutil.copytree(signed, tmp_path / "run")
    file = run / "certificate.json"
    page = (run / "report.html").read_bytes()
    elsewhere = tmp_path / "elsewhere.json"
    file.rename(elsewhere)
    if kind == "folder":
        file.mkdir()
        (file / "inside").touch()
    elif kind == "link":
        file.symlink_to(elsewhere)
    else:
        elsewhere.rename(file)
        file.chmod(0o444)
        elsewhere = file
    before = elsewhere.read_bytes()
    assert_refused(earmark("certify", run, *QUICK, "--tolerance", "0.1"), "certificate.json")
    assert elsewhere.read_bytes() == before
    assert (run / "report.html").read_bytes() == page
    assert kind != "folder" or (file / "inside").exists()
    assert kind != "link" or file.is_symlink()


# The page --------------------------------------------------------------------------------------------------


class Source(HTMLParser):
    """Every element of a page with its attributes, and the text of its style sheets and scripts."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {"style": "", "script": ""}
        self.feed(source)

    def handle_starttag(self, tag, attrs) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data) -> None:
        if self.elements and self.lasttag in self.texts:
            self.texts[self.lasttag] += data

    def handle_endtag(self, tag) -> None:
        self.lasttag = self.lasttag if tag in ("br", "meta") else ""


def test_the_page_forbids_everything_but_its_own_styles_and_script(signed: Path) -> None:
    page = Source((signed / "report.html").read_text())
    (policy,) = [a["content"] for tag, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in policy
    for kind, text in page.texts.items():
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
        assert sum(tag == kind for tag, _ in page.elements) == 1
    for tag, attributes in page.elements:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base", "form"}
        assert not {"style", "src", "srcset", "data"} & set(attributes), (tag, attributes)
        assert not any(name.startswith("on") for name in attributes)
        assert (attributes.get("href") or "#").startswith("#")
    assert not re.search(r"url\(|@import", page.texts["style"])


def test_hostile_names_stay_names(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", families=("\u202eevil", "<b onclick=x>y</b>", LONG[:500]))
    assert earmark("certify", run, *QUICK).returncode in (0, 3)
    source = (run / "report.html").read_text()
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", source)
    elements = Source(source).elements
    assert not any(tag == "b" or "onclick" in attributes for tag, attributes in elements)
    assert any((attributes.get("title") or "").startswith("a very long name") for _, attributes in elements)


# Copies of raw audio ---------------------------------------------------------------------------------------


def hashed(n_copied: int) -> dict[str, dict[str, list]]:
    raw = [f"h{i}" for i in range(N)]
    kept = raw[:n_copied] + [f"cut{i}" for i in range(n_copied, N)]
    cut = [f"cut{i}" for i in range(N)]
    return {
        "uncompressed@1.0": {"kept_hash": raw},
        "energy@0.8": {"kept_hash": cut},
        "energy@0.4": {"kept_hash": kept},
    }


def test_a_budget_that_is_a_copy_of_raw_is_not_approved(tmp_path: Path) -> None:
    done = earmark("certify", write_run(tmp_path / "run", hashed(N)), *QUICK)
    assert b"approved: energy at budget 0.8" in done.stdout  # and not at 0.4, which is raw audio
    assert b"copy of raw audio at 0.4" in done.stdout


def test_a_budget_that_is_nearly_a_copy_is_named(tmp_path: Path) -> None:
    done = earmark("certify", write_run(tmp_path / "run", hashed(N - 2)), *QUICK)
    assert b"approved: energy at budget 0.4" in done.stdout
    assert b"energy seed 0 keeps all of raw audio in 99% of the rows at 0.4" in done.stdout


def test_likelihoods_of_raw_are_named_where_no_hash_tells(tmp_path: Path) -> None:
    same = {"nll": [0.01 * i for i in range(N)], "predicted_label": ["A"] * N}
    other = same | {"nll": [0.02 + 0.01 * i for i in range(N)]}
    run = write_run(tmp_path / "run", {"uncompressed@1.0": same, "energy@0.8": other, "energy@0.4": same})
    out = earmark("certify", run, *QUICK).stdout.decode()
    assert "likelihood of raw audio in 100% of the rows at 0.4" in out
    assert "in 100% of the rows at 0.8" not in out
