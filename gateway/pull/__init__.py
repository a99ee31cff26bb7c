"""Everything about getting data out of one EHR or one folder: connection, tokens, crawl, cursor, certificate.

Here are the shared values only; who needs more imports the module that has it, so that nobody pays for HTTP unasked.
"""

from gateway.pull.page import Asked, Certificate, Entry, Page, Source, Verdict

__all__ = ["Asked", "Certificate", "Entry", "Page", "Source", "Verdict"]
