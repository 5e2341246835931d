"""Secrets in settings and command lines are masked, and what only looks like one stays."""

from __future__ import annotations

import time
from typing import Any

import pytest

from monitor.runs.settings.masking import mask_command, mask_settings, mask_text

SECRET_NAMES = [
    "token",
    "hf_token",
    "HF_TOKEN",
    "hfToken",
    "mytoken",
    "access_token",
    "model.hub.token",
    "token.value",
    "wandb-token",
    "tokens",
    "password",
    "db_passwd",
    "PASSPHRASE",
    "secret",
    "client_secret",
    "AWS_SECRET_ACCESS_KEY",
    "aws_access_key_id",
    "api_key",
    "apikey",
    "apiKey",
    "OPENAI_API_KEY",
    "model.api-key",
    "api.key",
    "credential",
    "google.credentials",
    "private_key",
    "ssh_key",
    "secrets.openai",
    "authorization",
    "pwd",
    "db_pwd",
    "dbPwd",
    "PWD",
    "creds",
    "aws-creds",
    "passcode",
    "wandb_key",
    "AZURE_STORAGE_KEY",
    "creds.aws",
]
HARMLESS_NAMES = [
    "tokenizer",
    "tokenizer_name",
    "model.tokenizer.path",
    "tokenization",
    "detokenizer",
    "max_tokens",
    "num_tokens",
    "tokens_per_second",
    "pad_token",
    "eos_token",
    "mask_token",
    "special_tokens",
    "token_type",
    "token_mixer",
    "key",
    "keys",
    "monkey",
    "key_padding",
    "cwd",
    "pwd_weight",
    "credsize",
    "author",
    "username",
    "passes",
    "compass",
    "access",
]


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_secret_names(name: str) -> None:
    assert mask_settings({name: "hunter2"}) == {name: "***"}
    for nothing in (None, "", True):
        assert mask_settings({name: nothing}) == {name: nothing}


@pytest.mark.parametrize("name", HARMLESS_NAMES)
def test_harmless_names(name: str) -> None:
    assert mask_settings({name: "hunter2"}) == {name: "hunter2"}
    assert mask_command([f"--{name}", "hunter2", f"{name}=hunter2"]) == [f"--{name}", "hunter2", f"{name}=hunter2"]


VALUES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"tokens": 512, "token_ids": [1, 2], "token": 7}, {"tokens": 512, "token_ids": [1, 2], "token": 7}),
    ({"tokens": "512", "train_tokens": "1.5B"}, {"tokens": "512", "train_tokens": "1.5B"}),
    ({"token": "123456", "password": 1234}, {"token": "***", "password": "***"}),
    ({"image_start": {"token": "<|image|>"}, "cls": {"token": "[CLS]"}},
     {"image_start": {"token": "<|image|>"}, "cls": {"token": "[CLS]"}}),
    ({"api_keys": ["a", "b", None]}, {"api_keys": ["***", "***", None]}),
    ({"users": [{"name": "ann", "password": "x"}]}, {"users": [{"name": "ann", "password": "***"}]}),
    ({"overrides": ["lr=1", "+auth.token=abc"]}, {"overrides": ["lr=1", "+auth.token=***"]}),
    ({"text": '{"api_key": "x", "lr": 1}'}, {"text": '{"api_key": "***", "lr": 1}'}),
    ({"db": "postgres://ann:hunter2@host:5432/db"}, {"db": "postgres://ann:***@host:5432/db"}),
    ({"note": "the token is = short"}, {"note": "the token is = short"}),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "wanted"), VALUES)
def test_values(settings: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert mask_settings(settings) == wanted
    assert mask_settings(wanted) == wanted


COMMANDS = {
    "train.py --api-key X1X --lr 0.1": "train.py --api-key *** --lr 0.1",
    "train.py --api-key=X1X --hf_token X1X": "train.py --api-key=*** --hf_token ***",
    "train.py api_key=X1X +hub.token=X1X ++db.password=X1X lr=0.1": (
        "train.py api_key=*** +hub.token=*** ++db.password=*** lr=0.1"
    ),
    "run -e TOKEN=X1X -eHF_TOKEN=X1X image": "run -e TOKEN=*** -eHF_TOKEN=*** image",
    "train.py --api-keys X1X X2X --lr 1 2": "train.py --api-keys *** *** --lr 1 2",
    "train.py --use-token --tokenizer bert --max-tokens 512 --max_tokens=1k": (
        "train.py --use-token --tokenizer bert --max-tokens 512 --max_tokens=1k"
    ),
    "train.py --password -X1X --verbose": "train.py --password *** --verbose",
    "train.py +auth={token:X1X,user:ann}": "train.py +auth={token:***,user:ann}",
    "train.py --token='X1X'": "train.py --token='***'",
    "monitor train mlp --sink visdom://ann:X1X@host:8097/env": "monitor train mlp --sink visdom://ann:***@host:8097/env",
    "monitor run train.py --mirror https://host/f?token=X1X&v=2": "monitor run train.py --mirror https://host/f?token=***&v=2",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_commands(command: str) -> None:
    assert mask_command(command.split()) == COMMANDS[command].split()


def test_commands_in_one_piece() -> None:
    code = "login(token='X1X', user='ann'); api_key = get(); print('done')"
    assert mask_command(["python", "-c", code]) == [
        "python", "-c", "login(token='***', user='ann'); api_key = ***; print('done')",
    ]  # fmt: skip
    assert mask_command(["bash", "-c", "cd x && HF_TOKEN=X1X python a.py --api-key X1X"]) == [
        "bash", "-c", "cd x && HF_TOKEN=*** python a.py --api-key ***",
    ]  # fmt: skip
    assert mask_command(["-H", "Authorization: Bearer abc.def-ghi"]) == ["-H", "Authorization: Bearer ***"]
    assert mask_command(["--config", '{"hub": {"token": "X1X"}}']) == ["--config", '{"hub": {"token": "***"}}']


URLS = {
    "https://ann:hunter2@host/x": "https://ann:***@host/x",
    "https://ann:hun/ter@2@host:80/x": "https://ann:***@host:80/x",
    "redis://:hunter2@host/0": "redis://:***@host/0",
    "https://ghp_0123456789abcdefghij@github.com/a": "https://***@github.com/a",
    "git+ssh://git@github.com/a": "git+ssh://git@github.com/a",
    "https://host:8080/a@b": "https://host:8080/a@b",
    "https://host/?a=1&api_key=abc#access_token=def": "https://host/?a=1&api_key=***#access_token=***",
    "two: http://a:b@c/d,http://e:f@g": "two: http://a:***@c/d,http://e:***@g",
    "mail ann@host: at 5": "mail ann@host: at 5",
}


@pytest.mark.parametrize("text", URLS)
def test_urls(text: str) -> None:
    assert mask_text(text) == URLS[text]


TEXTS = {
    "curl -H 'Authorization: Bearer X1X' http://host": "curl -H 'Authorization: Bearer ***' http://host",
    "curl -H 'authorization: Basic X1X' -H 'X-Api-Key: X1X'": "curl -H 'authorization: Basic ***' -H 'X-Api-Key: ***'",
    '{"Authorization": "Bearer X1X"}': '{"Authorization": "***"}',
    "train.py --password X1X --lr 0.1 --api-key 'X1 X'": "train.py --password *** --lr 0.1 --api-key '***'",
    "cannot connect: host=db password=X1X user=ann": "cannot connect: host=db password=*** user=ann",
    "login(token=X1X) failed": "login(token=***) failed",
    "user=ann&password=X1(X&a=1": "user=ann&password=***&a=1",
    "got {'api_key': 'X1X', 'lr': 0.1}": "got {'api_key': '***', 'lr': 0.1}",
    "https://host/?api_key=X1X password=X1X": "https://host/?api_key=*** password=***",
    # What has no secret stays.
    "KeyError: 'password'": "KeyError: 'password'",
    "f() got an unexpected keyword argument 'token'": "f() got an unexpected keyword argument 'token'",
    "the password is wrong: the token expired": "the password is wrong: the token expired",
    "a token embedding, then token mixing": "a token embedding, then token mixing",
    "train.py --num-tokens 5 --pad-token x --max_tokens=9": "train.py --num-tokens 5 --pad-token x --max_tokens=9",
    "if token == other: tokens=512, pad_token=0": "if token == other: tokens=512, pad_token=0",
    "PWD=/home/x make": "PWD=/home/x make",
}


@pytest.mark.parametrize("text", TEXTS)
def test_secrets_in_settings_and_failures(text: str) -> None:
    assert mask_text(text) == TEXTS[text]
    assert mask_settings({"cmd": text, "all": [text]}) == {"cmd": TEXTS[text], "all": [TEXTS[text]]}
    assert mask_text(TEXTS[text]) == TEXTS[text]


def test_lists_of_pairs_and_of_options() -> None:
    settings = {
        "pairs": [["user", "ann"], ["password", "X1X"], ["max_tokens", 5]],
        "arguments": ["--lr", 0.1, "--password", "X1X", "--tokens", 5, "--pwd", "--verbose", "x"],
        "levels": ["token", "password", "char"],
        "pwd": "/home/ann",
        "db": {"pwd": "C:\\work"},
    }
    assert mask_settings(settings) == {
        **settings,
        "pairs": [["user", "ann"], ["password", "***"], ["max_tokens", 5]],
        "arguments": ["--lr", 0.1, "--password", "***", "--tokens", 5, "--pwd", "--verbose", "x"],
    }


def test_long_texts_take_linear_time() -> None:
    texts = [
        "a" * 2 * 10**5,
        "a.b" * 60_000,
        "a=b&" * 30_000 + " ",
        "a://" * 30_000,
        "{" + "token:" * 30_000,
        "-" * 10**5,
        "x-" * 10**5,
        "--token " * 20_000,
        "authorization:" * 10_000,
        "a" + " " * 10**5 + "=",
        "token=" + ")" * 10**5,
    ]
    started = time.process_time()
    mask_command(texts)
    mask_settings({"texts": texts})
    assert time.process_time() - started < 30  # a few seconds; quadratic time would take hours


def test_signatures_of_urls_are_masked() -> None:
    signed = "https://h/f?X-Amz-Date=2026&X-Amz-Signature=abc123&sig=x%2Fy#top and signature=valid_default"
    assert (
        mask_text(signed) == "https://h/f?X-Amz-Date=2026&X-Amz-Signature=***&sig=***#top and signature=valid_default"
    )
