"""The client for asyncio. The one for threads, ``_sync``, is made from it."""
