// A run log of any length: only the lines in sight are in the page.
(() => {
  'use strict';
  const height = 20, spare = 30, most = 2000; // characters of a line that are drawn
  let box, pane, space, lines, rest, hits, at, stop, drawn;

  function open() {
    box = document.getElementById('log-box');
    if (!box) return;
    if (stop) stop.abort();
    pane = box.querySelector('[data-log-lines]');
    pane.replaceChildren();
    space = document.createElement('div');
    space.className = 'space';
    pane.append(space);
    lines = []; rest = ''; hits = []; at = -1; drawn = '';
    read();
  }

  async function read() {
    stop = new AbortController();
    const mine = stop;
    try {
      const answer = await fetch(box.dataset.log + '&follow=true', {signal: mine.signal});
      if (!answer.ok) { add('(this log is not kept any more)\n'); return; }
      const from = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const {value, done} = await from.read();
        if (done || mine !== stop) break;
        add(value);
      }
      if (mine === stop && rest) add('\n');
    } catch { /* the page goes, or another attempt is shown */ }
  }

  let frame = 0;
  function add(text) {
    const parts = (rest + text).split('\n');
    rest = parts.pop();
    const first = lines.length;
    for (const p of parts) lines.push(p);
    find(first);
    if (!frame) frame = requestAnimationFrame(() => {
      frame = 0;
      space.style.height = lines.length * height + 'px';
      if (box.querySelector('[data-log-follow]').checked && !asked()) pane.scrollTop = pane.scrollHeight;
      draw();
    });
  }

  const asked = () => box.querySelector('[data-log-search]').value.toLowerCase();

  function find(from) {
    const q = asked();
    if (from === 0) { hits = []; at = -1; }
    if (q) for (let i = from; i < lines.length; i++) if (lines[i].toLowerCase().includes(q)) hits.push(i);
    box.querySelector('[data-log-count]').textContent = q ? (hits.length ? (at < 0 ? '' : at + 1 + ' of ') + hits.length : 'nothing found') : lines.length + ' lines';
  }

  function draw() {
    const q = asked();
    const from = Math.max(0, Math.floor(pane.scrollTop / height) - spare);
    const to = Math.min(lines.length, Math.ceil((pane.scrollTop + pane.clientHeight) / height) + spare);
    const key = from + ' ' + to + ' ' + q + ' ' + at + ' ' + hits.length;
    if (key === drawn) return;
    drawn = key;
    const out = [];
    for (let i = from; i < to; i++) {
      const ln = document.createElement('div'), no = document.createElement('b'), text = document.createElement('span');
      ln.className = i === hits[at] ? 'ln now' : 'ln';
      ln.style.top = i * height + 'px';
      no.textContent = i + 1;
      no.setAttribute('aria-hidden', 'true');
      const whole = lines[i].length > most ? lines[i].slice(0, most) + ' … ' + (lines[i].length - most) + ' more characters: download the log' : lines[i];
      const hit = q ? whole.toLowerCase().indexOf(q) : -1;
      if (hit < 0) text.textContent = whole;
      else {
        const m = document.createElement('mark');
        m.textContent = whole.slice(hit, hit + q.length);
        text.append(whole.slice(0, hit), m, whole.slice(hit + q.length));
      }
      ln.append(no, text);
      out.push(ln);
    }
    space.replaceChildren(...out);
  }

  function go(step) {
    if (!hits.length) return;
    at = (at + step + hits.length) % hits.length;
    pane.scrollTop = Math.max(0, hits[at] * height - pane.clientHeight / 2);
    box.querySelector('[data-log-count]').textContent = at + 1 + ' of ' + hits.length;
    draw();
  }

  document.addEventListener('DOMContentLoaded', () => {
    open();
    if (!box) return;
    document.addEventListener('scroll', e => { if (e.target === pane) draw(); }, true);
    document.addEventListener('wheel', e => { if (pane.contains(e.target) && e.deltaY < 0) box.querySelector('[data-log-follow]').checked = false; }, {passive: true});
    document.addEventListener('input', e => { if (e.target.matches('[data-log-search]')) { find(0); if (hits.length) go(1); else draw(); } });
    document.addEventListener('keydown', e => { if (e.key === 'Enter' && e.target.matches('[data-log-search]')) { e.preventDefault(); go(e.shiftKey ? -1 : 1); } });
    window.addEventListener('resize', draw);
  });
  // Another run has begun: its log comes by itself, where nobody asked for an older one.
  document.addEventListener('ui:refreshed', () => {
    const now = document.querySelector('.facts [data-newest]')?.dataset.newest;
    const had = document.getElementById('log-box');
    if (!now || new URLSearchParams(location.search).has('attempt')) return;
    if (!had || had !== box) { open(); return; }
    if (had.dataset.attempt === now) return;
    had.dataset.log = had.dataset.log.replace(/attempt=\d+/, 'attempt=' + now);
    had.dataset.attempt = now;
    const link = had.querySelector('a[download]');
    link.href = had.dataset.log;
    link.download = link.download.replace(/\d+\.log$/, now + '.log');
    open();
  });
})();
