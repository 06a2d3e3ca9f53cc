"""How the embedded answerer is trained: the fast forward is Hugging Face's, every stage runs, a killed run goes on."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.engine.answerers.prompt import AUDIO_TOKEN, QWEN2_AUDIO
from earmark.engine.corpus.synthetic.bank import bank
from earmark.engine.corpus.synthetic.clips import SLOTS, draw
from earmark.engine.corpus.synthetic.questions import FAMILIES, OPTIONS, believed, questions
from earmark.engine.corpus.synthetic.splits import Split
from earmark.engine.making.tiny import model_card, stages
from earmark.engine.making.tiny.__main__ import main
from earmark.engine.making.tiny.architecture import make_model, make_processor, save
from earmark.engine.making.tiny.judge import answer_options, whole_batch
from earmark.engine.making.tiny.network import decode, encode, gather, token_tensors
from earmark.engine.making.tiny.stages import STAGES, batch_of, fit_projector
from earmark.engine.making.tiny.state import Learner
from earmark.engine.making.tiny.training_batches import EMPTY, FIRST_TONE, UNCLEAR, label_tokens, training_batch
from earmark.engine.making.tiny.training_run import GateError, run_stage, train

SPLIT = Split.ANSWERER


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def learner():
    return Learner.new(3)


def toy(*numbers, steps=2, at_least=-1.0):
    """Some of the stages, shortened, with gates on a few clips."""
    return [
        replace(
            STAGES[n], steps=steps * bool(STAGES[n].steps), n_clips=2, gate=lambda _: {"all": 0.5}, at_least=at_least
        )
        for n in numbers
    ]


def kept_waves(slots):
    batch = whole_batch(SPLIT, SPLIT.seeds.start + 7, 0, 2)
    return batch, batch.waves.reshape(2, SLOTS, -1)[:, slots].reshape(2, -1)


# The fast forward is Hugging Face's.


def test_pieces_tokenise_to_the_whole_prompt(learner):
    tokenizer = learner.processor.tokenizer
    for index in range(40):
        for question in questions(draw(SPLIT, SPLIT.seeds.start, index)):
            whole = QWEN2_AUDIO.prompt(question.text, question.choices).text(30)
            asker, audio = learner.asker, tokenizer(AUDIO_TOKEN)["input_ids"] * 30
            pieces = [*asker.before, *audio, *asker.shared, *asker.question(question)[0]]
            assert pieces == tokenizer(whole)["input_ids"]
    words = tokenizer.tokenize("Question: Which background lasts longest?\n\nA. crickets")
    assert words == ["Question", ":", "ĠWhich", "Ġbackground", "Ġlasts", "Ġlongest", "?ĊĊ", "A", ".", "Ġcrickets"]


@pytest.mark.parametrize("text", ["Ünicode, naïve – 東京\n\t!", "don't  panic 42"])
def test_any_text_survives_the_tokenizer(learner, text):
    tokenizer = learner.processor.tokenizer
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


@pytest.mark.parametrize("slots", [list(range(SLOTS)), [0, 3, 4, 9], [5]], ids=["whole", "four", "one"])
def test_frames_and_answers_are_those_of_the_processor_and_the_model(learner, slots):
    batch, waves = kept_waves(slots)
    frames = learner.ear.frames(torch.from_numpy(waves))
    with torch.inference_mode():
        audio = learner.model.model.multi_modal_projector(encode(learner.model, frames))
        packed = learner.asker.pack(batch.questions, batch.answers)
        thought = decode(learner.model, learner.asker, audio, packed)
        ours = learner.model.lm_head(gather(thought.final, packed.answer_at)).log_softmax(-1)
    for b, asked in enumerate(batch.questions):
        for q, question in enumerate(asked):
            text = QWEN2_AUDIO.prompt(question.text, question.choices).text()
            inputs = learner.processor(text=text, audio=[waves[b]], sampling_rate=16_000, return_tensors="pt")
            mel = inputs["input_features"][0][:, : frames.shape[2]]
            torch.testing.assert_close(frames[b], mel, atol=1e-5, rtol=0)
            with torch.inference_mode():
                theirs = learner.model(**inputs).logits[0, -1].log_softmax(-1)
            torch.testing.assert_close(ours[b, q], theirs, atol=2e-4, rtol=0)


# What a batch knows.


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(-800, 800), st.sets(st.integers(0, SLOTS - 1), min_size=1))
def test_token_labels_say_what_sounds_in_what_is_kept(index, shift, slots):
    clip, kept = draw(SPLIT, SPLIT.seeds.start, index), sorted(slots)
    classes, onsets, backgrounds, tones = label_tokens(clip, bank(SPLIT), kept, shift)
    heard = [item for item in clip.items if set(item.slots) & slots]
    assert len(classes) == 10 * len(kept)
    assert onsets.sum() <= len(heard)
    if all(len(item.slots) == 1 for item in heard):
        assert onsets.sum() == len(heard)
        assert tones[-1] == sum(item.kind == "tone" for item in heard)
        named = {item.which + (1 if item.kind == "event" else FIRST_TONE) for item in heard}
        assert set(classes[classes != UNCLEAR]) - {EMPTY} == named
    np.testing.assert_array_equal(backgrounds, np.repeat([clip.backgrounds[slot] for slot in kept], 10))
    assert (np.diff(tones) >= 0).all()


def test_targets_are_what_an_ideal_listener_believes():
    for number in range(12):
        batch = training_batch(bank(SPLIT), SPLIT.seeds.start, number, 3)
        silent = (batch.waves == 0).all(axis=1)
        np.testing.assert_allclose(batch.likely.sum(-1), 1, rtol=1e-6)
        chosen = np.take_along_axis(batch.likely, batch.answers[:, :, None], axis=2)
        assert (chosen > 0).all()
        assert (batch.likely[silent] == 1 / OPTIONS).all()
        if batch.waves.shape[1] == SLOTS * 16_000:
            for b in np.flatnonzero(~silent):
                assert [q.answer for q in batch.questions[b]] == batch.answers[b].tolist()
                for question in batch.questions[b]:
                    assert len(believed(draw(SPLIT, SPLIT.seeds.start, number * 3 + b), question, range(SLOTS))) == 1


def test_a_batch_is_a_function_of_its_seed_and_number():
    one, again = (training_batch(bank(SPLIT), 5, 7, 2) for _ in range(2))
    np.testing.assert_array_equal(one.waves, again.waves)
    np.testing.assert_array_equal(one.likely, again.likely)
    assert one.questions == again.questions
    other = training_batch(bank(SPLIT), 5, 8, 2)
    assert other.questions != one.questions


def test_stages_and_gates_never_share_a_clip(learner):
    learning, judging = stages.seeds_of(learner.seed)
    assert learning != judging
    assert {learning, judging} <= set(SPLIT.seeds)
    asked = [batch_of(learner, stage, 0, 2, False).questions for stage in range(len(STAGES))]
    assert len({repr(questions_) for questions_ in asked}) == len(STAGES)


# The run.


@pytest.mark.parametrize("number", [0, 1, 3])
def test_a_step_of_each_stage_changes_what_it_should(tmp_path, number):
    learner = Learner.new(0)
    before = {name: value.clone() for name, value in learner.model.state_dict().items()}
    learner.stage = number
    run_stage(learner, toy(number)[0], tmp_path / "c.pt", lambda _: None)
    changed = {
        name.split(".")[1] for name, value in learner.model.state_dict().items() if (value != before[name]).any()
    }
    expected = {0: {"language_model", "weight"}, 1: {"audio_tower"}}
    assert changed == expected.get(number, {"language_model", "weight", "audio_tower", "multi_modal_projector"})
    moved = learner.model.model.audio_tower.embed_positions.weight
    torch.testing.assert_close(moved, before["model.audio_tower.embed_positions.weight"])


def test_a_stage_learns(tmp_path):
    """Thirty steps of the encoder already halve its loss."""
    learner = Learner.new(0)
    learner.stage = 1
    losses = []
    stage = replace(toy(1, steps=30)[0], loss=lambda *given: losses.append(STAGES[1].loss(*given)) or losses[-1])
    run_stage(learner, stage, tmp_path / "c.pt", lambda _: None)
    assert float(losses[-1].detach()) < 0.75 * float(losses[0].detach())


def test_the_ridge_leaves_less_than_no_fit():
    learner = Learner.new(0)
    error = fit_projector(learner, n_batches=2)
    assert 0 < error < 1
    batch = whole_batch(SPLIT, SPLIT.seeds.start + 9, 0, 4)
    states = encode(learner.model, learner.ear.frames(torch.from_numpy(batch.waves)))
    with torch.no_grad():
        symbols = learner.symbols(*token_tensors(batch.tokens))
        fitted = learner.model.model.multi_modal_projector(states)
        spread = (symbols - symbols.mean((0, 1))).square().mean()
        assert (symbols - fitted).square().mean() < spread


def test_a_killed_run_ends_as_if_it_had_not_been_killed(tmp_path, monkeypatch):
    monkeypatch.setattr("earmark.engine.making.tiny.training_run.STEPS_PER_CHECKPOINT", 2)
    plan = toy(0, 1, 3, steps=4)
    whole = train(1, tmp_path / "whole", tmp_path / "w1", lambda _: None, plan)

    class KilledError(Exception):
        pass

    for stage in range(3):  # dies once in every stage, after a checkpoint and one lost step
        calls = []

        def dying(*given, stage=stage, calls=calls):
            calls.append(1)
            if len(calls) == 4:
                raise KilledError
            return plan[stage].loss(*given)

        broken = [replace(s, loss=dying) if n == stage else s for n, s in enumerate(plan)]
        with pytest.raises(KilledError):
            train(1, tmp_path / "killed", tmp_path / "w2", lambda _: None, broken)
    said = []
    killed = train(1, tmp_path / "killed", tmp_path / "w2", said.append, plan)
    assert "going on from" in said[0]
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, killed.model.state_dict()[name]), name
    assert (tmp_path / "whole/model.safetensors").read_bytes() == (tmp_path / "killed/model.safetensors").read_bytes()
    record = json.loads((tmp_path / "killed/training.json").read_text())
    assert record["seed"] == 1
    assert [stage["stage"] for stage in record["stages"]] == [stage.name for stage in plan]


def test_length_multiplies_the_steps_of_every_stage(tmp_path):
    train(2, tmp_path / "m", tmp_path / "w", lambda _: None, toy(0, 1, steps=4), length=0.5)
    record = json.loads((tmp_path / "m/training.json").read_text())
    assert [stage["steps"] for stage in record["stages"]] == [2, 2]
    assert record["length"] == 0.5


def test_another_seeds_checkpoint_is_refused(tmp_path, learner):
    learner.save(tmp_path / "c.pt")
    with pytest.raises(ValueError, match="seed 3, not of 4"):
        Learner.new(4).load(tmp_path / "c.pt")


def test_a_missed_gate_stops_with_what_was_measured(tmp_path):
    with pytest.raises(
        GateError, match=r"stage 0 \(decoder on symbols\): all below 0.9 \(all 0.500\); train with"
    ) as stop:
        train(0, tmp_path / "out", tmp_path / "work", lambda _: None, toy(0, steps=1, at_least=0.9))
    assert stop.value.exit_code == 3
    assert not (tmp_path / "out").exists()


def test_the_command_says_a_missed_gate_in_one_line(tmp_path, monkeypatch, capsys):
    def refuse(*_given, **_options):
        raise GateError("stage 1", "class below 0.9", "try again")

    monkeypatch.setattr("earmark.engine.making.tiny.__main__.train", refuse)
    assert main(["--out", str(tmp_path / "out")]) == 3
    assert capsys.readouterr().err == "stage 1: class below 0.9; try again\n"


def test_the_folder_holds_a_plain_model_without_auxiliary_heads(tmp_path):
    processor = make_processor()
    model = make_model(processor.tokenizer, seed=5)
    save(model, processor, tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert {"config.json", "model.safetensors", "preprocessor_config.json", "tokenizer.json"} <= names
    opened = Learner.opened(tmp_path)
    assert opened.model.state_dict().keys() == model.state_dict().keys()
    for name, value in opened.model.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, model.state_dict()[name].half().float()), name
    assert opened.processor.tokenizer("Which sound?")["input_ids"] == processor.tokenizer("Which sound?")["input_ids"]


def test_the_card_is_measured(tmp_path):
    learner = train(2, tmp_path / "m", tmp_path / "w", lambda _: None, toy(0, 1, steps=2), length=0.5)
    text = model_card.write_card(tmp_path / "m", "tiny-test", clips=4, table_clips=2)
    assert "{{" not in text
    assert "# tiny-test" in text
    assert "tiny --seed 2 --length 0.5 --out FOLDER" in text
    assert "n = 4 questions in each cell, 24 in a row" in text
    assert all(f"| {family} |" in text for family in FAMILIES)
    batch = whole_batch(Split.CERTIFICATION, Split.CERTIFICATION.seeds.start, 0, 4)
    said = answer_options(Learner.opened(tmp_path / "m"), torch.zeros(4, 0, 128), batch.questions)
    counts = (said == batch.answers).sum(axis=0)
    row = next(line for line in text.splitlines() if line.startswith("| no audio |"))
    assert row.split("|")[2:8] == [f" {25.0 * n:.1f} " for n in counts]
    assert learner.seconds > 0
