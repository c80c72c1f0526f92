"""Follow-up of the patients of a record, by the engines of the room ``followup``."""
