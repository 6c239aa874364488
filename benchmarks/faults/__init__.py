"""What clients lose when a server is reloaded, broken, killed and stopped under load.

Each question is one module: `reloads`, `streams`, `broken`, `kills`, `stops`. The same
questions are put to fps-lite and to its peers, two workers each.
"""
