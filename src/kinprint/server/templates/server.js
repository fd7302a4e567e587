const size = (bytes) => (bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`);
const far = (job) => (job.unit === "bytes" ? `${size(job.done)} of ${size(job.total)}` : `${job.done} of ${job.total} ${job.unit}`);

/* A file that is too large is not sent: what to do instead is said at once. */
const upload = document.querySelector("form[data-most]");
const tooLarge = (file) => file && file.size > Number(upload.dataset.most);
upload?.addEventListener("change", () => {
  const file = upload.querySelector("input[type=file]").files[0];
  upload.querySelector("[role=status]").textContent = tooLarge(file)
    ? `${file.name} has ${size(file.size)}, more than can be uploaded; ${upload.dataset.remedy}` : "";
});
upload?.addEventListener("submit", (event) => {
  if (tooLarge(upload.querySelector("input[type=file]").files[0])) event.preventDefault();
});

/* Lists to choose a model from follow what is typed. */
for (const list of document.querySelectorAll("fieldset[data-choose]")) {
  const words = list.querySelector("input[type=search]");
  const choices = list.querySelector(".choices");
  let waiting;
  let asked = 0;
  const choice = (model) => {
    const label = document.createElement("label");
    const input = Object.assign(document.createElement("input"), { type: "radio", name: list.dataset.choose, value: model.digest });
    const more = Object.assign(document.createElement("span"), { className: "dim" });
    const parameters = model.parameters === null ? "" : `${model.parameters.toLocaleString("en")} parameters`;
    more.textContent = [model.family, parameters, model.digest.slice(0, 12)].filter(Boolean).join(", ");
    label.append(input, ` ${model.name} `, more);
    return label;
  };
  const search = async () => {
    const mine = ++asked;
    const answer = await fetch(`/api/models?limit=10&q=${encodeURIComponent(words.value)}`);
    if (!answer.ok || mine !== asked) return;
    const found = await answer.json();
    const chosen = choices.querySelector("input:checked")?.closest("label");
    const others = found.models.filter((model) => model.digest !== chosen?.querySelector("input").value);
    choices.replaceChildren(...(chosen ? [chosen] : []), ...others.map(choice));
    const more = found.total > found.models.length ? "; search to see others" : "";
    list.querySelector("[role=status]").textContent = `${found.total} model${found.total === 1 ? "" : "s"} with “${words.value}”${more}.`;
  };
  words.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(search, 150);
  });
}

/* Jobs are watched. The server knows them, so a reload changes nothing. */
for (const row of document.querySelectorAll("[data-job]")) {
  const bar = row.querySelector("progress");
  const state = row.querySelector("[data-state]");
  const reloads = row.dataset.then === "reload";
  const watch = async () => {
    try {
      const answer = await fetch(`/api/jobs/${row.dataset.job}`);
      if (!answer.ok) {
        if (reloads) location.reload();
        else state.textContent = "gone: the server was started again";
        return;
      }
      const job = await answer.json();
      bar.max = job.total || 1;
      bar.value = job.done;
      state.textContent = job.state === "running" ? far(job) : job.error || job.state;
      if (job.state === "waiting" || job.state === "running") setTimeout(watch, 500);
      else if (reloads && row.querySelector("button")) location.reload();
    } catch {
      state.textContent = "the server does not answer; trying again";
      setTimeout(watch, 2000);
    }
  };
  watch();
}
