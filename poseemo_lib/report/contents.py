"""The headings of a page: a table of contents with safe, unique anchors, and Markdown that cannot run anything."""

import re
from html import escape

LEVELS = ("h2", "h3")
_FORBIDDEN = ("script", "iframe", "object", "embed", "form", "base", "meta", "link")
_OUTSIDE = re.compile(r"^\s*(javascript|vbscript|data(?!:image/))", re.IGNORECASE)


class Contents:
    """Collect headings, fragment by fragment, and write the table of contents."""

    def __init__(self):
        self.headings: list[tuple[str, str, str]] = []  # level, anchor, text
        self._anchors: set[str] = {"content", "show-code", "theme"}

    def mark(self, fragment: str) -> str:
        """Give the headings of a fragment unique anchors, its tables a box, and take away what could run.

        Parameters
        ----------
        fragment : str
            HTML made from Markdown.

        Returns
        -------
        str
        """
        from bs4 import BeautifulSoup

        soup = BeautifulSoup(fragment, "html.parser")
        _disarm(soup)
        for heading in soup.find_all(["h1", "h2", "h3", "h4", "h5", "h6"]):
            for link in heading.select("a.anchor-link"):
                link.decompose()
            text = " ".join(heading.get_text().split())
            heading["id"] = self._anchor(text)
            if heading.name in LEVELS:
                self.headings.append((heading.name, heading["id"], text))
        for table in soup.find_all("table"):
            table.wrap(soup.new_tag("div", attrs={"class": "table-box", "tabindex": "0"}))
        return str(soup)

    def _anchor(self, text: str) -> str:
        plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60].strip("-") or "section"
        anchor, times = plain, 1
        while anchor in self._anchors:
            times += 1
            anchor = f"{plain}-{times}"
        self._anchors.add(anchor)
        return anchor

    def to_html(self) -> str:
        """Write the headings as nested lists of links.

        Returns
        -------
        str
        """
        parts, deep = [], False
        for place, (level, anchor, text) in enumerate(self.headings):
            below = level == LEVELS[1] and place > 0
            if below != deep:
                # A deeper list stands inside the item above it, which stays open for it.
                parts.append("<ol>" if below else "</li></ol></li>")
            elif place:
                parts.append("</li>")
            deep = below
            parts.append(f'<li><a href="#{anchor}">{escape(text)}</a>')
        ends = "</li></ol>" if deep else ""
        return f"<ol>{''.join(parts)}{ends}{'</li>' if parts else ''}</ol>"


def _disarm(soup) -> None:
    """Show as text what could run, and drop attributes that could."""
    for tag in soup.find_all(_FORBIDDEN):
        tag.replace_with(str(tag))
    for tag in soup.find_all(True):
        for name, value in list(tag.attrs.items()):
            if name.lower().startswith("on") or (name in ("href", "src") and _OUTSIDE.match(str(value))):
                del tag[name]
