"""Mask secrets in settings and command lines, by their names, before anything is written or shown.

A name is secret if it contains one of `SECRETS`, or a word with `token` that is none of a language model's own, such as
`tokenizer`, `max_tokens`, and `pad_token`, or if it ends with one of `SHORT_SECRETS`. Of a URL, the password is masked
whatever its name.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MASK = "***"
MAX_NAME_CHARS = 1000  # that are looked at
MIN_URL_TOKEN_CHARS = 20  # a user name in a URL of this length, without a password, is a token

SECRETS = re.compile(
    r"passw(?:or)?d|passphrase|passcode|secret|credential|authorization"
    r"|(?:api|private|access|account|auth|ssh|encryption|signing|storage|wandb)[\W_]*key",
    re.IGNORECASE,
)
SHORT_SECRETS = frozenset({"pwd", "creds"})  # as the last word of a name or of one of its parts; `pwd` may be a path
# Words of a name: at separators, and where lower case turns into upper case.
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_TOKEN = re.compile(r"token(?!i[sz])")  # but no tokenizer or tokenization
# Names of settings of language models. What comes before `token` names one of the vocabulary, as in `pad_token`; what
# comes behind it is done with tokens, as in `token_mixer`.
_SPECIAL = frozenset({
    "audio", "boi", "bos", "cls", "decoder", "end", "eoi", "eos", "eot", "image", "mask", "pad", "sep", "special",
    "start", "stop", "unk", "video",
})  # fmt: skip
_TOPICS = frozenset({
    "dim", "drop", "dropout", "embed", "embedding", "embeddings", "encoding", "ids", "level", "loss", "mean", "merge",
    "merging", "mixer", "mixing", "pool", "pooling", "pruning", "reduction", "sampler", "selection", "type", "types",
    "weighting", "weights",
})  # fmt: skip
# Where one of these is in the name, `tokens` are counted.
_COUNTS = frozenset({"avg", "batch", "count", "max", "mean", "min", "n", "new", "num", "number", "per", "total"})
_AMOUNT = re.compile(r"[-+]?(?:inf|nan|[\d.,_]+(?:e[-+]?\d+)?\s?[kmbgt]?)", re.IGNORECASE)
_VOCABULARY = re.compile(r"<[\w|/ :-]*>|\[[A-Z][A-Z\d_]*\]")  # a token itself, such as <pad> or [CLS]

# Each pattern finds its beginning by one look back, so that a long text takes linear time.
_USER = re.compile(
    r"(?<![a-z\d+.-])(?P<scheme>[a-z\d+.-]+://)(?P<user>[^\s/?#:@]*)"
    r"""(?P<password>:(?!\d+(?:/|$))(?:(?!://)[^\s?#"'<>])*)?@""",
    re.IGNORECASE,
)
_QUERY = re.compile(r"(?P<name>[?&#;](?P<key>[\w.-]+)=)(?P<value>[^\s&#;\"']+)")
_SIGNATURE = re.compile(r"(?P<name>[?&](?:x-(?:amz|goog)-signature|signature|sig)=)[^\s&#;\"']+", re.IGNORECASE)
_ASSIGNED = re.compile(r"(?P<name>[-+~\w./@\[\]]+)=(?P<value>.*)", re.DOTALL)
_KEY = r"(?<![\w.-])(?P<name>(?P<key>[\w.-]+)"
_QUOTED_PAIR = re.compile(_KEY + r"""["']?\s*[:=]\s*)(?P<quote>["'])(?P<value>[^"']*)(?P=quote)""")
_BARE_PAIR = re.compile(_KEY + r"""\s*[:=]\s*)(?P<value>[^\s,:={}\[\]"']+)""")
_WORDS = re.compile(_KEY + r"""(?:\s*=\s*|[ \t]+))(?P<value>[^\s=,;"'-][^\s,;"']*)""")
# In any text, where words follow each other freely: what only the syntax of programs has.
_TEXT_PAIR = re.compile(_KEY + r"""\s*=\s*)(?P<value>[^\s=,;&()\[\]{}"'][^\s,;&"']*)""")
_TEXT_OPTION = re.compile(
    r"""(?<!\S)(?P<name>(?P<key>--[\w-]+)\s+)(?:(?P<quote>["'])(?P<quoted>[^"']*)(?P=quote)|(?P<value>[^\s"'-]\S*))"""
)
_HEADER = re.compile(
    r"(?P<name>\bauthorization[\"']?\s*:\s*[\"']?(?:(?:basic|bearer|digest|token)\s+)?|\bx-[\w-]{0,40}(?:key|token)\s*:\s*)"
    r"""(?P<value>[^\s"']+)""",
    re.IGNORECASE,
)
_MASKED = re.compile(r"\*\*\*(?:[#&]|$)")  # as it is in a URL, where the next parameter follows
_OPTION = re.compile(r"--[\w-]+")
_PATH = re.compile(r"[/~]|\.{1,2}(?:[/\\]|$)|[a-z]:[/\\]", re.IGNORECASE)
_BEARER = re.compile(r"(?P<name>\bbearer\s+)(?P<value>[\w.~+/=-]{8,})", re.IGNORECASE)


def mask_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings, as JSON holds them, with `***` for each secret.

    Masked are texts, and the numbers of everything but tokens, which are counts. Empty texts, booleans, and None stay.
    In lists, each part is masked for itself, but pairs are taken as names and values, and options as in a command line.
    Within a text, masked is what `mask_text` masks.
    """
    return {name: _masked(str(name), value) for name, value in settings.items()}


def mask_text(text: str) -> str:
    """Return a text with `***` for the secrets that its syntax tells.

    Found are passwords, signatures, and secret parameters of URLs, `password=X`, `"password": "X"`, `--password X`,
    `Bearer X`, and the headers `Authorization: X` and `X-Api-Key: X`. What prose says of a password stays.
    """
    if "://" in text:
        text = _QUERY.sub(_mask_pair, _USER.sub(_mask_user, _SIGNATURE.sub(rf"\g<name>{MASK}", text)))
    text = _BEARER.sub(rf"\g<name>{MASK}", _HEADER.sub(rf"\g<name>{MASK}", text))
    return _TEXT_OPTION.sub(_mask_option, _TEXT_PAIR.sub(_mask_text_pair, _QUOTED_PAIR.sub(_mask_pair, text)))


def mask_command(arguments: Iterable[str]) -> list[str]:
    """Return a command line with `***` for each secret.

    Found are `--api-key X`, `--api-key=X`, `api_key=X` as Hydra and environments have it, `{"api_key": "X"}`, code with
    `api_key="X"`, `Bearer X`, and the passwords of URLs.
    """
    masked: list[str] = []
    secret = ""  # the option whose value comes next
    for argument in arguments:
        is_option = re.match(r"--|-[a-zA-Z]$", argument) is not None
        if secret and not is_option:
            masked.append(_masked(secret, argument))
            secret = secret if secret.lower().endswith("s") else ""  # several keys, several values
            continue
        masked.append(_mask_argument(argument))
        is_named = argument.startswith("-") and re.search(r"[=\s]", argument) is None
        secret = argument if is_named and is_secret(argument) else ""
    return masked


def is_secret(name: str) -> bool:
    """Tell whether a setting of this name holds a secret."""
    name = _bounded(name)
    return _names_secret(name) or bool(_token_word(name))


@lru_cache(4096)
def _names_secret(name: str) -> bool:
    return SECRETS.search(name) is not None or bool(_short_secret(name))


@lru_cache(4096)
def _short_secret(name: str) -> str:
    """Return which of `SHORT_SECRETS` a name, or a part of it between dots, ends with; empty if none."""
    last = [words[-1].lower() for part in name.split(".") if (words := _WORD.findall(part))]
    return next((word for word in last if word in SHORT_SECRETS), "")


@lru_cache(4096)
def _token_word(name: str) -> str:
    """Return the word of a name that says that it holds a token, such as one for a service; empty if there is none."""
    words: list[str] = [word.lower() for word in _WORD.findall(name)]
    for place, word in enumerate(words):
        if _TOKEN.search(word):
            before, behind = set(words[place - 1 : place]), set(words[place + 1 : place + 2])
            is_counted = word == "tokens" and not _COUNTS.isdisjoint(words)
            if not (before & _SPECIAL or behind & _TOPICS or is_counted):
                return word
    return ""


def _bounded(name: str) -> str:
    """Return a name, of a very long one its ends."""
    return name if len(name) <= MAX_NAME_CHARS else f"{name[: MAX_NAME_CHARS // 2]} {name[-MAX_NAME_CHARS // 2 :]}"


def _masked(name: str, value: Any) -> Any:
    """Return the value of a setting, masked if the name or the value says that it is secret."""
    name = _bounded(name)
    if isinstance(value, dict):
        return {key: _masked(f"{name}.{key}", item) for key, item in value.items()}
    if isinstance(value, list):
        return _mask_list(name, value)
    if value is None or isinstance(value, bool) or (isinstance(value, str) and not value):
        return value
    if _names_secret(name):
        is_path = isinstance(value, str) and _PATH.match(value) and not SECRETS.search(name)
        return value if is_path and _short_secret(name) == "pwd" else MASK
    if not isinstance(value, str):
        return value
    word = _token_word(name)
    is_amount = word == "tokens" and _AMOUNT.fullmatch(value)
    if word and not is_amount and not _VOCABULARY.fullmatch(value):
        return MASK
    text = _mask_assigned(mask_text(value))
    return _mask_pairs(text) if text.lstrip().startswith(("{", "[")) else text


def _mask_list(name: str, items: list[Any]) -> list[Any]:
    """Mask a list: pairs of names and values, options with their values, or parts that stand for themselves."""
    if all(isinstance(item, list) and len(item) == 2 and isinstance(item[0], str) for item in items):
        return [[_masked(name, key), _masked(f"{name}.{key}", value)] for key, value in items]
    masked: list[Any] = []
    option = ""  # whose value comes next
    for item in items:
        is_option = isinstance(item, str) and _OPTION.fullmatch(item) is not None
        masked.append(_masked(option if option and not is_option else name, item))
        option = item if is_option and is_secret(item) else ""
    return masked


def _mask_argument(argument: str) -> str:
    text = _mask_pairs(_mask_assigned(mask_text(argument)))
    return _WORDS.sub(_mask_pair, text) if re.search(r"\s", text) else text  # code, or a command line in one piece


def _mask_pairs(text: str) -> str:
    """Mask the values of `"name": "value"`, and in braces, as Hydra writes a dict, of `name: value`."""
    text = _QUOTED_PAIR.sub(_mask_pair, text)
    return _BARE_PAIR.sub(_mask_pair, text) if "{" in text else text


def _mask_assigned(text: str) -> str:
    """Mask the value of `name=value`."""
    found = _ASSIGNED.fullmatch(text)
    if found is None or not is_secret(found["name"]):
        return text
    value = found["value"]
    quote = value[0] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else ""
    return f"{found['name']}={quote}{_masked(found['name'], value.strip(quote) if quote else value)}{quote}"


def _mask_pair(found: re.Match[str]) -> str:
    value = found["value"]
    if _MASKED.match(value):
        return found[0]
    quote = found["quote"] if "quote" in found.re.groupindex else ""
    return f"{found['name']}{quote}{_masked(found['key'], value) if is_secret(found['key']) else value}{quote}"


def _mask_text_pair(found: re.Match[str]) -> str:
    """Mask the value of a pair, without the brackets in which it is."""
    value = found["value"].rstrip(")]}")
    if _MASKED.match(value) or not is_secret(found["key"]):
        return found[0]
    return f"{found['name']}{_masked(found['key'], value)}{found['value'][len(value) :]}"


def _mask_option(found: re.Match[str]) -> str:
    if not is_secret(found["key"]):
        return found[0]
    if found["value"] is None:
        return f"{found['name']}{found['quote']}{_masked(found['key'], found['quoted'])}{found['quote']}"
    return f"{found['name']}{_masked(found['key'], found['value'])}"


def _mask_user(found: re.Match[str]) -> str:
    user, password = found["user"], found["password"]
    if password:
        password = f":{MASK}" if len(password) > 1 else password
    elif len(user) >= MIN_URL_TOKEN_CHARS:
        user = MASK
    return f"{found['scheme']}{user}{password or ''}@"
