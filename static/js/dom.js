// @ts-check
/**
 * Makes elements outside the scene: the one way from data to HTML, always as text. Knows nothing of the cluster.
 */

import { icon } from './draw.js';
import { shownLines } from './shown.js';

/** Attributes that a reader sees or hears. */
const READ = ['title', 'aria-label', 'aria-description'];

/**
 * @param {string} tag
 * @param {Record<string, any>} [props] `class`, `on…` handlers, `data` for data attributes; the rest as attributes
 * @param {(Node | string | null | undefined | false)[]} [children]
 * @returns {HTMLElement}
 */
export function h(tag, props = {}, children = []) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) made.addEventListener(name.slice(2), value);
    else if (name === 'data') Object.assign(made.dataset, value);
    else made.setAttribute(name, value === true ? '' : READ.includes(name) ? shownLines(String(value)) : String(value));
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== false).map((child) => (typeof child === 'string' ? shownLines(child) : /** @type {Node} */ (child))));
  return made;
}

/** Says a text in an element that is read out: written anew it would be read again. @param {Element} element @param {string} text */
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * A text whose names stay in one piece where it counts: a line is not broken before an ordinal, which alone would be
 * read as a number of something else.
 * @param {string} text
 * @returns {(Node | string)[]}
 */
export function whole(text) {
  return text.split(/([a-z0-9]+-\d{1,4})(?![\w.-])/).map((part, i) => (i % 2 ? h('span', { class: 'whole' }, [part]) : part)).filter((part) => part !== '');
}

/**
 * What was typed, after the prompt of the shell unless it brings one of its own, such as psql's.
 * @param {string} text
 */
export function typed(text) {
  const own = /^\w+[=(-][*]?[#>] /.exec(text)?.[0];
  return [h('span', { class: 'prompt', 'aria-hidden': 'true' }, [own ?? '$ ']), shownLines(text.slice(own?.length ?? 0))];
}

/**
 * A command as one types it into a shell, with a button that copies it.
 * @param {string} value
 * @param {(key: string) => string} say
 * @param {(text: string) => void} announce Says it to those who listen.
 * @returns {HTMLElement}
 */
export function commandLine(value, say, announce) {
  const button = h('button', { type: 'button', class: 'copy', 'aria-label': `${say('panel.copy')}: ${value}` }, [icon('copy')]);
  button.addEventListener('click', async (event) => {
    event.preventDefault();
    event.stopPropagation();
    await copy(value);
    button.replaceChildren(icon('done'));
    button.classList.add('is-done');
    announce(say('panel.copied'));
    setTimeout(() => {
      button.replaceChildren(icon('copy'));
      button.classList.remove('is-done');
    }, 1600);
  });
  return h('div', { class: 'command' }, [h('code', {}, [h('span', { class: 'prompt', 'aria-hidden': 'true' }, ['$ ']), ...tokens(value)]), button]);
}

/**
 * The words of a command, which a line is broken between and not within, unless one is longer than a line. What nobody
 * sees is written out in it already; what is selected and copied must be what is run, so nothing is added for order:
 * the style sheet isolates each word.
 * @param {string} value
 */
function tokens(value) {
  return value.split(' ').flatMap((token, i) => [i ? ' ' : '', h('span', { class: 'token' }, [document.createTextNode(token)])]);
}

/** @param {string} value */
export async function copy(value) {
  try {
    await navigator.clipboard.writeText(value);
  } catch {
    // Without the permission the old way still works, as long as a person pressed the button.
    const box = document.createElement('textarea');
    box.value = value;
    (document.activeElement?.closest('[popover]') ?? document.body).append(box);
    box.select();
    document.execCommand('copy');
    box.remove();
  }
}
