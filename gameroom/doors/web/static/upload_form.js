// @ts-check
/** The part of the developer page where a file is dropped, and is seen going up. */
import { $, element } from "./dom.js";
import { RoomError, api } from "./gameroom.js";
import { Speed, progress, size } from "./store_words.js";
import { Upload } from "./upload.js";
import { bundleVersion } from "./zip_version.js";

const STAGES = { reading: "Reading the file", sending: "Uploading", waiting: "Waiting", checking: "The server is checking the bundle…" };

export class UploadForm {
  /** @param {{done: () => void, loggedOut: (code: number) => void}} listener `done`: a version is there */
  constructor({ done, loggedOut }) {
    this.done = done;
    this.loggedOut = loggedOut;
    /** @type {{gameId: string, token: string} | null} */
    this.place = null;
    /** The version after the latest, and the one that stands there without anybody having typed it. */
    this.next = this.offered = "";
    /** The game that was shown last: whoever logs in again finds the file still chosen. */
    this.shown = "";
    /** @type {File | null} */
    this.file = null;
    /** What is under way, and of which game. @type {Upload | null} */
    this.upload = null;
    /** Over once the server knows of the last Cancel. @type {Promise<void> | undefined} */
    this.cancelling = undefined;
    this.#listen();
  }

  /** Show this game's. What is under way for another game is stopped; it goes on when its file is chosen again. @param {{gameId: string, token: string, version: string}} place */
  show({ gameId, token, version }) {
    const another = this.shown !== gameId;
    if (another) {
      this.leave();
      this.#choose(null);
      this.#say("", "");
    }
    this.shown = gameId;
    this.place = { gameId, token };
    if (another) this.propose(version);
    this.#showUnfinished();
  }

  /** The version that the next upload has unless something else is typed. @param {string} version */
  propose(version) {
    this.next = version;
    this.#offer(version);
  }

  /** @param {string} version */
  #offer(version) {
    this.offered = $("upload-version").value = version;
  }

  /** Stop what is under way. */
  leave() {
    this.upload?.stop();
    this.place = null;
  }

  #listen() {
    const zone = $("drop");
    for (const name of ["dragover", "dragenter"]) {
      zone.addEventListener(name, (/** @type {DragEvent} */ event) => {
        event.preventDefault();
        zone.toggleAttribute("data-over", true);
      });
    }
    for (const name of ["dragleave", "drop"]) zone.addEventListener(name, () => zone.toggleAttribute("data-over", false));
    zone.addEventListener("drop", (/** @type {DragEvent} */ event) => {
      event.preventDefault();
      if (!this.upload) this.#choose(event.dataTransfer?.files[0] ?? null);
    });
    // Dropped beside it, the browser would leave the page for the file.
    for (const name of ["dragover", "drop"]) addEventListener(name, (event) => event.preventDefault());
    $("file").addEventListener("change", () => this.#choose($("file").files[0] ?? null));
    $("upload-form").addEventListener("submit", (/** @type {SubmitEvent} */ event) => {
      event.preventDefault();
      this.#start();
    });
    $("upload-cancel").addEventListener("click", () => {
      this.cancelling = this.upload?.cancel().catch((error) => this.#say("", error.message));
    });
    addEventListener("online", () => this.upload?.hurry());
    addEventListener("beforeunload", (event) => this.upload && event.preventDefault());
  }

  /** @param {File | null} file */
  #choose(file) {
    this.file = file;
    if (!file) $("file").value = "";
    $("file-name").textContent = file ? `${file.name}, ${size(file.size)}` : "";
    $("upload-start").disabled = !file;
    if (!file) return;
    this.#say("", "");
    bundleVersion(file).then((version) => {
      // What somebody has typed stays.
      if (this.file === file && $("upload-version").value === this.offered) this.#offer(version || this.next);
    });
  }

  async #start() {
    if (!this.file || !this.place || this.upload) return;
    const { gameId, token } = this.place;
    const speed = new Speed();
    const upload = new Upload({
      gameId,
      version: $("upload-version").value.trim(),
      file: this.file,
      token,
      told: ({ stage, done, all, problem }) => {
        if (this.upload !== upload) return;
        $("upload-bar").toggleAttribute("value", true);
        $("upload-bar").value = stage === "checking" || !all ? 1 : done / all;
        const how = stage === "reading" || stage === "sending" ? ` ${progress({ done, all, speed: stage === "sending" ? speed.at(performance.now(), done) : 0 })}` : "";
        $("upload-how").textContent = STAGES[stage] + how;
        this.#say("", problem ? `${problem} It goes on by itself.` : "");
      },
    });
    this.upload = upload;
    this.#busy(true);
    try {
      const { version, is_latest } = await upload.run();
      this.#choose(null);
      this.#say(`Version ${version} is published${is_latest ? "." : ", and a higher one stays the latest."}`, "");
      this.done();
    } catch (error) {
      this.#failed(error);
    } finally {
      if (this.upload === upload) this.upload = null;
      this.#busy(false);
      await this.cancelling;
      this.#showUnfinished();
    }
  }

  /** @param {any} error */
  #failed(error) {
    if (error.name === "AbortError") return this.#say("Cancelled.", "");
    this.#say("", error.message);
    if (error instanceof RoomError) this.loggedOut(error.code);
  }

  /** @param {boolean} busy */
  #busy(busy) {
    $("upload-progress").hidden = !busy;
    $("drop").hidden = $("upload-fields").hidden = busy;
    $("unfinished").hidden = true;
    if (busy) $("upload-cancel").focus();
  }

  /** The uploads of this game that were begun and not finished, wherever that was. */
  async #showUnfinished() {
    const place = this.place;
    if (!place || this.upload) return;
    // Where this cannot be had, the rest of the page says why.
    const { uploads } = await api("GET", `/developer/uploads?game_id=${place.gameId}`, { token: place.token }).catch(() => ({ uploads: [] }));
    if (this.place !== place || this.upload) return;
    $("unfinished").hidden = !uploads.length;
    $("unfinished-uploads").replaceChildren(...uploads.map((/** @type {any} */ one) => this.#unfinishedRow(one)));
  }

  /** @param {any} one */
  #unfinishedRow(one) {
    const begun = element("time", { dateTime: one.begun_at, textContent: new Date(one.begun_at).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" }) });
    const far = progress({ done: one.received_bytes, all: one.size_bytes, speed: 0 });
    const file = element("input", { type: "file", className: "visually-hidden" });
    file.setAttribute("aria-label", `Resume version ${one.version}`);
    file.addEventListener("change", () => file.files[0] && this.#resume(one, file.files[0]));
    // So that choosing the same once more is a choice.
    file.addEventListener("click", () => (file.value = ""));
    const discard = element("button", { type: "button", className: "small", textContent: "Discard" });
    discard.setAttribute("aria-label", `Discard version ${one.version}`);
    discard.addEventListener("click", () => this.#discard(one));
    const what = element("span", { className: "who" }, element("strong", { textContent: one.version }), element("span", { className: "quiet" }, `${far}, begun `, begun));
    return element("li", {}, what, element("label", { className: "button small pick" }, "Resume", file), discard);
  }

  /** @param {any} one @param {File} file */
  #resume(one, file) {
    if (file.size !== one.size_bytes) {
      return this.#say("", `${file.name} is another file: it has ${file.size} bytes, and the one of this upload has ${one.size_bytes}. Choose that one, or discard the upload.`);
    }
    this.#choose(file);
    $("upload-version").value = one.version;
    this.offered = "";
    this.#start();
  }

  /** @param {any} one */
  async #discard(one) {
    if (!this.place) return;
    this.#say("", "");
    try {
      await api("DELETE", `/developer/uploads/${one.upload_id}`, { token: this.place.token });
    } catch (error) {
      this.#failed(error);
    }
    await this.#showUnfinished();
    $("file").focus();
  }

  /** @param {string} good @param {string} bad */
  #say(good, bad) {
    // The same again would be read out again.
    if ($("upload-say").textContent !== good) $("upload-say").textContent = good;
    if ($("upload-problem").textContent !== bad) $("upload-problem").textContent = bad;
  }
}
