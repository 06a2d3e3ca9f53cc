"""What lm-eval and lmms-eval write beside their samples files: the results file of a run, with its model and arguments.

Also finds the samples files of the run that a results file is of. Knows no row.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from earmark.engine import reading
from earmark.engine.errors import InputError
from earmark.engine.outcomes.imports import log_files
from earmark.engine.outcomes.imports.arguments import of_place
from earmark.engine.outcomes.imports.rows import Argument, LogFile

_RESULTS = re.compile(r"results_(?P<late>\d[\dT_.-]*)\.json|(?P<early>\d[\dT_.-]*)_results\.json")


def logs_of_run(path: Path, pattern: str) -> list[Path]:
    """The samples files of the run whose results file this is, or the file itself where it is none."""
    name = _RESULTS.fullmatch(path.name)
    if name is None or path.is_dir():
        return [path]
    date = name["late"] or name["early"]
    logs = [log for log in log_files.logs_at(path.parent, [pattern]) if log.parent == path.parent and date in log.name]
    if not logs:
        raise InputError(path, f"has no samples of its run beside it ({pattern})", "run it again with --log_samples")
    return logs


def with_results(file: LogFile, date: str | None) -> LogFile:
    """The same file with the model, arguments and groups of its run, as far as a results file beside it tells.

    lm-eval draws a random name where its model_args have none of the keys that it looks for (pretrained, model, ...),
    so a name is believed only where the model_args have it too.
    """
    results = next(_results_beside(file.path, date), None)
    if results is None:
        return file
    name, config = results["model_name"], results.get("config")
    arguments = tuple(_arguments(config if isinstance(config, Mapping) else {}, results.get("configs"), file.task))
    believed = _in_model_args(name, config)
    distrust = f"the results file calls it '{name}', which its model_args do not: it may be random"
    return file._replace(
        model=name if believed else None,
        unnamed=None if believed else distrust,
        arguments=arguments,
        groups=_groups(results.get("group_subtasks")),
    )


def _results_beside(log: Path, date: str | None) -> Iterator[Mapping[str, Any]]:
    """The files of results, beside a samples file, that name a model; what cannot be read is passed over."""
    for path in sorted(log.parent.glob(f"*{date}*.json")) if date else []:
        try:
            results = log_files.parse(reading.read_bytes(path, log_files.CHECK, reading.MOST_LINE_BYTES), str(path))
        except InputError:
            continue  # only a hint: without it --answerer is asked for
        if isinstance(results, dict) and isinstance(results.get("model_name"), str) and results["model_name"]:
            yield results


def _in_model_args(name: str, config: Any) -> bool:
    """Whether a name, or the last part of its path, stands as a whole in the model_args: a text, or a mapping."""
    model_args = config.get("model_args") if isinstance(config, Mapping) else None
    text = ",".join(map(str, model_args.values())) if isinstance(model_args, Mapping) else str(model_args or "")
    parts = {name, name.rstrip("/").rpartition("/")[2]} - {""}
    return any(re.search(rf"(?<![\w.-]){re.escape(part)}(?![\w.-])", text) for part in parts)


def _arguments(config: Mapping[str, Any], configs: Any, task: str | None) -> Iterator[Argument]:
    """The arguments of the run, then those of the task: what it was told by --metadata, and by its own file."""
    for place in ("model_args", "gen_kwargs"):
        yield from of_place(place, config.get(place))
    own = configs.get(task) if isinstance(configs, Mapping) else None
    for place in ("metadata", "generation_kwargs"):
        yield from of_place(place, own.get(place) if isinstance(own, Mapping) else None)


def _groups(group_subtasks: Any) -> Mapping[str, frozenset[str]]:
    """The tasks of each group; the parts of a group may be groups."""
    if not isinstance(group_subtasks, Mapping):
        return {}
    parts = {
        group: {part for part in members if isinstance(part, str)}
        for group, members in group_subtasks.items()
        if isinstance(members, list) and members
    }
    return {group: frozenset(_tasks(group, parts, set())) for group in parts}


def _tasks(name: str, parts: Mapping[str, set[str]], above: set[str]) -> set[str]:
    if name not in parts:
        return {name}
    inner = parts[name] - above - {name}
    return {task for part in inner for task in _tasks(part, parts, above | {name})}
