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
