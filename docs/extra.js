// What axe-core asks of the theme: a dialog has a name.
document.querySelector(".md-search")?.setAttribute("aria-label", "search");

// A table wider than the page scrolls, by keyboard too. The theme wraps tables after this has run.
const scrollable = () => document.querySelectorAll(".md-typeset__scrollwrap:not([tabindex])").forEach((wrap) => (wrap.tabIndex = 0));
new MutationObserver(scrollable).observe(document.body, { childList: true, subtree: true });
scrollable();
