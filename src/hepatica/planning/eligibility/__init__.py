"""May this patient be injected at all: pass, fail or unknown, criterion by criterion."""
