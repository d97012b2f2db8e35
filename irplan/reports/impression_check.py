"""A model's text held against the facts: numbers, units, what they measure, sides, negation, words.

Refused rather than mended.  Only words of the facts and a list of plain connecting words may occur,
so an invented finding, an instruction or markup has no words to be said in.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from irplan.reports.procedure_language import Language

MAX_CHARACTERS = 2000
_NUMBER = r"[\u2212-]?\d+(?:[.,]\d+)?"
#: A number, a word (with digits in it: "4a", "T1"), or one other character.
_TOKEN = re.compile(rf"{_NUMBER}(?![^\W_])|[^\W_]+(?:['’][^\W\d_]+)?|\S")
_UNIT = r"(mGy·cm|Gy·cm²|mGy|mm|ml|°C|°|min|kJ|%|W|s|cm|ms|Gy|J|h)?(?![^\W\d_])"
_VALUE = re.compile(rf"({_NUMBER}(?:\s*[×x]\s*{_NUMBER})*)\s*{_UNIT}")
_PUNCTUATION = set(".,;:()×x%°·²/-–−’'")
_SIDES = {
    "en": ("left", "right", "midline", "bilateral", "both"),
    "nl": ("links", "rechts", "linker", "rechter", "mediaan", "beiderzijds", "beide"),
}
_NEGATIONS = {
    "en": ("no", "not", "none", "without", "never", "nor", "neither", "failed", "absent"),
    "nl": ("nee", "niet", "geen", "zonder", "nooit", "noch", "mislukt", "afwezig"),
}
_PLAIN = {
    "en": """
    a an the and or of in on at to for with by was were is are been had has this that it its
    from each all total both performed done achieved reached measured recorded given used
    applied treated treatment procedure target targets lesion applicator applicators needle
    needles using were under as well per cycle cycles no not none without adverse event
    events complication complications seen observed looked technical success zone margin
    covered dose ml mm min segment side organ""",
    "nl": """
    een de het en of van in op aan te voor met door was waren is zijn werd werden dit dat er
    uit elk elke alle totaal beide verricht gedaan bereikt gemeten vastgelegd gegeven
    gebruikt toegepast behandeld behandeling procedure doelgebied doelgebieden laesie
    applicator applicatoren naald naalden onder per cyclus cycli geen niet nee zonder
    complicatie complicaties gezien waargenomen gekeken naar technisch succes zone marge
    bedekt dosis segment zijde orgaan""",
}


def refusal(text: str, facts: Sequence[dict[str, Any]], language: Language) -> str:
    """Why ``text`` is not to be used, in a few words; "" where every statement is in the facts."""
    if not text.strip():
        return "empty"
    if len(text) > MAX_CHARACTERS:
        return "too long"
    for check in (_words, _numbers, _sides, _negation):
        why = check(text, facts, language)
        if why:
            return why
    return ""


def _vocabulary(facts: Sequence[dict[str, Any]], language: Language) -> set[str]:
    words = set(_PLAIN[language.name].split())
    for fact in facts:
        for part in (fact["name"], str(fact["value"]), fact["section"]):
            words |= {w.lower() for w in _TOKEN.findall(part)}
    return words


def _words(text: str, facts: Sequence[dict[str, Any]], language: Language) -> str:
    known = _vocabulary(facts, language)
    for token in _TOKEN.findall(text):
        if token in _PUNCTUATION or re.fullmatch(_NUMBER, token):
            continue
        if token.lower() not in known:
            return "a word that no fact holds"
    return ""


def _values(text: str) -> list[tuple[str, str, int, int]]:
    """Every value: its numbers ("22 × 19 × 18"), unit, where it begins and ends."""
    out = []
    for found in _VALUE.finditer(text):
        if found.start() and text[found.start() - 1].isalnum():
            continue  # part of a name such as T1
        numbers = [
            f"{float(one.replace(chr(0x2212), '-').replace(',', '.')):g}"
            for one in re.findall(_NUMBER, found[1])
        ]
        out.append((" × ".join(numbers), found[2] or "", found.start(), found.end()))
    return out


def _numbers(text: str, facts: Sequence[dict[str, Any]], language: Language) -> str:
    """Each value, whole and with its unit, is that of the fact named directly before or after."""
    stated: dict[str, set[tuple[str, str]]] = {}
    for f in facts:
        values = {v[:2] for v in _values(str(f["value"]))}
        stated.setdefault(f["name"].lower(), set()).update(values)
    items = {str(f["item"]) for f in facts}
    links = set(_LINKS[language.name].split()) | {":", "="}
    for sentence in _sentences(text):
        low = sentence.lower()
        places = [
            (m.start(), m.end(), name)
            for name in stated
            for m in re.finditer(rf"\b{re.escape(name)}(?![^\W_])", low)
        ]
        for number, unit, start, end in _values(sentence):
            beside = [n for p, q, n in places if q <= start and _linked(low[q:start], links)]
            if not beside:
                beside = [n for p, q, n in places if p >= end and not low[end:p].strip()]
            named = max(beside, key=len, default="")  # "margin covered" is more than "covered"
            if (number, unit) in stated.get(named, ()):
                continue
            if not unit and number in items and _follows_target(low, start, language):
                continue
            return f"the number {number} {unit}".strip() + " is not what the facts say"
    return ""


def _linked(between: str, links: set[str]) -> bool:
    return all(word in links for word in _TOKEN.findall(between))


#: All that may stand between a fact's name and its value.
_LINKS = {
    "en": "of is was were are a the at to by",
    "nl": "van is was waren zijn een de het op tot",
}


def _follows_target(low: str, at: int, language: Language) -> bool:
    words = (language.word("fields", "lesion").lower(), language.word("fields", "phase").lower())
    return any(low[:at].rstrip().endswith(w) for w in words)


def _sides(text: str, facts: Sequence[dict[str, Any]], language: Language) -> str:
    stated = {
        w.lower() for f in facts if f["name"] == language.word("fields", "side")
        for w in _TOKEN.findall(str(f["value"]))
    }  # fmt: skip
    for word in _TOKEN.findall(text.lower()):
        if word in _SIDES[language.name] and word not in stated:
            return "a side that the facts do not state"
    return ""


def _negation(text: str, facts: Sequence[dict[str, Any]], language: Language) -> str:
    """A negation only where a fact is negative, and always there."""
    negative = {
        language.word("fields", "complications").lower(): _value_of(
            facts, language, "complications"
        ),
        language.word("fields", "technical_success").lower(): _value_of(
            facts, language, "technical_success"
        ),
    }
    denied = {language("none_seen"), language("no"), language.word("choices", "not_assessed")}
    denials = {v.lower() for v in denied}
    for sentence in _sentences(text):
        low = sentence.lower()
        said = [w for w in _TOKEN.findall(low) if w in _NEGATIONS[language.name]]
        about = [name for name in negative if name in low]
        if any(w in low for w in _COMPLICATION[language.name]):
            about.append(language.word("fields", "complications").lower())
        if said and (not about or not _plainly_denied(low, said, facts, about, language)):
            return "a negation of something that no fact denies"
        for name in about:
            values = negative[name]
            if not values:
                return "a statement on something that is not recorded"
            deny = {v.lower() in denials for v in values}
            if deny != {bool(said)}:
                return "a negation that turns a fact round"
    return ""


def _plainly_denied(
    low: str, said: list[str], facts: Sequence[dict[str, Any]], about: list[str], language: Language
) -> bool:
    """A sentence with a negation holds one, and no word beyond the thing that is denied."""
    allowed = set(_DENYING[language.name].split()) | set(_NEGATIONS[language.name])
    for name in about:
        allowed |= set(_TOKEN.findall(name))
    for fact in facts:
        if fact["name"].lower() in about:
            allowed |= {w.lower() for w in _TOKEN.findall(str(fact["value"]))}
    return len(said) == 1 and set(_TOKEN.findall(low)) <= allowed | _PUNCTUATION - {","}


#: All that a sentence with a negation may say beside what it denies.
_DENYING = {
    "en": "there was were is are the a adverse event events complication complications seen "
    "observed",
    "nl": "er is was werd werden zijn waren de een complicatie complicaties gezien waargenomen",
}
_COMPLICATION = {"en": ("adverse", "complication"), "nl": ("complicatie",)}


def _value_of(facts: Sequence[dict[str, Any]], language: Language, key: str) -> list[str]:
    name = language.word("fields", key)
    return [str(f["value"]) for f in facts if f["name"] == name]


def _sentences(text: str) -> list[str]:
    return [s for s in re.split(r"(?<=[.;!?])\s+|\n+", text) if s.strip()]
