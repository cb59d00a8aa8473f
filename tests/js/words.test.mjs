import assert from "node:assert/strict";
import { test } from "node:test";
import { words } from "./hooks.mjs";

const { choices, differing, duration, list, ownState, sides } = words;
const NAMES = ["Ada", "Grace", "Linus", "Mary"];
const nameOf = (seat) => NAMES[seat];
/** As one of them sees it. */
const seenBy = (own) => (seat) => (seat === own ? "you" : NAMES[seat]);
const divergence = (...groups) => ({ generation: 81, groups: groups.map((seats, i) => ({ value: `${i}`, seats })), last_agreed: 80 });

test("more than half of those who have said anything are right; without them the host's group is", () => {
  assert.deepEqual(sides(divergence([0, 2], [1]), null), { right: [0, 2], wrong: [1], byMajority: true });
  assert.deepEqual(sides(divergence([0], [1, 2]), 0), { right: [1, 2], wrong: [0], byMajority: true }, "a host's game counts no more than another's");
  assert.deepEqual(sides(divergence([0], [1]), 1), { right: [1], wrong: [0], byMajority: false });
  assert.deepEqual(sides(divergence([0, 1], [2, 3]), 3), { right: [2, 3], wrong: [0, 1], byMajority: false });
  assert.equal(sides(divergence([0], [1]), null), null);
  assert.equal(sides(divergence([0], [1]), 7), null, "a host who has said nothing");
});

test("those who have said nothing are no majority", () => {
  const silent = { generation: 81, groups: [{ value: "a", seats: [0] }, { value: null, seats: [1, 2] }] };
  assert.equal(sides(silent, null), null);
  assert.deepEqual(sides(silent, 0), { right: [0], wrong: [1, 2], byMajority: false });
});

test("it is said who differs, since when, and in what", () => {
  assert.equal(differing({ ...divergence([0, 2], [1]), sections: ["floor"] }, nameOf), "Grace's game has come out differently since generation 81, in “floor”. Up to generation 80 all agreed.");
  assert.equal(differing({ ...divergence([0, 2], [1]), sections: ["floor", "items", "painters"] }, seenBy(1)), "Your game has come out differently since generation 81, in “floor”, “items” and “painters”. Up to generation 80 all agreed.");
  assert.equal(differing({ ...divergence([0], [1]), last_agreed: null }, seenBy(0)), "Your and Grace's games have come out differently since generation 81.");
  assert.equal(differing(divergence([0, 2, 3], [1], []), nameOf), differing(divergence([0, 2, 3], [1]), nameOf));
});

test("the host may do what can be done, and reads what it does", () => {
  const does = (...args) => choices(...args).map(({ name, how, does }) => [name, how, does]);
  const end = ["End the game", "abort", "It is over for everyone, and nobody has won."];
  assert.deepEqual(does(divergence([0, 2], [1]), 0, seenBy(0)), [
    ["Put them right", "resync", "Grace gets your and Linus's game as it is now, and plays on."],
    ["Go on without them", "evict", "Grace only watches from now on; the others play on."],
    end,
  ]);
  assert.deepEqual(does(divergence([0], [1, 2]), 0, seenBy(0))[0], ["Put them right", "resync", "You get Grace's and Linus's game as it is now, and play on."]);
  assert.deepEqual(does(divergence([0], [1], [2]), 0, nameOf)[1], ["Go on without them", "evict", "Grace and Linus only watch from now on; the others play on."]);
  assert.deepEqual(does(divergence([0], [1]), null, nameOf), [end], "a host who watches, and no majority");
});

test("lists, the room's own states, and for how long", () => {
  assert.deepEqual([[], ["a"], ["a", "b"], ["a", "b", "c"]].map(list), ["", "a", "a and b", "a, b and c"]);
  assert.deepEqual(["running.paused", "running.paused.main_menu", "running.paused.menu.sound"].map(ownState), ["", "main menu", "menu, sound"]);
  assert.deepEqual([0, 999, 59_999, 61_000].map(duration), ["0 s", "0 s", "59 s", "1 min 1 s"]);
});
