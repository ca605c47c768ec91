"""What takes longer than a request may: written down in Redis, carried out by any process, asked after by its id."""
