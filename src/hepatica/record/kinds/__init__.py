"""Every kind of item the record holds, one file each, as ``KIND``."""
