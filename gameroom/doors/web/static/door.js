// @ts-check
/** The door of a room: who is inside, under which name one comes, and whether one plays or watches. */
import { isController } from "./controller_page.js";
import { $ } from "./dom.js";
import { isForPrograms } from "./frameless.js";
import { joinRoom } from "./gameroom.js";
import { kept } from "./kept.js";

/** @typedef {import("./gameroom.js").Seat} Seat @typedef {import("./gameroom.js").RoomError} RoomError */
/**
 * `view`: what anyone may know of the room; `look`: see it anew; `row`: a player of it in a list; `show` the door; the room is `gone`;
 * `enter` with a seat, and whether that is one to play at.
 * @typedef {{roomId: string, view: () => any, look: () => Promise<any>, gameName: () => string, row: (player: any) => HTMLElement, show: () => void, gone: (heading: string, why: string) => void, enter: (taken: Seat, wants: boolean) => Promise<void>}} Around
 */

const LOOK_EVERY = 2500;

export class Door {
  /** @param {Around} around */
  constructor(around) {
    this.around = around;
    /** Whether the person comes as a guest although this browser has an account. */
    this.asGuest = false;
    $("switch").addEventListener("click", () => {
      this.asGuest = !this.asGuest;
      this.show();
    });
    $("join-form").addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      this.join($("join").hidden);
    });
    $("watch").addEventListener("click", () => this.join(true));
  }

  get players() {
    return this.around.view().players.filter((/** @type {any} */ player) => !player.viewer);
  }

  /** Who waits inside, every few seconds. */
  async look() {
    if ($("door").hidden) return;
    setTimeout(() => this.look(), LOOK_EVERY);
    if (document.hidden) return;
    try {
      await this.around.look();
      this.show();
    } catch (error) {
      if (/** @type {RoomError} */ (error).code === 103) this.around.gone("This room is gone", "Its last player left. Open another, or ask for a new link.");
    }
  }

  show() {
    if ($("door").hidden) {
      this.around.show();
      $("name").value ||= kept.name;
    }
    const { players } = this;
    const view = this.around.view();
    const playing = view.state.startsWith("running");
    const free = view.max_players - players.length;
    $("door-title").textContent = playing ? `${this.around.gameName()} is being played` : `Join ${this.around.gameName()}`;
    $("watch").textContent = isController(view) ? "Use as the big screen" : "Watch";
    $("door-about").textContent = this.about(view, free, playing);
    $("door-roster").replaceChildren(...view.players.map(this.around.row));
    // A controller that comes too late is told so, and watches.
    $("join").disabled = (playing || free <= 0) && !isController(view);
    this.showIdentity();
  }

  /** @param {any} view @param {number} free @param {boolean} playing */
  about(view, free, playing) {
    if (isForPrograms(view)) {
      const hold = kept.account ? " Join to hold a seat for it here." : "";
      return `It is played with its own program, which joins by the party code ${view.party_code}; gameroom play finds and starts it.${playing || free <= 0 ? "" : hold} Watch to see who is there.`;
    }
    if (free <= 0) return "Every seat is taken; you can watch.";
    if (playing) return "You can watch this match, and take a seat when it is over.";
    return `${free < view.max_players ? "" : "Nobody is in yet. "}${free} of ${view.max_players} seats ${free === 1 ? "is" : "are"} free.`;
  }

  /** Under which name one comes: the account's, unless it is in here already, in another window. */
  showIdentity() {
    const account = kept.account;
    const seated = !!account && this.players.some((/** @type {any} */ player) => player.user_id === account.username && player.connected);
    const guest = this.asGuest || !account || seated;
    // A guest's seat is this page's, and no program could play at it.
    $("join").hidden = guest && isForPrograms(this.around.view());
    $("watch").classList.toggle("main", $("join").hidden);
    $("name-field").hidden = !guest;
    $("as-account").hidden = !account;
    $("as-account").textContent = seated ? `${account?.username} plays here in another window already; this one joins as a guest.` : guest ? "" : `You join as ${account?.username}.`;
    $("switch").hidden = !account || seated;
    $("switch").textContent = guest ? `Use the account ${account?.username}` : "Come as a guest";
    return guest;
  }

  /** @param {boolean} viewer */
  async join(viewer) {
    // The big screen takes no account with it: that may be needed on a phone.
    const screen = viewer && isController(this.around.view());
    const guest = screen || this.showIdentity();
    const name = $("name").value.trim() || (screen ? "Big screen" : "");
    $("join-problem").textContent = "";
    $("join").disabled = $("watch").disabled = true;
    try {
      const taken = await joinRoom(this.around.roomId, { name: guest ? name : undefined, viewer, session: guest ? null : kept.account?.token });
      if (guest && !screen) kept.name = name;
      await this.around.enter(taken, !viewer);
    } catch (error) {
      await this.refused(/** @type {RoomError} */ (error), guest);
      this.look();
    } finally {
      $("join").disabled = $("watch").disabled = false;
    }
  }

  /** @param {RoomError} error @param {boolean} guest */
  async refused({ code, message }, guest) {
    $("join-problem").textContent = code === 104 ? "That name is taken here or belongs to an account; choose another." : message;
    if (!guest && (await kept.loggedOut(code))) {
      $("join-problem").textContent = "You were logged out, perhaps by logging in elsewhere. Join as a guest, or log in on the start page first.";
      this.show();
    }
  }
}
