"""`earmark card CERT`: what a certificate says, as a section of a model card."""

from pathlib import Path

import click

from earmark.cli.certificate_place import certificate_in
from earmark.cli.say import say


@click.command()
@click.argument("certificate", metavar="CERT", type=click.Path(path_type=Path))
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path), help="The card whose section is replaced.")
def card(certificate: Path, out: Path | None) -> None:
    """Write what CERT says, a certificate.json or the folder with it, as Markdown for a model card.

    The section has the decision, what is kept, the worst family, who answered, and every caveat; it has no date, so
    that the same certificate gives the same section. In FILE it replaces what is between its two markers, or goes
    behind everything where there are none; nothing else in FILE changes.

    \b
    Example:
      earmark card runs/mmar --out README.md
    """
    import hashlib
    import os

    from earmark.engine.report.card_section import placed, section
    from earmark.engine.signoff.certificate import parse, read_data

    file = certificate_in(certificate)
    data = read_data(file)
    lines = section(parse(data, file), hashlib.sha256(data).hexdigest())
    if out is None:
        say(*lines)
        return
    from earmark.engine.files import check_replaceable, write_file
    from earmark.engine.report.card_section import read_card

    check_replaceable(out)
    write_file(out, placed(read_card(out) if os.path.lexists(out) else "", lines, out).encode())
    say(f"card  {out}")
