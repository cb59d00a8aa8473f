// @ts-check
import { element } from "./dom.js";

/** A picture for a game that has none: painted tiles, mirrored, always the same for the same name. @param {string} name */
export function tile(name) {
  let dice = 2166136261;
  for (const letter of name) dice = Math.imul(dice ^ letter.charCodeAt(0), 16777619);
  const draw = (/** @type {number} */ n) => {
    dice = Math.imul(dice ^ (dice >>> 15), 0x2c1b3c6d) + 0x9e3779b9;
    return ((dice ^ (dice >>> 13)) >>> 0) % n;
  };
  const hue = draw(360);
  let cells = "";
  for (let i = 0; i < 18; i++) {
    const [x, y] = [i % 3, Math.floor(i / 3)];
    const colour = [`hsl(${hue} 40% 30%)`, `hsl(${hue} 40% 42%)`, `hsl(${(hue + 25) % 360} 45% 55%)`, `hsl(${(hue + 50) % 360} 60% 72%)`, `hsl(${hue} 40% 30%)`][draw(5)];
    for (const u of [x, 5 - x]) cells += `<rect x="${u}" y="${y}" width="1" height="1" fill="${colour}"/>`;
  }
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 6 6" shape-rendering="crispEdges">${cells}</svg>`;
  return element("img", { className: "tile", alt: "", src: "data:image/svg+xml," + encodeURIComponent(svg) });
}
