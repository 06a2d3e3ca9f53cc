"""An answerer as a spec describes it. torch and transformers are imported only when one is loaded."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote

from earmark.engine.answerers.abilities import AbleAnswerer
from earmark.engine.answerers.answerer import Answerer
from earmark.engine.answerers.model_folder import WHAT_IT_TAKES
from earmark.engine.answerers.plain.plain_answerer import PlainAnswerer
from earmark.engine.answerers.shared.audio_lm import AudioLM
from earmark.engine.answerers.shared.encodings import Encodings
from earmark.engine.answerers.shared.scheduler import MIB, AnswerOptions
from earmark.engine.answerers.shared.shared_answerer import SharedAnswerer
from earmark.engine.design.endpoint import FORM, Endpoint, endpoint_of, is_served
from earmark.engine.design.keys import ENCODINGS
from earmark.engine.design.sections import PLAIN, AnswererSpec, MachineSpec
from earmark.engine.errors import InputError
from earmark.engine.extras import needs_extra
from earmark.engine.progress import Stop, never


@contextmanager
def loader(
    run: Path, stop: Stop = never, *, reduces: bool = False
) -> Iterator[Callable[[AnswererSpec, MachineSpec], Answerer]]:
    """`load` for a run folder, which keeps what served answerers were paid for; their connections end with it. Where
    `stop` says so a server is waited for no longer. Where the run `reduces` tokens, encodings are kept there.
    """
    with ExitStack() as served:

        def load_for_run(answerer: AnswererSpec, machine: MachineSpec) -> Answerer:
            kept = None
            if reduces and machine.encoding_mib:
                n_bytes = machine.encoding_mib * MIB
                kept = Encodings(n_bytes, run / ENCODINGS / f"answerer={quote(answerer.name, safe='')}", n_bytes)
            loaded = load(answerer, machine, run, stop, kept)
            if is_served(answerer.model):
                served.callback(loaded.close)
            return loaded

        yield load_for_run


def load(
    answerer: AnswererSpec,
    machine: MachineSpec = MachineSpec(),  # noqa: B008 (frozen)
    run: Path | None = None,
    stop: Stop = never,
    encodings: Encodings | None = None,
) -> AbleAnswerer:
    """The answerer of a spec, within its machine's memory; `run` keeps what a served one was paid for, and StoppedError
    says that `stop` did before that one was there. `encodings` keep what an encoder made, where that is read again.
    """
    endpoint = _endpoint_of(answerer.model)
    if endpoint is not None:
        with needs_extra("a served answerer", "serve"):
            from earmark.engine.answerers.server.loading import load_served
        return load_served(answerer, endpoint, run, stop)
    if answerer.model.startswith(PLAIN):
        return _load_plain(answerer, machine, encodings)
    model = load_model(answerer.model, machine.device, answerer.dtype)
    return SharedAnswerer(model, options_of(answerer, machine), encodings)


def _endpoint_of(model: str) -> Endpoint | None:
    """The endpoint that is named; InputError, without the address, where it cannot be one."""
    try:
        return endpoint_of(model)
    except ValueError as error:
        raise InputError("a served answerer's model", str(error), f"write {FORM}") from None


@needs_extra("an answerer", "run")
def _load_plain(answerer: AnswererSpec, machine: MachineSpec, encodings: Encodings | None) -> PlainAnswerer:
    """Any audio model of transformers, behind its own processor."""
    from earmark.engine.answerers import model_types

    name = answerer.model.removeprefix(PLAIN)
    if not name.strip():  # which a path takes for the working directory
        raise InputError(f"answerer {answerer.model}", "names no model", WHAT_IT_TAKES)
    model = model_types.load_plain(name, machine.device, answerer.dtype)
    return PlainAnswerer(model, options_of(answerer, machine), encodings)


def options_of(answerer: AnswererSpec, machine: MachineSpec) -> AnswerOptions:
    """How it is asked, and within what memory."""
    return AnswerOptions(
        generate=answerer.generate,
        split=answerer.split,
        batch_tokens=machine.batch_tokens,
        kv_bytes=machine.kv_mib * MIB,
        clip_bytes=machine.clip_mib * MIB,
    )


@needs_extra("an answerer", "run")
def load_model(name: str, device: str = "cpu", dtype: str = "float32") -> AudioLM:
    """`tiny`, a folder, or a name on the Hugging Face hub: safetensors weights only, and no code but ours."""
    from earmark.engine.answerers import model_types

    return model_types.load(name, device, dtype)
