"""The guard: a selector is not certified on what trained it, unless that is declared and said."""

import json

import pytest
from as_json import certify, write
from click.testing import CliRunner

from earmark.cli.certify import certify as command
from earmark.engine.compressors.card import fingerprints
from earmark.engine.design.keys import CellKey
from earmark.engine.design.rule import Rule
from earmark.engine.errors import InputError
from earmark.engine.outcomes.run_cards import read_cards, write_card
from earmark.engine.outcomes.store import write_cell
from earmark.engine.report.verify import verify
from earmark.engine.signoff.audits import leakage
from earmark.engine.signoff.audits.leakage import LeakageError
from earmark.engine.signoff.certificate import Overlap, TrainedOn
from earmark.engine.signoff.json_form import to_json

METHOD = "learned_agnostic"
RULE = Rule(replicates=100)


def card(corpus="world", sources=(), recordings=(), **other):
    entry = {"corpus": corpus, "sources": fingerprints(sources), "recordings": fingerprints(recordings)}
    return {"schema": "earmark.selector/1", "weights": "ab" * 32, "trained_on": [entry]} | other


@pytest.fixture
def run(tmp_path):
    """Six questions about three sources, raw and under a learned selector with two seeds."""
    rows = {
        "sample_id": [f"q{i}" for i in range(6)],
        "source_id": [f"clip-{i // 2}" for i in range(6)],
        "query_family": ["one"] * 6,
        "loss": [0.0] * 6,
        "kept_hash": [f"hash-{i // 2}" for i in range(6)],
    }
    write_cell(tmp_path, CellKey("tiny", "world", "uncompressed"), rows)
    for seed in (1, 2):
        write_cell(tmp_path, CellKey("tiny", "world", METHOD, seed, budget=0.5), rows | {"kept_hash": ["part"] * 6})
    return tmp_path


def test_other_sources_pass_and_are_named(run):
    write_card(run, METHOD, 1, card(sources=["clip-7", "clip-8"], recordings=["hash-7"]))
    (entry,) = leakage.guard(run).selectors
    assert entry == (METHOD, 1, "ab" * 32, (TrainedOn("world", 2),), False, ())


def test_shared_sources_are_refused_with_their_number(run):
    write_card(run, METHOD, 1, card(sources=["clip-0", "clip-2", "clip-9"]))
    with pytest.raises(LeakageError, match=r"seed 1: was trained on 2 of 3 sources of world; .*--in-domain learned_ag"):
        leakage.guard(run)


def test_the_same_recordings_under_other_names_are_refused(run):
    write_card(run, METHOD, 1, card(corpus="elsewhere", sources=["a"], recordings=["hash-1", "hash-5"]))
    with pytest.raises(LeakageError, match="1 of 3 sources of world"):
        leakage.guard(run)


def test_equal_names_in_another_corpus_are_no_overlap(run):
    write_card(run, METHOD, 1, card(corpus="elsewhere", sources=["clip-0"], recordings=["hash-5"]))
    assert leakage.guard(run).selectors[0].overlap == ()


def test_a_card_without_outcomes_of_its_seed_is_named_only(run):
    write_card(run, METHOD, 3, card(sources=["clip-0"]))
    assert leakage.guard(run).selectors[0].overlap == ()


@pytest.mark.parametrize(("declared", "in_card"), [((METHOD,), False), ((), True)])
def test_declared_in_domain_it_passes_and_the_certificate_says_so(run, declared, in_card):
    write_card(run, METHOD, 2, card(sources=["clip-0"], in_domain=in_card))
    made = certify(run, Rule(replicates=100, in_domain=declared))
    assert made["selectors"] == [
        {
            "method": METHOD,
            "seed": 2,
            "hash": "ab" * 32,
            "trained_on": [to_json(TrainedOn("world", 1))],
            "in_domain": True,
            "overlap": [to_json(Overlap("world", 1, 3))],
        }
    ]
    assert any("seed 2 is certified in-domain: it was trained on 1 of 3 sources" in line for line in made["warnings"])
    assert any(entry["path"] == f"selectors/{METHOD}/seed=2.json" for entry in made["inputs"])


def test_a_seed_without_a_card_beside_one_with_is_said(run):
    write_card(run, METHOD, 1, card(sources=["clip-7"]))
    assert any(line.startswith(f"{METHOD} seed 2 has no card") for line in certify(run, RULE)["warnings"])
    write_card(run, METHOD, 2, card(sources=["clip-7"]))
    assert leakage.warnings(leakage.guard(run)) == []


def test_verify_finds_a_card_that_was_edited(run):
    path = write_card(run, METHOD, 1, card(sources=["clip-0"]))
    certificate = write(certify(run, Rule(replicates=100, in_domain=(METHOD,))), run, run)
    assert verify(certificate) is None
    path.write_text(json.dumps(card(sources=["clip-7"])))
    assert "seed=1.json: sha256" in str(verify(certificate))


def test_the_command_refuses_and_takes_the_declaration(run):
    write_card(run, METHOD, 1, card(sources=["clip-0"]))
    refused = CliRunner().invoke(command, [str(run), "--replicates", "100"])
    assert isinstance(refused.exception, LeakageError)
    declared = CliRunner().invoke(command, [str(run), "--replicates", "100", "--in-domain", METHOD])
    assert declared.exit_code == 3, declared.output  # six rows certify nothing
    assert json.loads((run / "certificate.json").read_text())["rule"]["in_domain"] == [METHOD]


def test_a_method_without_a_card_cannot_be_declared(run):
    with pytest.raises(InputError, match="no card of such a method"):
        leakage.guard(run, ["learned_conditioned"])


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "earmark.selector/1"}'])
def test_a_card_that_names_no_sources_is_refused(run, text):
    path = write_card(run, METHOD, 1, card())
    path.write_text(text)
    with pytest.raises(InputError, match=r"names its training sources|is no card of|is not JSON"):
        read_cards(run)
