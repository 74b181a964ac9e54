function (kind, name) {
  const squeeze = s => (s || '').replace(/\s+/g, ' ').trim().normalize('NFC');
  const shown = e => e.getClientRects().length > 0 && getComputedStyle(e).visibility !== 'hidden';
  const nameOf = e => {
    const by = e.getAttribute('aria-labelledby');
    if (by) return squeeze(by.split(/\s+/).map(id => document.getElementById(id)?.innerText ?? '').join(' '));
    return squeeze(e.getAttribute('aria-label') || e.innerText || e.value || e.querySelector('img[alt]')?.alt);
  };
  const want = squeeze(name);
  // An exact name wins over one that begins with the text, and that over one that contains it.
  const pick = (elements, text) => {
    const named = elements.filter(shown).map(e => [e, text(e)]);
    for (const fits of [s => s === want, s => s.startsWith(want), s => s.includes(want)]) {
      const hit = named.find(([, s]) => fits(s));
      if (hit) return hit[0];
    }
    return null;
  };
  const all = css => [...document.querySelectorAll(css)];
  switch (kind) {
    case 'field': {
      const label = pick(all('label'), nameOf);
      if (label && label.control) return label.control;
      return pick(all('input, select, textarea'), e => squeeze(e.getAttribute('aria-label')));
    }
    case 'option': return pick(all('label').filter(l => l.control && /^(radio|checkbox)$/.test(l.control.type)), nameOf);
    case 'button': return pick(all('button, input[type=submit], [role=button], summary'), nameOf);
    case 'link': return pick(all('a[href]'), nameOf);
    case 'group': return pick(all('fieldset'), e => squeeze(e.querySelector('legend')?.innerText));
  }
  return null;
}
