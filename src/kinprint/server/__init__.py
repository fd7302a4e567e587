"""A library for a browser and for programs: pages and a REST API over the same functions.

Requests come from strangers. They name models by digest, or by the identity of something that the server itself listed, never
by path or URL; what they upload is bounded and is parsed as any file from a stranger.
"""
