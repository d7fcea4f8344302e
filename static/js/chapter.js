// @ts-check
/**
 * What the page does beside the live panel: copying, themes, where one is, words that light each other up. Keeps
 * the reader's theme in this browser; everything here may be missing and the text still reads.
 */

import { keep, kept } from './keep.js';

const root = document.documentElement;

/** @type {Record<string, string>} */
const words = JSON.parse(document.getElementById("words")?.textContent ?? "{}").words ?? {};

/** @param {string} key */
const word = (key) => words[key] ?? key;

/* Copying: each command of a session gets a button, and takes along neither prompt nor output. */

/** @param {HTMLElement} command */
function addCopyButton(command) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = word("page.copy");
  button.addEventListener("click", async () => {
    const typed = [...command.querySelectorAll("kbd")].map((line) => line.textContent).join("\n");
    let said = "page.copied";
    try {
      await navigator.clipboard.writeText(typed);
    } catch {
      // Refused, or a page that is not on a secure origin: what is to be copied is at least marked.
      said = "page.copy-failed";
      const typing = document.createRange();
      typing.selectNodeContents(command.querySelector("kbd") ?? command);
      getSelection()?.removeAllRanges();
      getSelection()?.addRange(typing);
    }
    button.textContent = word(said);
    setTimeout(() => { button.textContent = word("page.copy"); }, 2000);
  });
  button.setAttribute("aria-live", "polite");
  // Forty buttons say "copy"; this tells which one.
  button.setAttribute("aria-description", command.querySelector("kbd")?.textContent ?? "");
  command.append(button);
}
for (const command of document.querySelectorAll(".cmd")) addCopyButton(/** @type {HTMLElement} */ (command));

/* Themes: as the system says, until the reader says otherwise. */

// The kept one is put on the root before the first paint, by theme.js.
let theme = ["light", "dark"].find((name) => name === kept("theme")) ?? "auto";
const themeButton = document.querySelector('[data-control="theme"]');

function showTheme() {
  if (theme === "auto") delete root.dataset.theme;
  else root.dataset.theme = theme;
  const label = theme === "auto" ? "" : `: ${word(`page.${theme}`)}`;
  if (themeButton) themeButton.textContent = word("page.theme") + label;
}
showTheme();
themeButton?.addEventListener("click", () => {
  // The first press shows something else than there is.
  const themes = matchMedia("(prefers-color-scheme: dark)").matches ? ["auto", "light", "dark"] : ["auto", "dark", "light"];
  theme = themes[(themes.indexOf(theme) + 1) % themes.length];
  showTheme();
  keep("theme", theme);
});

/* The projector: one attribute on the root, set here or by anyone else, seen by all. */

const projector = document.querySelector('[data-control="projector"]');
projector?.addEventListener("click", () => { root.toggleAttribute("data-projector"); });
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.defaultPrevented) root.removeAttribute("data-projector");
});
let place = 0;
new MutationObserver(() => {
  const on = root.hasAttribute("data-projector");
  projector?.setAttribute("aria-pressed", String(on));
  // The text is not laid out meanwhile, so the browser can't keep the reader's place.
  if (on) place = lastScroll;
  else requestAnimationFrame(() => scrollTo({ top: place, behavior: "instant" }));
}).observe(root, { attributes: true, attributeFilter: ["data-projector"] });
let lastScroll = scrollY;
addEventListener("scroll", () => {
  if (!root.hasAttribute("data-projector")) lastScroll = scrollY;
}, { passive: true });

const controls = /** @type {HTMLElement | null} */ (document.querySelector(".bar .controls"));
if (controls) controls.hidden = false;

/* Where one is: the last section whose heading has passed the upper third of the window. */

const sections = [...document.querySelectorAll(".section")];
const steps = new Map([...document.querySelectorAll(".steps a")].map((link) => [link.getAttribute("href")?.slice(1), link]));

/** @type {Set<Element>} */
const begun = new Set();
const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (entry.isIntersecting) begun.add(entry.target);
    else begun.delete(entry.target);
  }
  const here = sections.filter((section) => begun.has(section)).at(-1)?.id;
  for (const [id, link] of steps) {
    if (id === here) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}, { rootMargin: "-30% 0px -69% 0px" });
for (const section of sections) watcher.observe(section);

/* Lighting: pointing at a word, a node or a line lights up all that mean the same. */

/** Everything that is lit together with `element`. @param {Element} element @returns {Element[]} */
function fellows(element) {
  const line = element.closest(".manifest [data-note]");
  if (line) {
    const note = CSS.escape(line.getAttribute("data-note") ?? "");
    return [...(line.closest(".manifest")?.querySelectorAll(`[data-note="${note}"]`) ?? [])];
  }
  const marked = element.closest("[data-term], [data-node]");
  const term = marked?.getAttribute("data-term");
  if (term) return [...document.querySelectorAll(`[data-term="${CSS.escape(term)}"]`)];
  const node = marked?.getAttribute("data-node");
  return node ? [...document.querySelectorAll(`[data-node="${CSS.escape(node)}"]`)] : [];
}

/** @type {Element[]} */
let lit = [];

/** @param {EventTarget | null} target */
function light(target) {
  const next = target instanceof Element ? fellows(target) : [];
  if (next.length === lit.length && next[0] === lit[0]) return;
  for (const element of lit) element.removeAttribute("data-lit");
  for (const element of next) element.setAttribute("data-lit", "");
  lit = next;
  explain(next);
}

/** The explanation of a line stands at the foot of its file as long as the line is pointed at. @param {Element[]} next */
function explain(next) {
  document.querySelector(".note-now")?.remove();
  const [line, note] = [next.find((element) => element.matches(".row")), next.find((element) => element.matches("li"))];
  if (!line || !note) return;
  const now = document.createElement("div");
  now.className = "note-now";
  // The list below says the same to a screen reader, through aria-describedby.
  now.setAttribute("aria-hidden", "true");
  const text = now.appendChild(document.createElement("p"));
  text.append(...[...note.childNodes].map((child) => child.cloneNode(true)));
  line.closest("pre")?.after(now);
}

// Not pointerover: that also fires when the page scrolls under a pointer at rest, as a keyboard makes it do.
document.addEventListener("pointermove", (event) => light(event.target), { passive: true });
root.addEventListener("pointerleave", () => light(null));
// A finger that is lifted points at nothing any more.
for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, (event) => { if (/** @type {PointerEvent} */ (event).pointerType === "touch") light(null); });
// The focus that a pointer brought, or that comes back from a menu, is nobody's pointing.
document.addEventListener("focusin", (event) => { if (root.dataset.hand !== "pointer") light(event.target); });
document.addEventListener("focusout", () => light(null));

/* On paper every answer is open; afterwards those that were closed are closed again. */

/** @type {HTMLDetailsElement[]} */
let opened = [];
addEventListener("beforeprint", () => {
  // Added to: a preview and the print itself may begin one inside the other.
  opened.push(...[...document.querySelectorAll("details")].filter((details) => !details.open));
  for (const details of opened) details.open = true;
});
addEventListener("afterprint", () => {
  for (const details of opened) details.open = false;
  opened = [];
});

/* The other language opens at the same place: every anchor is the same there. */

for (const link of document.querySelectorAll('a[data-control="language"]')) {
  link.addEventListener("click", () => {
    const headings = [...document.querySelectorAll("main [id]:is(section, h1, h2, h3, h4)")];
    const passed = headings.filter((heading) => heading.getBoundingClientRect().top < innerHeight / 3);
    const here = passed.at(-1)?.id;
    if (here && scrollY > 0) /** @type {HTMLAnchorElement} */ (link).hash = here;
  });
}

/* What scrolls sideways can be scrolled by keyboard, too, as long as there is something to scroll. */

const wide = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    if (target.scrollWidth > target.clientWidth) target.setAttribute('tabindex', '0');
    else target.removeAttribute('tabindex');
  }
});
for (const frame of document.querySelectorAll('.console .out, pre.code, .table, .figure .frame')) wide.observe(frame);
