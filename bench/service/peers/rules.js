"use strict";
// The counting game for ../../../examples/game-service-node/service.js, in place of its own rules.
const PAD = "x".repeat(Math.max(0, Number(process.env.STATE_BYTES) - 24));

class Rejected extends Error {}

function next(state, update) {
  if (update.event !== "started" && update.event !== "message") return { state };
  const n = update.event === "started" ? 0 : state.n + 1;
  return { state: { n, pad: PAD }, broadcast: { n } };
}

module.exports = { Rejected, next };
