"""Budgets that logs say themselves, and families and questions that a person declares."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import log_fixtures as logs
import pytest
from commands import command
from importing import cells, imported, refused

from earmark.engine.outcomes.imports.arguments import of_place
from earmark.engine.outcomes.imports.logs import parse_arm
from earmark.engine.outcomes.imports.rows import Argument

ACC = ("--family", "doc.category", "--metric", "acc", "--source", "none")
MODEL = "pretrained=Qwen/Qwen2-Audio"


def lm_eval(folder: Path, model_args: Any, answers: logs.Answers = logs.COMPRESSED, **rest: str) -> Path:
    logs.write_lm_eval(folder, logs.lm_eval_choice(answers), model_args=model_args, **rest)
    return folder


def with_config(folder: Path, **config: Any) -> Path:
    """The same log with more in the configuration of its results file."""
    path = next(folder.rglob("results_*.json"))
    results = json.loads(path.read_text())
    path.write_text(json.dumps(results | {"config": results["config"] | config}))
    return folder


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return lm_eval(tmp_path / "raw", MODEL, logs.RAW)


# Budgets ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model_args", "config", "options", "read"),
    [
        (f"{MODEL},method=energy,budget=0.4", {}, (), "method=energy (model_args), budget=0.4 (model_args)"),
        ({"pretrained": "Qwen/Qwen2-Audio", "method": "energy", "budget": 0.4}, {}, (), "budget=0.4 (model_args)"),
        (f"{MODEL},method=energy", {"gen_kwargs": "temperature=0,budget=.40"}, (), "budget=.40 (gen_kwargs)"),
        (f"{MODEL},budget=4e-1,method=energy", {"gen_kwargs": {"budget": 0.4}}, (), "budget=4e-1 (model_args)"),
        (
            f"{MODEL},keep=0.4,by=energy",
            {},
            ("--budget-arg", "keep", "--method-arg", "by"),
            "by=energy (model_args), k",
        ),
        (f"{MODEL},budget=4096,keep=0.4,method=energy", {}, ("--budget-arg", "keep"), "keep=0.4 (model_args)"),
    ],
)
def test_a_log_alone_is_read_for_its_method_and_budget(
    tmp_path: Path, raw: Path, model_args: Any, config: dict[str, Any], options: Sequence[str], read: str
) -> None:
    compressed = with_config(lm_eval(tmp_path / "c40", model_args), **config)
    done = imported("lm-eval", raw, compressed, "--out", tmp_path / "run", *ACC, *options)
    assert f"read from {next(compressed.rglob('samples_*'))}: " in done.output
    assert read in done.output
    assert set(cells(tmp_path / "run")) == {"uncompressed@1@0", "energy@0.4@0"}


def test_a_method_may_be_typed_and_the_budget_read(tmp_path: Path, raw: Path) -> None:
    compressed = lm_eval(tmp_path / "c40", f"{MODEL},method=something,budget=0.4")
    imported("lm-eval", raw, f"energy={compressed}", "--out", tmp_path / "run", *ACC)
    assert "energy@0.4@0" in cells(tmp_path / "run")


def test_inspect_says_it_in_any_of_its_arguments(tmp_path: Path) -> None:
    raw = logs.write_inspect_json(tmp_path / "raw.json", logs.inspect_samples(logs.RAW))
    compressed = logs.write_inspect_json(tmp_path / "c40.json", logs.inspect_samples(logs.COMPRESSED))
    log = json.loads(compressed.read_text())
    log["eval"] |= {"model_args": {"method": "energy"}, "task_args": {"budget": 0.4}, "metadata": {"budget": "0.40"}}
    compressed.write_text(json.dumps(log))
    rest = ("--out", tmp_path / "run", "--family", "metadata.task", "--source", "metadata.recording")
    done = imported("inspect", raw, compressed, *rest)
    assert f"read from {compressed}: method=energy (model_args), budget=0.4 (task_args)" in done.output
    assert "energy@0.4@0" in cells(tmp_path / "run")


@pytest.mark.parametrize(
    ("model_args", "config", "arm", "words"),
    [
        (MODEL, {}, "{}", "does not say its method: no argument 'method' (its arguments are 'pretrained'); write"),
        (f"{MODEL},method=energy", {}, "{}", "does not say its budget: no argument 'budget' (its arguments are 'pretr"),
        (MODEL, {}, "energy={}", "does not say its budget: no argument 'budget'"),
        (f"{MODEL},budget=0.4,method=e", {"gen_kwargs": "budget=0.2"}, "{}", "says its budget in two ways (model_args b"
         "udget=0.4 and gen_kwargs budget=0.2); write METHOD@BUDGET=LOG, or name it with --budget-arg"),
        (f"{MODEL},budget=4096,method=e", {}, "{}", "its model_args say budget=4096, which is no budget in (0, 1]"),
        (f"{MODEL},budget=0,method=e", {}, "{}", "its model_args say budget=0, which is no budget"),
        (f"{MODEL},budget=nan,method=e", {}, "{}", "its model_args say budget=nan, which is no budget"),
        (f"{MODEL},budget=0.2", {}, "e@0.4={}", "is named as budget 0.4, but its model_args say budget=0.2; correct"),
        (MODEL, {"gen_kwargs": {"budget": 0.2}}, "e@0.4={}", "is named as budget 0.4, but its gen_kwargs say budget"),
    ],
)  # fmt: skip
def test_refuses_budgets_that_nobody_says_or_that_contradict_each_other(
    tmp_path: Path, raw: Path, model_args: str, config: dict[str, Any], arm: str, words: str
) -> None:
    compressed = with_config(lm_eval(tmp_path / "c40", model_args), **config)
    assert words in refused("lm-eval", raw, arm.format(compressed), "--out", tmp_path / "run", *ACC)
    assert not (tmp_path / "run").exists()


def test_an_argument_that_is_no_share_contradicts_nothing(tmp_path: Path, raw: Path) -> None:
    compressed = lm_eval(tmp_path / "c40", f"{MODEL},budget=4096")
    imported("lm-eval", raw, f"energy@0.4={compressed}", "--out", tmp_path / "run", *ACC)


def test_the_raw_log_must_not_be_of_compressed_audio(tmp_path: Path) -> None:
    raw = lm_eval(tmp_path / "raw", f"{MODEL},budget=0.4", logs.RAW)
    compressed = lm_eval(tmp_path / "c40", f"{MODEL},budget=0.2,method=energy")
    line = refused("lm-eval", raw, compressed, "--out", tmp_path / "run", *ACC)
    assert (
        "is named as the log of raw audio, but its model_args say budget=0.4; name the log of raw audio first" in line
    )
    with_config(lm_eval(raw, f"{MODEL},budget=1.0", logs.RAW))
    imported("lm-eval", raw, compressed, "--out", tmp_path / "run", *ACC)


def test_a_log_that_lacks_what_the_others_of_its_folder_say_is_refused(tmp_path: Path) -> None:
    for name, answers in (("raw", logs.RAW), ("c40", logs.COMPRESSED)):
        for task in ("sound", "speech"):
            path = logs.write_inspect_json(tmp_path / name / f"2026-01-02T03-04-05+00-00_{task}_x.json", [], task=task)
            log = json.loads(path.read_text())
            log["samples"] = logs.inspect_samples(answers)
            if name == "c40":
                log["eval"] |= {"task_args": {"budget": 0.4} | ({"method": "energy"} if task == "sound" else {})}
            path.write_text(json.dumps(log))
    rest = ("--corpus", "c", "--source", "none", "--out", tmp_path / "run")
    line = refused("inspect", tmp_path / "raw", tmp_path / "c40", *rest)
    words = (
        f"speech_x.json: does not say method, and other logs of {tmp_path / 'c40'} say method=energy; take it out, or"
    )
    assert words in line
    imported("inspect", tmp_path / "raw", f"energy={tmp_path / 'c40'}", *rest)
    assert list(cells(tmp_path / "run")) == ["energy@0.4@0", "uncompressed@1@0"]


@pytest.mark.parametrize("typed", ["40%", "40.0%", "0.4", ".4", "4e-1"])
def test_a_budget_may_be_typed_as_a_share_or_per_cent(typed: str) -> None:
    arm = parse_arm(f"opus@{typed}@3=log.csv")
    assert (arm.method, arm.budget, arm.seed) == ("opus", 0.4, 3)


# A folder of everything ------------------------------------------------------------------------------------


def test_a_folder_of_all_logs_is_enough_where_they_say_which_is_which(tmp_path: Path) -> None:
    everything = tmp_path / "all"
    model_args = (MODEL, f"{MODEL},method=energy,budget=0.4", f"{MODEL},method=energy,budget=0.2")
    for i, args in enumerate(model_args):
        lm_eval(everything, args, logs.RAW if i == 0 else logs.COMPRESSED, date=f"2026-01-02T03-04-0{i}.5")
    done = imported("lm-eval", everything, "--out", tmp_path / "run", *ACC)
    assert list(cells(tmp_path / "run")) == ["energy@0.2@0", "energy@0.4@0", "uncompressed@1@0"]
    assert "method=energy (model_args), budget=0.2 (model_args)" in done.output
    lm_eval(everything, model_args[1], date="2026-01-02T03-04-09.5")
    line = refused("lm-eval", everything, "--out", tmp_path / "again", *ACC)
    assert "holds two logs of task 'sounds'" in line


@pytest.mark.parametrize(
    ("model_args", "kind", "words"),
    [
        (MODEL, "lm-eval", "holds no log of compressed audio: none says a 'budget'; name the log of raw audio, then"),
        (f"{MODEL},budget=0.4,method=e", "lm-eval", "holds no log of raw audio: each says a 'budget'; name"),
        (f"{MODEL},budget=0.4", "lm-eval", "does not say its method: no argument 'method'"),
        (f"{MODEL},budget=4096", "lm-eval", "does not say its method"),
        (f"{MODEL},budget=4096,method=e", "lm-eval", "say budget=4096, which is no budget in (0, 1]"),
        (MODEL, "csv", "is the only log that is named; name the log of raw audio, then METHOD@BUDGET=LOG for each"),
        (f"{MODEL},budget=1", "lm-eval", "holds no log of compressed audio"),
        (f"{MODEL},budget=1,method=e", "lm-eval", "holds no log of raw audio"),
    ],
)
def test_refuses_a_folder_that_does_not_say_which_is_which(
    tmp_path: Path, model_args: str, kind: str, words: str
) -> None:
    folder = lm_eval(tmp_path / "all", model_args)
    assert words in refused(kind, folder, "--out", tmp_path / "run", *ACC)
    assert "is the only log that is named" in refused(
        "lm-eval", next(folder.rglob("samples*")), "--out", tmp_path / "run"
    )


@pytest.mark.parametrize("arm", ["{}", "energy={}"])
def test_a_table_has_no_arguments(tmp_path: Path, arm: str) -> None:
    paths = [logs.write_csv(tmp_path / f"{name}.csv", logs.table(logs.RAW)) for name in ("raw", "c40")]
    rest = ("--corpus", "c", "--answerer", "a", "--out", tmp_path / "run")
    assert "is not METHOD@BUDGET=LOG; write" in refused("csv", paths[0], arm.format(paths[1]), *rest)


def test_a_log_with_equals_signs_in_its_name_is_a_log_where_it_is_there(tmp_path: Path) -> None:
    path = tmp_path / "budget=0.4"
    path.touch()
    assert parse_arm(str(path)).path == path
    assert parse_arm(str(path)).method is None


@pytest.mark.parametrize(
    ("value", "arguments"),
    [
        ("a=1,b=x=y, c=2,d", [("a", "1"), ("b", "x=y"), ("c", "2")]),
        ({"a": 1, "b": [2], "c": None, "d": True, "e": 0.5}, [("a", 1), ("e", 0.5)]),
        (None, []),
        (["a=1"], []),
    ],
)
def test_arguments_are_texts_or_mappings(value: Any, arguments: list[tuple[str, Any]]) -> None:
    assert list(of_place("model_args", value)) == [Argument("model_args", *argument) for argument in arguments]


# Several tasks ---------------------------------------------------------------------------------------------


def two_tasks(folder: Path, answers: logs.Answers, *, second: logs.Answers | None = None, **model: str) -> Path:
    logs.write_lm_eval(folder, logs.lm_eval_choice(answers))
    logs.write_lm_eval(folder, logs.lm_eval_choice(second or answers), task="speech", **model)
    return folder


SEVERAL = ("--metric", "acc", "--source", "none", "--corpus", "clips")


def test_several_tasks_are_one_corpus_whose_samples_carry_their_task(tmp_path: Path) -> None:
    raw, c40 = two_tasks(tmp_path / "raw", logs.RAW), two_tasks(tmp_path / "c40", logs.COMPRESSED)
    imported("lm-eval", raw, f"energy@0.4={c40}", "--out", tmp_path / "run", *SEVERAL)
    rows = cells(tmp_path / "run")["energy@0.4@0"]
    ids = [f"{task}/{i}" for task in ("sounds", "speech") for i in range(6)]
    assert [row["sample_id"] for row in rows] == [row["source_id"] for row in rows] == ids
    assert [row["query_family"] for row in rows] == ["sounds"] * 6 + ["speech"] * 6


def test_a_recording_that_is_named_may_be_that_of_several_tasks(tmp_path: Path) -> None:
    raw, c40 = two_tasks(tmp_path / "raw", logs.RAW), two_tasks(tmp_path / "c40", logs.COMPRESSED)
    rest = (*SEVERAL, "--source", "doc.audio.path", "--family", "doc.category")
    imported("lm-eval", raw, f"energy@0.4={c40}", "--out", tmp_path / "run", *rest)
    rows = cells(tmp_path / "run")["energy@0.4@0"]
    assert {row["source_id"] for row in rows} == {"a.wav", "b.wav", "c.wav"}
    assert {row["query_family"] for row in rows} == {"sound", "speech"}


def test_doubts_are_about_single_tasks(tmp_path: Path) -> None:
    raw = two_tasks(tmp_path / "raw", logs.RAW, second=(1,) * 6)
    c40 = two_tasks(tmp_path / "c40", logs.COMPRESSED)
    done = imported("lm-eval", raw, f"energy@0.4={c40}", "--out", tmp_path / "run", *SEVERAL)
    assert f"look at this: {raw}: task 'speech': every answer to raw audio is '1', though the right" in done.output


def test_refuses_tasks_that_differ_or_have_no_common_name(tmp_path: Path) -> None:
    raw, c40 = two_tasks(tmp_path / "raw", logs.RAW), two_tasks(tmp_path / "c40", logs.COMPRESSED)
    rest = ("--out", tmp_path / "run", *SEVERAL)
    line = refused("lm-eval", raw, f"energy@0.4={c40}", *rest[:-2])
    assert "does not name its task (it has several: 'sounds', 'speech'); name it with --corpus" in line
    lonely = lm_eval(tmp_path / "lonely", MODEL)
    for options in ((), ("--common",)):
        line = refused("lm-eval", raw, f"energy@0.4={lonely}", *rest, *options)
        assert f"is not of the tasks of {raw}: it lacks 'speech'; give the logs of the same tasks" in line
        backwards = ("lm-eval", lonely, f"energy@0.4={c40}", *rest, "--family", "none")
        assert "it has 'speech'" in refused(*backwards, *options)
    other = two_tasks(tmp_path / "other", logs.RAW, model="Qwen/Qwen2.5-Omni")
    assert "holds logs of 2 models ('Qwen/Qwen2-Audio', " in refused("lm-eval", other, f"energy@0.4={c40}", *rest)
    imported("lm-eval", other, f"energy@0.4={c40}", *rest, "--answerer", "qwen")


def test_a_file_of_the_raw_folder_is_named_twice(tmp_path: Path) -> None:
    raw = two_tasks(tmp_path / "raw", logs.RAW)
    line = refused("lm-eval", raw, f"energy@0.4={raw / 'Qwen__Qwen2-Audio'}", "--out", tmp_path / "run", *SEVERAL)
    assert "this log is named twice" in line


# Common questions ------------------------------------------------------------------------------------------


def short(folder: Path, answers: logs.Answers, *places: int) -> Path:
    """A log that lacks some of the questions."""
    rows = [row for i, row in enumerate(logs.lm_eval_choice(answers)) if i not in places]
    return logs.write_lm_eval(folder, rows)


def test_common_questions_are_compared_and_what_is_left_out_is_certified(tmp_path: Path, raw: Path) -> None:
    c40, c20 = short(tmp_path / "c40", logs.COMPRESSED, 0), short(tmp_path / "c20", logs.COMPRESSED, 0, 3)
    arms = ("lm-eval", raw, f"energy@0.4={c40}", f"energy@0.2={c20}", "--out", tmp_path / "run", *ACC)
    assert "run both arms on the same samples, or compare those in all logs alone with --common" in refused(*arms)
    doubt = (
        "of 6 questions only the 4 that all logs hold are compared (--common). Left out: 1 of 3 'sound', 1 of 3 "
        "'speech'; energy@0.2 lacks 2, energy@0.4 lacks 1. What these questions would have shown nobody knows"
    )
    done = imported(*arms, "--common")
    assert doubt in done.output
    assert {name: len(rows) for name, rows in cells(tmp_path / "run").items()} == {
        "uncompressed@1@0": 4, "energy@0.4@0": 4, "energy@0.2@0": 4,
    }  # fmt: skip
    assert doubt in command("certify", tmp_path / "run", "--replicates", 200).out


def test_logs_of_the_same_questions_have_nothing_left_out(tmp_path: Path, raw: Path) -> None:
    c40 = lm_eval(tmp_path / "c40", MODEL)
    done = imported("lm-eval", raw, f"energy@0.4={c40}", "--out", tmp_path / "run", *ACC, "--common")
    assert "--common" not in done.output


def test_refuses_logs_that_share_no_question(tmp_path: Path) -> None:
    raw = short(tmp_path / "raw", logs.RAW, 0, 1, 2)
    c40 = short(tmp_path / "c40", logs.COMPRESSED, 3, 4, 5)
    line = refused("lm-eval", raw, f"energy@0.4={c40}", "--out", tmp_path / "run", *ACC, "--common")
    assert "--common: no question is in all of the logs; check --id" in line


# A model that hears nothing --------------------------------------------------------------------------------


def deaf(path: Path, columns: Sequence[str]) -> Path:
    """800 questions with four options, all of which are answered A."""
    rows = [
        {"sample_id": i, "query_family": "ab"[i // 4 % 2], "loss": float(i % 4 > 0), "predicted_label": "A",
         "correct_label": "ABCD"[i % 4], "n_options": 4}
        for i in range(800)
    ]  # fmt: skip
    return logs.write_csv(path, [{column: row[column] for column in columns} for row in rows])


LOSSES = ("sample_id", "query_family", "loss")
ANSWERS = (*LOSSES, "predicted_label", "correct_label")


@pytest.mark.parametrize("columns", [ANSWERS, (*ANSWERS, "n_options")], ids=["answers", "options"])
def test_a_deaf_model_that_was_imported_is_refused(tmp_path: Path, columns: Sequence[str]) -> None:
    arms = (deaf(tmp_path / "raw.csv", columns), f"energy@0.4={deaf(tmp_path / 'c40.csv', columns)}")
    done = command("import", "csv", *arms, "--corpus", "c", "--answerer", "a", "--out", tmp_path / "run")
    assert "every answer to raw audio is 'A', though the right answers differ" in done.err
    certified = command("certify", tmp_path / "run", "--tolerance", 0.05, "--replicates", 200)
    assert certified.code == 3
    assert "refused: energy: 'a' (25% right on raw audio" in certified.out
    assert "is one answer to nearly everything" in certified.out
    assert "every answer to raw audio is 'A', though the right answers differ" in certified.out


def test_losses_that_are_all_those_of_raw_audio_are_a_doubt_that_is_certified(tmp_path: Path) -> None:
    arms = (deaf(tmp_path / "raw.csv", LOSSES), f"energy@0.4={deaf(tmp_path / 'c40.csv', LOSSES)}")
    doubt = "every loss is that of the raw log; make sure that no response cache answered for it"
    done = command("import", "csv", *arms, "--corpus", "c", "--answerer", "a", "--out", tmp_path / "run")
    assert doubt in done.err
    assert doubt in command("certify", tmp_path / "run", "--tolerance", 0.05, "--replicates", 200).out


# Everything that is missing --------------------------------------------------------------------------------


def test_a_table_that_lacks_three_columns_is_told_of_all_three(tmp_path: Path) -> None:
    path = tmp_path / "raw.csv"
    path.write_text("question,topic,right\n1,a,1\n")
    line = refused("csv", path, f"energy@0.4={path}2", "--corpus", "c", "--answerer", "a", "--out", tmp_path / "run")
    assert "no field 'sample_id', 'query_family', 'loss' (there are 'question', 'topic', 'right')" in line
    assert "name others with --id, --family, --metric" in line
