"""AlphaTrade: an asyncio trading daemon for US equities and the workshop that runs the same engine on history."""
