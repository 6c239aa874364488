"""Say hello: the smallest plugin that has a bit of everything."""
