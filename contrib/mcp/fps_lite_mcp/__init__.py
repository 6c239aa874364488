"""Mount any number of MCP servers, from configuration alone."""
