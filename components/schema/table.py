"""A schema as a table in the terminal."""

from __future__ import annotations

from components.schema.schema import DatasetSchema
from components.schema.words import column_words, rule_words, rules_by_column


def print_schema(schema: DatasetSchema, where: str, environment: str | None = None) -> None:
    """Print a schema as a table that stays readable in 80 columns.

    Args:
        schema: What to print.
        where: Where it comes from.
        environment: The environment it holds in; None for all.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    rules = rules_by_column(schema)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title, least, share in (("column", 8, 3), ("type", 6, 2), ("is", 8, 3), ("expected", 20, 5)):
        table.add_column(title, min_width=least, ratio=share, overflow="fold")
    for column in schema.columns:
        expected = [rule_words(rule) for rule in rules[column.name] if rule.type != "expect_column_to_exist"]
        cells = (column.name, column.type, column_words(column), "\n".join(f"· {one}" for one in expected))
        table.add_row(*(Text(cell) for cell in cells))
    for name in [name for name in rules if name and name not in {one.name for one in schema.columns}]:
        expected = [rule_words(rule) for rule in rules[name]]
        cells = (name, "", "not in schema.json", "\n".join(f"· {one}" for one in expected))
        table.add_row(*(Text(cell) for cell in cells))
    console = Console(highlight=False)
    holding = f", in {environment}" if environment else ""
    counts = f"{len(schema.columns)} columns, {len(schema.expectations)} expectations{holding}"
    console.print(Text(f"{where}: {counts}"))
    for rule in rules[""]:
        console.print(Text(f"the table: {rule_words(rule)}"))
    console.print(table)
