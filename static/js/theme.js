// @ts-check
// Puts the theme that the reader chose on the page before anything is painted: loaded in the head, and the one script
// that the page waits for. No module, since those wait for the page. chapter.js changes the choice.

try {
  const theme = localStorage.getItem('eizoku.theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch {
  // A browser that keeps nothing has no choice to give.
}
