"""A compressor of waves as a recipe describes it. Libraries are imported where one of theirs is named."""

from collections.abc import Callable

from earmark.engine.compressors.waves.wave_method import WaveMethod, WaveRecipe
from earmark.engine.design.compressors import AV, BUILT_IN, is_brought
from earmark.engine.errors import InputError
from earmark.engine.extras import needs_extra


def wave_method(recipe: WaveRecipe, began: Callable[[int], None]) -> WaveMethod:
    """What carries a recipe out; InputError where there is no such compressor, or a package of its is missing.

    A command tells `began` the number of the group of processes that it is, for each clip.
    """
    where = label_of(recipe)
    with needs_extra(where, "audio"):
        return _brought(recipe, where, began) if is_brought(recipe.compressor) else _built_in(recipe.compressor, where)


def label_of(recipe: WaveRecipe) -> str:
    """What errors call it."""
    return f"compressor {recipe.compressor}" if recipe.compressor else f"command {recipe.command}"


def _brought(recipe: WaveRecipe, where: str, began: Callable[[int], None]) -> WaveMethod:
    from earmark.engine.compressors.waves.brought import entry_point_of, function_of
    from earmark.engine.compressors.waves.brought_command import BroughtCommand

    if not recipe.compressor:
        return BroughtCommand(recipe, began)
    return function_of(recipe, where) if ":" in recipe.compressor else entry_point_of(recipe, where)


def _built_in(name: str, where: str) -> WaveMethod:
    if name.startswith(AV):
        from earmark.engine.compressors.waves.av_codecs import AvCodec

        return AvCodec(name.removeprefix(AV))
    if name == "frames":
        from earmark.engine.compressors.waves.loud_frames import LoudFrames

        return LoudFrames()
    if name == "speed":
        from earmark.engine.compressors.waves.speed import Speed

        return Speed()
    if name == "lowpass":
        from earmark.engine.compressors.waves.lowpass import LowPass

        return LowPass()
    from earmark.engine.compressors.waves.codecs import CODECS, SndfileCodec

    if name not in CODECS:
        raise InputError(where, "compresses no waves", f"name {', '.join(BUILT_IN)}")
    return SndfileCodec(name)
