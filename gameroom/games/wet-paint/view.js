// @ts-check
/** Wet Paint as it is seen: reads the engine, never changes it. Tiles are kept on a layer of their own and repainted where they changed. */
import { BOLT, BUCKET, COUNTDOWN, RATE, ROLLER, SIZE, WALL } from "./engine.js";

/** Told apart by hue, by lightness and by the mark on each tile. */
export const COLOURS = ["#e4483d", "#1793a5", "#f2b01e", "#7757c4", "#58a63c", "#e878b0", "#3569cf", "#a8693a", "#76828f"];

const STEP = 256;
const DX = [1, 0, -1, 0];
const DY = [0, 1, 0, -1];
const THEMES = {
  light: { floor: "#faf6ec", grid: "#ece4d3", wall: "#8d8371", top: "#b3a893", mark: "rgb(255 255 255 / 0.28)" },
  dark: { floor: "#24262d", grid: "#2d3038", wall: "#0c0d10", top: "#4a4d57", mark: "rgb(0 0 0 / 0.2)" },
};
const FLASH = 380;

/** @typedef {import("./engine.js").WetPaint} WetPaint @typedef {import("./engine.js").Painter} Painter */

export class View {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    this.layer = document.createElement("canvas");
    this.paint = /** @type {CanvasRenderingContext2D} */ (this.layer.getContext("2d"));
    this.drawn = new Uint8Array(SIZE * SIZE).fill(254);
    this.changed = new Float64Array(SIZE * SIZE).fill(-1e9);
    /** @type {{x: number, y: number, vx: number, vy: number, born: number, colour: string}[]} */
    this.drops = [];
    /** @type {{x: number, y: number, born: number, colour: string, reach: number}[]} */
    this.rings = [];
    this.cell = 0;
    this.theme = THEMES.light;
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    this.dark = matchMedia("(prefers-color-scheme: dark)");
    this.dark.addEventListener("change", () => (this.cell = 0));
    new ResizeObserver(() => (this.cell = 0)).observe(canvas);
  }

  /** Sharp at any pixel density, and tiles of whole pixels. */
  fit() {
    const wide = Math.max(110, this.canvas.clientWidth * Math.min(devicePixelRatio || 1, 2.5));
    this.cell = Math.max(5, Math.floor(wide / SIZE));
    this.canvas.width = this.canvas.height = this.layer.width = this.layer.height = this.cell * SIZE;
    this.theme = this.dark.matches ? THEMES.dark : THEMES.light;
    this.drawn.fill(254);
  }

  /**
   * @param {WetPaint} engine @param {number} alpha from 0, right after an iteration, to 1, when the next is due
   * @param {number | null} mine our painter's index @param {number} now ms @param {number | null} wish a heading just asked for
   */
  draw(engine, alpha, mine, now, wish) {
    if (!this.cell) this.fit();
    this.tiles(engine, now);
    this.context.drawImage(this.layer, 0, 0);
    if (!this.still.matches) this.sheen(engine, now);
    for (const item of engine.items) this.item(item, now);
    this.effects(now);
    engine.painters.forEach((painter, i) => i !== mine && this.painter(engine, painter, i, alpha, now, false));
    if (mine !== null && engine.painters[mine]) {
      this.painter(engine, engine.painters[mine], mine, alpha, now, true);
      if (engine.tick < COUNTDOWN + RATE) this.pointer(engine.painters[mine], mine, now);
      if (wish !== null) this.intent(engine.painters[mine], wish, alpha);
    }
  }

  /** @param {WetPaint} engine @param {number} now */
  tiles(engine, now) {
    for (let tile = 0; tile < this.drawn.length; tile++) {
      const owner = engine.tiles[tile];
      if (owner === this.drawn[tile]) continue;
      if (this.drawn[tile] !== 254) this.changed[tile] = now;
      this.drawn[tile] = owner;
      this.tile(tile % SIZE, Math.floor(tile / SIZE), owner, engine.tiles);
    }
  }

  /** @param {number} x @param {number} y @param {number} owner @param {Uint8Array} tiles */
  tile(x, y, owner, tiles) {
    const { paint, cell, theme } = this;
    const [u, v] = [x * cell, y * cell];
    paint.fillStyle = owner === WALL ? theme.wall : owner === 0 ? theme.floor : COLOURS[owner - 1];
    paint.fillRect(u, v, cell, cell);
    if (owner === WALL) {
      // A block seen from a little above: its front shows where it ends.
      const front = tiles[((y + 1) % SIZE) * SIZE + x] === WALL ? 0 : Math.max(3, cell >> 2);
      paint.fillStyle = theme.top;
      paint.fillRect(u, v, cell, cell - front);
    } else if (owner === 0) {
      paint.fillStyle = theme.grid;
      paint.fillRect(u, v, cell, 1);
      paint.fillRect(u, v, 1, cell);
    } else {
      this.mark(u, v, owner - 1);
    }
  }

  /** So that colours need not be told apart by hue. @param {number} u @param {number} v @param {number} i */
  mark(u, v, i) {
    const { paint, cell, theme } = this;
    const [c, r] = [cell / 2, Math.max(1, cell / 7)];
    paint.fillStyle = paint.strokeStyle = theme.mark;
    paint.lineWidth = Math.max(1, cell / 10);
    paint.beginPath();
    if (i === 0) paint.arc(u + c, v + c, r, 0, 7);
    else if (i === 1) paint.rect(u + c - r, v + c - r, 2 * r, 2 * r);
    else if (i === 2) this.strokes(u, v, [[0.3, 0.7, 0.7, 0.3]]);
    else if (i === 3) this.strokes(u, v, [[0.5, 0.3, 0.5, 0.7], [0.3, 0.5, 0.7, 0.5]]);
    else if (i === 4) this.strokes(u, v, [[0.3, 0.3, 0.7, 0.7]]);
    else if (i === 5) this.strokes(u, v, [[0.3, 0.5, 0.7, 0.5]]);
    else if (i === 6) this.strokes(u, v, [[0.5, 0.3, 0.5, 0.7]]);
    else if (i === 7) this.strokes(u, v, [[0.3, 0.3, 0.7, 0.7], [0.3, 0.7, 0.7, 0.3]]);
    else this.strokes(u, v, [[0.3, 0.4, 0.7, 0.4], [0.3, 0.6, 0.7, 0.6]]);
    if (i < 2) paint.fill();
    else paint.stroke();
  }

  /** @param {number} u @param {number} v @param {number[][]} lines in parts of a tile */
  strokes(u, v, lines) {
    for (const [a, b, c, d] of lines) {
      this.paint.moveTo(u + a * this.cell, v + b * this.cell);
      this.paint.lineTo(u + c * this.cell, v + d * this.cell);
    }
  }

  /** Fresh paint shines for a moment. @param {WetPaint} engine @param {number} now */
  sheen(engine, now) {
    const { context, cell } = this;
    for (let tile = 0; tile < this.changed.length; tile++) {
      const age = now - this.changed[tile];
      if (age > FLASH || engine.tiles[tile] === WALL) continue;
      context.fillStyle = `rgb(255 255 255 / ${(0.5 * (1 - age / FLASH)).toFixed(3)})`;
      context.fillRect((tile % SIZE) * cell, Math.floor(tile / SIZE) * cell, cell, cell);
    }
  }

  /** @param {{x: number, y: number, kind: number}} item @param {number} now */
  item({ x, y, kind }, now) {
    const { context, cell } = this;
    const lift = this.still.matches ? 0 : Math.sin(now / 260 + x) * cell * 0.07;
    context.save();
    context.translate((x + 0.5) * cell, (y + 0.5) * cell + lift);
    context.scale(cell / 24, cell / 24);
    context.fillStyle = "#fff";
    context.strokeStyle = "#26221d";
    context.lineWidth = 2.4;
    context.lineJoin = context.lineCap = "round";
    context.beginPath();
    context.arc(0, 0, 12.5, 0, 7);
    context.fill();
    context.stroke();
    context.fillStyle = "#26221d";
    context.beginPath();
    if (kind === BOLT) polygon(context, [[2, -8], [-5, 1.5], [-0.5, 1.5], [-2, 8], [5, -1.5], [0.5, -1.5]]);
    else if (kind === ROLLER) context.rect(-7, -6, 14, 5.4);
    else if (kind === BUCKET) polygon(context, [[-6, -4], [6, -4], [4.4, 7], [-4.4, 7]]);
    context.fill();
    context.beginPath();
    if (kind === ROLLER) polyline(context, [[0, -0.5], [0, 3], [0, 7.5]]);
    if (kind === BUCKET) context.arc(0, -4, 5, Math.PI, 0);
    context.stroke();
    context.restore();
  }

  /** Where it is between two iterations, in tiles. @param {Painter} painter @param {number} alpha */
  place(painter, alpha) {
    const whole = SIZE * STEP;
    const between = (/** @type {number} */ from, /** @type {number} */ to) => {
      let way = (((to - from) % whole) + whole) % whole;
      if (way > whole / 2) way -= whole;
      return (from + way * alpha) / STEP;
    };
    return [
      between(painter.fromX, painter.x * STEP + DX[painter.heading] * painter.progress),
      between(painter.fromY, painter.y * STEP + DY[painter.heading] * painter.progress),
    ];
  }

  /** @param {WetPaint} engine @param {Painter} painter @param {number} i @param {number} alpha @param {number} now @param {boolean} me */
  painter(engine, painter, i, alpha, now, me) {
    const [x, y] = this.place(painter, alpha);
    // On a torus who stands on the edge is seen on both sides.
    for (const u of [x, x < 1 ? x + SIZE : x - SIZE]) {
      for (const v of [y, y < 1 ? y + SIZE : y - SIZE]) {
        if (u > -1 && v > -1 && u < SIZE && v < SIZE) this.body(painter, i, u, v, now, me);
      }
    }
  }

  /** @param {Painter} painter @param {number} i @param {number} x @param {number} y @param {number} now @param {boolean} me */
  body(painter, i, x, y, now, me) {
    const { context, cell } = this;
    context.save();
    context.translate((x + 0.5) * cell, (y + 0.5) * cell);
    context.scale(cell / 20, cell / 20);
    if (me && painter.rest > 0) this.rest(painter);
    context.rotate((painter.heading * Math.PI) / 2 + (painter.dizzy && !this.still.matches ? now / 90 : 0));
    if (painter.dash > 0) context.scale(1.25, 0.85);
    context.fillStyle = "rgb(0 0 0 / 0.22)";
    ellipse(context, 0.5, 2.5, 11, 10.5);
    if (painter.roller > 0) {
      context.fillStyle = "#26221d";
      context.fillRect(10, -15, 5, 30);
    }
    context.fillStyle = COLOURS[i];
    context.strokeStyle = me ? "#fff" : "#26221d";
    context.lineWidth = me ? 3.4 : 2;
    ellipse(context, 0, 0, 11, 11);
    context.stroke();
    if (me) {
      context.strokeStyle = "#26221d";
      context.lineWidth = 1.4;
      context.beginPath();
      context.arc(0, 0, 13.2, 0, 7);
      context.stroke();
    }
    this.face(painter);
    context.restore();
    this.name(painter, x, y, me);
  }

  /** @param {Painter} painter */
  face(painter) {
    const { context } = this;
    for (const side of [-4.2, 4.2]) {
      context.fillStyle = "#fff";
      ellipse(context, 4, side, 3.5, 3.5);
      context.fillStyle = "#26221d";
      ellipse(context, painter.dizzy ? 4 : 5.2, side, painter.dizzy ? 1 : 1.9, painter.dizzy ? 3 : 1.9);
    }
    if (painter.bolt > 0) {
      context.fillStyle = "#fff";
      context.beginPath();
      polygon(context, [[-3, -5], [-8, 1], [-5, 1], [-6, 5], [-1.5, -1], [-4.4, -1]]);
      context.fill();
    }
  }

  /** How long until the next dash. @param {Painter} painter */
  rest(painter) {
    const { context } = this;
    context.strokeStyle = "rgb(255 255 255 / 0.85)";
    context.lineWidth = 2.2;
    context.beginPath();
    context.arc(0, 0, 16.5, -Math.PI / 2, -Math.PI / 2 + 2 * Math.PI * (1 - painter.rest / (4 * RATE)));
    context.stroke();
  }

  /** @param {Painter} painter @param {number} x @param {number} y @param {boolean} me */
  name(painter, x, y, me) {
    const { context, cell } = this;
    const size = Math.max(10, Math.round(cell * (me ? 0.6 : 0.5)));
    context.font = `${me ? 800 : 600} ${size}px system-ui, sans-serif`;
    context.textAlign = "center";
    context.lineWidth = size / 4;
    context.lineJoin = "round";
    context.strokeStyle = "rgb(20 18 15 / 0.8)";
    context.fillStyle = "#fff";
    const text = me ? "You" : painter.name.length > 10 ? painter.name.slice(0, 9) + "…" : painter.name;
    const top = y < 1.2 ? (y + 1.75) * cell : (y - 0.32) * cell;
    // At the edge the name stays inside.
    const half = context.measureText(text).width / 2 + size / 4;
    const middle = Math.max(half, Math.min(SIZE * cell - half, (x + 0.5) * cell));
    context.strokeText(text, middle, top);
    context.fillText(text, middle, top);
  }

  /** This one is you. @param {Painter} painter @param {number} i @param {number} now */
  pointer(painter, i, now) {
    const { context, cell } = this;
    const swing = this.still.matches ? 0 : Math.sin(now / 140) * 0.25;
    context.strokeStyle = COLOURS[i];
    context.lineWidth = cell / 6;
    context.beginPath();
    context.arc((painter.x + 0.5) * cell, (painter.y + 0.5) * cell, cell * (1.9 + swing), 0, 7);
    context.stroke();
  }

  /** The heading that was asked for, at once, although the turn that carries it is yet to come. @param {Painter} painter @param {number} wish @param {number} alpha */
  intent(painter, wish, alpha) {
    const { context, cell } = this;
    const [x, y] = this.place(painter, alpha);
    context.save();
    context.translate((x + 0.5 + DX[wish] * 1.05) * cell, (y + 0.5 + DY[wish] * 1.05) * cell);
    context.rotate((wish * Math.PI) / 2);
    context.scale(cell / 20, cell / 20);
    context.fillStyle = "#fff";
    context.strokeStyle = "#26221d";
    context.lineWidth = 1.6;
    context.beginPath();
    polygon(context, [[-3, -6], [5, 0], [-3, 6]]);
    context.fill();
    context.stroke();
    context.restore();
  }

  // --- what happens

  /** @param {any} event @param {number} now */
  see(event, now) {
    if (this.still.matches) return;
    const colour = COLOURS[event.painter ?? 8];
    if (event.kind === "ram" || event.kind === "pick" || event.kind === "bump") this.burst(event.x, event.y, colour, event.kind === "bump" ? 5 : 14, now);
    if (event.kind === "splash") this.rings.push({ x: event.x, y: event.y, born: now, colour, reach: event.reach });
    if (event.kind === "fill") for (const tile of event.patch) if (Math.random() < 0.4) this.burst(tile % SIZE, Math.floor(tile / SIZE), colour, 2, now);
  }

  /** @param {number} x @param {number} y @param {string} colour @param {number} count @param {number} now */
  burst(x, y, colour, count, now) {
    for (let i = 0; i < count && this.drops.length < 240; i++) {
      const [angle, speed] = [Math.random() * 6.3, 1 + Math.random() * 4];
      this.drops.push({ x: x + 0.5, y: y + 0.5, vx: Math.cos(angle) * speed, vy: Math.sin(angle) * speed, born: now, colour });
    }
  }

  /** @param {number} now */
  effects(now) {
    const { context, cell } = this;
    this.drops = this.drops.filter(({ born }) => now - born < 600);
    for (const drop of this.drops) {
      const age = (now - drop.born) / 600;
      context.fillStyle = drop.colour;
      context.globalAlpha = 1 - age;
      ellipse(context, (drop.x + drop.vx * age * 0.6) * cell, (drop.y + (drop.vy * age + age * age) * 0.6) * cell, (1 - age) * cell * 0.22, (1 - age) * cell * 0.22);
    }
    this.rings = this.rings.filter(({ born }) => now - born < 450);
    for (const ring of this.rings) {
      const age = (now - ring.born) / 450;
      context.strokeStyle = ring.colour;
      context.globalAlpha = 1 - age;
      context.lineWidth = cell * 0.35 * (1 - age);
      context.beginPath();
      context.arc((ring.x + 0.5) * cell, (ring.y + 0.5) * cell, (0.5 + (ring.reach + 0.7) * age) * cell, 0, 7);
      context.stroke();
    }
    context.globalAlpha = 1;
  }
}

/** @param {CanvasRenderingContext2D} context @param {number[][]} points */
function polyline(context, points) {
  points.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
}

/** @param {CanvasRenderingContext2D} context @param {number[][]} points */
function polygon(context, points) {
  polyline(context, points);
  context.closePath();
}

/** @param {CanvasRenderingContext2D} context @param {number} x @param {number} y @param {number} a @param {number} b */
function ellipse(context, x, y, a, b) {
  context.beginPath();
  context.ellipse(x, y, Math.max(0, a), Math.max(0, b), 0, 0, 7);
  context.fill();
}

