"""The client for threads, made from that for asyncio (`scripts/generate.py`)."""
