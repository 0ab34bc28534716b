'use strict';
// The page of one kube-projector. It asks and shows; it changes nothing. Whatever comes is text and stays text.
(() => {
  const BLOCK = 100;
  const PAGE = 1000;
  const SILENT_AFTER = 20_000;
  const RETRY_MAX = 10_000;

  const BAD = new Set(['failed', 'blocked', 'conflict', 'held', 'pending']);
  const RANK = ['failed', 'blocked', 'conflict', 'held', 'pending', 'leaving', 'kept', 'ok'];
  // Where the word alone would not be understood.
  const KINDS = {
    conflict: 'path conflict', rejected: 'not projected', blocked: 'in the way', failed: 'write failed', held: 'old file stays',
    unread: 'cannot be read', undownloaded: 'download failed', child_dead: 'application ended', stuck: 'loop stuck',
  };
  // What a column is called, what stands in it, and by what it is sorted; `by` is what the server calls that.
  const COLUMNS = [
    { key: 'path', by: 'path', title: 'File', text: (row) => shorter(row.path), order: (row) => row.path },
    { key: 'object', by: 'object', title: 'Object', text: (row) => row.object, order: (row) => row.object },
    { key: 'state', by: 'state', title: 'State', text: (row) => words(row.state), order: (row) => rank(row.state) },
    { key: 'mode', by: 'mode', title: 'Mode', text: (row) => row.mode ?? '', order: (row) => row.mode ?? '' },
    { key: 'size', by: 'size', title: 'Size', text: (row) => bytes(row.size), order: (row) => row.size ?? -1, number: true },
    { key: 'changed', title: 'Since', text: (row) => moment(row.since), order: (row) => row.since ?? '' },
    { key: 'why', title: 'Why', text: (row) => row.why ?? '', order: (row) => row.why ?? '' },
  ];

  const $ = (id) => document.getElementById(id);
  const two = (number) => String(number).padStart(2, '0');
  const words = (word) => String(word ?? '').replaceAll('_', ' ');
  const rank = (state) => (RANK.includes(state) ? RANK.indexOf(state) : -1);
  const many = (count, one, several = `${one}s`) => `${figure(count)} ${count === 1 ? one : several}`;
  // Thousands are set apart by a thin space, which means the same everywhere.
  const figure = (number) => String(number ?? 0).replace(/\B(?=(\d{3})+$)/g, '\u202f');

  function bytes(size) {
    if (size === null || size === undefined) return '';
    if (size < 10_000) return `${figure(size)} B`;
    return size < 10_000_000 ? `${figure(Math.round(size / 1000))} kB` : `${figure(Math.round(size / 1_000_000))} MB`;
  }

  /// A time of day, with the date unless it is today's.
  function moment(time) {
    if (!time) return '';
    const at = new Date(time);
    const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
    const clock = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
    return at.toDateString() === new Date().toDateString() ? clock : `${day} ${clock}`;
  }

  function span(milliseconds) {
    const seconds = Math.max(0, Math.floor(milliseconds / 1000));
    if (seconds < 60) return `${seconds} s`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
    if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
    return `${Math.floor(seconds / 86_400)} days`;
  }

  const make = (name, className, text) => {
    const node = document.createElement(name);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  };
  // What stands there already is not written again: nothing moves under a reader, and nothing is said twice.
  const say = (node, text) => { if (node.textContent !== text) node.textContent = text; };
  const show = (node, shown) => { if (node.hidden === shown) node.hidden = !shown; };

  // Times that are told as ages too: the clock below keeps them right.
  function since(node, time) {
    node.dateTime = time ?? '';
    node.className = 'age';
    age(node);
  }
  function age(node) {
    const time = node.dateTime;
    say(node, time ? `${span(now() - Date.parse(time))} ago,\n${moment(time)}` : '–');
  }

  /// Has a list show these items: those that are known keep their nodes.
  function keyed(host, items, key, build, fill) {
    const known = host.known ?? new Map();
    host.known = new Map(items.map((item) => [String(key(item)), known.get(String(key(item))) ?? build(item)]));
    for (const [id, node] of known) if (!host.known.has(id)) node.remove();
    let at = host.firstElementChild;
    for (const item of items) {
      const node = host.known.get(String(key(item)));
      if (node === at) at = at.nextElementSibling;
      else host.insertBefore(node, at);
      fill(node, item);
    }
  }

  // ---- Of what time all this is ----

  let ahead = 0; // The server's clock before ours, in milliseconds.
  let heard = null; // When we last heard of it, by a clock that nobody sets.
  const now = () => Date.now() + ahead;

  // ---- Files ----

  const rows = new Map();
  let shown = [];
  let begun = 0;
  let loading = true;
  let paged = false;
  let folder = '';
  let total = 0;
  // By their state the worst are first, and what is well stands in the order of its paths.
  const view = { query: '', bad: false, sort: 'state', down: false, offset: 0 };

  const shorter = (path) => (folder && path.startsWith(folder) ? path.slice(folder.length) : path);

  const stencil = (() => {
    const tr = make('tr');
    tr.setAttribute('role', 'row');
    for (const { key, number } of COLUMNS) {
      const td = tr.appendChild(make('td', number ? `${key} n` : key));
      td.setAttribute('role', 'cell');
    }
    return tr;
  })();

  function read(list, columns) {
    const row = Object.fromEntries(columns.map((name, index) => [name, list[index]]));
    row.object = row.name ? `${row.kind}/${row.namespace}/${row.name}` : '';
    row.text = `${shorter(row.path)} ${row.object}`.toLowerCase();
    return row;
  }

  function draw(row) {
    COLUMNS.forEach((column, index) => say(row.tr.children[index], column.text(row)));
    const tone = BAD.has(row.state) ? (row.state === 'failed' || row.state === 'blocked' ? 'bad' : 'warn') : row.state === 'ok' ? 'well' : 'still';
    if (row.tr.dataset.tone !== tone) row.tr.dataset.tone = tone;
  }

  let needles = [];
  // A path is found by what stands after FOLDER, as every file has that, or by all of it.
  const found = (row, needle) => row.text.includes(needle) || (needle.startsWith('/') && row.path.toLowerCase().startsWith(needle));
  const matches = (row) => paged || ((!view.bad || BAD.has(row.state)) && needles.every((needle) => found(row, needle)));

  function compare(one, other) {
    if (paged) return one.place - other.place;
    const { order } = COLUMNS.find((column) => column.key === view.sort);
    const [left, right] = [order(one), order(other)];
    const result = left < right ? -1 : left > right ? 1 : 0;
    return (view.down ? -result : result) || (one.path < other.path ? -1 : one.path > other.path ? 1 : 0);
  }

  /// Puts all rows that match into their order. They are the same rows as before: only where they are changes.
  function place() {
    const wanted = [...rows.values()].filter(matches).sort(compare);
    const same = wanted.length === shown.length && wanted.every((row, index) => row === shown[index] && row.tr.isConnected);
    shown = wanted;
    if (!same) {
      const host = $('blocks');
      const blocks = [...host.children];
      host.replaceChildren();
      for (const block of blocks) block.firstChild.firstChild.replaceChildren();
      for (let at = 0; at < shown.length; at += BLOCK) {
        const block = blocks[at / BLOCK] ?? newBlock();
        block.firstChild.firstChild.append(...shown.slice(at, at + BLOCK).map((row) => row.tr));
        blocks[at / BLOCK] = block;
      }
      host.append(...blocks.slice(0, Math.ceil(shown.length / BLOCK)));
    }
    counted();
  }

  function newBlock() {
    const block = make('div', 'block');
    block.setAttribute('role', 'rowgroup');
    const table = block.appendChild(make('table'));
    table.setAttribute('role', 'presentation');
    table.appendChild(make('tbody')).setAttribute('role', 'presentation');
    return block;
  }

  function take(row) {
    const index = shown.indexOf(row);
    if (index < 0) return;
    shown.splice(index, 1);
    const block = row.tr.closest('.block');
    row.tr.remove();
    if (!block.querySelector('tr')) block.remove();
  }

  function put(row) {
    let [low, high] = [0, shown.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compare(shown[middle], row) < 0) low = middle + 1;
      else high = middle;
    }
    const next = shown[low];
    shown.splice(low, 0, row);
    if (next) next.tr.before(row.tr);
    else {
      const last = $('blocks').lastElementChild;
      const block = last && last.firstChild.firstChild.childElementCount < BLOCK ? last : $('blocks').appendChild(newBlock());
      block.firstChild.firstChild.append(row.tr);
    }
    // A block that took in many is cut up with all others, once in a long while.
    if (row.tr.parentNode.childElementCount > 3 * BLOCK) {
      shown = [];
      place();
    }
  }

  const stays = (row) => {
    const index = shown.indexOf(row);
    if (!matches(row)) return index < 0;
    const [before, after] = [shown[index - 1], shown[index + 1]];
    return index >= 0 && (!before || compare(before, row) < 0) && (!after || compare(row, after) < 0);
  };

  let columns = [];
  function upsert(list) {
    const news = read(list, columns);
    const old = rows.get(news.path);
    if (paged && !old) return false;
    const row = old ?? { tr: stencil.cloneNode(true) };
    const differs = !old || COLUMNS.some(({ text }) => text(old) !== text(news));
    Object.assign(row, news, { begun });
    rows.set(row.path, row);
    if (differs) draw(row);
    return differs ? row : false;
  }

  function onRows({ rows: lists = [], gone = [] }) {
    const changed = lists.map(upsert).filter(Boolean);
    if (paged) {
      if (!loading) askSoon();
      changed.forEach(flash);
      return;
    }
    const left = gone.map((path) => rows.get(path)).filter(Boolean);
    left.forEach((row) => rows.delete(row.path));
    if (loading) return;
    if (changed.length + left.length > 50) {
      place();
      return;
    }
    left.forEach(take);
    for (const row of changed.filter((row) => !stays(row))) {
      take(row);
      if (matches(row)) put(row);
    }
    changed.forEach(flash);
    counted();
  }

  const calm = matchMedia('(prefers-reduced-motion: reduce)');
  function flash(row) {
    if (!row.tr.isConnected || calm.matches) return;
    const tint = getComputedStyle(document.body).getPropertyValue('--flash');
    row.tr.animate([{ backgroundColor: tint }, { backgroundColor: 'transparent' }], { duration: 1600, easing: 'ease-out' });
  }

  function onComplete(news) {
    // Rows that cannot be had now are sent when they can: what is shown stays until then.
    if (!news.complete) return;
    loading = false;
    total = news.total;
    if (paged) {
      ask();
      return;
    }
    for (const row of rows.values()) if (row.begun !== begun) rows.delete(row.path);
    place();
  }

  // ---- Pages, where there are too many for one ----

  let matching = 0;
  let asked = 0;
  let soon = null;
  function askSoon() {
    soon ??= setTimeout(ask, 3000);
  }
  async function ask() {
    clearTimeout(soon);
    soon = null;
    const number = ++asked;
    const by = COLUMNS.find((column) => column.key === view.sort).by ?? 'path';
    const question = new URLSearchParams({ search: view.query, sort: by, order: view.down ? 'desc' : 'asc', offset: view.offset, limit: PAGE });
    if (view.bad) question.set('only', 'bad');
    try {
      const answer = await fetch(`/files?${question}`);
      if (number !== asked || !paged) return;
      if (!answer.ok) {
        askSoon();
        return;
      }
      const page = await answer.json();
      matching = page.matching;
      total = page.total;
      const kept = new Map(rows);
      rows.clear();
      page.rows.forEach((list, index) => {
        const news = read(list, columns);
        const row = kept.get(news.path) ?? { tr: stencil.cloneNode(true) };
        rows.set(news.path, Object.assign(row, news, { place: index, begun }));
        draw(row);
      });
      place();
      say($('news'), $('shown').textContent);
    } catch {
      // The stream tells of a server that is away.
    }
  }

  // ---- What is shown of them, and where that is written down ----

  function counted() {
    const filtered = view.bad || needles.length > 0;
    const count = paged ? matching : shown.length;
    const all = paged ? total : rows.size;
    const text = filtered ? `${figure(count)} of ${many(all, 'file')}` : many(all, 'file');
    say($('shown'), folder ? `${text}, in ${folder.slice(0, -1)}` : text);
    $('table').setAttribute('aria-rowcount', count + 1);
    // Blocks that are far away are not in what a screen reader is given: each row says which one it is. The titles are the first.
    const first = 2 + (paged ? view.offset : 0);
    shown.forEach((row, index) => {
      if (row.index === first + index) return;
      row.index = first + index;
      row.tr.setAttribute('aria-rowindex', row.index);
    });
    show($('clear'), filtered);
    show($('nothing'), !loading && count === 0);
    say($('nothing'), !filtered ? 'No object wants a file yet.' : view.bad ? 'Nothing here is wrong.' : 'No file and no object is called so.');
    show($('pages'), paged && count > PAGE);
    say($('page-of'), `${figure(view.offset + 1)} to ${figure(Math.min(view.offset + PAGE, count))} of ${figure(count)}`);
    $('first').disabled = view.offset === 0;
    $('next').disabled = view.offset + PAGE >= count;
  }

  function titles() {
    COLUMNS.forEach((column, index) => {
      const cell = $('titles').children[index];
      if (column.key === view.sort) cell.setAttribute('aria-sort', view.down ? 'descending' : 'ascending');
      else cell.removeAttribute('aria-sort');
      cell.firstChild.disabled = paged && !column.by;
    });
  }

  function look(byUser) {
    needles = view.query.toLowerCase().split(/\s+/).filter(Boolean);
    titles();
    if (paged) ask();
    else if (!loading) place();
    if (!byUser) return;
    if (!paged) say($('news'), $('shown').textContent);
    written();
  }

  let writing = null;
  function written() {
    clearTimeout(writing);
    // Browsers refuse those who write there with every letter.
    writing = setTimeout(() => {
      const state = new URLSearchParams();
      if (view.query) state.set('q', view.query);
      if (view.bad) state.set('bad', '1');
      if (view.sort !== 'state' || view.down) state.set('sort', (view.down ? '-' : '') + view.sort);
      const text = state.toString();
      history.replaceState(null, '', text ? `#${text}` : location.pathname);
    }, 150);
  }

  function fromUrl() {
    const state = new URLSearchParams(location.hash.slice(1));
    const sort = state.get('sort') ?? 'state';
    view.query = state.get('q') ?? '';
    view.bad = state.get('bad') === '1';
    view.down = sort.startsWith('-');
    view.sort = COLUMNS.find((column) => column.key === sort.replace('-', ''))?.key ?? 'state';
    view.offset = 0;
    $('query').value = view.query;
    $('bad').checked = view.bad;
    look(false);
  }

  // ---- Everything else ----

  let verdict = null;
  let problems = [];
  let counts = {};
  const timeline = new Map();
  const watches = new Map();

  const toneOf = (level) => (level === 'error' ? 'bad' : 'warn');

  function onSummary(news) {
    verdict = news.verdict ?? verdict;
    problems = news.problems ?? problems;
    counts = news.counts ?? counts;
    const tone = !verdict.ok ? 'bad' : problems.length > 0 ? 'warn' : 'well';
    if (document.body.dataset.state !== tone) document.body.dataset.state = tone;
    say($('sentence'), verdict.sentence);
    const all = news.problems_total ?? problems.length;
    document.title = `${all ? `(${all}) ` : ''}${folder.slice(0, -1) || 'status'} – kube-projector`;
    say($('count-files'), figure(counts.files));
    say($('count-objects'), figure(counts.objects));
    say($('count-problems'), figure(all));
    show($('readings'), true);
    show($('troubles'), problems.length > 0);
    keyed($('problems'), problems, (problem) => `${problem.id} ${problem.object}`, problemNode, fillProblem);
    show($('more-problems'), all > problems.length);
    say($('more-problems'), `And ${figure(all - problems.length)} more, which “Only what is not well” shows with their files.`);
  }

  function problemNode() {
    const li = make('li');
    const left = li.appendChild(make('div'));
    left.append(make('span', 'tag'), make('div', 'since'));
    left.lastChild.append(make('time'));
    const right = li.appendChild(make('div'));
    right.append(make('p', 'subject'), make('p', 'reason'), make('p', 'advice'));
    right.firstChild.append(make('span'), make('a'));
    right.lastChild.append(make('b', '', 'What to do: '), make('span'));
    return li;
  }

  function fillProblem(li, problem) {
    const find = (selector) => li.querySelector(selector);
    const tag = find('.tag');
    say(tag, KINDS[problem.kind] ?? words(problem.kind));
    tag.className = `tag ${toneOf(problem.level)}`;
    show(find('time'), Boolean(problem.since));
    since(find('time'), problem.since);
    const about = [problem.what, problem.object !== problem.what && problem.object, problem.key && `key ${problem.key}`];
    say(find('.subject span'), about.filter(Boolean).join(' · '));
    const subject = problem.path ?? problem.object;
    show(find('a'), Boolean(subject));
    say(find('a'), problem.path ? 'Show the file' : 'Show its files');
    find('a').href = `#${new URLSearchParams({ q: subject ?? '' })}`;
    say(find('.reason'), problem.reason ?? '');
    show(find('.advice'), Boolean(problem.todo));
    say(find('.advice span'), problem.todo ?? '');
  }

  const TOLD = { told: 'well', waiting: 'warn', failed: 'bad', unanswered: 'bad', given_up: 'bad' };

  function onTimeline({ entries }) {
    for (const entry of entries) timeline.set(entry.id, entry);
    const newest = [...timeline.values()].sort((one, other) => other.id - one.id);
    for (const { id } of newest.splice(100)) timeline.delete(id);
    show($('no-changes'), newest.length === 0);
    say($('last-change'), newest.length ? moment(newest[0].time) : '–');
    keyed($('changes'), newest, (entry) => entry.id, changeNode, fillChange);
  }

  function changeNode() {
    const li = make('li');
    li.append(make('time'), make('span', 'act'), make('div', 'what'));
    li.lastChild.append(make('p', 'path'), make('p', 'for'), make('div', 'told'));
    return li;
  }

  function fillChange(li, entry) {
    const [time, act, what] = li.children;
    time.dateTime = entry.time;
    say(time, moment(entry.time));
    say(act, words(entry.what));
    const more = entry.files - entry.paths.length;
    say(what.children[0], entry.paths.map(shorter).join(', ') + (more > 0 ? ` and ${many(more, 'more', 'more')}` : ''));
    say(what.children[1], [entry.object, entry.why].filter(Boolean).join(' – '));
    keyed(what.children[2], entry.told ?? [], (told) => told.reaction, () => make('p'), (p, told) => {
      const attempts = told.attempts > 1 ? `, ${many(told.attempts, 'attempt')}` : '';
      p.className = `${TOLD[told.state] ?? 'still'}-text`;
      say(p, `${words(told.reaction)}: ${words(told.state)}${told.time ? ` ${moment(told.time)}` : ''}${attempts}${told.why ? ` – ${told.why}` : ''}`);
    });
  }

  function onWatches({ watches: list }) {
    for (const watch of list) watches.set(watch.id, watch);
    const all = [...watches.values()];
    const unwell = all.filter((watch) => !watch.ok).length;
    say($('count-watches'), unwell ? `${figure(all.length)}, ${figure(unwell)} not well` : figure(all.length));
    all.sort((one, other) => one.ok - other.ok || one.id - other.id);
    keyed($('watches'), all, (watch) => watch.id, watchNode, fillWatch);
  }

  function watchNode() {
    const tr = make('tr');
    tr.append(make('th'), ...Array.from({ length: 8 }, (_, index) => make('td', [1, 4, 5, 6].includes(index) ? 'n' : index < 4 ? 'keep' : '')));
    tr.firstChild.scope = 'row';
    for (const index of [3, 4]) tr.children[index].append(make('time'));
    return tr;
  }

  function fillWatch(tr, watch) {
    const [name, state, objects, contact, bookmark, relists, restarts, errors, trouble] = tr.children;
    say(name, watch.name);
    say(state, words(watch.state) + (watch.next_retry ? `, again at ${moment(watch.next_retry)}` : ''));
    state.className = `keep ${watch.ok ? 'well' : 'bad'}-text`;
    since(contact.firstChild, watch.last_contact);
    since(bookmark.firstChild, watch.last_bookmark);
    [[objects, watch.objects], [relists, watch.relists], [restarts, watch.restarts], [errors, watch.errors]].forEach(([node, number]) => say(node, figure(number)));
    say(trouble, watch.trouble ?? '');
  }

  function onSettings(list) {
    const made = list.filter((setting) => setting.origin !== 'default');
    const rest = list.filter((setting) => setting.origin === 'default');
    const row = () => {
      const tr = make('tr');
      tr.append(make('th'), make('td'), make('td'));
      tr.firstChild.scope = 'row';
      tr.firstChild.className = 'mono';
      tr.lastChild.className = 'keep';
      return tr;
    };
    const fill = (tr, setting) => {
      say(tr.children[0], setting.name);
      say(tr.children[1], setting.value ?? '–');
      // Of a URL the origin is shown.
      const hidden = setting.masked && setting.value === '***';
      tr.children[1].className = setting.value === null || hidden ? 'soft' : 'mono';
      if (hidden) say(tr.children[1], 'set, not shown');
      say(tr.children[2], [words(setting.origin), setting.by !== setting.name && setting.by].filter(Boolean).join(' '));
    };
    keyed($('made'), made, (setting) => setting.name, row, fill);
    keyed($('defaults'), rest, (setting) => setting.name, () => { const tr = row(); tr.lastChild.remove(); return tr; }, (tr, setting) => {
      tr.append(make('td'));
      fill(tr, setting);
      tr.lastChild.remove();
    });
    say($('defaults-title'), `${many(rest.length, 'more setting')} at ${rest.length === 1 ? 'its default' : 'their defaults'}`);
  }

  let started = null;
  function onBegin(all) {
    begun += 1;
    loading = true;
    started = Date.parse(all.started);
    columns = all.files.columns;
    if (all.files.complete) {
      if (paged !== all.files.paged) {
        rows.clear();
        place();
      }
      paged = all.files.paged;
      total = all.files.total;
    }
    titles();
    const setting = all.settings.find(({ name }) => name === 'FOLDER')?.value;
    folder = setting ? setting.replace(/\/*$/, '/') : '';
    const owner = all.files.owner;
    say($('whose'), [setting, `version ${all.version}`, owner && `files belong to ${owner.user}:${owner.group}`].filter(Boolean).join(' · '));
    timeline.clear();
    watches.clear();
    onSummary(all);
    onTimeline({ entries: all.timeline });
    onWatches(all);
    onSettings(all.settings);
  }

  // ---- The stream ----

  let stream = null;
  let state = 'connecting';
  let tries = 0;
  let due = 0;
  let lostAt = null;
  let why = '';

  function on(name, act) {
    stream.addEventListener(name, (event) => {
      const data = JSON.parse(event.data);
      heard = performance.now();
      if (data.time) ahead = Date.parse(data.time) - Date.now();
      act(data);
      if (state !== 'live') {
        tries = 0;
        lostAt = null;
        become('live');
      }
    });
  }

  function open() {
    close();
    heard = performance.now();
    stream = new EventSource('/stream');
    on('begin', onBegin);
    on('rows', onRows);
    on('complete', onComplete);
    on('summary', onSummary);
    on('timeline', onTimeline);
    on('watches', onWatches);
    on('beat', () => {});
    // Its own way to try again knows neither an answer of 503 nor how long one should wait.
    stream.addEventListener('error', () => lost(stream.readyState === EventSource.CLOSED
      ? 'Turned away: eight others look at this page already, or it is another server now.'
      : 'Disconnected: kube-projector does not answer.'));
  }

  function close() {
    stream?.close();
    stream = null;
  }

  function lost(reason) {
    close();
    lostAt ??= new Date(now());
    why = `${reason} What you see is as of ${moment(lostAt)}.`;
    due = performance.now() + Math.min(RETRY_MAX, 1000 * 2 ** tries);
    tries += 1;
    become('lost');
  }

  function become(next) {
    state = next;
    document.body.dataset.link = state;
    show($('link'), true);
    say($('lamp'), { live: 'Live', paused: 'Paused', lost: 'Disconnected', connecting: 'Connecting' }[state]);
    say($('pause'), state === 'paused' ? 'Go on' : 'Pause');
    $('pause').setAttribute('aria-pressed', String(state === 'paused'));
    show($('lost'), state === 'lost');
    say($('lost-why'), why);
    say($('news'), state === 'lost' ? why : $('lamp').textContent);
    tick();
  }

  function tick() {
    const silent = heard === null ? 0 : performance.now() - heard;
    if (stream && silent > SILENT_AFTER) lost('Disconnected: nothing was heard for 20 s.');
    const left = due - performance.now();
    if (state === 'lost' && !stream) {
      if (left <= 0) open();
      else say($('lost-next'), `Trying again in ${Math.ceil(left / 1000)} s.`);
    }
    if (stream && state === 'lost') say($('lost-next'), 'Trying again now.');
    say($('age'), heard === null || started === null ? '' : `data ${span(lostAt && state === 'lost' ? now() - lostAt : silent)} old`);
    if (started !== null) say($('running'), span(now() - started));
    document.querySelectorAll('time.age').forEach(age);
  }

  // ---- The controls ----

  COLUMNS.forEach(({ key, title, number }) => {
    const cell = $('titles').appendChild(make('div', number ? 'n' : ''));
    cell.setAttribute('role', 'columnheader');
    const button = cell.appendChild(make('button', '', title));
    button.type = 'button';
    button.addEventListener('click', () => {
      view.down = view.sort === key && !view.down;
      view.sort = key;
      view.offset = 0;
      look(true);
    });
  });
  $('tools').addEventListener('submit', (event) => event.preventDefault());
  const filtered = () => {
    Object.assign(view, { query: $('query').value.trim(), bad: $('bad').checked, offset: 0 });
    look(true);
  };
  $('query').addEventListener('input', filtered);
  $('bad').addEventListener('change', filtered);
  $('clear').addEventListener('click', () => {
    $('query').value = '';
    $('bad').checked = false;
    filtered();
    $('query').focus();
  });
  $('first').addEventListener('click', () => { view.offset = 0; ask(); });
  $('next').addEventListener('click', () => { view.offset += PAGE; ask(); });
  $('pause').addEventListener('click', () => {
    if (state === 'paused') {
      become('connecting');
      open();
    } else {
      close();
      become('paused');
    }
  });
  $('again').addEventListener('click', () => { tries = 0; open(); tick(); });
  const toFiles = () => {
    $('files').focus({ preventScroll: true });
    $('files').scrollIntoView();
  };
  $('problems').addEventListener('click', (event) => { if (event.target.href) toFiles(); });
  // The fragment says what is shown, not where.
  $('skip').addEventListener('click', (event) => {
    event.preventDefault();
    toFiles();
  });
  addEventListener('hashchange', fromUrl);
  addEventListener('online', () => { if (state === 'lost') open(); });
  addEventListener('pagehide', close);
  addEventListener('pageshow', (event) => { if (event.persisted && state !== 'paused') open(); });

  document.body.dataset.link = state;
  fromUrl();
  open();
  setInterval(tick, 1000);
})();
