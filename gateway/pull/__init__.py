"""Everything about getting data out of one EHR or one folder: connection, tokens, crawl, cursor, certificate."""
