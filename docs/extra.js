// What axe-core asks of the theme: a dialog has a name.
document.querySelector(".md-search")?.setAttribute("aria-label", "search");
