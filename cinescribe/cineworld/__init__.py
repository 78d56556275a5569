"""Cineworld: small rendered films whose speech, shots, actions and people are known exactly.

`film.render_film(seed, path)` is the whole of it; `python -m cinescribe.cineworld.film OUT.mp4` renders one.
"""
