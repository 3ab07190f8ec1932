"""The command line, the fleet, reports and web pages."""
