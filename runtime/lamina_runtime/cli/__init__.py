"""The command lamina: arguments, output, exit codes.  One module a verb."""
