const size = (bytes) => (bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`);
const far = (run, unit) => (unit ? `${run.done} of ${run.total} ${unit}` : `${size(run.done)} of ${size(run.total)}`);

async function ask(path, options) {
  const answer = await fetch(path, options);
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.error);
  return told;
}

const upload = document.querySelector("form[data-upload]");
upload?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const said = upload.querySelector("[role=status]");
  try {
    said.textContent = "sending…";
    const file = upload.querySelector("input[type=file]").files[0];
    const held = await ask("/api/fingerprints", {
      method: "POST", body: file, headers: { "content-type": "application/octet-stream" },
    });
    location.href = `/models/${held.digest}`;
  } catch (error) {
    said.textContent = error.message;
  }
});

for (const button of document.querySelectorAll("button[data-measure]")) {
  button.addEventListener("click", async () => {
    try {
      await ask("/api/runs", {
        method: "POST", body: JSON.stringify({ checkpoint: button.dataset.measure }), headers: { "content-type": "application/json" },
      });
      location.reload();
    } catch (error) {
      document.querySelector("[role=status]").textContent = error.message;
    }
  });
}

for (const row of document.querySelectorAll("[data-run]")) {
  const bar = row.querySelector("progress");
  const state = row.querySelector("[data-state]");
  const stop = row.querySelector("button");
  stop?.addEventListener("click", () => ask(`/api/runs/${row.dataset.run}`, { method: "DELETE" }));
  const watch = async () => {
    try {
      const run = await ask(`/api/runs/${row.dataset.run}`);
      bar.max = run.total || 1;
      bar.value = run.done;
      state.textContent = run.state === "running" ? far(run, row.dataset.unit) : run.error || run.state;
      if (run.state === "done" && row.dataset.then === "reload") location.reload();
      else if (run.state === "done" && !row.querySelector("a")) {
        const link = document.createElement("a");
        link.href = `/models/${run.digest}`;
        link.textContent = " open";
        state.append(link);
      }
      if (run.state === "waiting" || run.state === "running") setTimeout(watch, 500);
      else stop?.remove();
    } catch (error) {
      state.textContent = error.message;
    }
  };
  watch();
}
