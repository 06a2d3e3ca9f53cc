"""A certificate in somebody's hands: it prints and shows itself, becomes a frame, is saved, and is read again."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any

from earmark.arguments import Place, path, speaking_of_keywords
from earmark.engine.errors import InputError
from earmark.engine.files import make_folder
from earmark.engine.outcomes import long_table
from earmark.engine.outcomes.store import is_signed_off
from earmark.engine.printable import printable
from earmark.engine.remote import beside
from earmark.engine.report.html import render
from earmark.engine.report.signed_files import certificate_here, write
from earmark.engine.report.terminal import decision_table
from earmark.engine.signoff import certificate as certificates
from earmark.engine.signoff.claim_entry import Claim
from earmark.engine.signoff.follow import check_kept
from earmark.engine.signoff.json_form import Unwritten, to_json
from earmark.engine.signoff.result_entry import BudgetEntry, ResultEntry

_A_PATH = "save it, and give the path that save() returns"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Certificate(certificates.Certificate):
    """What may be shipped on these outcomes, and why not more. Its fields are those of certificate.json."""

    run_folder: Annotated[Path | None, Unwritten()] = field(default=None, compare=False)  # that was certified, resolved
    outcomes: Annotated[Any, Unwritten()] = field(default=None, compare=False)  # the PyArrow table that was, if any

    @classmethod
    @speaking_of_keywords
    def read(cls, certificate: Place) -> "Certificate":
        """The certificate in a file, or in the folder that holds certificate.json."""
        file = certificate_file("certificate", certificate)
        stated = certificates.read(file)
        follows = stated.follows
        if follows is not None:
            before = beside(file.parent, follows.certificate)
            follows = follows._replace(certificate=os.path.realpath(before))
        run = beside(file.parent, stated.run, is_signed_off)
        return held(replace(stated, run=".", follows=follows), Path(os.path.realpath(run)))

    @property
    def approved(self) -> bool:
        """Whether the claim, corrected for everything that it covers, approves anything below all of the audio."""
        return bool(self.claim.approved)

    def __hash__(self) -> int:
        return hash((self.schema, self.inputs, self.warnings))

    def __repr__(self) -> str:
        return f"<earmark.Certificate: {self.__str__().splitlines()[0]}>"

    def __str__(self) -> str:
        return "\n".join(map(printable, decision_table(self)))

    def _repr_html_(self) -> str:
        """The report, for a notebook, in a frame of its own: its styles stay inside."""
        page = render(self, certificates.to_bytes(self)).replace("&", "&amp;").replace('"', "&quot;")
        return f'<iframe srcdoc="{page}" style="width: 100%; height: 40em; border: 0"></iframe>'

    def to_json(self) -> dict[str, Any]:
        """The content of certificate.json."""
        return to_json(self)

    def to_pandas(self) -> Any:
        """One row per result, budget, family and tolerance: counts, excess with its bounds, p, and two verdicts.

        `decision_alone` is that of the method at that budget by itself, uncorrected for there being several: it
        approves nothing. `approved` is whether the claim does, for this family there.
        """
        try:
            import pandas
        except ModuleNotFoundError:
            raise InputError("to_pandas", "needs pandas, which is not installed", "pip install pandas") from None
        return pandas.DataFrame(
            [row for result in self.results for budget in result.budgets for row in self._rows(result, budget)]
        )

    def _rows(self, result: ResultEntry, budget: BudgetEntry) -> Iterator[dict[str, Any]]:
        for family in budget.families:
            for place, decision in enumerate(budget.decisions):
                claimed = place == 0  # the first tolerance alone is
                yield {
                    "answerer": result.answerer,
                    "corpus": result.corpus,
                    "method": result.method,
                    "seed": result.seed,
                    "partition": result.partition,
                    "budget": budget.budget,
                    "family": family.family,
                    "tolerance": decision.tolerance,
                    "n": family.n,
                    "plus": family.plus,
                    "minus": family.minus,
                    "excess": family.excess,
                    "lower": family.lower,
                    "upper": family.upper,
                    "p": None if family.p is None else family.p[place],
                    "decision_alone": decision.decision,
                    "approved": claimed and _approves(self.claim, result, budget.budget, family.family),
                }

    @speaking_of_keywords
    def save(self, folder: Place) -> Path:
        """Write certificate.json, report.html and, where it routes, policy.json into a folder.

        Outcomes that came as a table go there too, as a run folder: these very outcomes, where they are there already,
        are left as they are, and others are refused before anything is written. Outcomes of a run folder stay where
        they are; the certificate says the way there. Returns the path of certificate.json, which `earmark.verify`
        recomputes.
        """
        out = path("folder", folder)
        if self.outcomes is None and self.run_folder is None:
            raise InputError("save", "knows no outcomes", "give the constructor run_folder=, or outcomes=")
        if self.follows is not None:  # before the outcomes are written
            check_kept(Path(self.follows.certificate), out)
        make_folder(out)
        run = self.run_folder if self.outcomes is None else long_table.write_run(out, self.outcomes)
        assert run is not None, "a certificate is of a folder or of a table"
        return write(self, run, out)


def held(typed: certificates.Certificate, run_folder: Path | None = None, outcomes: Any = None) -> Certificate:
    """A certificate as the front door gives it, which knows what was certified."""
    stated = {entry.name: getattr(typed, entry.name) for entry in fields(certificates.Certificate)}
    return Certificate(**stated, run_folder=run_folder, outcomes=outcomes)


def certificate_file(keyword: str, value: Any) -> Path:
    """The file that somebody names by itself or by its folder."""
    place = path(keyword, value, _A_PATH if isinstance(value, certificates.Certificate) else "give a path")
    file = certificate_here(place)
    return file / certificates.CERTIFICATE_FILE if file.is_dir() else file


def _approves(claim: Claim, result: ResultEntry, budget: float, family: str) -> bool:
    """Whether the claim approves a budget of a method for a family."""
    candidates = {candidate.name: candidate for candidate in claim.candidates}
    for shipped in claim.approved:
        candidate = candidates[shipped.candidate]
        of_candidate = (candidate.answerer, candidate.corpus, candidate.method)
        if of_candidate != (result.answerer, result.corpus, result.method) or result.seed not in candidate.seeds:
            continue
        least = shipped.budget
        if (
            shipped.kind == "routing"
            and candidate.policy is not None
            and candidate.policy.partition == result.partition
        ):
            least = next((route.budget for route in candidate.policy.families if route.family == family), None)
        if least is not None and least <= budget < 1:
            return True
    return False
