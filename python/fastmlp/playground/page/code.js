// Out of the page: the network as Python code, as a model file, as an address.

import { button, radios } from "./controls.js";
import { download, h, setText } from "./dom.js";

const LIBRARIES = ["fastmlp", "scikit-learn"];

/** Copy text, also where the page may not use the clipboard. */
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = h("textarea", {}, text);
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

export function buildCode(app, panel) {
  let library = LIBRARIES[0];
  let text = "";
  const pre = h("pre", { tabindex: 0, "aria-label": "Python code", "data-code": "" });
  const reason = h("p", { class: "soft", hidden: true });
  const which = radios(
    "Library",
    LIBRARIES.map((name) => ({ value: name, content: name, data: { "data-library": name } })),
    (name) => {
      library = name;
      show();
    },
  );
  which.set(library);
  const said = h("span", { class: "soft", role: "status" });
  const copy = button(
    "Copy as Python",
    async () => {
      await copyText(text);
      setText(said, "Copied.");
    },
    { class: "primary", "data-do": "copy-code" },
  );
  panel.append(
    h(
      "div",
      { class: "fields" },
      h(
        "p",
        { class: "soft" },
        "Code that makes the same data and trains the same network for as many epochs: its run gives the same weights.",
      ),
      h("div", { class: "row" }, which.element, copy, said),
      reason,
      pre,
    ),
  );

  async function show() {
    setText(said, "");
    try {
      const answer = await app.api.ask("export", { network: app.selected, library });
      text = answer.code ?? "";
      setText(pre, text);
      pre.dataset.code = library;
      copy.disabled = !answer.code;
      pre.hidden = !answer.code;
      setText(reason, answer.reason ?? "");
      reason.hidden = !answer.reason;
    } catch (error) {
      app.emit("notice", error.message);
    }
  }

  let open = false;
  app.on("busy", (busy) => open && !busy && show());
  return {
    open() {
      open = true;
      show();
    },
    close: () => (open = false),
  };
}

/** The address of what is shown, copied; without the key, which is this server's alone. */
export async function copyLink() {
  await copyText(location.href);
}

export async function saveModel(app) {
  try {
    const { bytes, name } = await app.api.bytes("save", { network: app.selected });
    download(bytes, name, "application/octet-stream");
  } catch (error) {
    app.emit("notice", error.message);
  }
}
