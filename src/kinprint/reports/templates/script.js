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

// Printing: everything, with all that is folded; or, where a page says what is more, the one page without it.
const menu = document.createElement("menu");
const print = (words, brief) => {
  const item = document.createElement("li");
  item.style.listStyle = "none";
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = words;
  button.addEventListener("click", () => {
    document.body.classList.toggle("brief", brief);
    window.print();
    document.body.classList.remove("brief");
  });
  item.append(button);
  menu.append(item);
};
if (document.querySelector("div.more")) print("print one page", true);
print("print everything", false);
document.querySelector("main > h1")?.before(menu);
