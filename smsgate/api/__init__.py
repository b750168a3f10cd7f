"""The HTTP API: aiohttp, pydantic at the border, every route in one table (`smsgate.api.routing`)."""
