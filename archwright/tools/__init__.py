"""The tool surface: each tool is declared once, for agents and every interface."""
