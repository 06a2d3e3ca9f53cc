"""Where the page plays its clips from: the page itself where they are small together, else the run folder.

Reads clips; knows no questions.
"""

import base64
from collections import Counter
from pathlib import Path
from urllib.parse import quote

from earmark.engine.report.heard import played_clips
from earmark.engine.signoff.certificate import Certificate
from earmark.engine.signoff.kept_clips import read_clip

MOST_EMBEDDED = 4 << 20  # bytes of all clips that a page holds, each as often as it plays


def played_from(certificate: Certificate, run: Path) -> dict[str, str]:
    """The address of each clip that the page plays, by its path in the run folder; InputError where one is gone.

    Links are relative to the page, which lies beside the certificate and says where the run folder is.
    """
    n_played = Counter(played_clips(certificate))
    embedded, n_bytes = {}, 0
    for path, n_times in n_played.items():
        data = read_clip(run, path)
        n_bytes += n_times * len(data)
        if n_bytes > MOST_EMBEDDED:
            return {linked: quote(f"{certificate.run}/{linked}") for linked in n_played}
        embedded[path] = f"data:audio/flac;base64,{base64.b64encode(data).decode()}"
    return embedded
