"""What was declared and what is done: a changed plan, another rule, budgets that are gone, certificates that follow."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import worlds
from as_json import certify
from commands import command

from earmark.engine.design.keys import NOT_ASKED, TOO_SHORT, CellKey
from earmark.engine.design.rule import Rule
from earmark.engine.errors import InputError, UncertifiableError
from earmark.engine.outcomes.plan_file import PLAN, labels_hash, plan_hash, rule_content
from earmark.engine.outcomes.store import write_cell, write_partitions

N = 300
RULE = Rule(replicates=200)
IDS = [f"s{i:05d}" for i in range(N)]
LABELS = {"task": ["a"] * 150 + ["b"] * 150}


def planned(run: Path, budgets: dict[float, int], rule: Rule = RULE, labels: dict[str, list[str]] = LABELS) -> Path:
    """A run as a sweep leaves it: a plan, its hash in every cell, and so many errors at each budget."""
    curves = [["m", 0, "anchor"]]
    content = {
        "schema": "earmark.sweep/3",
        "spec": "0" * 64,
        "corpus": {"name": "sounds", "examples": N, "recordings": N, "windows": 1, "sha256": "1" * 64},
        "window": 64,
        "answerers": ["tiny"],
        "methods": {"m": {"compressor": "chunks", "stage": "waves", "axis": "seconds"}},
        "compressors": {},
        "levels": [
            {"name": "raw", "budget": 1.0, "curves": [["uncompressed", 0, "anchor"]]},
            *({"name": f"anchor-{b!r}", "budget": b, "curves": curves} for b in sorted(budgets, reverse=True)),
        ],
        "labels": {name: labels_hash(dict(zip(IDS, of, strict=True))) for name, of in labels.items()},
        "rule": rule_content(rule, list(labels)),
    }
    run.mkdir(parents=True)
    (run / PLAN).write_text(json.dumps(content))
    for key, errors in [
        (CellKey("tiny", "sounds", "uncompressed"), 0),
        *((CellKey("tiny", "sounds", "m", budget=b), errors) for b, errors in budgets.items()),
    ]:
        loss = [1.0] * errors + [0.0] * (N - errors)
        rows = {"sample_id": IDS, "query_family": ["x"] * N, "loss": loss}
        write_cell(run, key, rows, plan=plan_hash(content))
    write_partitions(run, "sounds", IDS, labels)
    return run


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads(path.read_bytes())
    change(content)
    path.write_text(json.dumps(content))


def refused_first(run: Path, words: str, *options: object) -> None:
    """`certify` names it before anything else and does not exit with 0; `verify` agrees with what was written."""
    done = command("certify", run, "--replicates", 200, *options)
    assert done.code == 3
    assert done.out.splitlines()[0] == f"nothing is approved: {words}"
    made = json.loads((run / "certificate.json").read_bytes())
    assert made["claim"]["approved"] == []
    assert made["warnings"][0] == words
    assert command("verify", run / "certificate.json").code == 0


def test_what_was_declared_and_done_alike_is_approved(tmp_path: Path) -> None:
    run = planned(tmp_path / "run", {0.9: 0, 0.5: 0})
    done = command("certify", run, "--replicates", 200)
    assert (done.code, done.out.splitlines()[0]) == (0, "approved: m at budget 0.5; every family within 0.05")
    assert json.loads((run / "certificate.json").read_bytes())["declared"] == {
        "plan": plan_hash(json.loads((run / PLAN).read_bytes())), "differences": []
    }  # fmt: skip


def test_a_declared_budget_without_a_cell_ends_the_walk_there(tmp_path: Path) -> None:
    run = planned(tmp_path / "run", {0.9: 0, 0.7: 60, 0.5: 0})
    shutil.rmtree(run / str(CellKey("tiny", "sounds", "m", budget=0.7)))
    (result,) = (made := certify(run, RULE))["results"]
    decisions = {b["budget"]: b["decisions"][0] for b in result["budgets"]}
    assert [decisions[b]["decision"] for b in (0.5, 0.9, 1.0)] == ["inconclusive", "approve", "approve"]
    assert decisions[0.5]["reason"].endswith("stopped at 0.7, which was declared and has no outcomes")
    assert made["claim"]["approved"] == [{"candidate": "m", "kind": "budget", "budget": 0.9, "retained": 0.9}]
    assert result["certified"][0]["first_failure"]["missing"] is True
    shutil.rmtree(run / str(CellKey("tiny", "sounds", "m", budget=0.9)))
    done = command("certify", run, "--replicates", 200)
    assert done.code == 3
    assert "budget 0.9 was declared and has no outcomes" in done.out


def test_verify_finds_that_a_budget_was_deleted(tmp_path: Path) -> None:
    run = planned(tmp_path / "run", {0.9: 0, 0.7: 60, 0.5: 0})
    assert command("certify", run, "--replicates", 200).code == 0
    shutil.rmtree(run / str(CellKey("tiny", "sounds", "m", budget=0.7)))
    done = command("verify", run / "certificate.json")
    assert (done.code, "the file is gone" in done.out) == (1, True)


def test_a_declared_seed_without_cells_is_not_passed_over(tmp_path: Path) -> None:
    run = planned(tmp_path / "run", {0.9: 0})
    edit(run / PLAN, lambda plan: plan["levels"][1]["curves"].append(["m", 7, "anchor"]))
    (one,) = certify(run, RULE)["claim"]["candidates"]
    assert (one["seeds"], one["budget"], one["stopped"]["seed"]) == ([0, 7], None, 7)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--alpha", 0.05], "The plan declared alpha = 0.025, and this is signed off with 0.05."),
        (["--tolerance", 0.1], "The plan declared tolerances = 0.05, and this is signed off with 0.1."),
        (["--candidate", "m"], "The plan declared candidates = nothing, and this is signed off with m."),
        (["--claim", "routing"], "The plan declared claim = budget, and this is signed off with routing."),
        (
            ["--partition", "query_family"],
            "The plan declared partitions = task, and this is signed off with query_family.",
        ),
        (["--clustering", "ignore"], "The plan declared clustering = source, and this is signed off with ignore."),
    ],
    ids=lambda value: str(value[0]) if isinstance(value, list) else "",
)
def test_another_rule_than_declared_is_named_first_and_approves_nothing(
    tmp_path: Path, options: list[object], words: str
) -> None:
    refused_first(planned(tmp_path / "run", {0.9: 0}), words, *options)


def test_what_only_describes_may_differ(tmp_path: Path) -> None:
    run = planned(tmp_path / "run", {0.9: 0})
    options = ("--replicates", 300, "--seed", 7, "--max-error-rate", 0.1)
    assert command("certify", run, *options).code == 0


def test_a_plan_that_was_edited_no_longer_fits_its_cells(tmp_path: Path) -> None:
    run = planned(tmp_path / "run", {0.9: 0})
    edit(run / PLAN, lambda plan: plan["rule"].update(alpha=0.1))
    cell = CellKey("tiny", "sounds", "m", budget=0.9)
    words = (
        f"2 of 2 cells were not written under this plan.json ({cell}): it was changed afterwards, or they are of "
        "another run."
    )
    refused_first(run, words, "--alpha", 0.1)


def test_a_plan_that_is_gone_is_missed(tmp_path: Path) -> None:
    run = planned(tmp_path / "run", {0.9: 0})
    (run / PLAN).unlink()
    refused_first(run, "The cells were written under a plan.json that is not here: nobody can tell what was declared.")


def test_families_that_were_changed_afterwards_are_found(tmp_path: Path) -> None:
    run = planned(tmp_path / "run", {0.9: 0})
    write_partitions(run, "sounds", IDS, {"task": ["a"] * 100 + ["b"] * 200})
    refused_first(run, "Families of partition 'task' are not those that the plan declared.")


def test_a_raw_or_silent_cell_that_was_declared_and_is_gone_is_named_first(tmp_path: Path) -> None:
    run = planned(tmp_path / "run", {0.9: 0})
    edit(run / PLAN, lambda plan: plan["levels"].insert(1, SILENCE))
    restamp(run)
    cell = CellKey("tiny", "sounds", "silence")
    refused_first(run, f"1 cells that the plan declared are not here ({cell}).")


def test_a_part_of_the_rows_approves_nothing(tmp_path: Path) -> None:
    run = planned(tmp_path / "run", {0.9: 0})
    edit(run / PLAN, lambda plan: plan["corpus"].update(examples=2000))
    restamp(run)
    refused_first(run, "The plan declared 2,000 rows of sounds, and there are 300.")


def test_a_declared_answerer_without_any_cell_is_a_candidate_that_did_not_pass(tmp_path: Path) -> None:
    run = planned(tmp_path / "run", {0.9: 0})
    edit(run / PLAN, lambda plan: plan["answerers"].append("other"))
    restamp(run)
    made = certify(run, RULE)
    assert [(c["answerer"], c["budget"]) for c in made["claim"]["candidates"]] == [("other", None), ("tiny", 0.9)]
    assert made["claim"]["k"] == 2


SILENCE = {"name": "silence", "budget": 1.0, "curves": [["silence", 0, "anchor"]]}


def restamp(run: Path) -> None:
    """Write every cell again under the plan as it is now: nothing but the plan's content is amiss then."""
    digest = plan_hash(json.loads((run / PLAN).read_bytes()))
    for part in sorted((run / "cells").rglob("*.parquet")):
        table = pq.read_table(part)
        pq.write_table(table.replace_schema_metadata({**table.schema.metadata, b"earmark.plan": digest.encode()}), part)


# Failed rows ---------------------------------------------------------------------------------------------------


def test_failed_rows_are_harm_on_either_side_and_only_those_asked_count_as_failures(tmp_path: Path) -> None:
    raw_status = ["audio: broken"] * 5 + ["ok"] * (N - 5)
    status = [NOT_ASKED + "audio: broken"] * 5 + [TOO_SHORT + "not one audio token"] * 3 + ["out of memory"] * 2
    status += ["ok"] * (N - 10)
    loss = [None] * 10 + [0.0] * (N - 10)
    raw_loss = [None] * 5 + [1.0] * 5 + [0.0] * (N - 10)  # wrong on raw audio, too, where compressed audio failed
    columns = {
        ("uncompressed", 1.0): {"status": raw_status, "loss": raw_loss},
        ("m", 0.5): {"status": status, "loss": loss},
    }
    run = worlds.write_run(tmp_path, [0.0] * N, {"m": {0.5: [0.0] * N}}, ["x"] * N, per_cell=columns)
    with pytest.raises(UncertifiableError, match=r"5 of 300 rows that were asked .* declare --max-error-rate 0\.0167"):
        certify(run, RULE)
    made = certify(run, Rule(replicates=200, max_error_rate=0.02))
    half = made["results"][0]["budgets"][0]
    assert (half["plus"], half["minus"]) == (10, 0)
    assert [(e["errors"], e["not_asked"], e["too_short"]) for e in made["errors"]] == [(5, 0, 0), (2, 5, 3)]
    implied = made["results"][0]["budgets"][-1]
    assert (implied["plus"], implied["excess_average"]["upper"]) == (0, 0.0)
    said = " ".join(made["warnings"])
    assert "5 rows that were not asked, because raw audio had failed, in 1 cells count as harm" in said


def test_consistency_is_whole_where_nothing_was_compressed(tmp_path: Path) -> None:
    columns = {
        ("uncompressed", 1.0): {"status": ["broken"] * 3 + ["ok"] * (N - 3), "loss": [None] * 3 + [0.0] * (N - 3)},
    }
    answers = {"predicted_label": ["A"] * N}
    run = worlds.write_run(tmp_path, [0.0] * N, {"m": {0.5: [0.0] * N}}, ["x"] * N, per_cell=columns, columns=answers)
    budgets = certify(run, Rule(replicates=200, max_error_rate=0.02))["results"][0]["budgets"]
    assert [b["answer_consistency"] for b in budgets] == [pytest.approx(1 - 3 / N), 1.0]


# References ----------------------------------------------------------------------------------------------------


def test_a_naive_stream_needs_a_raw_reference_of_its_own(tmp_path: Path) -> None:
    loss = {0.5: [0.0] * 60}
    worlds.write_run(tmp_path, [0.0] * 60, {"m_conditioned": loss}, ["a", "b"] * 30)
    worlds.write_run(tmp_path, None, {"m_conditioned": loss}, ["a", "b"] * 30, stream="naive-global-1")
    with pytest.raises(InputError, match="has no raw reference of its own, and the anchor's is of other questions"):
        certify(tmp_path, RULE)


def test_self_full_reaches_permuted_streams(tmp_path: Path) -> None:
    loss = {0.5: [0.0] * 60, 1.0: [0.0] * 60}
    worlds.write_run(tmp_path, None, {"m_conditioned": loss, "m_agnostic": loss}, ["a", "b"] * 30)
    worlds.write_run(tmp_path, None, {"m_conditioned": {0.5: [0.0] * 60}}, ["a", "b"] * 30, stream="permuted-global-1")
    made = certify(tmp_path, Rule(name="paper", replicates=200, min_family=1))
    assert [entry["protocol"] for entry in made["audits"]["query_use"]] == ["decoupled", "decoupled"]


def test_an_unfinished_stream_is_left_out_alone(tmp_path: Path) -> None:
    loss, labels = {0.5: [0.0] * 60, 0.8: [0.0] * 60}, ["a", "b"] * 30
    for seed in (1, 2):
        for stream, budgets in (("anchor", loss), ("permuted-global-1", loss if seed == 1 else {0.8: [0.0] * 60})):
            worlds.write_run(tmp_path, None, {"m_conditioned": budgets}, labels, seed=seed, stream=stream)
        worlds.write_run(tmp_path, None, {"m_agnostic": loss}, labels, seed=seed)
    worlds.write_run(tmp_path, [0.0] * 60, {}, labels)
    made = certify(tmp_path, Rule(name="paper", replicates=200, min_family=1))
    assert {tuple(entry["seeds"]) for entry in made["audits"]["query_use"]} == {(1,)}


def test_nothing_binds_a_chain_in_which_nothing_is_harmed(tmp_path: Path) -> None:
    run = worlds.write_run(tmp_path, [0.0] * 60, {"m": {0.5: [0.0] * 60}}, ["a", "b"] * 30)
    made = certify(run, Rule(name="paper", replicates=200, min_family=1))
    assert [chain["bottleneck"] for chain in made["chains"]] == [None]


# Chains of certificates ----------------------------------------------------------------------------------------


def looked(run: Path, names: range, errors: int = 0) -> Path:
    """A run of rows with these names."""
    n = len(names)
    for key, of in (
        (CellKey("tiny", "sounds", "uncompressed"), 0),
        (CellKey("tiny", "sounds", "m", budget=0.5), errors),
    ):
        rows = {
            "sample_id": [f"s{i}" for i in names], "query_family": ["x"] * n, "loss": [1.0] * of + [0.0] * (n - of)
        }  # fmt: skip
        write_cell(run, key, rows)
    return run


def test_new_rows_alone_follow_a_refusal_and_the_chain_says_what_it_spent(tmp_path: Path) -> None:
    first = looked(tmp_path / "first", range(200), errors=7)
    assert command("certify", first, "--replicates", 200).code == 3
    second = looked(tmp_path / "second", range(1000, 1400), errors=2)
    done = command("certify", second, "--replicates", 200, "--follows", first / "certificate.json")
    assert done.code == 0
    assert "at most 0.025; with the certificates before, 0.05" in done.out
    made = json.loads((second / "certificate.json").read_bytes())
    assert (made["follows"]["alpha_spent"], made["follows"]["checked"]) == (0.05, True)
    assert made["follows"]["certificate"] == "../first/certificate.json"
    assert command("verify", second / "certificate.json").code == 0
    edit(first / "certificate.json", lambda c: c["made_by"].update(python="0"))
    verified = command("verify", second / "certificate.json")
    assert (verified.code, "follows.sha256" in verified.out) == (1, True)


def test_rows_that_were_judged_are_not_judged_again(tmp_path: Path) -> None:
    first = looked(tmp_path / "first", range(200), errors=7)
    command("certify", first, "--replicates", 200)
    grown = looked(tmp_path / "grown", range(400), errors=7)
    done = command("certify", grown, "--replicates", 200, "--follows", first / "certificate.json")
    assert done.code == 2
    assert "was made of 200 of the 400 recordings ('s0'" in done.err


def test_a_chain_is_compared_as_a_whole_and_by_the_recordings_that_count(tmp_path: Path) -> None:
    first, second = (
        looked(tmp_path / "first", range(200), errors=7),
        looked(tmp_path / "second", range(500, 700), errors=7),
    )
    command("certify", first, "--replicates", 200)
    command("certify", second, "--replicates", 200, "--follows", first / "certificate.json")
    third = looked(tmp_path / "third", range(150, 450))
    done = command("certify", third, "--replicates", 200, "--follows", second / "certificate.json")
    assert (done.code, "was made of 50 of the 300 recordings" in done.err) == (2, True)
    new = looked(tmp_path / "new", range(800, 1100))
    shutil.rmtree(first / "cells")
    gone = command("certify", new, "--replicates", 200, "--follows", second / "certificate.json")
    assert gone.code == 3
    assert gone.out.startswith("nothing is approved: A run that was certified before is not here")


def test_a_certificate_is_not_replaced_by_the_one_that_follows_it(tmp_path: Path) -> None:
    run = looked(tmp_path / "run", range(200), errors=7)
    command("certify", run, "--replicates", 200, "--looks", 2)
    before = (run / "certificate.json").read_bytes()
    done = command("certify", run, "--replicates", 200, "--looks", 2, "--follows", run / "certificate.json")
    assert (done.code, "would be replaced by the certificate that follows it" in done.err) == (2, True)
    assert (run / "certificate.json").read_bytes() == before
    edit(run / "certificate.json", lambda c: c["rule"].update(alpha="x"))
    done = command("certify", looked(tmp_path / "other", range(300, 600)), "--follows", run / "certificate.json")
    assert (done.code, "certificate.json rule.alpha: must be a number" in done.err) == (2, True)


def test_declared_growth_divides_alpha(tmp_path: Path) -> None:
    first = looked(tmp_path / "first", range(200), errors=7)
    assert command("certify", first, "--replicates", 200, "--looks", 2).code == 3
    grown = looked(tmp_path / "grown", range(600), errors=9)
    done = command("certify", grown, "--replicates", 200, "--looks", 2, "--follows", first / "certificate.json")
    assert done.code == 0
    made = json.loads((grown / "certificate.json").read_bytes())
    assert (made["claim"]["alpha"], made["follows"]["look"], made["follows"]["alpha_spent"]) == (0.0125, 2, 0.025)
    third = looked(tmp_path / "third", range(700))
    again = command("certify", third, "--replicates", 200, "--looks", 2, "--follows", grown / "certificate.json")
    assert (again.code, "was look 2 of 2 that were declared" in again.err) == (2, True)


def test_declared_growth_is_judged_by_one_rule_on_rows_that_grow(tmp_path: Path) -> None:
    first = looked(tmp_path / "first", range(200), errors=7)
    command("certify", first, "--replicates", 200, "--looks", 2)
    arguments = ("--replicates", 200, "--looks", 2, "--follows", first / "certificate.json")
    other = command("certify", looked(tmp_path / "grown", range(600)), *arguments, "--alpha", 0.2)
    assert (other.code, "declared another alpha" in other.err) == (2, True)
    lost = command("certify", looked(tmp_path / "lost", range(100, 700)), *arguments)
    assert (lost.code, "judged recordings that are not here" in lost.err) == (2, True)
