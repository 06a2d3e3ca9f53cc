"""An answerer by its name. torch and transformers are imported only when one is loaded."""

from earmark.engine.answerers.answerer import Answerer
from earmark.engine.extras import needs_extra


@needs_extra("an answerer", "run")
def load(name: str, device: str = "cpu", dtype: str = "float32") -> Answerer:
    """`tiny`, a folder, or a name on the Hugging Face hub: safetensors weights only, and no code but ours."""
    from earmark.engine.answerers import model_types

    return model_types.load(name, device, dtype)
