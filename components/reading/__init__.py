"""Files, tables and queries become rows: formats, spans, splits, filters."""
