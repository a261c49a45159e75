"""Who runs a study's shards: this process, one after the other."""
