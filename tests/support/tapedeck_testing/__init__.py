"""What the tests of several packages share: real servers, started where they are found."""
