"""The command line: a command parses, makes the configuration, calls one function, prints."""
