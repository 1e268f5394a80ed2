// Numbers as the page writes them.

const MINUS = "\u2212";

/** A number with some significant digits: 0.0123, 12.3, 1.2e-7. */
export function short(value, digits = 3) {
  if (value === null || value === undefined || Number.isNaN(value)) return "\u2013";
  if (!Number.isFinite(value)) return value > 0 ? "\u221e" : `${MINUS}\u221e`;
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text =
    size >= 1e5 || size < 1e-4
      ? value.toExponential(Math.max(digits - 2, 0))
      : Number(value.toPrecision(digits)).toString();
  return text.replaceAll("-", MINUS);
}

/** A share as per cent. */
export function percent(share, digits = 1) {
  return share === null || share === undefined ? "\u2013" : `${(100 * share).toFixed(digits)} %`;
}

/** A whole number with thousands apart. */
export const whole = (value) => Math.round(value).toLocaleString("en").replaceAll(",", "\u2009");

/** Round numbers between two limits, some five of them, for an axis. */
export function ticks(low, high, count = 5) {
  const raw = (high - low) / count;
  if (!(raw > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((k) => k * power).find((k) => k >= raw);
  const result = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) {
    result.push(Number((i * step).toPrecision(12)));
  }
  return result;
}
