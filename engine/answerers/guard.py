"""Around everything that a model computes: no gradients, on one thread where results repeat, errors told apart.

Knows no model.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from traceback import clear_frames

import torch

from earmark.engine.answerers.answerer import LostError
from earmark.engine.answerers.shared.audio_lm import OutOfMemoryError
from earmark.engine.threads import one_thread


@contextmanager
def computing(repeats: bool) -> Iterator[None]:
    """Without gradients, on one thread where results repeat to the last bit (in fp32 on a CPU).

    OutOfMemoryError where there is no memory for it, LostError where the device has failed.
    """
    try:
        with torch.inference_mode(), one_thread() if repeats else nullcontext():
            yield
    except torch.OutOfMemoryError as error:
        clear_frames(error.__traceback__)  # what they hold of the failed batch is not free before
        torch.cuda.empty_cache()
        raise OutOfMemoryError(str(error).splitlines()[0]) from None
    except torch.AcceleratorError as error:
        raise LostError(str(error).splitlines()[0]) from error
    except RuntimeError as error:
        if "can't allocate memory" in str(error):  # the CPU's allocator has no exception of its own
            raise OutOfMemoryError("the machine has no more memory") from None
        raise
