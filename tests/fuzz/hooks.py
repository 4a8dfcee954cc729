"""What shops' platforms, pages and channels send to the HTTP edge, right bodies and heads; the cases spoil them."""

import base64
import hashlib
import hmac
import random
from typing import Any, Final

PLATFORMS: Final = ("shopify", "woocommerce", "segment")
_TOPICS: Final = {
    "shopify": (
        "orders/create",
        "orders/updated",
        "orders/cancelled",
        "refunds/create",
        "products/update",
        "\xe9",
        "",
    ),
    "woocommerce": ("order.created", "order.updated", "order.deleted", "action.x", "a b", ""),
    "segment": ("",),
}


def platform_body(rng: random.Random, platform: str) -> dict[str, Any]:
    """An order as the platform writes it, with a refund."""
    number = rng.getrandbits(50)
    line = {"name": "tea", "quantity": 2, "price": "6.17", "product_id": 7, "sku": "s"}
    paid_back = {"kind": "refund", "status": "success", "amount": "1.00", "currency": "HKD"}
    refund = {
        "id": number + 1,
        "order_id": number,
        "created_at": "2026-05-02T12:00:00Z",
        "transactions": [paid_back],
    }
    match platform:
        case "shopify" if rng.random() < 0.3:
            return refund
        case "shopify":
            return {
                "id": number, "name": "#1", "currency": "HKD", "total_price": "12.34", "current_total_price": "11.34",
                "created_at": "2026-05-01T12:00:00+08:00", "updated_at": "2026-05-02T12:00:00+08:00",
                "phone": "+886912345678", "customer": {"id": rng.randint(100, 111)}, "line_items": [line],
                "note_attributes": [{"name": "browser_token", "value": "b"}], "refunds": [refund],
            }  # fmt: skip
        case "woocommerce":
            return {
                "id": number, "number": "1", "status": rng.choice(("processing", "cancelled", "pending", "odd")),
                "currency": "HKD", "total": "12.34", "customer_id": rng.randint(0, 111), "line_items": [line],
                "date_created_gmt": "2026-05-01T12:00:00", "date_modified_gmt": "2026-05-02T12:00:00",
                "billing": {"first_name": "Mei", "phone": "0912345678", "email": "a@example.com"},
                "refunds": [{"id": number + 1, "total": "-1.00"}], "meta_data": [{"key": "click_id", "value": "c"}],
            }  # fmt: skip
        case _:
            call = {
                "type": "track", "event": rng.choice(("Order Completed", "Order Updated", "Order Refunded", "Odd")),
                "messageId": f"m{number}", "userId": str(rng.randint(100, 111)), "timestamp": "2026-05-01T12:00:00Z",
                "properties": {"order_id": f"o{number}", "total": 12.34, "currency": "HKD", "products": [line]},
            }  # fmt: skip
            return {"batch": [call] * rng.choice((1, 3))} if rng.random() < 0.5 else call


def platform_head(rng: random.Random, platform: str, key: bytes, body: bytes) -> list[bytes]:
    """Its signature, and a topic."""
    code = base64.b64encode(hmac.digest(key, body, hashlib.sha256))
    topic = rng.choice(_TOPICS[platform]).encode("latin-1")
    each = str(rng.getrandbits(60)).encode()
    match platform:
        case "shopify":
            return [
                b"x-shopify-hmac-sha256: " + code,
                b"x-shopify-topic: " + topic,
                b"x-shopify-webhook-id: " + each,
            ]
        case "woocommerce":
            return [b"x-wc-webhook-signature: " + code, b"x-wc-webhook-topic: " + topic]
        case _:
            return [b"x-signature: " + hmac.new(key, body, hashlib.sha1).hexdigest().encode()]


def channel_head(rng: random.Random) -> list[bytes]:
    """Signatures that look like those of channels, and are none."""
    return [
        rng.choice(
            (
                b"x-line-signature: " + base64.b64encode(rng.randbytes(32)),
                b"x-hub-signature-256: sha256=" + rng.randbytes(32).hex().encode(),
                b"x-line-signature: \xe9",
                b"x-hub-signature-256: ",
            )
        )
    ]


def channel_body(rng: random.Random) -> dict[str, Any]:
    """What LINE and Meta send."""
    return rng.choice(
        (
            {"destination": "U", "events": [{"type": "follow", "timestamp": 1, "source": {"type": "user"}}]},
            {
                "object": "page",
                "entry": [{"id": "77", "messaging": [{"sender": {"id": "1"}, "timestamp": 1}]}],
            },
        )
    )
