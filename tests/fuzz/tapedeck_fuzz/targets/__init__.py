"""The targets: a module each, which holds `TARGET`."""
