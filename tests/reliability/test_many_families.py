"""Very many families: time and memory go by rows, the report opens, and what is left out of it is said."""

import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import earmark

FAMILIES, ROWS = 4_000, 8_000
LIMIT_S = 100  # what grows with the square of families takes several times as long
OPTIONS = ("--replicates", "200")


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 4,000 families of two rows each, and what `certify` made of it."""
    run = tmp_path_factory.mktemp("many")
    rng = np.random.default_rng(0)
    ids = [f"q{i:05d}" for i in range(ROWS)]
    raw = (rng.random(ROWS) < 0.2).astype(float)
    cut = np.where(rng.random(ROWS) < 0.05, 1.0, raw)
    for method, budget, loss in (("uncompressed", 1.0, raw), ("silence", 1.0, 1 - raw), ("energy", 0.5, cut)):
        folder = run / f"cells/answerer=a/corpus=c/method={method}/seed=0/stream=anchor/budget={budget}"
        folder.mkdir(parents=True)
        families = [f"family {i * FAMILIES // ROWS:04d}" for i in range(ROWS)]
        table = pa.table({"sample_id": ids, "query_family": families, "loss": loss, "n_options": [4] * ROWS})
        pq.write_table(table, folder / "part-0.parquet")
    done = earmark("certify", run, *OPTIONS, limit_s=LIMIT_S)
    assert done.returncode == 3, done.stderr.decode()
    return run


def test_every_family_is_in_the_certificate(signed: Path) -> None:
    certificate = json.loads((signed / "certificate.json").read_bytes())
    entry = certificate["results"][0]["budgets"][0]
    assert len(entry["families"]) == len(certificate["chains"][0]["steps"]) == FAMILIES
    assert certificate["chains"][0]["steps"][-1]["n_cumulative"] == ROWS


def test_pairs_are_of_the_fifty_largest_families(signed: Path) -> None:
    certificate = json.loads((signed / "certificate.json").read_bytes())
    assert certificate["overlaps"][0]["summary"]["pairs"] == 50 * 49 // 2
    assert "pairs of the 50 largest families" in (signed / "report.html").read_text()


def test_the_report_opens_and_says_what_it_leaves_out(signed: Path) -> None:
    page = (signed / "report.html").read_text()
    assert len(page.encode()) < 5_000_000
    assert "and 3,900 more families, which certificate.json has" in page
    longest = max(len(table) for table in re.findall("<tbody>.*?</tbody>", page, re.DOTALL))
    assert longest < 200_000


def test_a_reason_names_a_few_families(tmp_path: Path) -> None:
    n_families, rows = 40, 3_200
    for method, budget in (("uncompressed", 1.0), ("energy", 0.5)):
        folder = tmp_path / f"cells/answerer=a/corpus=c/method={method}/seed=0/stream=anchor/budget={budget}"
        folder.mkdir(parents=True)
        families = [f"family {i % n_families:02d}" for i in range(rows)]
        loss = [float(i // n_families % 4 > 0) for i in range(rows)]  # as good as guessing, in every family
        ids = [f"q{i}" for i in range(rows)]
        table = pa.table({"sample_id": ids, "query_family": families, "loss": loss, "n_options": [4] * rows})
        pq.write_table(table, folder / "part-0.parquet")
    done = earmark("certify", tmp_path, *OPTIONS)
    assert done.returncode == 3, done.stderr.decode()
    (candidate,) = json.loads((tmp_path / "certificate.json").read_bytes())["claim"]["candidates"]
    assert len(candidate["deaf"]) == n_families
    assert candidate["reason"].count("family ") == 12
    assert "28 more families" in candidate["reason"]


def test_it_is_verified_in_the_same_time(signed: Path) -> None:
    done = earmark("verify", signed / "certificate.json", limit_s=LIMIT_S)
    assert done.returncode == 0, done.stderr.decode()
