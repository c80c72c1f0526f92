"""Where the injected drug goes: a pressure-limited source, tissue flow, clefts, the needle track, vessels.

Lengths are millimetres, pressures kilopascals, times seconds, so flow is mm3/s and conductivity mm2/(kPa s);
1e-13 m2/(Pa s) is 1e-4 of it. Pressures of a source are excess over the tissue's own. Nothing here knows dose
rules or paths: points, volumes and rates come in as arguments.
"""
