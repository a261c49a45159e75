"""A run as one page to explore: self-contained, without a server or a network."""

from steppe.reports.page.content import Page, PageClaim
from steppe.reports.page.html import write_page

__all__ = ["Page", "PageClaim", "write_page"]
