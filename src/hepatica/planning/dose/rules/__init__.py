"""The families of dose rules, one small file each; `rule.py` says what a family answers."""
