"""Partitions: the paper's classifier against a table worked out by hand, labels, side files, and the run folder."""

import hashlib
import json
from pathlib import Path

import layouts
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from earmark.engine.corpus import partitions
from earmark.engine.corpus.corpus import Corpus, open_corpus
from earmark.engine.corpus.example import Example, Question
from earmark.engine.corpus.keyword_families import GROUPS, infer_family
from earmark.engine.corpus.partition import Partition, recipe_of
from earmark.engine.corpus.side_files import side_file
from earmark.engine.errors import InputError
from earmark.engine.outcomes import partition_file, store
from earmark.engine.outcomes.recipes import RECIPES_KEY, read_recipes
from earmark.engine.signoff.sizes import family_sizes

SPEECH, PARA, EVENT = "speech_content", "paralinguistic", "sound_event"
SCENE, MUSIC, TEMPORAL, GENERAL = "sound_scene", "music", "temporal", "general"

BY_HAND = {  # worked out from the rule with a pencil: lower case, substrings, the first group wins
    "": GENERAL,
    # AudioMCQ question types
    "speech": SPEECH,
    "sound": GENERAL,
    "music": MUSIC,
    "temporal": TEMPORAL,
    # MMSU: task name and category; the paper names where some of them go
    "emotion_recognition Perception": PARA,
    "accent_identification Perception": PARA,
    "gender_recognition Perception": PARA,
    "age_prediction Perception": GENERAL,
    "intonation_perception Perception": GENERAL,
    "pause_perception Perception": GENERAL,
    "pitch_comparison Perception": PARA,
    "volume_comparison Perception": GENERAL,
    "dialogue_turn_counting Reasoning": TEMPORAL,
    "disfluency_detection Reasoning": EVENT,  # detection
    "word_identification Perception": SPEECH,
    "couplet_matching Reasoning": GENERAL,  # coup, not count
    "speaker_counting Reasoning": PARA,  # before count
    # MMAR: modality and category
    "mix-sound-music-speech Semantic Layer": SPEECH,
    "mix-sound-speech Cultural Layer": SPEECH,
    "mix-sound-music Perception Layer": MUSIC,
    "music Cultural Layer": MUSIC,
    "sound Signal Layer": GENERAL,
    # Big Bench Audio
    "formal_fallacies": GENERAL,
    "navigate": GENERAL,
    "web_of_lies": GENERAL,
    "object_counting": TEMPORAL,  # count
    # MMAU
    "Dissonant Emotion Interpretation": PARA,
    "Temporal Event Reasoning": EVENT,  # before temporal
    "Phonemic Stress Pattern Analysis": GENERAL,
    "Eco-Acoustic Knowledge": GENERAL,
    "Harmony and Chord Progressions": GENERAL,
    # upper case
    "ASR": SPEECH,
    "SPOKEN LANGUAGE": SPEECH,
    "Prosody": PARA,
    # an earlier group wins over a later one
    "Speech Event Detection": SPEECH,
    "emotional music": PARA,
    "musical instrument sound event": EVENT,
    "music scene": SCENE,
    "music timing": MUSIC,
    "event duration": EVENT,
    "paralanguage": SPEECH,  # language, before paralinguis would not match anyway
    "paralinguistic": PARA,
    # one group each
    "sound_event_detection": EVENT,
    "acoustic_source_inference": EVENT,
    "Acoustic Scene Classification": SCENE,
    "environmental sound": SCENE,
    "Ambient noise": SCENE,
    "Location of the sound": SCENE,
    "Instrumental": MUSIC,
    "genre": MUSIC,
    "Melody": MUSIC,
    "rhythmic": MUSIC,
    "order of sounds": TEMPORAL,
    "When does it happen": TEMPORAL,
    "duration": TEMPORAL,
    "timing": TEMPORAL,
    # keywords inside other words
    "transcription": SPEECH,
    "keyword spotting": SPEECH,
    "sword fight": SPEECH,
    "paraphrase": SPEECH,
    "Basra": SPEECH,  # asr
    "loudspeaker": PARA,
    "prevention": EVENT,  # event
    "seventh chord": EVENT,  # event
    "resources": EVENT,  # source
    "obscene": SCENE,  # scene
    "relocation": SCENE,
    "songbird": MUSIC,  # song
    "country of origin": TEMPORAL,  # count
    "border collie": TEMPORAL,  # order
    "recorder": TEMPORAL,  # order
    "sentiment analysis": TEMPORAL,  # time
    "multimedia retrieval": TEMPORAL,  # time
    "whenever": TEMPORAL,
    # and words that only look like it
    "outsourcing": GENERAL,  # sourci, not source
    "adventure": GENERAL,  # vent, not event
    "melodic contour": GENERAL,  # melodi, conto
    "tempo estimation": GENERAL,  # tempo, tima
    "timbre": GENERAL,
    "Spatial Analysis": GENERAL,
}


def test_the_table_is_long_enough_to_mean_something() -> None:
    assert len(BY_HAND) >= 60
    assert set(BY_HAND.values()) == {SPEECH, PARA, EVENT, SCENE, MUSIC, TEMPORAL, GENERAL}


@pytest.mark.parametrize(("category", "family"), BY_HAND.items())
def test_infer_family(category: str, family: str) -> None:
    assert infer_family(category) == family


def test_every_keyword_leads_to_its_own_group() -> None:
    for family, keywords in GROUPS:
        for word in keywords:
            assert infer_family(f"xx{word.upper()}xx") == family


@pytest.mark.parametrize(
    ("make", "families"),
    [
        (layouts.mmsu, (PARA, GENERAL, GENERAL, EVENT)),  # task name and category
        (lambda f: layouts.mmar(f, unpacked=True), (SPEECH, SPEECH, GENERAL, MUSIC, SPEECH)),  # modality and category
        (layouts.audiomcq, (GENERAL, TEMPORAL, GENERAL, MUSIC, SPEECH)),  # question type
        (layouts.big_bench_audio, (GENERAL, GENERAL, TEMPORAL, TEMPORAL, GENERAL)),  # category
        (layouts.dcase2026, (GENERAL,) * 3),  # nothing
        (layouts.manifest, (MUSIC,) * 4),
    ],
)
def test_keyword_reads_the_field_that_the_paper_reads(make, families: tuple[str, ...], tmp_path: Path) -> None:
    assert partitions.keyword(open_corpus(make(tmp_path))).families == families


def test_declared_are_those_that_there_are_words_for(tmp_path: Path) -> None:
    def names(make) -> list[str]:
        return [partition.name for partition in partitions.declared(open_corpus(make(tmp_path / make.__name__)))]

    assert names(layouts.mmsu) == ["keyword", "native"]
    assert names(layouts.dcase2026) == []
    assert names(layouts.manifest) == ["keyword"]


def test_any_label_is_a_partition_and_a_missing_one_is_a_family(tmp_path: Path) -> None:
    rows = [dict(row) for row in layouts.MANIFEST_ROWS]
    rows[3]["topic"] = None
    corpus = open_corpus(layouts.manifest(tmp_path, rows=rows))
    made = partitions.named(corpus, "topic")
    assert made.families == ("light", "light", "dark", "unlabelled")
    assert made.sizes == {"light": 2, "dark": 1, "unlabelled": 1}
    with pytest.raises(InputError, match="there is no such label; choose from keyword, native, topic, category, level"):
        partitions.named(corpus, "colour")


def test_a_side_file_brings_families(tmp_path: Path) -> None:
    corpus = open_corpus(layouts.dcase2026(tmp_path / "c"))
    side = tmp_path / "content_taxonomy.csv"
    side.write_text("id,cluster,fine\ndev_0000,meaning,a\ndev_0002,speaker,b\nelsewhere,x,y\n")
    cluster, fine = side_file(corpus, side)
    assert (cluster.name, cluster.families) == ("cluster", ("meaning", "unlabelled", "speaker"))
    assert fine.families == ("a", "unlabelled", "b")
    assert cluster.recipe["file"] == "content_taxonomy.csv"
    assert cluster.recipe["sha256"] == hashlib.sha256(side.read_bytes()).hexdigest()
    lines = tmp_path / "side.jsonl"
    lines.write_text('{"cluster": "m", "sample_id": "dev_0001"}\n')
    assert side_file(corpus, lines)[0].families == ("unlabelled", "m", "unlabelled")
    pq.write_table(pa.table({"sample_id": ["dev_0001"], "cluster": ["m"]}), tmp_path / "side.parquet")
    assert side_file(corpus, tmp_path / "side.parquet")[0].families == ("unlabelled", "m", "unlabelled")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("side.csv", "id,c\nother,x\n", "names no sample of the corpus \\(which has 'dev_0000'"),
        ("side.csv", "id,c\ndev_0000,x\ndev_0000,y\n", "sample 'dev_0000' has two families"),
        ("side.csv", "id,c\ndev_0000\n", "has 1 cells, the header 2"),
        ("side.csv", "", "names no sample"),
        ("side.jsonl", "{\n", "is not JSON"),
        ("side.jsonl", '{"sample_id": null, "c": "x"}\n', "no sample_id"),
        ("side.parquet", "PAR1", "is not a whole Parquet file"),
        ("side.txt", "x", "is no CSV, JSON lines or Parquet file"),
    ],
)
def test_side_files_that_say_nothing_are_refused(name: str, content: str, reason: str, tmp_path: Path) -> None:
    corpus = open_corpus(layouts.dcase2026(tmp_path / "c"))
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=reason):
        side_file(corpus, tmp_path / name)
    with pytest.raises(InputError, match="is no CSV"):
        side_file(corpus, tmp_path / "nowhere.csv")


def test_rare_families_share_one() -> None:
    families = ["a"] * 3 + ["b"] * 2 + ["c"]
    assert partitions.merge_rare(families, 3) == ("a", "a", "a", "other_rare", "other_rare", "other_rare")
    assert partitions.merge_rare(families, 1) == tuple(families)


# In a run folder -----------------------------------------------------------------------------------------


def small(name: str, families: str) -> tuple[Corpus, Partition]:
    examples = tuple(
        Example(f"s{i}", f"r{i // 2}", None, Question("?", ("a", "b"), 0), {"of": f}) for i, f in enumerate(families)
    )  # type: ignore[arg-type]
    corpus = Corpus("manifest", name, examples)
    return corpus, partitions.by_label(corpus, "of")


def test_written_partitions_are_those_that_certify_and_plan_read(tmp_path: Path) -> None:
    corpus, made = small("one", "aabb")
    path = partition_file.write(tmp_path / "run", corpus, [made])
    table = store.read_partitions(tmp_path / "run")[0]  # type: ignore[index]
    assert table.to_pydict() == {
        "corpus": ["one"] * 4,
        "sample_id": ["s0", "s1", "s2", "s3"],
        "source_id": ["r0", "r0", "r1", "r1"],
        "of": list("aabb"),
    }
    assert store.partition_names(table) == ["of"]
    assert {key: set(of) for key, of in family_sizes(tmp_path / "run").items()} == {("one", "of"): {"a", "b"}}
    recipe = json.loads(pq.read_schema(path).metadata[RECIPES_KEY])["one"]
    assert recipe["partitions"] == {"of": {"rule": "label", "columns": ["of"]}}
    assert recipe == recipe_of([made], corpus)._asdict()
    assert read_recipes(tmp_path / "run") == {"one": recipe_of([made], corpus)}
    before = path.read_bytes()
    assert partition_file.write(tmp_path / "run", corpus, [made]).read_bytes() == before, "the same bytes again"


def test_the_hash_changes_with_the_recipe_and_with_any_label() -> None:
    corpus, made = small("one", "aabb")
    other, changed = small("one", "aaba")
    hashes = {
        recipe_of([made], corpus).sha256,
        recipe_of([changed], other).sha256,
        recipe_of([made._replace(recipe={"rule": "another"})], corpus).sha256,
    }
    assert len(hashes) == 3


def test_other_corpora_and_their_recipes_stay(tmp_path: Path) -> None:
    for name, families in (("one", "aabb"), ("two", "xxyy"), ("one", "abab")):
        corpus, made = small(name, families)
        partition_file.write(tmp_path, corpus, [made])
    assert set(read_recipes(tmp_path)) == {"one", "two"}
    assert set(family_sizes(tmp_path)[("two", "of")]) == {"x", "y"}


def test_nothing_to_write_and_names_that_clash_are_refused(tmp_path: Path) -> None:
    corpus, made = small("one", "aabb")
    with pytest.raises(InputError, match="there is no partition to write"):
        partition_file.write(tmp_path, corpus, [])
    with pytest.raises(InputError, match="'of' stands twice"):
        partition_file.write(tmp_path, corpus, [made, made])
    with pytest.raises(InputError, match="'source_id' is the name of an id; rename the column"):
        partition_file.write(tmp_path, corpus, [made._replace(name="source_id")])
    (tmp_path / "partitions.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match="is not a readable Parquet file"):
        partition_file.write(tmp_path, corpus, [made])


def test_partitions_are_added_to_those_that_are_there(tmp_path: Path) -> None:
    corpus, made = small("one", "aabb")
    room = made._replace(name="room", families=tuple("xyxy"), recipe={"rule": "label", "columns": ["room"]})
    other, of_other = small("two", "cd")
    partition_file.write(tmp_path, other, [of_other])
    partition_file.write(tmp_path, corpus, [room])
    partition_file.prepend(tmp_path, corpus, [made])
    assert partition_file.written(tmp_path, corpus) == [made, room]
    assert read_recipes(tmp_path)["one"] == recipe_of([made, room], corpus)
    before = (tmp_path / "partitions.parquet").read_bytes()
    partition_file.prepend(tmp_path, corpus, [made])
    assert (tmp_path / "partitions.parquet").read_bytes() == before
    assert set(family_sizes(tmp_path)[("two", "of")]) == {"c", "d"}
    with pytest.raises(InputError, match="has the partition of with other labels than those that are declared now"):
        partition_file.prepend(tmp_path, corpus, [made._replace(families=tuple("abab"))])
    with pytest.raises(InputError, match="has the partition room with other labels"):
        partition_file.prepend(tmp_path, corpus, [room._replace(families=tuple("xxyy"))])
    last = room._replace(name="last")
    with pytest.raises(InputError, match=r"is of a sweep about 'two', and this corpus is called 'one'; .* --name two"):
        partition_file.append(tmp_path, corpus, [last])
    (tmp_path / "partitions.parquet").unlink()
    partition_file.write(tmp_path, corpus, [made, room])
    partition_file.append(tmp_path, corpus, [last, made])
    assert partition_file.written(tmp_path, corpus) == [made, room, last]
    more, _ = small("one", "aabbb")
    with pytest.raises(InputError, match=r"lacks a label of of for 1 samples of one \('s4'\); make it again"):
        partition_file.prepend(tmp_path, more, [made])


def test_what_a_corpus_had_alone_goes_when_it_is_written_anew(tmp_path: Path) -> None:
    corpus, made = small("one", "aabb")
    partition_file.write(tmp_path, corpus, [made])
    partition_file.write(tmp_path, corpus, [made._replace(name="room")])
    assert [partition.name for partition in partition_file.written(tmp_path, corpus)] == ["room"]
    assert store.partition_names(store.read_partitions(tmp_path)[0]) == ["room"]  # type: ignore[index]


def test_recipes_that_nobody_can_read_say_nothing(tmp_path: Path) -> None:
    corpus, made = small("one", "aabb")
    path = partition_file.write(tmp_path, corpus, [made])
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({RECIPES_KEY: b"{"}), path)
    with pytest.raises(InputError, match="how partitions were made: is not JSON"):
        read_recipes(tmp_path)
    for content in (b"[]", b'{"one": 3}', b'{"one": {"partitions": 3}}'):
        pq.write_table(table.replace_schema_metadata({RECIPES_KEY: content}), path)
        assert read_recipes(tmp_path) == {}
    pq.write_table(table.replace_schema_metadata({RECIPES_KEY: b'{"one": {"partitions": {"of": 3, "b": {}}}}'}), path)
    assert read_recipes(tmp_path)["one"].partitions == {"b": {}}
    path.write_bytes(b"PAR1")
    assert read_recipes(tmp_path) == {}
    assert read_recipes(tmp_path / "nowhere") == {}
