"""What both storage clients are made of: requests, answers, paging, downloads and waiting, each once, as plans without I/O."""
