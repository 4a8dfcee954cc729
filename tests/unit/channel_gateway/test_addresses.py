"""Web addresses that content leads to."""

import pytest

from services.channel_gateway.domain.addresses import has_host, plain_address


@pytest.mark.parametrize(
    "text",
    [
        "https://shop.example",
        "https://shop.example:8443/a?b=c@d#e",
        "https://shop.example./",
        "https://{{customer.name}}.example/",
        "https://[2001:db8::1]/",
        "https://例え.テスト/",
    ],
)
def test_an_address_leads_to_a_host(text: str) -> None:
    assert has_host(plain_address(text), ("https",))


@pytest.mark.parametrize(
    "text",
    [
        "https://shop.example:99999/",
        "https://shop.example:0/",
        "https://shop..example/",
        "https://.example/",
        "https://shop.example\\@other.example/",
        "https://shop.example\\other",
        "https://shop.example@other.example/",
        "https://:443/",
        "https://[::1/",
        "https:///path",
        "http://shop.example/",
        "javascript://shop.example/%0aalert(1)",
    ],
)
def test_what_leads_nowhere_or_elsewhere_is_no_address(text: str) -> None:
    assert not has_host(plain_address(text), ("https",))
