"""The verbs of the command, one module each: `COMMAND` says how it is called, `run` carries it out."""
