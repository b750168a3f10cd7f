"""Signed events to shops: our own resolver, hostile receivers expected, retries until the shop took it."""
