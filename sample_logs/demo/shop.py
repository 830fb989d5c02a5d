"""The invented shop of the demo: its prompts, tools, prices and calendar."""

from __future__ import annotations

from datetime import date

LANGUAGES = ("en", "de", "fr", "es", "ja")
MODEL = "frontier-large-demo"
FIRST_DAY = date(2026, 10, 5)  # a Monday; four whole weeks follow
DAYS = 28
WEEKDAY_WEIGHTS = (1.2, 1.1, 1.05, 1.0, 0.95, 0.45, 0.35)
HOUR_WEIGHTS = (1, 0.5, 0.3, 0.2, 0.3, 0.8, 2, 4, 7, 10, 11, 10, 7, 8, 10, 10, 9, 7, 6, 6, 7, 6, 4, 2)
TENANTS = {"en": ("north", "harbour"), "de": ("alpen",), "fr": ("riviere",), "es": ("costa",), "ja": ("sakura",)}
PRODUCTS = ("Luma S", "Fjell 40", "Kite Pro", "Tern Mini", "Orbit 3")
LABELS = ("billing", "technical", "account", "other")

TRIAGE_PROMPT = (
    "You sort customer messages of Halden Home, a shop for smart home devices. Answer with one word for the last "
    "message: billing, technical, account or other."
)
ORDER_PROMPT = (
    "Read the order message of a Halden Home customer and return its fields as JSON. Use null where the message "
    "says nothing, false for gift unless it asks for wrapping, dates as YYYY-MM-DD; the year is 2026."
)
REWRITE_PROMPT = (
    "You rewrite drafts of the Halden Home support team. Keep every fact, number and refusal; be polite and short. "
    "Answer in the language of the draft with the new text alone."
)
LOOKUP_TOOL = {
    "type": "function",
    "function": {
        "name": "lookup_order",
        "description": "Return the status of an order.",
        "parameters": {"type": "object", "properties": {"order_id": {"type": "string"}}, "required": ["order_id"]},
    },
}
LOOKUP_ANSWERS = (
    ("billing", {"status": "on_hold", "reason": "payment_declined"}),
    ("other", {"status": "delivered", "reason": "courier_left_it_outside"}),
    ("account", {"status": "on_hold", "reason": "account_locked"}),
    ("technical", {"status": "delivered", "reason": "activation_failed"}),
    ("billing", {"status": "on_hold", "reason": "refund_pending"}),
    ("other", {"status": "in_transit", "reason": "delayed_by_weather"}),
)
ORDER_FORMAT = {
    "type": "json_schema",
    "json_schema": {
        "name": "order",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {
                "order_id": {"type": "string"},
                "items": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {"sku": {"type": "string"}, "quantity": {"type": "integer"}},
                        "required": ["sku", "quantity"],
                        "additionalProperties": False,
                    },
                },
                "total": {"type": "number"},
                "currency": {"type": "string"},
                "delivery_date": {"type": ["string", "null"]},
                "gift": {"type": "boolean"},
                "delivery_note": {"type": ["string", "null"]},
            },
            "required": ["order_id", "items", "total", "currency", "delivery_date", "gift", "delivery_note"],
            "additionalProperties": False,
        },
    },
}
SKUS = {"LUM-204": 19.5, "LUM-310": 34.0, "FJE-040": 129.0, "KIT-118": 79.9, "TER-007": 24.25, "ORB-300": 58.4}
REFUSAL = "I'm sorry, but I can't help with that request."
SHORT_MESSAGES = (
    ("en", "Hello? Is anybody there?", 3),
    ("en", "Thanks, that solved it!", 3),
    ("de", "Hallo, ist da jemand?", 2),
)
MONTHS = {
    "en": ("October", "November"),
    "de": ("Oktober", "November"),
    "fr": ("octobre", "novembre"),
    "es": ("octubre", "noviembre"),
}
