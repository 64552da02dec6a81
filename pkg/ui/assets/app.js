// What every page does: changes through the REST API, and pages that follow what happens. No page needs it to be read.
const ui = (() => {
  'use strict';
  const $ = (s, in_ = document) => in_.querySelector(s);
  const main = () => document.getElementById('main');

  // --- changes ---------------------------------------------------------------------------------------------------
  // call asks the REST API; an answer that is an error is thrown with its message.
  async function call(method, path, body) {
    const headers = {Accept: 'application/vnd.kubeclamp+json'};
    if (body !== undefined) headers['Content-Type'] = 'application/json';
    const answer = await fetch(path, {method, headers, body: body === undefined ? undefined : JSON.stringify(body)});
    if (answer.status === 401) { location.reload(); throw new Error('You are signed out.'); }
    const text = await answer.text();
    let said;
    try { said = JSON.parse(text); } catch { said = {message: text}; }
    if (!answer.ok) throw new Error(said.message || 'The daemon answered ' + answer.status);
    return said;
  }

  function toast(text, wrong) {
    const t = document.createElement('div');
    t.className = wrong ? 'toast wrong' : 'toast';
    t.textContent = text;
    $('#toasts').append(t);
    setTimeout(() => t.remove(), wrong ? 12000 : 5000);
  }

  function sure(text, yes) {
    const d = $('#ask');
    $('#ask-text').textContent = text;
    $('#ask-yes').textContent = yes;
    d.returnValue = 'no';
    d.showModal();
    return new Promise(done => d.addEventListener('close', () => done(d.returnValue === 'yes'), {once: true}));
  }

  async function press(b) {
    if (b.dataset.ask && !await sure(b.dataset.ask, b.textContent.trim())) return;
    const [method, path] = b.dataset.do.split(' ');
    b.disabled = true;
    try {
      await call(method, path);
      if (b.dataset.done) toast(b.dataset.done);
      if (b.dataset.goto) { location.href = b.dataset.goto; return; }
      refresh();
    } catch (e) {
      toast(e.message, true);
    }
    b.disabled = false;
  }

  async function retryAll(b) {
    b.disabled = true;
    try {
      let ids = (b.dataset.retry || '').split(' ').filter(Boolean);
      if (b.dataset.retryAll) {
        const why = await call('GET', '/api/v2/deployments/' + b.dataset.retryAll + '/why');
        ids = why.causes.filter(c => c.kind === 'error' && c.node_role_id).map(c => c.node_role_id);
      }
      for (const id of ids) await call('PUT', '/api/v2/node_roles/' + id + '/retry');
      toast(ids.length + (ids.length === 1 ? ' runs again.' : ' run again.'));
      refresh();
    } catch (e) {
      toast(e.message, true);
    }
    b.disabled = false;
  }

  async function submit(f) {
    const [method, path] = f.dataset.post.split(' ');
    try {
      await call(method, path, Object.fromEntries(new FormData(f)));
      f.reset();
      if (f.dataset.done) toast(f.dataset.done);
      refresh();
    } catch (e) {
      toast(e.message, true);
    }
  }

  // --- one attrib ------------------------------------------------------------------------------------------------
  function edit(b) {
    const at = b.closest('[data-attribs]');
    if (!at) return;
    const d = document.createElement('dialog');
    d.setAttribute('aria-label', 'Change ' + b.dataset.edit);
    const h = document.createElement('h2'), f = document.createElement('form'), t = document.createElement('textarea');
    h.textContent = b.dataset.edit;
    t.rows = 4; t.value = b.dataset.value; t.name = 'value'; t.setAttribute('aria-label', 'Value');
    const where = document.createElement('select');
    where.setAttribute('aria-label', 'For');
    where.name = 'where';
    where.append(new Option('for ' + at.dataset.attribsName, at.dataset.attribs));
    if (at.dataset.attribsAll) where.append(new Option('for ' + at.dataset.attribsAllName, at.dataset.attribsAll));
    const acts = document.createElement('div'), no = document.createElement('button'), yes = document.createElement('button');
    acts.className = 'actions';
    no.type = 'button'; no.className = 'quiet'; no.textContent = 'Not now'; no.onclick = () => d.close();
    yes.className = 'primary'; yes.textContent = 'Save';
    acts.append(where, no, yes);
    f.append(h, t, acts);
    d.append(f);
    document.body.append(d);
    d.addEventListener('close', () => d.remove());
    f.addEventListener('submit', async e => {
      e.preventDefault();
      let v = t.value;
      try { v = JSON.parse(v); } catch { /* a text as it is */ }
      try {
        await call('PUT', '/api/v2/' + where.value + '/attribs/' + encodeURIComponent(b.dataset.edit), {value: v});
        toast(where.value.startsWith('nodes/') ? 'It counts from now on.' : 'It is proposed, and counts from the next commit on.');
        d.close();
        refresh();
      } catch (err) {
        toast(err.message, true);
      }
    });
    d.showModal();
    t.focus();
  }

  // --- live ------------------------------------------------------------------------------------------------------
  let busy = false, again = false, took = 0, timer = 0;

  // refresh reads the page anew and changes what is not the same. It never runs twice at once, and rests three times as
  // long as it takes.
  async function refresh() {
    if (busy) { again = true; return; }
    const inside = main();
    if (!inside) return;
    busy = true;
    const began = performance.now();
    let doc;
    try {
      const parts = [...document.querySelectorAll('[data-refresh]')].map(e => '#' + e.id);
      if (parts.length) { // a page that keeps most of itself up to date
        const text = await (await fetch(location.href, {headers: {'X-Part': '1'}})).text();
        doc = new DOMParser().parseFromString(text, 'text/html');
        for (const p of parts) {
          const is = doc.querySelector(p), was = $(p);
          if (is && was && is.innerHTML !== was.innerHTML) was.replaceChildren(...is.childNodes);
        }
      } else {
        await htmx.ajax('GET', location.pathname + location.search, {source: inside, target: '#main', select: '#main', swap: 'outerMorph'});
      }
      document.dispatchEvent(new CustomEvent('ui:refreshed', {detail: doc}));
    } catch { /* the next event tries again */ }
    took = performance.now() - began;
    busy = false;
    if (again) { again = false; soon(); }
  }

  function soon() {
    if (timer) return;
    timer = setTimeout(() => { timer = 0; refresh(); }, Math.max(250, 3 * took));
  }

  const hearers = [];
  // hear has f told of each event of the types.
  const hear = (types, f) => hearers.push({types, f});

  function follow() {
    const types = new Set();
    const live = main()?.dataset.live;
    if (live) live.split(',').forEach(t => types.add(t));
    hearers.forEach(h => h.types.split(',').forEach(t => types.add(t)));
    if (!types.size) return;
    // from the state on that the page was made of: what happened while it was loaded is told, too
    const source = new EventSource('/api/v2/events?type=' + [...types].join(',') + '&since=' + (Number(document.body.dataset.rev) + 1) + '-0');
    let off;
    source.onopen = () => { clearTimeout(off); $('#live').hidden = true; if (source.lost) { source.lost = false; soon(); } };
    source.onerror = () => { source.lost = true; clearTimeout(off); off = setTimeout(() => { $('#live').hidden = false; }, 3000); };
    source.onmessage = m => {
      let e;
      try { e = JSON.parse(m.data); } catch { return; }
      if (main()?.dataset.live) soon();
      for (const h of hearers) h.f(e);
    };
    window.addEventListener('pagehide', () => source.close());
  }

  // --- the page --------------------------------------------------------------------------------------------------
  document.addEventListener('click', e => {
    const b = e.target.closest('button');
    if (!b) return;
    if (b.dataset.do) press(b);
    else if (b.dataset.retryAll || b.dataset.retry) retryAll(b);
    else if (b.dataset.edit) edit(b);
    else if (b.id === 'theme') {
      const dark = getComputedStyle(document.documentElement).colorScheme === 'dark' || (!document.documentElement.dataset.theme && matchMedia('(prefers-color-scheme: dark)').matches);
      document.documentElement.dataset.theme = dark ? 'light' : 'dark';
      localStorage.setItem('theme', dark ? 'light' : 'dark');
    }
  });
  document.addEventListener('submit', e => {
    if (e.target.dataset.post) { e.preventDefault(); submit(e.target); }
  });
  document.addEventListener('keydown', e => {
    if (e.key !== '/' || e.ctrlKey || e.metaKey || /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName)) return;
    const field = $('[data-key="/"]');
    if (field) { e.preventDefault(); field.focus(); field.select(); }
  });
  document.addEventListener('DOMContentLoaded', () => setTimeout(follow));
  return {$, call, toast, refresh, soon, hear};
})();
