// The theme that was chosen, before anything is drawn.
(() => {
  const chosen = localStorage.getItem('theme');
  if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen;
})();
// Buttons that change things are there for those who may, and while there are scripts to press them.
if (document.documentElement.classList.contains('may')) document.documentElement.classList.add('writes');
document.documentElement.classList.add('js');
