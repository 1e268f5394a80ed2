// The state in the address: what differs from the defaults, as path=value. A second network's
// fields begin with "b.". What the page shows (view) is told apart by its own prefix.

const plain = (value) => (typeof value === "string" ? value : JSON.stringify(value));

function read(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

/** Keep brackets and commas readable. */
const encode = (text) =>
  encodeURIComponent(text).replace(/%(5B|5D|2C|3A)/g, (code) => decodeURIComponent(code));

function entriesOf(state, defaults, prefix) {
  const entries = [];
  for (const part of ["data", "network"]) {
    for (const [name, value] of Object.entries(state[part])) {
      // the set is always told, so that an address says what it shows
      if ((part === "data" && name === "set" && prefix === "") || !same(value, defaults[part][name])) {
        entries.push([`${prefix}${part}.${name}`, plain(value)]);
      }
    }
  }
  if (state.seed !== defaults.seed) entries.push([`${prefix}seed`, plain(state.seed)]);
  return entries;
}

/** The fragment of the address for one or two networks. */
export function writeAddress(states, view, defaultsOf) {
  const entries = entriesOf(states[0], defaultsOf(states[0]), "");
  if (states.length > 1) {
    // the second network tells what it has other than the first
    entries.push(["b", "1"], ...entriesOf(states[1], states[0], "b."));
  }
  for (const [name, value] of Object.entries(view)) entries.push([`view.${name}`, plain(value)]);
  return entries.map(([name, value]) => `${name}=${encode(value)}`).join("&");
}

/**
 * What an address asks for: {changes, second, view}, or null where it names no state. `changes`
 * and `second` are {data: {...}, network: {...}, seed}, without what is not told.
 */
export function readAddress(fragment) {
  const asked = { changes: empty(), second: null, view: {} };
  let any = false;
  for (const [name, text] of new URLSearchParams(fragment.replace(/^#/, ""))) {
    const value = read(text);
    let path = name.split(".");
    if (name === "token") continue;
    any = true;
    if (path[0] === "view") {
      asked.view[path[1]] = value;
      continue;
    }
    let target = asked.changes;
    if (path[0] === "b") {
      target = asked.second ??= empty();
      path = path.slice(1);
    }
    const [part, field] = path;
    if (part === "seed") target.seed = value;
    else if ((part === "data" || part === "network") && field !== "__proto__") target[part][field] = value;
  }
  return any ? asked : null;
}

const empty = () => ({ data: {}, network: {} });
