"""A model is rebuilt from plain data through our registries, or refused."""

import copy
import json

import pytest

from underlay.core import BundleRefused, UnknownName
from underlay.models import build, configure, resolve

COLUMNS = {"text": {"name": "text.v1", "vocabulary": 50, "padding": 0, "limit": 20}}
CONFIG = configure(resolve("transformer"), columns=COLUMNS, outputs={"label": 2})


def changed(path, value):
    config = copy.deepcopy(CONFIG)
    place = config
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return config


def test_a_configuration_is_json_and_names_every_version():
    assert json.loads(json.dumps(CONFIG)) == CONFIG
    names = [CONFIG["stems"][0], CONFIG["trunk"], CONFIG["pooling"], CONFIG["heads"][0]]
    assert [part["name"] for part in names] == ["text.v1", "transformer.v1", "mean.v1", "linear.v1"]


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        (["auto_map"], {"AutoModel": "evil.Model"}, "config_key"),
        (["trunk", "auto_map"], "evil.Model", "config_key"),
        (["stems", 0, "dtype"], "float16", "config_key"),
        (["trunk", "name"], "transformer.v9", "config_name"),
        (["trunk", "name"], ["transformer.v1"], "config_name"),
        (["heads", 0, "name"], "os.system", "config_name"),
        (["trunk", "width"], "128", "config_value"),
        (["trunk", "width"], True, "config_value"),
        (["trunk", "width"], -128, "config_value"),
        (["trunk", "heads"], 0, "config_value"),
        (["trunk", "heads"], 7, "config_value"),
        (["trunk", "activation"], "exec", "config_value"),
        (["trunk", "dropout"], 1.5, "config_value"),
        (["stems", 0, "vocabulary"], 10**15, "config_value"),
        (["stems", 0, "width"], 64, "config_value"),
        (["trunk", "depth"], 10**9, "config_value"),
        (["heads"], {}, "config_value"),
    ],
)
def test_what_a_configuration_may_not_ask_for_is_refused_by_name(path, value, code):
    with pytest.raises(BundleRefused) as refused:
        build(changed(path, value), seed=0)
    assert refused.value.code == code
    assert refused.value.exit_code == 4


def test_a_missing_argument_is_named():
    config = copy.deepcopy(CONFIG)
    del config["trunk"]["depth"]
    with pytest.raises(BundleRefused, match="depth"):
        build(config, seed=0)


def test_an_unknown_trunk_says_what_is_near():
    with pytest.raises(UnknownName, match="did you mean 'minilm'"):
        resolve("minlm")
    with pytest.raises(UnknownName, match=r"did you mean 'attention\.v1'"):
        configure(resolve("recurrent"), columns=COLUMNS, outputs={"label": 2}, pooling="atention")
