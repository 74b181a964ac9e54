// Keys in worklists: j down, k up, Enter opens. The page works without it.
(() => {
  const links = [...document.querySelectorAll("table[data-worklist] tbody tr")].map(row => row.querySelector("a")).filter(Boolean);
  if (!links.length) return;
  document.addEventListener("keydown", e => {
    if (e.ctrlKey || e.altKey || e.metaKey || /^(INPUT|TEXTAREA|SELECT)$/.test(e.target.tagName)) return;
    if (e.key !== "j" && e.key !== "k") return;
    const at = links.indexOf(document.activeElement);
    const to = e.key === "j" ? Math.min(at + 1, links.length - 1) : Math.max(at - 1, 0);
    links[to].focus();
    e.preventDefault();
  });
})();
