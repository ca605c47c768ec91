"""What every service of Tapedeck needs and none should write twice.

Owns settings, logs, metrics, health, the admin port, HTTP serving, authentication and the life of a process.
Must not know what a service does: nothing here imports another package of Tapedeck. Importing this package imports
nothing; its modules import heavy libraries only where they are used, because services are restarted often.
"""

__version__ = "0.1.0"
