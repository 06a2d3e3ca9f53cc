"""A folder as an audio model behind its processor, or the reason why it is none.

Runs no code that comes with a model, and reads no pickles. Knows of architectures only what transformers lists.
"""

from pathlib import Path
from typing import Any

import transformers

from earmark.engine.answerers.model_folder import CONFIG
from earmark.engine.answerers.plain.auto_model import AutoModel
from earmark.engine.answerers.whole_model import whole_model
from earmark.engine.corpus.example import SAMPLE_RATE
from earmark.engine.errors import InputError, first_few
from earmark.engine.reading import read_json

_hf: Any = transformers  # its classes are untyped
_EARS = ("feature_extractor", "audio_processor")  # what a processor hears with
_ADAPTERS = ("has_lora_adapter", "speech_lora")  # keys of a configuration
_THINKER = "_thinker"  # ends the model type of the part of a model that thinks, saved by itself
# Before a template that writes today's date: then tomorrow's prompts would be others
_SAME_DAY = "{%- macro strftime_now(_) -%}January 01, 2026{%- endmacro -%}"
_ANOTHER = "name an audio language model that transformers has a class for"
_COPY = "copy the whole folder again"


def load_auto(place: str, name: str, device: str, dtype: str) -> AutoModel:
    """The audio model of a folder."""
    folder = Path(place)
    content = read_json(folder / CONFIG, _COPY)
    kind = _class(folder, content)
    processor = _processor(folder, str(content["model_type"]).removesuffix(_THINKER))
    _check_adapters(folder)
    return AutoModel(whole_model(kind, str(folder), device, dtype), processor, name)


def _class(folder: Path, content: dict[str, Any]) -> Any:
    """The class of transformers that answers: of a model that also speaks, the part that thinks."""
    model_type = str(content.get("model_type"))
    if model_type not in _hf.CONFIG_MAPPING:
        if "auto_map" in content:
            what = f"model type '{model_type}' needs code that comes with it (auto_map), which is never run"
            raise InputError(folder, what, _ANOTHER)
        raise InputError(folder, f"model type '{model_type}' is unknown to transformers {_hf.__version__}", _ANOTHER)
    config = _hf.CONFIG_MAPPING[model_type]
    for mapping in (_hf.MODEL_FOR_MULTIMODAL_LM_MAPPING, _hf.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING):
        if config in mapping:
            kind = mapping[config]
            return getattr(_hf, kind.__name__.replace("ForConditional", "ThinkerForConditional"), kind)
    raise InputError(folder, f"model type '{model_type}' answers no questions about audio", _ANOTHER)


def _check_adapters(folder: Path) -> None:
    """InputError where audio is heard through an adapter, which is not loaded: without it answers are others."""
    config = _hf.AutoConfig.from_pretrained(folder, trust_remote_code=False)
    keys = [key for key in _ADAPTERS if getattr(config, key, None)]
    files = sorted(path.relative_to(folder).as_posix() for path in folder.glob("**/adapter_config.json"))
    if keys or files:
        what = f"hears through an adapter ({first_few([*keys, *files])}), which is not loaded"
        raise InputError(folder, what, "merge it into the weights, and name a folder of those")


def _processor(folder: Path, model_type: str) -> Any:
    """The model's processor, of which only the ears and the tokenizer are loaded."""
    config = _hf.CONFIG_MAPPING[model_type]
    kind = _hf.PROCESSOR_MAPPING.get(config, None)
    if kind is None or not set(_EARS) & set(kind.get_attributes()):
        raise InputError(folder, f"model type '{model_type}' hears no audio", _ANOTHER)
    processor = _deaf_to_sights(kind).from_pretrained(folder, trust_remote_code=False)
    extractor = getattr(processor, "audio_processor", None) or processor.feature_extractor
    if extractor.sampling_rate != SAMPLE_RATE:
        what = f"hears {extractor.sampling_rate:,} samples a second, Earmark's clips have {SAMPLE_RATE:,}"
        raise InputError(folder, what, _ANOTHER)
    if processor.chat_template is None:  # some processors leave it to their tokenizer
        processor.chat_template = getattr(processor.tokenizer, "chat_template", None)
    if "strftime_now" in str(processor.chat_template):
        processor.chat_template = _SAME_DAY + processor.chat_template
    if processor.chat_template is None and hasattr(processor.tokenizer, "backend_tokenizer"):
        do = "pip install mistral-common for tekken.json; else copy the whole folder again"
        raise InputError(folder, "has no chat template", do)
    return processor


def _deaf_to_sights(kind: Any) -> Any:
    """The class of a processor, made without what prepares images and videos, which needs packages of its own."""

    def arguments(cls: Any, /, place: Any, _: Any = None, **kwargs: Any) -> list[Any]:
        """What `__init__` takes."""
        return [_part(cls, name, place, kwargs) for name in cls.get_attributes()]

    def check(self: Any, name: str, part: Any) -> Any:
        return None if part is None else kind.check_argument_for_proper_class(self, name, part)

    members = {"_get_arguments_from_pretrained": classmethod(arguments), "check_argument_for_proper_class": check}
    return type(kind.__name__, (kind,), members)


def _part(kind: Any, name: str, place: Any, options: dict[str, Any]) -> Any:
    if name == "tokenizer":
        return kind._load_tokenizer_from_pretrained(name, place, **options)
    return _hf.AutoFeatureExtractor.from_pretrained(place, **options) if name in _EARS else None
