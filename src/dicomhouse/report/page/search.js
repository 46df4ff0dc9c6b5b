// One field that finds tags, rules, patients and series; "/" leads to it.

function found(text) {
  const words = text.toLowerCase().trim();
  if (!words) return [];
  const tagWords = words.replace(/^0x/, '').replace(/[(),\s]/g, '');
  const hits = [];
  const add = (kind, name, more, href, isExact) => hits.push({ kind, name, more, href, isExact });
  for (const row of rows('tags')) {
    const name = `${row.path} ${row.name ?? ''}`.toLowerCase();
    if (name.includes(words) || (tagWords.length > 3 && row.tag?.toLowerCase().startsWith(tagWords))) {
      add('tag', row.path, [row.name, hasSources && sourceName(row.source_number)].filter(Boolean).join(' · '), tagAddress(row), row.path.toLowerCase() === words || row.tag?.toLowerCase() === tagWords);
    }
  }
  for (const row of rows('rules')) {
    if (`${row.rule} ${row.description}`.toLowerCase().includes(words)) add('rule', row.rule, counted(row.findings, 'finding'), `#findings/${row.rule}`, row.rule === words);
  }
  for (const row of rows('patients')) {
    const name = patientName(row.patient_number);
    if (`${name} ${row.name ?? ''} ${row.folder ?? ''}`.toLowerCase().includes(words)) add('patient', name, row.name ?? '', `#patients/${row.patient_number}`, name.toLowerCase() === words);
  }
  for (const row of rows('series')) {
    if (`${row.description ?? ''} ${row.folder ?? ''} ${row.uid ?? ''} series ${row.series_number}`.toLowerCase().includes(words)) add('series', seriesName(row.series_number), row.folder ?? '', `#series/${row.series_number}`, row.uid === words);
  }
  const short = (hit) => hit.name.length;
  return hits.sort((a, b) => b.isExact - a.isExact || short(a) - short(b)).slice(0, 12);
}

function searchField() {
  let hits = [];
  let active = -1;
  const list = h('ul', { role: 'listbox', id: 'hits', 'aria-label': 'Found', hidden: true });
  const input = h('input', { type: 'search', role: 'combobox', 'aria-expanded': 'false', 'aria-controls': 'hits', 'aria-autocomplete': 'list', 'aria-label': 'Search tags, rules, patients and series', placeholder: 'Search  /', autocomplete: 'off', spellcheck: 'false' });
  const close = () => { list.hidden = true; input.setAttribute('aria-expanded', 'false'); input.removeAttribute('aria-activedescendant'); active = -1; };
  const open = (hit) => { close(); input.value = ''; input.blur(); go(hit.href); };
  const mark = () => {
    [...list.children].forEach((item, i) => item.setAttribute('aria-selected', String(i === active)));
    if (active >= 0) { input.setAttribute('aria-activedescendant', `hit-${active}`); list.children[active].scrollIntoView({ block: 'nearest' }); }
  };
  input.addEventListener('input', () => {
    hits = found(input.value);
    active = hits.length ? 0 : -1;
    list.replaceChildren(...hits.map((hit, i) => h('li', { role: 'option', id: `hit-${i}`, onmousedown: (event) => { event.preventDefault(); open(hit); } },
      h('span', { class: 'kind' }, hit.kind), h('span', { class: 'name' }, hit.name), h('span', { class: 'quiet' }, hit.more))));
    list.hidden = !hits.length;
    input.setAttribute('aria-expanded', String(hits.length > 0));
    mark();
  });
  input.addEventListener('keydown', (event) => {
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault();
      if (hits.length) active = (active + (event.key === 'ArrowDown' ? 1 : hits.length - 1)) % hits.length;
      mark();
    } else if (event.key === 'Enter' && hits[active]) open(hits[active]);
    else if (event.key === 'Escape') { close(); input.blur(); }
  });
  input.addEventListener('blur', close);
  return [input, list];
}
