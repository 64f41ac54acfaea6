"""The parts of the statistics page."""
