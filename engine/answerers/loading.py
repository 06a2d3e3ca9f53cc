"""An answerer as a spec describes it. torch and transformers are imported only when one is loaded."""

from earmark.engine.answerers.answerer import Answerer
from earmark.engine.answerers.shared.audio_lm import AudioLM
from earmark.engine.answerers.shared.scheduler import MIB, AnswerOptions
from earmark.engine.answerers.shared.shared_answerer import SharedAnswerer
from earmark.engine.design.sections import AnswererSpec, MachineSpec
from earmark.engine.errors import InputError
from earmark.engine.extras import needs_extra


def load(answerer: AnswererSpec, machine: MachineSpec = MachineSpec()) -> Answerer:  # noqa: B008 (frozen)
    """The answerer of a spec, within its machine's memory."""
    model = load_model(answerer.model, machine.device, answerer.dtype)
    return SharedAnswerer(model, options_of(answerer, machine))


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

    _check_device(device)
    return model_types.load(name, device, dtype)


def _check_device(device: str) -> None:
    """InputError where this machine, or the torch that is installed, lacks the device."""
    import torch

    kind, _, number = device.partition(":")
    if kind == "cuda":
        n = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(number or 0) >= n:
            what = f"torch {torch.__version__} sees {n or 'no'} CUDA device{'s' * (n > 1)} here"
            raise InputError(f"device {device}", what, "use cpu, or a machine and a torch that have it")
    elif kind == "mps" and not torch.backends.mps.is_available():
        raise InputError(f"device {device}", "torch sees no Metal here", "use cpu")
