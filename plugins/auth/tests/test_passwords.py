"""Statements 1 and 2: what a new password must be."""

import pytest

from corekit_auth.errors import ValidationFailed, WeakPassword
from corekit_auth.passwords import PasswordRules, normalise
from corekit_auth.settings import AuthSettings

RULES = PasswordRules(AuthSettings())


@pytest.mark.parametrize(
    ("password", "reasons"),
    [
        ("short", ["length"]),
        ("", ["length"]),
        ("password1", ["common"]),
        ("QWERTYUIOP", ["common"]),
        ("ann.example@example.org", ["context"]),
        ("Ann.Example", ["context"]),
        ("annabella", ["context"]),
        ("Annabella Example", ["context"]),
        ("acmechat", ["context"]),
    ],
)
def test_a_weak_password_is_refused_with_its_reasons(password: str, reasons: list[str]) -> None:
    rules = PasswordRules(AuthSettings(product_words=("AcmeChat",)))
    with pytest.raises(WeakPassword) as refused:
        rules.check(password, "ann.example@example.org", {"name": "Annabella Example", "full_name": 7})
    assert refused.value.extensions["weak_password"] == {"reasons": reasons}


@pytest.mark.parametrize("password", ["aaaaaaaZ", "kein Zeichensatz", "x" * 256, "пароль-пароль", "🐎🔋📎🐴🐎🔋📎🐴"])
def test_no_composition_is_asked_for(password: str) -> None:
    assert RULES.check(password, "ann@example.org", {}) == password


def test_two_ways_of_typing_are_one_password() -> None:
    assert RULES.check("Cafe\u0301 de Paris", "", {}) == RULES.check("Café de Paris", "", {})
    assert normalise("\ufb01le system") == "file system"


def test_case_is_kept() -> None:
    assert normalise("Correct Horse") == "Correct Horse"


def test_nothing_is_cut_off() -> None:
    with pytest.raises(ValidationFailed, match="at most 256"):
        normalise("x" * 257)
    with pytest.raises(ValidationFailed, match="at most 256"):
        normalise("\ufdfa" * 100)  # grows when it is normalised


def test_the_list_is_that_of_the_most_used() -> None:
    assert len(RULES._common) == 10_000
    assert all(len(word) >= 8 for word in RULES._common)


def test_lists_and_context_can_be_off() -> None:
    lenient = PasswordRules(AuthSettings(password_checks=False, password_min=6))
    assert lenient.check("password1", "password1@example.org", {}) == "password1"
    with pytest.raises(WeakPassword, match="at least 6"):
        lenient.check("12345", "", {})
