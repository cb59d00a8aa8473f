// @ts-check
/** Dice and cups, drawn. They are pictures: what they show is said in words beside them. */

const NAMESPACE = "http://www.w3.org/2000/svg";
/** Where the pips are, on a die of 100 by 100. @type {Record<number, [number, number][]>} */
const PIPS = {
  1: [[50, 50]],
  2: [[28, 28], [72, 72]],
  3: [[26, 26], [50, 50], [74, 74]],
  4: [[28, 28], [72, 28], [28, 72], [72, 72]],
  5: [[26, 26], [74, 26], [50, 50], [26, 74], [74, 74]],
  6: [[28, 24], [72, 24], [28, 50], [72, 50], [28, 76], [72, 76]],
};
const STAR = "M50 16 L59.4 39.1 L84.2 40.9 L65.2 56.9 L71.2 81.1 L50 68 L28.8 81.1 L34.8 56.9 L15.8 40.9 L40.6 39.1 Z";

/** @param {string} name @param {Record<string, string | number>} attributes @param {Node[]} children */
function drawn(name, attributes, ...children) {
  const made = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  made.append(...children);
  return made;
}

/** A die; ones are stars, since they are wild. @param {number} value 1 to 6 @param {string} [looks] classes */
export function die(value, looks = "") {
  const pips = value === 1 ? [drawn("path", { d: STAR, class: "star" })] : PIPS[value].map(([cx, cy]) => drawn("circle", { cx, cy, r: 9.5, class: "pip" }));
  return drawn("svg", { viewBox: "0 0 100 100", class: `die ${looks}`, "aria-hidden": "true" }, drawn("rect", { x: 3, y: 3, width: 94, height: 94, rx: 20, class: "body" }), ...pips);
}

/** A die that nobody sees. @param {string} [looks] classes */
export const hidden = (looks = "") => drawn("svg", { viewBox: "0 0 100 100", class: `die hidden ${looks}`, "aria-hidden": "true" }, drawn("rect", { x: 5, y: 5, width: 90, height: 90, rx: 20, class: "body" }));

/** A cup, upside down as it stands over its dice. */
export const cup = () =>
  drawn("svg", { viewBox: "0 0 100 100", class: "cup-picture", "aria-hidden": "true" }, drawn("path", { d: "M30 12 H70 L84 84 H16 Z", class: "side" }), drawn("rect", { x: 9, y: 80, width: 82, height: 12, rx: 6, class: "rim" }));
