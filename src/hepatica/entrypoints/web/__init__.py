"""The record over HTTP: parse, call one workflow, answer."""
