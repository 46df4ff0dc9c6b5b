// The catalogue of tags, by information entity and module.

const entities = ['Patient', 'Study', 'Series', 'Frame of Reference', 'Equipment', 'Acquisition', 'Image'];

function tag(number) {
  return rowsBy('tags', 'path_number', number)[0];
}

function tagAddress(row) {
  return hasSources ? `#tags/${row.source_number}/${encodeURIComponent(row.path)}` : `#tags/${encodeURIComponent(row.path)}`;
}

function tagLink(number) {
  const row = tag(number);
  return row ? h('a', { href: tagAddress(row), title: row.name }, row.path) : '';
}

function moduleOf(row) {
  if (row.path.startsWith('(')) return `private ${row.path.match(/"((?:[^"]|"")*)"/)?.[1] ?? 'without a creator'}`;
  return row.module ?? 'no module of these objects';
}

function moduleName(module) {
  if (module.startsWith('private ')) return module.slice(8);
  const words = module.replaceAll('-', ' ').replace(/\b(ct|mr|us|cr|rt|sr|sop|voi|lut|pet|roi|dvh|xa|sc|nm|iod|va|dx)\b/g, (word) => word.toUpperCase());
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function entityOf(row) {
  if (row.path.startsWith('(')) return 'Private';
  return row.information_entity ?? 'Other';
}

function entityPlace(entity) {
  if (entity === 'Private') return 99;
  const place = entities.indexOf(entity);
  return place < 0 ? 50 : place;
}

function number4(tagNumber) {
  return `(${tagNumber.slice(0, 4)},${tagNumber.slice(4)})`;
}

function viewTags(...chosen) {
  const isOfSource = hasSources && /^\d+$/.test(chosen[0]);
  const path = chosen[isOfSource ? 1 : 0];
  const source = isOfSource ? Number(chosen[0]) : rows('tags').find((row) => row.path === path)?.source_number ?? 1;
  const held = rowsBy('tags', 'source_number', source);
  if (!held.length && rows('tags').length && !rows('sources')[source - 1]) return notFound();
  const groups = grouped(held, (row) => `${String(entityPlace(entityOf(row))).padStart(2, '0')} ${entityOf(row)}\n${moduleOf(row)}`);
  const ordered = [...groups].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, members], i) => ({ entity: key.slice(3).split('\n')[0], module: key.split('\n')[1], members, id: `module-${i}` }));
  const verdicts = [...new Set(held.map((row) => row.verdict))].sort();
  const filter = { text: '', verdict: '' };
  const told = h('p', { class: 'quiet', role: 'status' });
  const entries = [];
  const absent = rowsBy('absent', 'source_number', source);
  const content = ordered.map((group) => {
    const lacking = absent.filter((row) => row.module === group.module);
    const list = h('div', { class: 'tags' }, group.members.map((row) => {
      const entry = tagEntry(row, row.path === path);
      entries.push([row, entry]);
      return entry;
    }));
    group.section = h('section', { class: 'module', id: group.id },
      h('h2', {}, moduleName(group.module), 
        standardLink(group.module, 'standard')), list,
      lacking.length > 0 && h('p', { class: 'lacking' }, 'Required and in no image: ', lacking.map((row, i) =>
        [i > 0 && ', ', h('code', {}, row.path), ` (type ${row.attribute_type})`])));
    return group.section;
  });
  const contents = h('details', { class: 'contents', open: true }, h('summary', {}, 'Contents'),
    [...new Set(ordered.map((group) => group.entity))].map((entity) => [h('p', { class: 'entity' }, entity),
      h('ul', {}, ordered.filter((group) => group.entity === entity).map((group) => h('li', {},
        h('button', { type: 'button', onclick: () => { group.section.scrollIntoView(); group.section.querySelector('summary')?.focus({ preventScroll: true }); } },
          moduleName(group.module)), h('span', { class: 'quiet' }, ` ${group.members.length}`))))]));
  if (matchMedia('(max-width: 1000px)').matches) contents.open = false;
  const update = () => {
    let shown = 0;
    for (const [row, entry] of entries) {
      entry.hidden = !matches(row, filter.text) || (filter.verdict && row.verdict !== filter.verdict);
      shown += entry.hidden ? 0 : 1;
    }
    for (const group of ordered) group.section.hidden = !group.section.querySelector('.tag:not([hidden])');
    told.textContent = `${counted(shown, 'attribute')} of ${count(held.length)}`;
  };
  update();
  return [
    h('h1', {}, 'Tags'),
    h('div', { class: 'filters' },
      hasSources && picker('Source', rows('sources').map((row, i) => [String(i + 1), row.source]), (value) => { location.hash = `#tags/${value}`; }, String(source)),
      picker('Verdict', [['', 'all'], ...verdicts.map((verdict) => [verdict, verdict])], (value) => { filter.verdict = value; update(); }),
      textField('Filter', (text) => { filter.text = text.toLowerCase(); update(); }, 'tag, name or value'),
      h('button', { type: 'button', onclick: () => entries.filter(([, entry]) => !entry.hidden).slice(0, 300).forEach(([, entry]) => { entry.open = true; }) }, 'Open what is shown')),
    told,
    h('div', { class: 'catalogue' }, contents, h('div', {}, content)),
  ];
}

function matches(row, text) {
  if (!text) return true;
  return [row.path, row.tag, row.tag && number4(row.tag), row.name, ...(row.examples ?? [])].some((one) => one && one.toLowerCase().includes(text));
}

function outside(href, text) {
  return h('a', { class: 'outside', href, rel: 'noreferrer noopener', target: '_blank' }, text);
}

/** To a module's page of the standard, where it has one. */
function standardLink(module, text) {
  const [page] = rowsBy('modules', 'module', module);
  return page?.link_standard && outside(page.link_standard, text);
}

/** Values and how many images hold each: numbers in their order, others the commonest first. */
function valuesOf(row) {
  const [held] = rowsBy('values', 'path_number', row.path_number);
  if (!held) return null;
  const pairs = held.labels.map((label, i) => [label, held.images[i]]);
  return pairs.every(([label]) => label.trim() !== '' && Number.isFinite(Number(label))) ? pairs.sort(([a], [b]) => a - b) : pairs;
}

function shapeOf(row) {
  const held = valuesOf(row);
  if (held) return held.map(([, images]) => images);
  const [spreadOut] = rowsBy('histograms', 'path_number', row.path_number);
  return spreadOut ? binsOf(spreadOut) : null;
}

function binsOf(held) {
  const counts = new Array(24).fill(0);
  for (const [bin, images] of held.bins) counts[bin] = images;
  return counts;
}

/** One attribute: a line, and behind it all there is to say, drawn when it is opened. */
function tagEntry(row, isOpen) {
  const body = h('div', { class: 'body' });
  const shape = shapeOf(row);
  const gap = h('span', { class: 'missing', title: `${percent(row.percent_missing)} empty or absent` }, row.percent_missing > 0 && percent(row.percent_missing));
  gap.style.setProperty('--share', row.percent_missing / 100);
  const draw = () => { if (!body.firstChild) fill(body, {}, [tagBody(row)]); };
  const entry = h('details', { class: 'tag', id: `tag-${row.path_number}`, ontoggle: () => entry.open && draw() },
    h('summary', {},
      h('span', { class: 'name' }, row.path.replaceAll('.', '.\u200a')),
      h('code', { class: 'number4' }, row.tag && !row.path.startsWith('(') ? number4(row.tag) : ''),
      h('span', { class: 'verdict' }, row.verdict),
      h('span', { class: 'shape' }, shape ? sparkline(shape) : h('span', { class: 'quiet' }, row.distinct_values === 1 && row.examples?.[0] ? row.examples[0] : '')),
      gap),
    body);
  if (isOpen) { entry.open = true; draw(); }
  return entry;
}

function tagBody(row) {
  const held = valuesOf(row);
  const [spreadOut] = rowsBy('histograms', 'path_number', row.path_number);
  const level = row.level === 'unknown' ? 'not known: no entity has two images' : row.level && (row.standard_level && row.level !== row.standard_level
    ? [`in fact ${row.level}`, h('span', { class: 'quiet' }, `, by the standard ${row.standard_level}`),
      row.contradicting_entities > 0 && h('div', { class: 'contradiction' }, `varies within ${count(row.contradicting_entities)} of the level ${row.standard_level}`)]
    : [row.level, row.standard_level && h('span', { class: 'quiet' }, ', as the standard has it')]);
  return [
    h('p', { class: 'about' }, row.name && h('b', {}, row.name), row.tag && h('code', {}, number4(row.tag)),
      h('span', {}, `VR ${row.vr}`), row.vm && h('span', {}, `VM ${row.vm}`), row.attribute_type && h('span', {}, `type ${row.attribute_type}`),
      standardLink(row.module, 'the standard'), row.link_innolitics && outside(row.link_innolitics, 'Innolitics'),
      h('a', { href: tagAddress(row) }, 'link to this')),
    facts([
      ['Verdict', row.verdict], ['Level', level],
      ['Different values', count(row.distinct_values)], ['Empty or absent', `${percent(row.percent_missing)} of ${counted(row.images, 'image')}`],
      ['Present', count(row.present)], ['Empty', row.empty ? count(row.empty) : null], ['Absent', row.absent ? count(row.absent) : null], ['Unusable', row.invalid ? count(row.invalid) : null],
      ['Range', row.number_min !== null && row.distinct_values > 1 && `${measured(row.number_min)} to ${measured(row.number_max)}, mean ${measured(row.number_mean)}`],
    ]),
    row.examples ? [
      row.examples.length > 0 && !held && h('p', { class: 'examples' }, h('span', { class: 'quiet' }, row.distinct_values === 1 ? 'Value ' : 'Examples '), row.examples.map((example) => h('code', { class: 'example' }, example))),
      held && bars(held),
      spreadOut && histogram(binsOf(spreadOut), spreadOut.least, spreadOut.most, 'image'),
    ] : row.present > 0 && !run.with_values && h('p', { class: 'quiet' }, 'Its values may identify and are left out.'),
  ];
}
