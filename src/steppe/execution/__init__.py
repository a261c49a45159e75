"""Who runs a study's shards: this process, Ray's actors, or one of several processes (parts)."""
