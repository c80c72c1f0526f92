"""From time-point responses to one value for each subject."""
