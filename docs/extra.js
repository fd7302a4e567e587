// What axe-core asks of the theme: a dialog has a name, and a table that is wider than the page can be scrolled by keyboard.
document.querySelector(".md-search")?.setAttribute("aria-label", "search");
addEventListener("load", () => {
  for (const wrap of document.querySelectorAll(".md-typeset__scrollwrap")) {
    if (wrap.scrollWidth > wrap.clientWidth) wrap.tabIndex = 0;
  }
});
