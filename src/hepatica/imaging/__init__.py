"""Images as arrays on grids: volumes, masks, resampling, registration. No files here."""
