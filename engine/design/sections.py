"""The sections of a spec: every key is a field of one of these classes, described once.

What may not stand together, `spec` checks. Opens no file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from earmark.engine.design.compressors import (
    AV,
    BROUGHT,
    BUILT_IN,
    RAW_KBPS,
    RAW_KHZ,
    Axis,
    CompressorKind,
    Stage,
    kind_of,
)
from earmark.engine.design.fields import Either, Flag, Form, Number, Share, Text, Texts, Whole, Word, field
from earmark.engine.design.keys import DTYPES

GRIDS = {
    "main": (0.05, 0.1, 0.2, 0.4, 1.0),  # the paper's
    "expanded": (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0),  # more of it at both ends
}
Until = Literal["complete", "decided"]
MOST_PERMUTATIONS = 10
HEURISTICS = ("uniform", "random", "energy")
SEED = "{seed}"  # in a selector's place
PLAIN = "plain:"  # before a folder or a name on the hub: any audio model of transformers
# How a served answerer is reached: no answer depends on it, and another run of the same folder may have it otherwise
REACHING = ("connections", "timeout_s", "tries", "wait_s", "most_requests", "key_env", "price")
# Of a dataset of the hub. A spec without them depends on what it did before they were keys: its sweep goes on
PARTS = ("split", "columns")
# Of audits: no answer depends on them
KEPT = ("clips",)
_TIMES = Whole(0, MOST_PERMUTATIONS)


@dataclass(frozen=True, slots=True)
class CorpusSpec:
    """Which questions about which recordings."""

    path: str = field(
        Text("a folder, a manifest or synthetic:SPLIT:CLIPS"),
        "a benchmark's folder, a manifest, or `synthetic:SPLIT:CLIPS` ([layouts](corpora.md))",
    )
    kind: str | None = field(
        Text("the name of a benchmark"),
        "which benchmark it is",
        None,
        default="told from the folder",
        metavar="K",
    )
    name: str | None = field(Text("a name"), "what the run calls the corpus", None, default="its kind", metavar="NAME")
    split: str | None = field(
        Text("the name of a split"),
        "the split of a dataset of the hub that is asked about ([layouts](corpora.md#a-dataset-of-the-hub))",
        None,
        default="the only one",
        metavar="SPLIT",
    )
    columns: Mapping[str, str] = field(
        Texts("a table of ROLE = COLUMN"),
        "which column of it is what, where its name does not say, such as question = prompt",
        factory=dict,
        default="told by names and types",
        metavar="ROLE=COLUMN",
    )
    allow_outside: bool = field(Flag(), "follow paths that lead outside the folder", False)


@dataclass(frozen=True, slots=True)
class AnswererSpec:
    """An audio language model, and how it answers."""

    model: str = field(
        Text('"tiny", a folder, or a name on the hub'),
        "an embedded answerer (`tiny`, `tiny-b`), a folder, a name on the hub, `plain:` before either for any audio "
        "model of transformers, or a server's `openai:URL#NAME` ([how they answer](answerers.md))",
        metavar="NAME",
    )
    name: str = field(Text("a name"), "what the run calls the answerer", "", default="the model's last part")
    dtype: str = field(Word(*DTYPES), "number format", "float32")
    generate: int = field(
        Whole(0, 64, "tokens"),
        "greedy tokens from which the letter is parsed; 0: the likeliest letter",
        0,
    )
    split: bool = field(
        Flag(), "a clip beyond the window becomes several audios; otherwise it is refused with a status", False
    )
    connections: int = field(Whole(1, 1024), "of a served answerer: requests that are under way at once", 64)
    timeout_s: float = field(Number(0.1, most=86_400), "... seconds that one request may take", 60.0)
    tries: int = field(Whole(1, 100), "... requests for one answer, until its failure is a status", 5)
    wait_s: float = field(
        Number(0, most=86_400),
        "... seconds that a server which answers nobody is waited for, before the run stops",
        300.0,
    )
    most_requests: int | None = field(
        Whole(1, 2**40),
        "... requests that all runs of a folder may send together, retries included",
        None,
        default="no ceiling",
        metavar="N",
    )
    key_env: str | None = field(
        Form(r"[A-Za-z_][A-Za-z0-9_]*", "the name of an environment variable"),
        "... the environment variable that holds its key; the key itself is written nowhere",
        None,
        default="none",
        metavar="NAME",
    )
    price: float | None = field(
        Number(0, most=1e9),
        "... what 1,000 requests cost, in whatever currency; `earmark plan SPEC` reckons with it",
        None,
        default="unknown",
        metavar="COST",
    )


@dataclass(frozen=True, slots=True)
class MethodSpec:
    """A compressor, its budgets, and the seeds it comes in."""

    name: str = field(
        Text(f"{', '.join(HEURISTICS)}, the name of a compressor or a name of your own"),
        "`uniform`, `random`, `energy`, the name of a compressor, or a name of your own",
    )
    compressor: str = field(
        Text("the name of a compressor, package.module:function or an entry point"),
        f"{', '.join(f'`{name}`' for name in BUILT_IN)}, `{AV}ENCODER`, "
        "`package.module:function` or an entry point ([compressors](compressors.md))",
        "",
        default="the name, or `chunks`",
    )
    selector: str = field(
        Text("a heuristic, a selector's folder, or an .onnx file"),
        "of `chunks`: a heuristic, a trained selector's folder, an `.onnx` file; of `learned_tokens`: the folder of "
        "one trained for tokens; `{seed}` in it is the seed",
        "",
        default="the name",
    )
    command: str = field(
        Text("a command with {in} and {out}"),
        "instead of a compressor: a command that reads the WAV file `{in}` and writes `{out}`",
        "",
        default="none",
    )
    timeout_s: float = field(
        Number(0.1, most=86_400), "how long a function or a command may take for one clip, in seconds", 60.0
    )
    axis: Axis = field(
        Word(*BROUGHT),
        "what a budget of your own compressor is a share of: `bits` and `bandwidth` keep a clip's length",
        "own",
        default="its own",
    )
    budgets: tuple[float, ...] = field(Share(), "shares to keep", (), many=True, default="those of `[sweep]`")
    bitrates: tuple[float, ...] = field(
        Number(0.1, most=RAW_KBPS), f"kb/s, instead of budgets: shares of {RAW_KBPS}", (), many=True, default="none"
    )
    factors: tuple[float, ...] = field(
        Number(1, most=100), "how many times as fast, instead of budgets", (), many=True, default="none"
    )
    cutoffs: tuple[float, ...] = field(
        Number(0.05, most=RAW_KHZ), f"kHz, instead of budgets: shares of {RAW_KHZ}", (), many=True, default="none"
    )
    sized: bool = field(
        Flag(),
        "of tokens: each that is left stands at its group's centre, as heavy as its group is large; of "
        "`uniform_layers`, `random_layers` and `kv_uniform`: each is as heavy as the span that it stands for",
        False,
    )
    window_s: float = field(Number(0.01, most=300), "of `ltbm`: seconds within which tokens are merged", 1.0)
    pivots: int = field(Whole(1, 1000, "tokens"), "of `dart`: tokens that the others are compared with", 8)
    layer: int = field(
        Whole(0, 1000, "layers"),
        "of `fastv`, `heads`, `uniform_layers` and `random_layers`: after how many decoder layers audio is dropped",
        2,
    )
    after: str = field(
        Text("COMPRESSOR@BUDGET"),
        "of tokens, layers and the cache: what is done to the clip before, such as `opus@12kbps` or `uniform@0.5`",
        "",
        default="nothing",
    )
    seeds: tuple[int, ...] = field(
        Whole(0, 2**31 - 1),
        "training seeds, or those of `random`, `random_tokens`, `random_layers` and `kv_random`",
        (0,),
        many=True,
    )
    in_domain: bool = field(Flag(), "declares that it was trained on recordings of this corpus", False)

    @property
    def arms(self) -> list[str]:
        """What it is called as a candidate: with all its seeds, or with one."""
        return [self.name, *(f"{self.name}@{seed}" for seed in self.seeds)]

    @property
    def kind(self) -> CompressorKind:
        """What is known of its compressor."""
        return kind_of(self.compressor, self.axis)

    @property
    def label(self) -> str:
        """What errors call the compressor."""
        return self.compressor or "a command"

    @property
    def described(self) -> str:
        """What certificates call the compressor: a command as it is, and inside a decoder where, how and after what."""
        words = self.command or self.compressor
        if self.stage == "layers":
            words += f" after layer {self.layer}"
        if self.stage in ("layers", "cache"):
            words += ", sized" if self.sized else ""
            words += f", of {self.after}" if self.after else ""
        return words

    @property
    def counted_on(self) -> Axis:
        """What its budgets are shares of."""
        return self.kind.axis

    @property
    def stage(self) -> Stage:
        """Where it acts."""
        return self.kind.stage

    @property
    def may_read_questions(self) -> bool:
        """Whether it might choose by the question: a trained selector may, and what watches the question does."""
        return self.kind.asks or (self.selector != "" and self.selector not in HEURISTICS)

    def place(self, seed: int) -> str:
        """Where the selector of a seed is."""
        return self.selector.replace(SEED, str(seed))


@dataclass(frozen=True, slots=True)
class StreamsSpec:
    """How often questions are permuted, by what is permuted: the selector's alone, or the answerer's too."""

    permuted_global: int = field(_TIMES, "permutations of the questions that the selector is shown", 0)
    permuted_family: int = field(_TIMES, "... within families", 0)
    naive_global: int = field(_TIMES, "permutations of the answerer's questions too: the control", 0)
    naive_family: int = field(_TIMES, "... within families", 0)
    family: str | None = field(
        Text("the name of a partition"), "within whose families", None, default="the first partition"
    )
    seed: int = field(Whole(0, 2**31 - 1), "seed of the permutations", 0)

    @property
    def any(self) -> bool:
        """Whether anything is permuted at all."""
        return any((self.permuted_global, self.permuted_family, self.naive_global, self.naive_family))


@dataclass(frozen=True, slots=True)
class PartitionsSpec:
    """The families, declared before any outcome is seen."""

    names: tuple[str, ...] = field(
        Text("keyword, native or a label"),
        "`keyword`, `native`, or labels of the corpus",
        (),
        many=True,
        default="keyword and native",
    )
    side: str | None = field(
        Text("a CSV, JSON lines or Parquet file"),
        "a table of sample_id and families",
        None,
        default="none",
        metavar="FILE",
    )
    semantic: int | None = field(
        Whole(2, 10_000, "clusters"),
        "how many clusters of questions are a partition of their own",
        None,
        default="none",
        metavar="K",
    )
    encoder: str = field(
        Text("a sentence encoder"),
        "sentence encoder of the questions that are clustered: a name on the hub, or a folder",
        "intfloat/e5-large-v2",
        metavar="MODEL",
    )
    seed: int = field(Whole(0, 2**31 - 1), "seed of the clustering", 42, metavar="S")
    min_family: int = field(Whole(1, 10**6), "smaller clusters share a family", 30, metavar="N")


@dataclass(frozen=True, slots=True)
class AuditsSpec:
    """What is measured beside the cells."""

    flip_rate: int = field(
        Whole(0, 10_000, "questions"),
        "raw questions that are answered twice, in batches of other sizes; 0: none",
        200,
    )
    grid: int = field(
        Whole(2, 200, "recordings"),
        "recordings and questions of the factorial grid of scores",
        20,
    )
    clips: int = field(
        Whole(0, 500, "recordings"),
        "recordings about which answers became wrong that are kept in the run folder, raw and compressed, to listen "
        "to, with their questions; 0: none",
        0,
    )


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """Where and within what memory it runs; no result depends on it but for last bits."""

    device: str = field(
        Form(r"cpu|mps|cuda(:\d+)?", "cpu, cuda, cuda:N or mps"),
        "where the answerer runs: cpu, cuda, cuda:N or mps",
        "cpu",
        metavar="D",
    )
    batch_tokens: int = field(Whole(1, 1 << 24, "tokens"), "positions in a batch, padding included", 8192, metavar="N")
    kv_mib: int = field(Whole(1, 1 << 24, "MiB"), "keys and values that are held", 512)
    clip_mib: int = field(Whole(1, 1 << 24, "MiB"), "opened clips that are held", 512)
    wave_mib: int = field(
        Whole(0, 1 << 24, "MiB"), "compressed waves that are kept in the run folder until it is complete; 0: none", 1024
    )
    encoding_mib: int = field(
        Whole(0, 1 << 24, "MiB"),
        "encoder outputs that are kept in the run folder until it is complete, and as many in memory, where tokens are "
        "compressed; 0: none",
        1024,
    )
    spool_mib: int = field(
        Whole(0, 1 << 24, "MiB"),
        "recordings in Parquet tables and compressed archives that are copied into the run folder, until it is decided",
        8192,
    )
    compressors: int | None = field(
        Whole(1, 256, "processes"), "processes that compress waves", None, default="one per core, at most 4"
    )
    decoders: int | None = field(
        Whole(0, 256, "processes"),
        "processes that decode audio",
        None,
        default="4 beside a GPU, else 0",
    )
    ahead_blocks: int = field(
        Whole(0, 4096, "blocks"),
        "of several workers: windows that they begin at most before a walk that stops when it is decided comes to them",
        16,
    )


@dataclass(frozen=True, slots=True)
class SweepKeys:
    """How much of the audio is kept, and what is answered together. `Spec` has these keys as its own."""

    budgets: tuple[float, ...] = field(
        Either(GRIDS, Share(), f"{', '.join(GRIDS)} or a list of shares"),
        '`"main"` (.05 .1 .2 .4 1), `"expanded"` (.02 .05 .1 .2 .3 .4 .5 .6 .7 .8 1), or a list of shares',
        GRIDS["main"],
        default='"main"',
    )
    window: int = field(
        Whole(1, 100_000, "recordings"),
        "recordings that are answered together; the recordings of a source are never parted",
        64,
    )
    until: Until = field(
        Word(*get_args(Until)),
        "when to stop asking: `complete`, with every answer, or `decided`, when no verdict needs more "
        "([how](method.md#99-stopping-when-it-is-decided)); what is then left can be asked later",
        "complete",
    )
