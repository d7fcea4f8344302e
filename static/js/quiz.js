// @ts-check
/**
 * Owns the questions of the chapter: what the reader wrote and picked, and which are done. An answer in words is done
 * when it is written and the model answer was opened beside it; a choice when exactly the right options are picked.
 */

import { forget, keep, kept } from './keep.js';

/** @typedef {{id: string, section: string, goals: string[], done: boolean}} Part */

/**
 * @param {() => void} changed Called when a question may have been done, or is no longer.
 * @returns {{parts: () => Part[], startOver: () => void}}
 */
export function openQuiz(changed) {
  const questions = [.../** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll('.question:not(.predict)'))];

  for (const question of questions) {
    for (const field of fieldsOf(question)) {
      const key = keyOf(question, field);
      if (isOption(field)) field.checked = kept(key) === field.value;
      else field.value = kept(key) ?? '';
      field.addEventListener('input', () => {
        keep(key, field.value === '' || (isOption(field) && !field.checked) ? null : field.value);
        changed();
      });
    }
    question.querySelector('details')?.addEventListener('toggle', (event) => {
      // Paper opens them all, which is no answer.
      if (!(/** @type {HTMLDetailsElement} */ (event.target).open) || matchMedia('print').matches || !written(question)) return;
      keep(`opened.${question.id}`, 'yes');
      changed();
    });
  }

  return {
    parts: () => questions.map((question) => ({
      id: question.id,
      section: question.closest('.section')?.id ?? '',
      goals: (question.dataset.goals ?? '').split(' ').filter(Boolean),
      done: question.classList.contains('choice') ? isRight(question) : Boolean(written(question)) && kept(`opened.${question.id}`) !== null,
    })),
    startOver() {
      forget('answer.');
      forget('opened.');
      for (const question of questions) {
        for (const field of fieldsOf(question)) {
          if (isOption(field)) field.checked = false;
          else field.value = '';
        }
        question.querySelector('details')?.removeAttribute('open');
      }
    },
  };
}

/** @param {HTMLElement} question @returns {(HTMLInputElement | HTMLTextAreaElement)[]} */
const fieldsOf = (question) => [...question.querySelectorAll('textarea, input')].map((field) => /** @type {any} */ (field));

/** @param {HTMLInputElement | HTMLTextAreaElement} field @returns {field is HTMLInputElement} */
const isOption = (field) => field instanceof HTMLInputElement;

/** Radios share a key, boxes have one each. @param {HTMLElement} question @param {HTMLInputElement | HTMLTextAreaElement} field */
const keyOf = (question, field) => `answer.${question.id}${field.type === 'checkbox' ? `.${field.value}` : ''}`;

/** @param {HTMLElement} question */
const written = (question) => question.querySelector('textarea')?.value.trim();

/** @param {HTMLElement} question */
function isRight(question) {
  return [...question.querySelectorAll('.option')].every((option) => {
    const picked = option.querySelector('input')?.checked ?? false;
    return picked === (option.querySelector('.why .right') !== null);
  });
}
