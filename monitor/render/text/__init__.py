"""Text for pages and terminals: names, Markdown, tables, escaping."""
