"""How much of which agent goes into which lesion at which visit."""
