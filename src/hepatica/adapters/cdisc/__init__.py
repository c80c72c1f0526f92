"""CDISC tables in and out: tumour identification, results, exposure; response and its analysis tables."""
