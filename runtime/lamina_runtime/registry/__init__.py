"""Registries: the distribution protocol over trio and httpcore, credentials, configuration.

Theory. Three floors. At the bottom values and decisions without I/O (challenges, backoff, sources, the plan
of an upload). Above them `transport` (one exchange), `authorization` (who we are) and `session` (one
conversation: retries, redirects, mirrors). On top the verbs: `pull`, `push`, `search`, `login`.

Nothing is imported here: a command that does not speak to a registry pays for neither trio nor httpcore.
"""
