"""What the tests of the protocol page need: its rows, a running listen, and a client that checks whatever it hears."""
