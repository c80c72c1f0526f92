"""How a trial stands: the next dose, the cohort, response and survival, from the record by the engines."""
