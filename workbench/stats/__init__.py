"""Bounds, clusters, and the rules by which looked-at calls become evidence. Pure."""
