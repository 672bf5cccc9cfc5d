"""`underlay admin`: what a running server serves, and changes to it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from underlay.cli.options import Json

app = typer.Typer(
    help="See and change what a running server serves; the key stands in $UNDERLAY_ADMIN_KEY or in --key-file.",
    no_args_is_help=True,
)

Url = Annotated[str, typer.Option(help="The server's second address.")]
KeyHolder = Annotated[Path | None, typer.Option("--key-file", metavar="FILE", help="Holds a key of scope admin.")]
VersionName = Annotated[str, typer.Argument(metavar="NAME:VERSION", help="As `underlay admin list` shows it.")]
ModelName = Annotated[str, typer.Argument(metavar="NAME", help="Of the model.")]
AnyModel = Annotated[str | None, typer.Argument(metavar="[NAME]", help="Of the model; without it all.")]
Off = Annotated[bool, typer.Option("--off", help="Take the alias away from NAME.")]
Was = Annotated[str | None, typer.Option(metavar="VERSION", help="Change nothing if the alias points elsewhere now.")]
URL = "http://127.0.0.1:8001"


@app.command(name="list")
def list_models(url: Url = URL, key: KeyHolder = None, json: Json = False) -> None:
    """Show every version in memory and the aliases that point to it."""
    from underlay.cli.streams import put_json, results
    from underlay.cli.tables import table

    told = _ask("GET", "/models", url=url, key=key)
    if json:
        put_json(told)
        return
    rows = [
        [model["name"], version["version"], _aliases(model, version), _state(told, model, version), version["bundle"]]
        for model in told["models"]
        for version in model["versions"]
    ]
    results().print(table("", ["model", "version", "aliases", "state", "bundle"], rows))


@app.command()
def load(
    named: Annotated[str, typer.Argument(metavar="NAME[:VERSION]=BUNDLE", help="As `underlay serve` takes it.")],
    url: Url = URL,
    key: KeyHolder = None,
    json: Json = False,
) -> None:
    """Have a bundle in memory, proved by its golden rows; nobody is asked elsewhere until an alias points to it."""
    from underlay.serve.admin_client import address
    from underlay.serve.named import read_named

    found = read_named(named)
    body = {"bundle": str(found.folder.absolute())} | ({"version": found.label} if found.label is not None else {})
    told = _ask("POST", address("models", found.name, "versions"), body, url=url, key=key)
    _say(told, f"{told.get('model')}:{told.get('version')} is loaded", json=json)


@app.command()
def unload(version: VersionName, url: Url = URL, key: KeyHolder = None, json: Json = False) -> None:
    """Let a version go to which no alias points, after it has answered whoever waits for it."""
    from underlay.serve.admin_client import address

    name, label = _split(version)
    told = _ask("DELETE", address("models", name, "versions", label), url=url, key=key)
    _say(told, f"{version} is unloaded{_late(told)}", json=json)


@app.command()
def remove(name: ModelName, url: Url = URL, key: KeyHolder = None, json: Json = False) -> None:
    """Let a model go with all its versions."""
    from underlay.serve.admin_client import address

    told = _ask("DELETE", address("models", name), url=url, key=key)
    _say(told, f"{name} is unloaded{_late(told)}", json=json)


@app.command()
def prod(version: VersionName, was: Was = None, url: Url = URL, key: KeyHolder = None, json: Json = False) -> None:
    """Have another version answer from now on."""
    _point(version, "prod", {"was": was} if was is not None else {}, url=url, key=key, json=json)


@app.command()
def canary(
    version: Annotated[str, typer.Argument(metavar="NAME:VERSION", help="With --off the name alone.")],
    weight: Annotated[float | None, typer.Option(help="Share of the requests: 0.05 is one in twenty.")] = None,
    off: Off = False,
    url: Url = URL,
    key: KeyHolder = None,
    json: Json = False,
) -> None:
    """Have a version answer a share of the requests; the same rows always go the same way."""
    from underlay.core import UsageError

    if off:
        _take(version, "canary", url=url, key=key, json=json)
    elif weight is None:
        raise UsageError("a canary needs its share", "pass --weight 0.05", code="weight")
    else:
        _point(version, "canary", {"weight": weight}, url=url, key=key, json=json)


@app.command()
def shadow(
    version: Annotated[str, typer.Argument(metavar="NAME:VERSION", help="With --off the name alone.")],
    off: Off = False,
    url: Url = URL,
    key: KeyHolder = None,
    json: Json = False,
) -> None:
    """Ask a version too whatever is asked; its answers are compared and never told."""
    if off:
        _take(version, "shadow", url=url, key=key, json=json)
    else:
        _point(version, "shadow", {}, url=url, key=key, json=json)


@app.command()
def rollback(name: ModelName, url: Url = URL, key: KeyHolder = None, json: Json = False) -> None:
    """Have the version answer that did before."""
    from underlay.serve.admin_client import address

    told = _ask("POST", address("models", name, "rollback"), {}, url=url, key=key)
    _say(told, _told(told), json=json)


@app.command()
def stop(name: AnyModel = None, url: Url = URL, key: KeyHolder = None, json: Json = False) -> None:
    """Refuse everybody at once, with 503 `stopped`, until `start`; a restart does not undo it."""
    _switch(name, "stop", "is stopped", url=url, key=key, json=json)


@app.command()
def start(name: AnyModel = None, url: Url = URL, key: KeyHolder = None, json: Json = False) -> None:
    """Answer again after `stop`."""
    _switch(name, "start", "answers again", url=url, key=key, json=json)


def _ask(method: str, path: str, body: Any = None, *, url: str, key: Path | None) -> dict[str, Any]:
    from underlay.serve.admin_client import AdminClient, read_key

    return AdminClient(url, read_key(key)).ask(method, path, body)


def _point(version: str, alias: str, more: dict[str, Any], *, url: str, key: Path | None, json: bool) -> None:
    from underlay.serve.admin_client import address

    name, label = _split(version)
    told = _ask("PUT", address("models", name, "aliases", alias), {"version": label, **more}, url=url, key=key)
    _say(told, _told(told), json=json)


def _take(name: str, alias: str, *, url: str, key: Path | None, json: bool) -> None:
    from underlay.serve.admin_client import address

    told = _ask("DELETE", address("models", name.partition(":")[0], "aliases", alias), url=url, key=key)
    _say(told, _told(told), json=json)


def _switch(name: str | None, word: str, said: str, *, url: str, key: Path | None, json: bool) -> None:
    from underlay.serve.admin_client import address

    told = _ask("POST", address(*(() if name is None else ("models", name)), word), {}, url=url, key=key)
    _say(told, f"{name or 'every model'} {said}", json=json)


def _say(told: dict[str, Any], line: str, *, json: bool) -> None:
    from underlay.cli.streams import put_json

    if json:
        put_json(told)
    else:
        typer.echo(line)


def _told(told: dict[str, Any]) -> str:
    parts = [f"prod {told['prod']}"]
    parts += [f"canary {told['canary']} ({told['weight']:.4g})"] if told["canary"] else []
    parts += [f"shadow {told['shadow']}"] if told["shadow"] else []
    return f"{told['model']}: {', '.join(parts)}"


def _late(told: dict[str, Any]) -> str:
    return "" if told["answered_all"] else "; it had not answered everybody when the time was up"


def _aliases(model: dict[str, Any], version: dict[str, Any]) -> str:
    share = {"canary": f"canary {model['weight']:.4g}"}
    return ", ".join(share.get(alias, alias) for alias in version["aliases"])


def _state(told: dict[str, Any], model: dict[str, Any], version: dict[str, Any]) -> str:
    words = ["stopped"] if told["stopped"] or model["stopped"] else ["ready" if version["ready"] else "hangs"]
    return ", ".join(words + (["changed on disk"] if version["changed_on_disk"] else []))


def _split(version: str) -> tuple[str, str]:
    from underlay.core import UsageError

    name, colon, label = version.partition(":")
    if not (name and colon and label):
        raise UsageError(f"{version!r:.80} names no version", "write NAME:VERSION", code="name")
    return name, label
