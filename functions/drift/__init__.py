"""Watches the live traffic for drift from what the champion was made on."""
