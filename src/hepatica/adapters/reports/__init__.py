"""What people read: sheet, report, markups."""
