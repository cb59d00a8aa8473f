// @ts-check
/** Who is logged in on a page, and the dialog that asks for it. The page has #who, #log-in and #log-out. */
import { $, element } from "./dom.js";
import { RoomError, api } from "./gameroom.js";
import { kept } from "./kept.js";

/**
 * @typedef {"account" | "developer"} Role which of the two accounts `kept` is asked for
 * @typedef {{show(): void, ask(title: string, why: string, then: (() => void) | null, usual: "login" | "register"): void}} Account
 */

/** @type {Record<Role, {path: string, logIn: string}>} */
const ROLES = { account: { path: "", logIn: "Log in" }, developer: { path: "/developer", logIn: "Log in as a developer" } };
const NEW_HERE = "No account yet? Choose a name and a password and press Create account; nothing else is asked.";

function dialog() {
  const input = (/** @type {Record<string, any>} */ properties) => {
    const made = element("input", { required: true, ...properties });
    made.setAttribute("autocapitalize", "none");
    return made;
  };
  const username = input({ type: "text", id: "username", autocomplete: "username", minLength: 3, maxLength: 32, spellcheck: false });
  const password = input({ type: "password", id: "password", autocomplete: "current-password", minLength: 8, maxLength: 1024 });
  password.setAttribute("aria-describedby", "password-note");
  const form = element(
    "form",
    { id: "account-form", method: "dialog" },
    element("h2", { id: "account-title" }),
    element("p", { className: "quiet", id: "account-why" }),
    element("label", {}, "Username ", username),
    element("label", {}, "Password ", password, element("span", { className: "quiet", id: "password-note", textContent: "8 characters or more" })),
    element("p", { className: "problem", id: "account-problem", role: "alert" }),
    element("div", { className: "row", id: "account-buttons" }, element("button", { value: "login", textContent: "Log in" }), element("button", { value: "register", textContent: "Create account" })),
    element("button", { type: "button", className: "link", id: "account-cancel", textContent: "Not now" }),
  );
  const made = element("dialog", { id: "account" }, form);
  made.setAttribute("aria-labelledby", "account-title");
  document.body.append(made);
}

/**
 * Bring the page's account to life.
 * @param {Role} role @param {() => void} [changed] called when somebody came or went
 * @returns {Account}
 */
export function pageAccount(role, changed = () => {}) {
  const { path, logIn } = ROLES[role];
  /** What waits for somebody to be logged in. @type {(() => void) | null} */
  let afterLogin = null;
  dialog();

  function show() {
    const account = kept[role];
    $("who").textContent = account ? account.username : "";
    $("log-in").hidden = !!account;
    $("log-out").hidden = !account;
  }

  /**
   * @param {string} title @param {string} why @param {(() => void) | null} then
   * @param {"login" | "register"} usual What Enter does: a mistyped name shall not become an account of somebody who has one.
   */
  function ask(title, why, then, usual) {
    afterLogin = then;
    const buttons = [...$("account-form").querySelectorAll("button[value]")].sort((a) => (a.value === usual ? -1 : 1));
    for (const button of buttons) button.classList.toggle("main", button.value === usual);
    $("account-buttons").replaceChildren(...buttons);
    $("account-title").textContent = title;
    $("account-why").textContent = why;
    $("account-problem").textContent = "";
    $("account").showModal();
    $("username").focus();
  }

  $("log-in").addEventListener("click", () => ask(logIn, NEW_HERE, null, "login"));
  $("account-cancel").addEventListener("click", () => $("account").close());

  $("account-form").addEventListener("submit", async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const action = /** @type {HTMLButtonElement | null} */ (event.submitter)?.value ?? "register";
    const username = $("username").value;
    $("account-problem").textContent = "";
    try {
      const answer = await api("POST", `${path}/${action}`, { body: { username, password: $("password").value } });
      kept[role] = { username, token: answer.session_token };
    } catch (error) {
      const { code, message } = /** @type {RoomError} */ (error);
      $("account-problem").textContent = code === 104 ? "That name is taken. If it is yours, press Log in; else choose another." : message;
      return;
    }
    $("password").value = "";
    $("account").close();
    show();
    changed();
    if (afterLogin) afterLogin();
    // The button that had the focus is not there any more.
    else $("log-out").focus();
  });

  $("log-out").addEventListener("click", async () => {
    const token = kept[role]?.token;
    kept[role] = null;
    show();
    changed();
    $("log-in").focus();
    await api("POST", `${path}/logout`, { token }).catch(() => {});
  });

  return { show, ask };
}
