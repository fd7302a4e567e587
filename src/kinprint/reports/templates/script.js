for (const figure of document.querySelectorAll("figure")) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "enlarge";
  button.addEventListener("click", () => {
    button.textContent = figure.classList.toggle("large") ? "close" : "enlarge";
  });
  figure.prepend(button);
}
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") document.querySelector("figure.large button")?.click();
});
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => { part.open = true; }));

// Printing, where a page says what is more than its one page: that page alone, or everything, with all that is folded.
if (document.querySelector("div.more")) {
  const menu = document.createElement("div");
  menu.className = "menu";
  for (const [words, brief] of [["print one page", true], ["print everything", false]]) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = words;
    button.addEventListener("click", () => {
      document.body.classList.toggle("brief", brief);
      window.print();
      document.body.classList.remove("brief");
    });
    menu.append(button);
  }
  document.querySelector("main > h1")?.before(menu);
}
