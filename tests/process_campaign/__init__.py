"""Process campaigns: the real daemon, PostgreSQL, Valkey and exchange, killed and stopped in every way, and judged."""
