"""One list says what is personal: the runner's readers of it agree (in dbt: test_{privacy,profile,results}.py)."""

from __future__ import annotations

import pytest

from runner.contract import person_of
from runner.personal_data import SEED, personal_kind

PERSONAL = {
    "email": "email", "E_Mail": "email", "mail_address": "email", "contactEmail": "email", "ip_address": "network",
    "ip": "network", "iban": "bank", "credit_card_number": "bank", "passport_no": "identity", "ssn": "identity",
    "national_id": "identity", "dob": "birth", "birthday": "birth", "dateOfBirth": "birth", "phone_2": "phone",
    "mobile_no": "phone", "Fax": "phone", "billing_address": "address", "street": "address", "postcode": "address",
    "zip": "address", "username": "name", "first_name": "name", "surname": "name", "vendor_name": "name",
    "nickname": "name", "password": "secret", "gender": "trait",
}  # fmt: skip
HARMLESS = (
    "id", "amount", "description", "column_name", "table_name", "product_name", "shipped_at", "zipper", "skipped",
    "emailed", "filename", "named", "birthed", "cardinality", "status", "ipso",
    "is_email_valid", "has_phone", "hasEmail", "phone_verified_at", "name_count",
)  # fmt: skip


@pytest.mark.parametrize(("name", "kind"), [*PERSONAL.items(), *((name, None) for name in HARMLESS)])
def test_a_name_is_personal_for_every_reader_or_for_none(name: str, kind: str | None) -> None:
    erased = person_of({"key": {"meta": {"person": "customer"}}, name: {}})

    assert personal_kind(name) == kind
    assert erased == ("customer", "key", (name,) if kind else ())


def test_the_list_arrives_in_every_session() -> None:
    """In a session that began with standard_conforming_strings off, psycopg2 would lose backslashes of a seed."""
    assert "\\" not in SEED.read_text(encoding="utf-8")


def test_what_the_yaml_says_counts_more_than_the_name() -> None:
    columns = {
        "key": {"meta": {"person": "customer"}},
        "name": {"config": {"meta": {"pii": False}}},
        "hobby": {"config": {"meta": {"pii": "free_text"}}},
    }

    assert person_of(columns) == ("customer", "key", ("hobby",))
