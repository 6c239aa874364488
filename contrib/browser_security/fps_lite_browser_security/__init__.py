"""Protect browsers' users: CORS, a content security policy, cross-site requests, HTTPS."""
