"""Where long work runs: this machine's processes or a scheduler by address."""
