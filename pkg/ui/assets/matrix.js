// Roles on nodes: cells that follow events, and roles that are put on nodes by mouse, touch or keyboard.
document.addEventListener('DOMContentLoaded', () => {
  'use strict';
  const grid = document.getElementById('grid');
  if (!grid) return;
  const may = grid.hasAttribute('data-assign') && document.documentElement.classList.contains('writes');
  const letters = {error: 'E', active: 'A', todo: 'T', transition: 'R', blocked: 'B', proposed: 'P'};
  const base = '/deployments/' + grid.dataset.deployment;
  const $ = ui.$;
  let columns;
  const heads = () => [...grid.querySelectorAll('.r.h .c')];
  const index = () => { columns = new Map(heads().map((h, i) => [h.dataset.role, i])); };
  index();

  const rows = () => [...grid.querySelectorAll('.r[data-node]')];
  const cells = r => r.children; // the first is the name
  const roleAt = i => heads()[i - 1]?.dataset.role;
  const nodeOf = el => el.closest('.r')?.dataset.node;
  const roleOf = cell => roleAt([...cell.parentNode.children].indexOf(cell));

  // --- live ------------------------------------------------------------------------------------------------------
  const waiting = new Map(); // the newest state of each cell, drawn once a frame
  let frame = 0;
  ui.hear('node_role.*,node.*,deployment.*', e => {
    if (e.type === 'kubeclamp.events.lost') { reload(); ui.soon(); return; }
    const what = e.type.split('.')[1];
    if (what !== 'node_role') {
      if (what === 'deployment' ? e.deployment === grid.dataset.name : e.deployment === grid.dataset.name && /created|removed/.test(e.type)) { ui.soon(); if (what === 'node') reload(); }
      return;
    }
    if (e.deployment !== grid.dataset.name) return;
    ui.soon(); // the head and its counts
    if (!columns.has(e.data.role)) { if (e.data.was === null) reload(); return; }
    waiting.set(e.node + '\n' + e.data.role, e);
    if (!frame) frame = requestAnimationFrame(draw);
  });

  function draw() {
    frame = 0;
    for (const e of waiting.values()) {
      const row = document.getElementById('row-' + e.node);
      if (!row) continue; // not fetched yet
      const cell = cells(row)[columns.get(e.data.role) + 1];
      if (!cell) continue;
      if (e.type.endsWith('.removed')) { cell.className = 'c e'; cell.replaceChildren(); continue; }
      let a = cell.querySelector('a');
      if (!a) {
        a = document.createElement('a');
        a.tabIndex = -1;
        cell.className = 'c';
        cell.replaceChildren(a);
      }
      a.href = '/' + e.subject;
      a.className = 's ' + e.data.state;
      a.setAttribute('aria-label', e.data.state);
      a.textContent = letters[e.data.state] || '?';
    }
    waiting.clear();
  }

  // reload fetches the rows anew: a role or a node has come that there was no place for.
  let later = 0;
  function reload() {
    clearTimeout(later);
    later = setTimeout(async () => {
      const text = await (await fetch(location.href, {headers: {'X-Part': '1'}})).text();
      const is = new DOMParser().parseFromString(text, 'text/html').getElementById('grid');
      if (!is) { location.reload(); return; }
      const focus = place(current);
      grid.replaceChildren(...is.childNodes);
      picked.clear();
      index(); show(); watch();
      setCurrent(at(focus) || grid.querySelector('.r[data-node] .c'));
    }, 300);
  }

  // --- further rows, as they come into sight ---------------------------------------------------------------------
  let eye;
  function watch() {
    eye?.disconnect();
    const more = grid.querySelector('[data-more]');
    if (!more) return;
    eye = new IntersectionObserver(async seen => {
      if (!seen.some(s => s.isIntersecting)) return;
      eye.disconnect();
      const text = await (await fetch(more.dataset.more + '&rows=1', {headers: {'X-Part': '1'}})).text();
      const t = document.createElement('template');
      t.innerHTML = text;
      more.closest('.r').replaceWith(t.content);
      watch();
    }, {root: grid.parentNode, rootMargin: '1500px'});
    eye.observe(more);
  }
  watch();

  // --- one cell has the focus ------------------------------------------------------------------------------------
  let current = null, anchor = null;
  const picked = new Set(); // cells
  function place(cell) { return cell && {node: nodeOf(cell), role: roleOf(cell)}; }
  function at(p) {
    const row = p && document.getElementById('row-' + p.node);
    return row && cells(row)[(columns.get(p.role) ?? 0) + 1];
  }
  function setCurrent(cell, focus) {
    if (!cell) return;
    if (current) current.tabIndex = -1;
    current = cell;
    cell.tabIndex = 0;
    if (focus) { cell.focus({preventScroll: false}); cell.scrollIntoView({block: 'nearest', inline: 'nearest'}); }
  }
  setCurrent(grid.querySelector('.r[data-node] .c'));

  function toggle(cell, on = !picked.has(cell)) {
    if (!may || !cell.classList.contains('e')) return;
    if (on) picked.add(cell); else picked.delete(cell);
    cell.classList.toggle('sel', on);
    cell.setAttribute('aria-selected', on);
  }
  function range(from, to) {
    const all = rows(), a = all.indexOf(from.parentNode), b = all.indexOf(to.parentNode);
    const x = [...from.parentNode.children].indexOf(from), y = [...to.parentNode.children].indexOf(to);
    for (let r = Math.min(a, b); r <= Math.max(a, b); r++) for (let c = Math.min(x, y); c <= Math.max(x, y); c++) toggle(all[r].children[c], true);
  }
  function clear() {
    for (const c of picked) { c.classList.remove('sel'); c.removeAttribute('aria-selected'); }
    picked.clear();
    show();
  }
  const names = list => list.length > 4 ? list.length + ' nodes' : list.map(n => n.split('.')[0]).join(', ');
  function wanted() {
    const out = new Map();
    for (const c of picked) {
      const r = roleOf(c), n = nodeOf(c);
      if (r && n) out.set(r, [...(out.get(r) || []), n]);
    }
    return out;
  }
  function show() {
    $('#picked').hidden = picked.size === 0;
    $('#picked-text').textContent = [...wanted()].map(([r, n]) => r + ' on ' + names(n)).join('; ');
  }

  grid.addEventListener('keydown', e => {
    const cell = e.target.closest('.c, .n');
    if (!cell || !grid.contains(cell)) return;
    const all = rows(), r = all.indexOf(cell.parentNode), c = [...cell.parentNode.children].indexOf(cell);
    let to;
    switch (e.key) {
      case 'ArrowRight': to = cell.nextElementSibling; break;
      case 'ArrowLeft': to = c > 1 ? cell.previousElementSibling : null; break;
      case 'ArrowDown': to = all[r + 1]?.children[c]; break;
      case 'ArrowUp': to = all[r - 1]?.children[c]; break;
      case 'Home': to = cell.parentNode.children[1]; break;
      case 'End': to = cell.parentNode.lastElementChild; break;
      case 'PageDown': to = all[Math.min(all.length - 1, r + 10)]?.children[c]; break;
      case 'PageUp': to = all[Math.max(0, r - 10)]?.children[c]; break;
      case ' ': e.preventDefault(); anchor = cell; toggle(cell); show(); return;
      case 'Escape': clear(); return;
      case 'Delete': { const a = cell.querySelector('a'); if (may && a) location.href = a.href + '/unbind'; return; }
      case 'Enter': {
        if (e.target.matches('a') && e.target !== cell) return;
        e.preventDefault();
        const a = cell.querySelector('a');
        if (picked.size) review(wanted());
        else if (a) location.href = a.href;
        else if (may) review(new Map([[roleOf(cell), [nodeOf(cell)]]]));
        return;
      }
      default: return;
    }
    e.preventDefault();
    if (!to) return;
    if (e.shiftKey) { anchor ||= cell; range(anchor, to); show(); } else anchor = null;
    setCurrent(to, true);
  });

  // --- mouse and touch: a click, a stretch of cells, a role onto a node, a node onto a role ----------------------
  let drag = null;
  function under(e) { return document.elementFromPoint(e.clientX, e.clientY); }
  document.addEventListener('pointerdown', e => {
    if (!may || e.button !== 0 || e.target.closest('dialog')) return;
    const chip = e.target.closest('.palette [data-role], .r.h [data-role]');
    const name = e.target.closest('.r[data-node] .n');
    const cell = e.target.closest('.c.e');
    if (chip) drag = {role: chip.dataset.role};
    else if (name) drag = {node: nodeOf(name)};
    else if (cell && grid.contains(cell)) { drag = {cell}; }
    else return;
    drag.x = e.clientX; drag.y = e.clientY; drag.shift = e.shiftKey;
  });
  document.addEventListener('dragstart', e => { if (drag) e.preventDefault(); });
  document.addEventListener('pointermove', e => {
    if (!drag) return;
    if (!drag.moved && Math.hypot(e.clientX - drag.x, e.clientY - drag.y) < 6) return;
    drag.moved = true;
    if (drag.cell) {
      const to = under(e)?.closest('.r[data-node] .c');
      if (to) { range(drag.cell, to); show(); }
      return;
    }
    if (!drag.ghost) {
      drag.ghost = document.createElement('div');
      drag.ghost.className = 'ghost';
      drag.ghost.textContent = drag.role || names(dragged());
      document.body.append(drag.ghost);
    }
    drag.ghost.style.left = e.clientX + 12 + 'px';
    drag.ghost.style.top = e.clientY + 8 + 'px';
    document.querySelectorAll('.over').forEach(o => o.classList.remove('over'));
    target(e)?.classList.add('over');
  });
  const dragged = () => drag.node ? [drag.node] : [];
  function target(e) {
    const el = under(e);
    if (!el) return null;
    return drag.role ? el.closest('.r[data-node]') : el.closest('.palette [data-role], .r.h [data-role]') || el.closest('.r[data-node] .c.e');
  }
  let dropped = 0;
  function drop(e) {
    const d = drag;
    if (!d) return;
    const to = d.moved && !d.cell && e.type === 'pointerup' ? target(e) : null;
    drag = null;
    d.ghost?.remove();
    document.querySelectorAll('.over').forEach(o => o.classList.remove('over'));
    if (d.moved) dropped = Date.now();
    if (d.cell && !d.moved && e.type === 'pointerup') {
      if (d.shift && anchor) range(anchor, d.cell); else { anchor = d.cell; toggle(d.cell); }
      setCurrent(d.cell, true);
      show();
    } else if (d.cell) setCurrent(d.cell);
    if (!to) return;
    if (d.role) review(new Map([[d.role, [to.dataset.node]]]));
    else if (to.dataset.role) review(new Map([[to.dataset.role, [d.node]]]));
  }
  document.addEventListener('pointerup', drop);
  document.addEventListener('pointercancel', drop);
  document.addEventListener('click', e => { // the end of a drag is no click on what was dragged
    if (dropped && Date.now() - dropped < 50 && !e.target.closest('dialog')) { e.preventDefault(); e.stopPropagation(); }
    dropped = 0;
    const chip = e.target.closest('.palette [data-role]');
    if (chip && may && !e.defaultPrevented) choose(chip.dataset.role);
  }, true);

  // choose puts a role from the list on the nodes of the cells that are picked, or of the one that has the focus.
  function choose(role) {
    const nodes = [...new Set((picked.size ? [...picked] : current ? [current] : []).map(nodeOf))].filter(Boolean);
    if (nodes.length) review(new Map([[role, nodes]]));
  }

  // --- what comes along, before anything is changed --------------------------------------------------------------
  const dialog = $('#assign'), yes = $('#assign-yes');
  let doing = null;
  async function review(want) {
    doing = want;
    const parts = [];
    let good = true;
    for (const [role, nodes] of want) {
      const q = new URLSearchParams({role, node: nodes.join(',')});
      const answer = await fetch(base + '/assign?' + q, {headers: {'X-Part': '1'}});
      const got = new DOMParser().parseFromString(await answer.text(), 'text/html').getElementById('main');
      if (!answer.ok || !got || got.querySelector('[data-refused]')) good = false;
      const div = document.createElement('div');
      if (got) div.append(...got.childNodes);
      parts.push(div);
    }
    $('#assign-body').replaceChildren(...parts);
    yes.disabled = !good;
    yes.textContent = 'Put it there';
    if (!dialog.open) dialog.showModal();
    (good ? yes : $('#assign-no')).focus();
  }
  $('#assign-no').addEventListener('click', () => dialog.close());
  yes.addEventListener('click', async () => {
    const jobs = [...doing].flatMap(([role, nodes]) => nodes.map(node => ({role, node, deployment: grid.dataset.name})));
    yes.disabled = true;
    let done = 0, wrong = null;
    const work = async () => {
      for (let j; !wrong && (j = jobs.shift());) {
        try { await ui.call('POST', '/api/v2/node_roles', j); done++; } catch (e) { wrong = e; }
        yes.textContent = done + ' done';
      }
    };
    await Promise.all(Array.from({length: 8}, work));
    dialog.close();
    clear();
    if (wrong) ui.toast(wrong.message, true);
    if (done) ui.toast((done === 1 ? 'It is there' : done + ' are there') + ', proposed. Commit sets it going.');
    reload();
    ui.soon();
  });
  dialog.addEventListener('close', () => current?.focus());
  $('#picked-clear').addEventListener('click', clear);
  $('#picked-go').addEventListener('click', () => review(wanted()));
});
