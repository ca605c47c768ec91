"""One process that is everything: Redis, the bucket, the services, the clock and all that can go wrong."""
