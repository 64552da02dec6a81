// Several nodes at once: a role put on them, moved to a deployment, their power switched.
(() => {
  'use strict';
  const $ = s => document.querySelector(s);
  const chosen = new Map(); // id -> {name, deployment}
  let doing = null;

  const boxes = () => [...document.querySelectorAll('[data-pick]')];

  function show() {
    const there = boxes();
    for (const b of there) b.checked = chosen.has(b.dataset.pick);
    const all = $('[data-pick-all]');
    if (all) {
      all.checked = there.length > 0 && there.every(b => b.checked);
      all.indeterminate = !all.checked && there.some(b => b.checked);
    }
    const bar = $('#bulk');
    if (!bar) return;
    bar.hidden = chosen.size === 0;
    const says = chosen.size + (chosen.size === 1 ? ' node' : ' nodes');
    if ($('#bulk-text').textContent !== says) $('#bulk-text').textContent = says; // the page is watched for changes
  }

  function pick(b) {
    if (b.checked) chosen.set(b.dataset.pick, {name: b.dataset.name, deployment: b.dataset.deployment});
    else chosen.delete(b.dataset.pick);
  }

  // each does something for all chosen nodes, eight at a time, and says what did not go.
  async function each(what, f) {
    const jobs = [...chosen];
    let done = 0;
    const wrong = [];
    const work = async () => {
      for (let j; (j = jobs.shift());) {
        try { await f(j[0], j[1]); done++; } catch (e) { wrong.push(j[1].name + ': ' + e.message); }
      }
    };
    await Promise.all(Array.from({length: 8}, work));
    if (wrong.length) ui.toast(wrong.slice(0, 3).join('; ') + (wrong.length > 3 ? ' and ' + (wrong.length - 3) + ' more' : ''), true);
    if (done) ui.toast(what + ' ' + done + (done === 1 ? ' node.' : ' nodes.'));
    ui.refresh();
  }

  function ask(title, parts, good, then) {
    $('#bulk-title').textContent = title;
    $('#bulk-body').replaceChildren(...parts);
    $('#bulk-yes').disabled = !good;
    doing = then;
    $('#bulk-ask').showModal();
    $(good ? '#bulk-yes' : '#bulk-no').focus();
  }

  const text = t => { const p = document.createElement('p'); p.textContent = t; return p; };

  async function bind(role) {
    const groups = Map.groupBy([...chosen.values()], n => n.deployment), parts = [];
    let good = true;
    for (const [d, nodes] of groups) {
      const answer = await fetch('/deployments/' + d + '/assign?' + new URLSearchParams({role, node: nodes.map(n => n.name).join(',')}), {headers: {'X-Part': '1'}});
      const got = new DOMParser().parseFromString(await answer.text(), 'text/html').getElementById('main');
      if (!answer.ok || !got || got.querySelector('[data-refused]')) good = false;
      const div = document.createElement('div');
      if (got) { got.querySelector('h2')?.removeAttribute('id'); div.append(...got.childNodes); }
      parts.push(div);
    }
    ask('Put ' + role + ' on them', parts, good, () => each('Proposed on', (id, n) => ui.call('POST', '/api/v2/node_roles', {role, node: n.name, deployment_id: Number(n.deployment)})));
  }

  function move(id, name) {
    ask('Move them to ' + name, [text(chosen.size + (chosen.size === 1 ? ' node goes' : ' nodes go') + ' to deployment ' + name + ', with the roles that are on them.')], true,
      () => each('Moved', (node, n) => ui.call('PUT', '/api/v2/nodes/' + node, {deployment_id: Number(id)}).then(() => { n.deployment = id; })));
  }

  async function power() {
    const can = await Promise.all([...chosen.keys()].map(id => ui.call('GET', '/api/v2/nodes/' + id + '/power').catch(() => [])));
    const able = can.filter(c => c.length).length, actions = [...new Set(can.flat())].sort();
    if (!actions.length) { ui.toast('None of these nodes has a hammer that can switch its power.', true); return; }
    const which = document.createElement('select');
    which.setAttribute('aria-label', 'What to do');
    for (const a of actions) which.append(new Option(a, a));
    const ids = [...chosen.keys()];
    ask('Switch their power', [text(able + ' of ' + chosen.size + ' can be switched. What runs on a node stops when its power does.'), which], true,
      () => each('Told', (id, n) => can[ids.indexOf(id)].includes(which.value) ? ui.call('PUT', '/api/v2/nodes/' + id + '/power', {poweraction: which.value}) : Promise.reject(new Error('it cannot do that'))));
  }

  document.addEventListener('DOMContentLoaded', () => {
    if (!$('#bulk')) return;
    document.addEventListener('change', e => {
      const t = e.target;
      if (t.matches('[data-pick]')) { pick(t); show(); }
      else if (t.matches('[data-pick-all]')) { for (const b of boxes()) { b.checked = t.checked; pick(b); } show(); }
      else if (t.id === 'bulk-role' && t.value) { bind(t.value); t.value = ''; }
      else if (t.id === 'bulk-deployment' && t.value) { move(t.value, t.selectedOptions[0].textContent); t.value = ''; }
    });
    $('#bulk-power').addEventListener('click', power);
    $('#bulk-clear').addEventListener('click', () => { chosen.clear(); show(); });
    $('#bulk-no').addEventListener('click', () => $('#bulk-ask').close());
    $('#bulk-yes').addEventListener('click', async () => { $('#bulk-ask').close(); await doing?.(); show(); });
    document.addEventListener('ui:refreshed', show);
    new MutationObserver(show).observe($('#main'), {childList: true, subtree: true});
    show();
  });
})();
