"""What holds for every test."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# A test states behaviour, and how long it takes depends on what else the machine does.
settings.register_profile("untimed", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
