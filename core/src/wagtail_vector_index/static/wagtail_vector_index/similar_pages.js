/* Fills the panel "Similar pages" after the editor is shown. */
(() => {
  const fill = async (list) => {
    try {
      const response = await fetch(list.dataset.similarPages, {
        headers: { 'X-Requested-With': 'XMLHttpRequest' },
      });
      if (!response.ok) throw new Error(response.statusText);
      list.innerHTML = await response.text();
    } catch (error) {
      list.textContent = list.dataset.similarPagesProblem;
    } finally {
      list.removeAttribute('aria-busy');
    }
  };

  const fillAll = () => document.querySelectorAll('[data-similar-pages]').forEach(fill);

  if (document.readyState === 'loading') {
    document.addEventListener('DOMContentLoaded', fillAll);
  } else {
    fillAll();
  }
})();
