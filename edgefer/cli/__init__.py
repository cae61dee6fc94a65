"""The command line: one click command a module; the only room that prints and exits."""
