// The picture of a graph: larger, smaller, moved by hand; boxes change in place as their states do.
(() => {
  'use strict';
  const box = () => document.getElementById('picture');
  let scale = 0, chosen = false;

  const size = svg => { const v = svg.viewBox.baseVal; return {w: v.width, h: v.height}; };

  function show(to, x, y) {
    const b = box(), svg = b?.querySelector('svg');
    if (!svg) return;
    const {w, h} = size(svg), was = svg.getBoundingClientRect().width / w;
    to = Math.min(2.5, Math.max(.2, to));
    x ??= b.clientWidth / 2; y ??= b.clientHeight / 2;
    const atX = (b.scrollLeft + x) / was, atY = (b.scrollTop + y) / was;
    svg.setAttribute('width', w * to);
    svg.setAttribute('height', h * to);
    b.scrollLeft = atX * to - x;
    b.scrollTop = atY * to - y;
    scale = to;
  }

  // fit has all of it in sight; at first not so small that nobody could read it.
  function fit(least) {
    const b = box(), svg = b?.querySelector('svg');
    if (!svg) return;
    const {w} = size(svg);
    show(Math.max(least, Math.min(1, b.clientWidth / w)), 0, 0);
  }

  function zoom(how) {
    chosen = true;
    if (how === 'in') show(scale * 1.25);
    else if (how === 'out') show(scale / 1.25);
    else if (how === 'fit') fit(.2);
    else show(1);
  }

  // Boxes keep their places as long as the graph is the same; only what they say is changed. Another graph is drawn anew.
  function take(doc) {
    const b = box(), old = b?.querySelector('svg'), is = doc.querySelector('#picture svg');
    if (!old || !is) return;
    const keys = s => [...s.querySelectorAll('a[data-key]')].map(a => a.dataset.key).join('\n') + s.getAttribute('viewBox');
    if (keys(old) !== keys(is)) {
      old.replaceWith(document.importNode(is, true));
      show(scale, 0, 0);
      return;
    }
    const was = [...old.querySelectorAll('a[data-key]')];
    [...is.querySelectorAll('a[data-key]')].forEach((a, i) => {
      if (a.innerHTML === was[i].innerHTML) return;
      was[i].replaceChildren(...[...a.childNodes].map(n => document.importNode(n, true)));
    });
    const lines = [...old.querySelectorAll('path.edge')];
    is.querySelectorAll('path.edge').forEach((p, i) => { if (lines[i]) { lines[i].setAttribute('class', p.getAttribute('class')); lines[i].setAttribute('marker-end', p.getAttribute('marker-end')); } });
  }

  document.addEventListener('DOMContentLoaded', () => {
    const b = box();
    if (!b) return;
    fit(.75);
    window.addEventListener('resize', () => { if (!chosen) fit(.75); });
    document.addEventListener('click', e => { const z = e.target.closest('[data-zoom]'); if (z) zoom(z.dataset.zoom); });
    b.addEventListener('keydown', e => {
      const how = {'+': 'in', '=': 'in', '-': 'out', '0': 'fit', '1': 'full'}[e.key];
      if (how && !e.ctrlKey && !e.metaKey && !e.altKey) { e.preventDefault(); zoom(how); }
    });
    b.addEventListener('wheel', e => {
      if (!e.ctrlKey && !e.metaKey) return;
      e.preventDefault();
      const r = b.getBoundingClientRect();
      chosen = true;
      show(scale * Math.exp(-e.deltaY / 300), e.clientX - r.left, e.clientY - r.top);
    }, {passive: false});
    let from, moved;
    b.addEventListener('pointerdown', e => {
      if (e.button || e.pointerType !== 'mouse') return; // fingers scroll by themselves
      from = {x: e.clientX + b.scrollLeft, y: e.clientY + b.scrollTop};
      moved = false;
    });
    b.addEventListener('pointermove', e => {
      if (!from) return;
      if (!moved && Math.hypot(from.x - b.scrollLeft - e.clientX, from.y - b.scrollTop - e.clientY) < 5) return;
      if (!moved) { moved = true; b.setPointerCapture(e.pointerId); b.classList.add('moves'); }
      b.scrollLeft = from.x - e.clientX;
      b.scrollTop = from.y - e.clientY;
    });
    const end = () => { from = undefined; b.classList.remove('moves'); };
    b.addEventListener('pointerup', end);
    b.addEventListener('pointercancel', end);
    b.addEventListener('click', e => { if (moved) { e.preventDefault(); moved = false; } }, true);
    b.addEventListener('dragstart', e => e.preventDefault());
    document.addEventListener('ui:refreshed', e => { if (e.detail) take(e.detail); });
  });
})();
