// What the server is asked. The key that the command printed goes with each request.

const KEY = "fastmlp-playground-key";

/** The server said no: its own words, and the field of the state that they are about. */
export class Refused extends Error {
  constructor(status, { error, field }) {
    super(error);
    this.status = status;
    this.field = field ?? null;
  }
}

/** The server does not answer. */
export class Gone extends Error {}

/** Take the key from the address, or the one that this browser was given before. */
export function takeKey(fragment) {
  const given = new URLSearchParams(fragment.replace(/^#/, "")).get("token");
  if (given) localStorage.setItem(KEY, given);
  return given ?? localStorage.getItem(KEY) ?? "";
}

export class Api {
  constructor(key) {
    this.key = key;
    this.session = null;
  }

  async #post(name, body, options = {}) {
    let response;
    try {
      response = await fetch(`api/${name}`, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-Token": this.key },
        body: JSON.stringify(this.session ? { session: this.session, ...body } : body),
        ...options,
      });
    } catch {
      throw new Gone();
    }
    if (response.ok) return response;
    const answer = await response
      .json()
      .catch(() => ({ error: `The server answered ${response.status}.` }));
    throw new Refused(response.status, answer);
  }

  /** Begin a session; what the page is built of. */
  async hello() {
    this.session = null;
    const answer = await (await this.#post("hello", {})).json();
    this.session = answer.session;
    return answer;
  }

  async ask(name, body = {}) {
    return (await this.#post(name, body)).json();
  }

  /** A binary answer: {header, arrays by name}. */
  async frame(name, body) {
    return unpack(await (await this.#post(name, body)).arrayBuffer());
  }

  async bytes(name, body) {
    const response = await this.#post(name, body);
    const named = /filename="?([^";]+)/.exec(response.headers.get("Content-Disposition") ?? "");
    return { bytes: await response.arrayBuffer(), name: named?.[1] ?? "model.fastmlp" };
  }

  /** Say that the page is left; nobody waits for an answer. */
  bye() {
    this.#post("bye", {}, { keepalive: true }).catch(() => {});
  }
}

const KINDS = {
  int8: Int8Array,
  uint8: Uint8Array,
  int32: Int32Array,
  float32: Float32Array,
  float64: Float64Array,
};

/** Take a binary answer apart: the length of the header, the header, the arrays. */
function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const arrays = {};
  for (const { name, dtype, shape, offset } of header.arrays) {
    const count = shape.reduce((product, size) => product * size, 1);
    arrays[name] = Object.assign(new KINDS[dtype](buffer, offset, count), { shape });
  }
  return { header, arrays };
}
