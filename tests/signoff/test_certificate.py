"""The certificate as a whole: the paper's figures, charging of failures, streams, answerers, and verification."""

import json
import re
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import worlds
from as_json import certify, render, write

from earmark.engine.design.keys import CellKey
from earmark.engine.design.rule import Rule
from earmark.engine.errors import InputError, UncertifiableError
from earmark.engine.outcomes import store
from earmark.engine.outcomes.store import write_cell, write_partitions
from earmark.engine.report.verify import verify
from earmark.engine.signoff import sources

paper = partial(Rule, name="paper")
QUICK = paper(replicates=200, min_family=1)
DOCS = Path(__file__).parents[2] / "docs" / "certificate.md"


def flips(n: int, plus: int, minus: int = 0, start: int = 0) -> tuple[list[float], list[float]]:
    """Raw and compressed losses of n rows with so many rises and falls."""
    raw, compressed = np.zeros(n), np.zeros(n)
    compressed[start : start + plus] = 1
    raw[start + plus : start + plus + minus] = 1
    return raw.tolist(), compressed.tolist()


def test_the_papers_dcase_table(tmp_path: Path) -> None:
    raw, agnostic = flips(1607, 106)
    _, conditioned = flips(1607, 87)
    methods = {"learned_agnostic": {0.4: agnostic, 1.0: raw}, "learned_conditioned": {0.4: conditioned, 1.0: raw}}
    worlds.write_run(tmp_path, raw, methods, ["general"] * 1607)
    made = certify(tmp_path, paper(tolerances=(0.01, 0.02, 0.05), replicates=500))
    frontier = {r["method"]: [round(f["interpolated"]["average"], 4) for f in r["frontiers"]] for r in made["results"]}
    assert frontier == {"learned_agnostic": [0.9090, 0.8181, 0.5452], "learned_conditioned": [0.8892, 0.7783, 0.4459]}
    gains = [g for g in made["gains"] if g["axis"] == "interpolated" and g["variant"] == "average"]
    assert [round(g["point"], 4) for g in gains] == [0.0199, 0.0397, 0.0993]
    assert all(g["lower"] <= g["point"] <= g["upper"] for g in gains)


def test_the_papers_interval(tmp_path: Path) -> None:
    n, mean, changed = 19480, 0.2568, 0.3145
    plus, minus = round(n * (changed + mean) / 2), round(n * (changed - mean) / 2)
    raw, compressed = flips(n, plus, minus)
    worlds.write_run(tmp_path, raw, {"learned_conditioned": {0.05: compressed}}, ["general"] * n)
    average = certify(tmp_path, paper())["results"][0]["budgets"][0]["excess_average"]
    assert average["estimate"] == pytest.approx(mean, abs=1e-4)
    assert average["lower"] == pytest.approx(0.2499, abs=5e-4)
    assert average["upper"] == pytest.approx(0.2639, abs=5e-4)


def test_a_world_where_the_average_hides_a_family(tmp_path: Path) -> None:
    labels = ["prosody"] * 100 + ["content"] * 900
    raw, compressed = flips(1000, 30)  # all in prosody: .03 on average, .30 there
    worlds.write_run(tmp_path, raw, {"energy": {0.5: compressed, 0.8: raw}}, labels)
    (result,) = certify(tmp_path, QUICK)["results"]
    half, most, full = result["budgets"]
    assert (half["worst_family"], half["plus"], half["minus"]) == ("prosody", 30, 0)
    assert half["hidden_damage"] == pytest.approx(0.27)
    assert half["concentration_top2"] == 1.0
    assert [b["decisions"][0]["decision"] for b in (half, most, full)] == ["reject", "approve", "approve"]
    assert result["certified"][0]["budget"] == 0.8
    assert result["certified"][0]["next"]["action"] == "ship"
    assert (most["implied"], full["implied"], full["excess_average"]["upper"]) == (False, True, 0.0)


def test_local_harm_is_routed_and_diffuse_harm_is_not(tmp_path: Path) -> None:
    labels = [f"f{i % 10}" for i in range(1000)]
    raw = [0.0] * 1000
    local = [1.0 if label == "f3" and i < 300 else 0.0 for i, label in enumerate(labels)]
    diffuse = [1.0 if i < 300 else 0.0 for i in range(1000)]
    worlds.write_run(tmp_path, raw, {"diffuse": {0.5: diffuse}, "local": {0.5: local}}, labels)
    of_diffuse, of_local = (r["certified"][0] for r in certify(tmp_path, QUICK)["results"])
    assert (of_local["budget"], of_local["next"]["action"], of_local["next"]["families"]) == (1.0, "route", ["f3"])
    assert (of_diffuse["next"]["action"], len(of_diffuse["next"]["families"])) == ("raise", 10)


def test_rare_families_refuse_approval_until_they_have_a_parent(tmp_path: Path) -> None:
    labels = ["tempo"] * 12 + ["music"] * 200
    worlds.write_run(tmp_path, [0.0] * 212, {"energy": {0.5: [0.0] * 212}}, labels)
    (alone,) = certify(tmp_path, paper(replicates=200))["results"]
    assert alone["rare_families"] == ["tempo"]
    assert alone["budgets"][0]["decisions"][0] == {
        "tolerance": 0.05,
        "decision": "inconclusive",
        "reason": "fewer than 30 rows in 'tempo'",
        "p": None,
        "p_adjusted": None,
    }
    text = alone["certified"][0]["next"]["text"]
    assert text.startswith("untestable whatever the answers: 'tempo' (12 of 30 rows)")
    (merged,) = certify(tmp_path, paper(replicates=200, parents={"tempo": "music"}))["results"]
    assert merged["merged_families"] == [{"family": "tempo", "n": 12, "into": "music"}]
    assert merged["certified"][0]["budget"] == 0.5


def test_without_a_raw_cell_the_methods_own_full_budget_stands_in(tmp_path: Path) -> None:
    raw, compressed = flips(100, 7, 2)
    worlds.write_run(tmp_path, None, {"energy": {0.5: compressed, 1.0: raw}}, ["a", "b"] * 50)
    made = certify(tmp_path, QUICK)
    assert made["results"][0]["reference"] == "self_full"
    assert made["results"][0]["budgets"][0]["excess_average"]["estimate"] == pytest.approx(0.05)
    assert any("self_full" in warning for warning in made["warnings"])


def test_sources_are_resampled_whole_and_that_widens_the_interval(tmp_path: Path) -> None:
    n = 400
    compressed = [float(i // 4 % 10 == 0) for i in range(n)]  # four rows of a recording share their fate
    sources = {"source_id": [f"r{i // 4}" for i in range(n)]}
    worlds.write_run(tmp_path, [0.0] * n, {"energy": {0.5: compressed}}, ["a", "b"] * (n // 2), columns=sources)
    width = {}
    for clustering in ("source", "ignore"):
        made = certify(tmp_path, paper(replicates=2000, clustering=clustering))
        (result,) = made["results"]
        average = result["budgets"][0]["excess_average"]
        width[clustering] = average["upper"] - average["lower"]
        assert result["resampling"] == ("source" if clustering == "source" else "example")
        assert any("this was ignored" in w for w in made["warnings"]) == (clustering == "ignore")
    assert width["source"] == pytest.approx(2 * width["ignore"], rel=0.15)  # sqrt of 4 rows per recording


def test_failed_rows_are_refused_then_charged_to_the_compressor(tmp_path: Path) -> None:
    status = ["ok"] * 98 + ["error: clip is truncated"] * 2
    loss = [0.0] * 98 + [None, None]
    failing = {("energy", 0.5): {"status": status, "loss": loss}}
    worlds.write_run(tmp_path, [0.0] * 100, {"energy": {0.5: [0.0] * 100}}, ["a", "b"] * 50, per_cell=failing)
    with pytest.raises(UncertifiableError, match=r"2 of 100 rows .*'s00098: error: clip is truncated'.*max-error-rate"):
        certify(tmp_path, QUICK)
    made = certify(tmp_path, paper(replicates=200, max_error_rate=0.02))
    assert (made["errors"][0]["errors"], made["errors"][0]["rows"]) == (2, 100)
    assert made["results"][0]["budgets"][0]["plus"] == 2
    assert any("2 failed rows" in warning for warning in made["warnings"])
    with pytest.raises(InputError, match="nll"):
        certify(tmp_path, paper(replicates=200, max_error_rate=0.02, loss="nll"))


def test_nll_as_the_loss(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    raw, compressed = rng.gamma(1, 1, 60), rng.gamma(2, 1, 60)
    cells = {("uncompressed", 1.0): {"nll": raw.tolist()}, ("energy", 0.5): {"nll": compressed.tolist()}}
    worlds.write_run(tmp_path, [0.0] * 60, {"energy": {0.5: [0.0] * 60}}, ["a", "b"] * 30, per_cell=cells)
    (result,) = certify(tmp_path, paper(replicates=200, loss="nll", tolerances=(0.1, 2.0)))["results"]
    estimate = result["budgets"][0]["excess_average"]["estimate"]
    assert estimate == pytest.approx((compressed - raw).mean(), abs=1e-9)
    assert [d["decision"] for d in result["budgets"][0]["decisions"]] == ["reject", "approve"]


def test_answer_consistency_and_its_paradox(tmp_path: Path) -> None:
    raw = [1.0] * 50 + [0.0] * 50
    labels = {
        ("uncompressed", 1.0): {"predicted_label": ["A"] * 99 + [None]},
        ("energy", 0.3): {"predicted_label": ["A"] * 90 + ["B"] * 9 + [None]},  # same answers, often wrong
        ("energy", 0.6): {"predicted_label": ["B"] * 50 + ["A"] * 49 + [None]},  # other answers, and better ones
    }
    losses = {0.3: [1.0] * 50 + [0.0] * 40 + [1.0] * 10, 0.6: [0.0] * 100}
    worlds.write_run(tmp_path, raw, {"energy": losses}, ["a", "b"] * 50, per_cell=labels)
    (result,) = certify(tmp_path, QUICK)["results"]
    assert [b["answer_consistency"] for b in result["budgets"]] == [0.91, 0.5, 1.0]
    assert [b["consistency_paradox"] for b in result["budgets"]] == [True, False, False]


def test_query_use_from_permuted_and_naive_streams(tmp_path: Path) -> None:
    n = 1000
    raw = [0.0] * n
    for seed, lost in ((42, 0), (123, 10)):
        for stream, errors in (("anchor", 60), ("permuted-global-0", 80 + lost), ("permuted-global-1", 90)):
            cell = {0.5: flips(n, errors)[1]}
            worlds.write_run(tmp_path, None, {"learned_conditioned": cell}, ["a", "b"] * 500, seed=seed, stream=stream)
        agnostic = {0.5: flips(n, 100)[1]}
        worlds.write_run(tmp_path, None, {"learned_agnostic": agnostic}, ["a", "b"] * 500, seed=seed)
        naive = {0.5: flips(n, 200)[1]}
        worlds.write_run(
            tmp_path, None, {"learned_conditioned": naive}, ["a", "b"] * 500, seed=seed, stream="naive-global-0"
        )
    for stream in ("anchor", "naive-global-0"):
        worlds.write_run(tmp_path, raw, {}, ["a", "b"] * 500, stream=stream)
    audits = certify(tmp_path, QUICK)["audits"]
    frontier = {k: 0.5 + 0.5 * (k / n - 0.05) / (k / n) for k in (60, 80, 90, 100, 200)}  # excess falls to 0 at 1
    (decoupled,) = _pick(audits["query_use"], protocol="decoupled", variant="average")
    phi_42 = (frontier[80] + frontier[90]) / 2 - frontier[60]
    phi_123 = (frontier[90] + frontier[90]) / 2 - frontier[60]
    assert decoupled["seeds"] == [42, 123]
    assert decoupled["permutations"] == [2, 2]
    assert decoupled["values"] == pytest.approx([phi_42, phi_123])
    assert (decoupled["band"], decoupled["direction"]) == ("PHI3", "CONSISTENT+")
    (naive_use,) = _pick(audits["query_use"], protocol="naive", variant="average")
    assert naive_use["values"] == pytest.approx([frontier[200] - frontier[60]] * 2)
    (contamination,) = _pick(audits["contamination"], variant="average")
    assert contamination["mean"] == pytest.approx(naive_use["mean"] - decoupled["mean"])
    assert contamination["ratio"] == pytest.approx(naive_use["mean"] / decoupled["mean"])
    (over_seeds,) = _pick(audits["seeds"], axis="interpolated", variant="average")
    assert over_seeds["values"] == pytest.approx([frontier[100] - frontier[60]] * 2)
    assert over_seeds["direction"] == "CONSISTENT+"


def test_two_answerers_cross_backbone_gain_and_architecture_gap(tmp_path: Path) -> None:
    n = 400
    hashes = {"kept_hash": [f"h{i}" for i in range(n)]}
    for answerer, errors, wrong_raw in (("big", 30, 20), ("small", 50, 40)):
        raw = flips(n, wrong_raw, start=n - wrong_raw)[1]
        methods = {
            "learned_agnostic": {0.5: [max(pair) for pair in zip(raw, flips(n, errors)[1], strict=True)]},
            "learned_conditioned": {0.5: [max(pair) for pair in zip(raw, flips(n, errors - 6)[1], strict=True)]},
        }
        clean = {("learned_agnostic", 0.5): hashes}
        worlds.write_run(tmp_path, raw, methods, ["a", "b"] * 200, answerer=answerer, per_cell=clean)
    made = certify(tmp_path, QUICK)
    assert made["rule"]["reference_answerer"] == "big"
    frontier = {k: 0.5 + 0.5 * (k / n - 0.05) / (k / n) for k in (30, 44)}
    (cross,) = _pick(made["gains"], kind="cross-backbone", axis="interpolated", variant="average")
    assert (cross["answerer"], cross["reference_answerer"]) == ("small", "big")
    assert cross["point"] == pytest.approx(frontier[30] - frontier[44])
    gaps = {gap["interface"]: gap for gap in made["audits"]["architecture_gap"]}
    assert gaps["clean"]["answerers"] == ["big", "small"]
    assert gaps["clean"]["mean"] == pytest.approx((50 + 40 - 30 - 20) / n)
    assert [cell["method"] for cell in gaps["native"]["cells"]] == ["learned_conditioned"]


def test_answerers_with_different_samples_are_certified_apart(tmp_path: Path) -> None:
    worlds.write_run(tmp_path, [0.0] * 50, {"energy": {0.5: [0.0] * 50}}, ["a", "b"] * 25, answerer="one")
    worlds.write_run(tmp_path, [0.0] * 80, {"energy": {0.5: [0.0] * 80}}, ["a", "b"] * 40, answerer="two")
    made = certify(tmp_path, QUICK)
    assert [(r["answerer"], r["n"]) for r in made["results"]] == [("one", 50), ("two", 80)]
    assert made["audits"]["architecture_gap"] == []


def test_answerers_with_other_families_keep_their_own(tmp_path: Path) -> None:
    for answerer, labels in (("one", ["a", "b"]), ("two", ["p", "q"])):
        worlds.write_run(tmp_path, [0.0] * 60, {"energy": {0.5: [0.0] * 60}}, labels * 30, answerer=answerer)
    results = certify(tmp_path, QUICK)["results"]
    assert [[f["family"] for f in r["budgets"][0]["families"]] for r in results] == [["a", "b"], ["p", "q"]]


def test_methods_of_one_answerer_must_agree_on_families(tmp_path: Path) -> None:
    for method, labels in (("energy", ["a", "b"]), ("uniform", ["p", "q"])):
        worlds.write_run(tmp_path, None, {method: {0.5: [0.0] * 60, 1.0: [0.0] * 60}}, labels * 30)
    with pytest.raises(InputError, match="column query_family differs"):
        certify(tmp_path, QUICK)


def test_a_partition_of_another_corpus_is_left_out(tmp_path: Path) -> None:
    for corpus, name in (("sounds", "native"), ("music", "semantic")):
        worlds.write_run(tmp_path, [0.0] * 60, {"energy": {0.5: [0.0] * 60}}, ["x"] * 60, corpus=corpus)
        write_partitions(tmp_path, corpus, [f"s{i:05d}" for i in range(60)], {name: ["p", "q"] * 30})
    assert [(r["corpus"], r["partition"]) for r in certify(tmp_path, QUICK)["results"]] == [
        *(("music", "semantic"), ("sounds", "native"))
    ]


def test_the_report_renders_every_audit(tmp_path: Path) -> None:
    test_query_use_from_permuted_and_naive_streams(tmp_path / "a")
    page = render(certify(tmp_path / "a", QUICK))
    assert "Contamination" in page
    assert "Regime map of gains" in page
    assert "CONSISTENT+" in page


def test_curves_without_a_partner_are_named(tmp_path: Path) -> None:
    loss = {0.5: [0.0] * 60}
    for seed in (1, 2):
        worlds.write_run(tmp_path, None, {"learned_agnostic": loss}, ["a", "b"] * 30, seed=seed)
    worlds.write_run(tmp_path, [0.0] * 60, {"learned_conditioned": loss}, ["a", "b"] * 30, seed=42)
    lonely = {"stream": "permuted-global-0", "seed": 7}
    worlds.write_run(tmp_path, None, {"learned_conditioned": loss}, ["a", "b"] * 30, **lonely)  # type: ignore[arg-type]
    warnings = "\n".join(certify(tmp_path, QUICK)["warnings"])
    assert "1 permuted or naive curves have no anchor" in warnings
    assert "learned_conditioned seed 42 anchor has no learned_agnostic with its seed" in warnings


def test_partitions_file_and_its_default(tmp_path: Path) -> None:
    raw, compressed = flips(120, 12)
    worlds.write_run(tmp_path, raw, {"energy": {0.5: compressed}}, ["x"] * 120)
    ids = [f"s{i:05d}" for i in range(120)]
    fine, coarse = ["p"] * 30 + ["q"] * 30 + ["r"] * 60, ["pq"] * 60 + ["r"] * 60
    write_partitions(tmp_path, "sounds", ids, {"fine": fine, "coarse": coarse})
    made = certify(tmp_path, QUICK)
    by_name = {r["partition"]: r["budgets"][0] for r in made["results"]}
    assert list(by_name) == ["fine", "coarse"]
    assert by_name["fine"]["worst_family"] == "p"
    assert by_name["fine"]["excess_family"]["estimate"] > by_name["coarse"]["excess_family"]["estimate"]
    assert by_name["fine"]["excess_average"] == by_name["coarse"]["excess_average"]  # one resample for both
    only = certify(tmp_path, paper(replicates=200, min_family=1, partitions=("coarse",)))
    assert [r["partition"] for r in only["results"]] == ["coarse"]


def test_the_order_of_rows_and_the_number_of_runs_change_no_byte(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    ids = [f"s{i:05d}" for i in range(200)]
    loss = rng.integers(0, 2, 200).tolist()
    made = []
    for i, order in enumerate((np.arange(200), rng.permutation(200))):
        run = tmp_path / str(i)
        for method, budget in (("uncompressed", 1.0), ("energy", 0.5)):
            rows = {
                "sample_id": [ids[j] for j in order],
                "query_family": ["ab"[j % 2] for j in order],
                "loss": [float(loss[j]) if method == "energy" else 0.0 for j in order],
            }
            write_cell(run, CellKey("tiny", "sounds", method, budget=budget), rows)
        made.append(certify(run, QUICK))
    again = certify(tmp_path / "0", QUICK)
    first, second = ({k: v for k, v in c.items() if k != "inputs"} for c in made)
    assert json.dumps(first) == json.dumps(second)
    assert json.dumps(made[0]) == json.dumps(again)


def test_a_cell_that_changes_before_its_other_columns_are_read_is_refused(tmp_path: Path) -> None:
    worlds.write_run(tmp_path, [0.0] * 9, {"energy": {0.5: [0.0] * 9}}, ["a"] * 9)
    key, files = next((key, files) for key, files in store.find_cells(tmp_path).items() if key.is_reference)
    cell = store.read_cell(tmp_path, key, files)
    (path,) = files
    assert sources.of_cell(cell, files, "source_id").source_id.equals(cell.source_id)
    pq.write_table(pq.read_table(path).append_column("clip", [["x"] * 9]), path)
    with pytest.raises(InputError, match="was changed while it was read"):
        sources.of_cell(cell, files, "clip")


@pytest.fixture
def signed(tmp_path: Path) -> Path:
    raw, compressed = flips(200, 9, 2)
    worlds.write_run(tmp_path, raw, {"energy": {0.5: compressed}}, ["a", "b"] * 100)
    return write(certify(tmp_path, QUICK), tmp_path, tmp_path)


def test_a_certificate_holds_until_something_changes(signed: Path) -> None:
    assert verify(signed) is None
    elsewhere = write(json.loads(signed.read_text()), signed.parent, signed.parent / "out" / "deep")
    assert verify(elsewhere) is None
    cell = next(signed.parent.glob("cells/**/method=energy/**/*.parquet"))
    data = bytearray(cell.read_bytes())
    data[len(data) // 2] ^= 1
    cell.write_bytes(data)
    assert "method=energy" in str(verify(signed))
    cell.unlink()
    assert "the file is gone" in str(verify(signed))


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (
            ("results", 0, "budgets", 0, "excess_average", "upper"),
            0.01,
            r"results\[0\]\.budgets\[0\]\.excess_average\.upper",
        ),
        (("results", 0, "certified", 0, "budget"), 0.5, r"results\[0\]\.certified\[0\]\.budget: .* says 0\.5"),
        (("results", 0, "budgets", 0, "plus"), 0, r"plus: the certificate says 0, the files give 9"),
        (("rule", "tolerances"), [0.2], "tolerance"),
        (("rule", "alpha"), 0.03, "alpha|excess_average|lower"),
        (("warnings",), [], "warnings"),
        (("results",), [], "results: the certificate has 0 entries"),
    ],
)
def test_an_edited_certificate_does_not_hold(signed: Path, path: tuple, value: object, expected: str) -> None:
    edited = json.loads(signed.read_text())
    place = edited
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    signed.write_text(json.dumps(edited))
    assert re.search(expected, str(verify(signed)))


def test_every_field_is_documented(tmp_path: Path) -> None:
    test_query_use_from_permuted_and_naive_streams(tmp_path / "a")
    test_two_answerers_cross_backbone_gain_and_architecture_gap(tmp_path / "b")
    documented = set(re.findall(r"`([a-z0-9_]+)`", DOCS.read_text()))
    packages = {"earmark", "python", "numpy", "pyarrow", "scipy"}
    for run in ("a", "b"):
        assert not _names(certify(tmp_path / run, QUICK)) - documented - packages


def _names(value: object) -> set[str]:
    if isinstance(value, dict):
        return {str(k) for k in value}.union(*(_names(v) for v in value.values()))
    if isinstance(value, list):
        return set().union(*(_names(v) for v in value))
    return set()


def _pick(entries: list[dict], **wanted: object) -> list[dict]:
    return [entry for entry in entries if all(entry[name] == value for name, value in wanted.items())]
