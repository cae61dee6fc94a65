"""``edgefer zoo``."""

from __future__ import annotations

from pathlib import Path

import click

from edgefer.cli import console
from edgefer.cli.options import OutPath


@click.command(name="zoo")
@click.argument("model", required=False)
@click.option(
    "--out",
    type=OutPath(file_okay=False),
    default=Path(),
    help="Where the model's folder goes.  [default: here]",
)
@console.json_option
def command(model: str | None, out: Path, as_json: bool) -> None:
    """List the trained models that come with edgefer, or copy MODEL's folder to --out.

    A folder holds the Keras file, TFLite and ONNX files made of it, and a model card that says what the model was
    trained on, what it reaches and where it fails.
    """
    from edgefer.zoo import copy_model, files_of, models, title_of

    if model:
        copied = copy_model(model, out)
        if as_json:
            console.print_json([str(path) for path in copied])
        else:
            click.echo("\n".join(map(str, copied)))
        return
    shipped = [
        {"model": name, "title": title_of(folder), "files": [path.name for path in files_of(folder)]}
        for name, folder in models().items()
    ]
    if as_json:
        console.print_json(shipped)
        return
    rows = [(one["model"], one["title"], ", ".join(one["files"])) for one in shipped]
    console.print_table("Trained models", ("model", "what", "files"), rows)
