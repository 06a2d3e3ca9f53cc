"""`earmark schema`: the JSON Schemas of certificate.json and of a spec, for editors and for readers of certificates."""

import click

from earmark.cli.say import say_json


@click.command()
@click.argument("what", type=click.Choice(["certificate", "spec"]), metavar="certificate|spec")
def schema(what: str) -> None:
    """Print the JSON Schema (2020-12) of certificate.json, or of a spec.

    A certificate's is a draft that only gains fields until 1.0. With a spec's an editor completes keys and marks what
    cannot be; what does not go together is found by `earmark run`.

    \b
    Example:
      earmark schema spec > spec.schema.json
    """
    if what == "certificate":
        from earmark.engine.signoff import certificate

        content = certificate.schema()
    else:
        from earmark.engine.design import spec_schema

        content = spec_schema.schema()
    say_json(content, indent=1)
