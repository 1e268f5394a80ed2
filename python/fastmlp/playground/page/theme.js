// Light or dark: as the system has it, or as the reader chose.

const system = matchMedia("(prefers-color-scheme: dark)");
const root = document.documentElement;
const listeners = [];

export const isDark = () => (root.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";

/** Call a function whenever colours have changed. */
export const onTheme = (listener) => listeners.push(listener);

function changed() {
  for (const listener of listeners) listener();
}

export function toggleTheme() {
  root.dataset.theme = isDark() ? "light" : "dark";
  localStorage.setItem("fastmlp-theme", root.dataset.theme);
  changed();
}

const chosen = localStorage.getItem("fastmlp-theme");
if (chosen) root.dataset.theme = chosen;
system.addEventListener("change", changed);
