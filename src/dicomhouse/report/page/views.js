// What is seen at each address (`#findings/missing_slices`): the overview, findings, distributions.

function figure(number, noun, href) {
  const content = [h('b', {}, typeof number === 'number' ? count(number) : number), ` ${noun}`];
  return href ? h('a', { class: 'figure', href }, content) : h('div', { class: 'figure' }, content);
}

function sum(held, column) {
  return held.reduce((total, row) => total + (row[column] ?? 0), 0);
}

function section(title, ...children) {
  return h('section', {}, h('h2', {}, title), children);
}

/** A plain small table; columns are [title, value(row), isNumber]. */
function smallTable(columns, held) {
  return h('div', { class: 'scroll', tabindex: '0', role: 'group', 'aria-label': columns[0][0] },
    h('table', { class: 'small' },
      h('thead', {}, h('tr', {}, columns.map(([title, , isNumber]) => h('th', { scope: 'col', class: isNumber && 'is-number' }, title)))),
      h('tbody', {}, held.map((row) => h('tr', {}, columns.map(([, value, isNumber]) => h('td', { class: isNumber && 'is-number' }, value(row))))))));
}

/** A list of paths behind a fold. */
function fold(summary, paths) {
  return paths.length > 0 && h('details', { class: 'fold' }, h('summary', {}, summary),
    h('ul', { class: 'paths' }, paths.map((path) => h('li', {}, h('code', {}, path)))));
}

function rangeOf(texts) {
  const known = texts.filter(Boolean).sort();
  if (!known.length) return null;
  const [first, last] = [known[0], known[known.length - 1]];
  return first === last ? first : `${first} to ${last}`;
}

function viewOverview() {
  const sources = rows('sources');
  const series = rows('series');
  const files = rows('files');
  const rules = rows('rules');
  const expected = rows('expected');
  const volumes = series.filter((row) => row.is_volume).length;
  const range = rangeOf([...rows('patients').map((row) => row.study_date_min), ...rows('patients').map((row) => row.study_date_max)]);
  return [
    h('h1', {}, 'Overview'),
    h('p', { class: 'lead' }, `Generation ${run.generation}, begun ${String(run.started_at).slice(0, 16).replace('T', ' ')} UTC. `,
      run.with_values
        ? 'This page holds values from the files, names of patients among them: keep it as you keep the files.'
        : 'What may identify is left out: names, paths, dates and texts.'),
    h('div', { class: 'figures' },
      figure(sum(sources, 'patients'), 'patients', '#patients'),
      figure(sum(sources, 'studies'), 'studies'),
      figure(sum(sources, 'series'), 'series', '#series'),
      figure(sum(sources, 'images'), 'images'),
      figure(sum(sources, 'files'), 'files'),
      figure(bytes(sum(sources, 'size_bytes')), 'on disk'),
      figure(run.elements, 'elements', '#tags'),
      figure(bytes(run.lake_bytes), 'lake')),
    facts([
      ['Dates of studies', range],
      ['Volumes', series.length && `${count(volumes)} of ${counted(series.length, 'series', 'series')}`],
    ]),
    h('div', { class: 'columns' },
      section('Findings', overviewFindings(rules)),
      section('Modalities', series.length ? commonest(series.map((row) => row.modality)) : h('p', {}, 'No series.'),
        h('p', { class: 'quiet' }, 'Series of each.')),
      run.with_values && series.some((row) => row.scanner) && section('Scanners', commonest(series.map((row) => row.scanner), 10), h('p', { class: 'quiet' }, 'Series of each.')),
      section('What changed', overviewChanges())),
    section('Sources', smallTable([
      ['source', (row) => [row.source, row.address && h('div', { class: 'quiet address' }, row.address)]],
      ['files', (row) => count(row.files), true], ['no image, or not in full', (row) => count(row.files - row.files_ok), true],
      ['patients', (row) => count(row.patients), true], ['studies', (row) => count(row.studies), true],
      ['series', (row) => count(row.series), true], ['images', (row) => count(row.images), true],
      ['size', (row) => bytes(row.size_bytes), true]], sources)),
    expected.length > 0 && section('What was expected', smallTable([
      ['level', (row) => row.level ?? ''],
      ['state', (row) => [row.state, fold('which', row.examples ?? [])]],
      ['entities', (row) => count(row.entities), true]], expected)),
    files.length > 0 && section('No image, or not read in full', smallTable([
      ['status', (row) => [h('code', {}, row.status), fold(`${counted(row.files, 'file')}`, row.paths)]],
      ['reason', (row) => row.reason ?? ''],
      ...(hasSources ? [['source', (row) => sourceName(row.source_number)]] : []),
      ['files', (row) => count(row.files), true]], files)),
    section('Runs', smallTable([
      ['generation', (row) => row.is_failed ? 'failed' : row.generation],
      ['begun', (row) => String(row.begun_at).slice(0, 16)],
      ['seconds', (row) => measured(row.seconds), true], ['files', (row) => count(row.files), true],
      ['new', (row) => count(row.files_new), true], ['changed', (row) => count(row.files_changed), true],
      ['gone', (row) => count(row.files_gone), true], ['why', (row) => row.failure ?? row.reasons ?? '']], rows('runs'))),
  ];
}

function overviewFindings(rules) {
  if (!rules.length) return h('p', {}, 'None.');
  return [
    h('p', { class: 'tallies' }, [['E', 'errors'], ['W', 'warnings'], ['I', 'informations']].map(([code, column]) =>
      h('span', {}, severity(code), ` ${count(sum(rules, column))} `)),
      hasOlderRun && h('span', { class: 'quiet' }, `${count(sum(rules, 'new'))} new since the run before`)),
    bars(rules.slice(0, 10).map((rule) => [rule.rule, rule.findings, `#findings/${rule.rule}`])),
    rules.length > 10 && h('p', {}, h('a', { href: '#findings' }, `All ${rules.length} rules that found something`)),
  ];
}

function overviewChanges() {
  const changes = rows('changes');
  if (!changes.length) return h('p', { class: 'quiet' }, hasOlderRun ? 'Nothing since the run before.' : 'This is the first run: there is nothing to compare with.');
  return h('ul', { class: 'changes' }, changes.map((row) => h('li', {},
    h('details', { class: 'fold' },
      h('summary', {}, `${counted(row.changed, row.entity, row.entity === 'series' ? 'series' : undefined)} ${row.change === 'level' ? 'of another level' : row.change}`, hasSources && row.source_number !== null && ` in ${sourceName(row.source_number)}`),
      h('ul', { class: 'paths' }, row.examples.map(([subject, before, after]) => h('li', {}, h('code', {}, subject), before && after && before !== after ? ` ${before} → ${after}` : '')))))));
}

const worstOf = (rule) => (rule.errors ? 'E' : rule.warnings ? 'W' : rule.informations ? 'I' : null);
const hasOlderRun = rows('runs').filter((row) => !row.is_failed).length > 1;

function viewFindings(chosen) {
  const rules = rows('rules');
  const themes = [...new Set(rules.map((rule) => rule.theme))].sort();
  const filter = { severity: '', theme: '', text: '' };
  const told = h('p', { class: 'quiet', role: 'status' });
  const cards = rules.map((rule) => [rule, ruleCard(rule, rule.rule === chosen)]);
  const update = () => {
    let shown = 0;
    for (const [rule, card] of cards) {
      const words = `${rule.rule} ${rule.description} ${rule.what_to_do}`.toLowerCase();
      card.hidden = (filter.severity && !rule[filter.severity]) || (filter.theme && rule.theme !== filter.theme) || !words.includes(filter.text);
      shown += card.hidden ? 0 : 1;
    }
    told.textContent = `${counted(shown, 'rule')} of ${rules.length}`;
  };
  const set = (name) => (value) => { filter[name] = value.toLowerCase(); update(); };
  update();
  return [
    h('h1', {}, 'Findings'),
    rules.length ? [
      h('div', { class: 'filters' },
        picker('Severity', [['', 'all'], ['errors', 'errors'], ['warnings', 'warnings'], ['informations', 'information']], set('severity')),
        picker('Theme', [['', 'all'], ...themes.map((theme) => [theme, theme])], set('theme')),
        textField('Filter', set('text'))),
      told,
      h('div', { class: 'cards' }, cards.map(([, card]) => card)),
    ] : h('p', {}, 'No rule found anything.'),
  ];
}

/** What a rule found: its lines are drawn when the card is opened. */
function ruleCard(rule, isOpen) {
  const body = h('div', { class: 'body' });
  const draw = () => {
    if (body.firstChild) return;
    const found = rowsBy('findings', 'rule', rule.rule);
    fill(body, {}, [
      h('p', {}, rule.description, '. ', rule.reference && rule.reference !== 'dicomhouse' && h('span', { class: 'quiet' }, `(${rule.reference})`)),
      rule.what_to_do && h('p', { class: 'todo' }, h('b', {}, 'What to do: '), ...marked(rule.what_to_do)),
      found.length > 0 && h('ul', { class: 'found' }, found.map(findingLine)),
      found.length > 0 && found.length < rule.findings && h('p', { class: 'quiet' }, `The first ${found.length} of ${count(rule.findings)}; the table findings has all.`),
      !run.with_values && h('p', { class: 'quiet' }, 'The findings themselves name files and values, and are left out.'),
    ]);
  };
  const card = h('details', { class: 'card', id: `rule-${rule.rule}`, ontoggle: () => card.open && draw() },
    h('summary', {}, severity(worstOf(rule)) ?? h('span', { class: 'badge waived' }, 'waived'), h('span', { class: 'name' }, rule.rule),
      h('span', { class: 'says' }, rule.description),
      h('span', { class: 'number' }, counted(rule.findings, 'finding'), rule.files ? `, ${counted(rule.files, 'file')}` : '',
        hasOlderRun && rule.new > 0 && `, ${count(rule.new)} new`, worstOf(rule) && rule.waived > 0 && `, ${count(rule.waived)} waived`)),
    body);
  if (isOpen) { card.open = true; draw(); }
  return card;
}

/** Text of our own with `code` in it. */
function marked(text) {
  return text.split('`').map((part, i) => (i % 2 ? h('code', {}, part) : part));
}

function findingLine(finding) {
  return h('li', {}, marksOf(finding), finding.message ?? '',
    h('div', { class: 'quiet' },
      finding.series_number !== null ? h('a', { href: `#series/${finding.series_number}` }, seriesName(finding.series_number)) : h('code', {}, finding.subject),
      finding.patient_number !== null && [' · ', h('a', { href: `#patients/${finding.patient_number}` }, patientName(finding.patient_number))],
      hasSources && ` · ${sourceName(finding.source_number)}`),
    offendersOf(finding));
}

/** How severe a finding is, whether it is new, and whether somebody has accepted it. */
function marksOf(finding) {
  return [severity(finding.severity), ' ',
    hasOlderRun && finding.state === 'new' && [h('span', { class: 'badge new' }, 'new'), ' '],
    finding.is_waived && [h('span', { class: 'badge waived' }, 'waived'), ' ']];
}

function offendersOf(finding) {
  const paths = finding.offenders ?? [];
  return fold(`${finding.n_offenders > paths.length ? `${paths.length} of ` : ''}${counted(Math.max(finding.n_offenders, paths.length), 'file')}`, paths);
}

function viewDistributions() {
  const all = rows('series');
  const modalities = [...new Set(all.map((row) => row.modality))].sort();
  const place = h('div', {});
  const draw = (modality) => place.replaceChildren(...distributions(modality === '' ? all : all.filter((row) => row.modality === modality)));
  draw('');
  return [
    h('h1', {}, 'Distributions'),
    all.length ? [
      h('div', { class: 'filters' }, picker('Modality', [['', 'all'], ...modalities.map((modality) => [modality, modality || 'none'])], draw)),
      place,
    ] : h('p', {}, 'There are no series.'),
  ];
}

function distributions(series) {
  const ofPatients = grouped(series.filter((row) => row.patient_number !== null), (row) => row.patient_number);
  const panel = (title, content) => h('section', { class: 'panel' }, h('h2', {}, title), content);
  const stacked = series.filter((row) => row.positions > 1);
  const months = scannersByMonth(series);
  return [
    h('p', { class: 'quiet' }, counted(series.length, 'series', 'series')),
    h('div', { class: 'panels' },
      panel('Images in a series', spread(series.map((row) => row.images), 'series')),
      panel('Positions in a series', spread(series.map((row) => row.positions || null), 'series')),
      panel('Slice spacing, mm', spread(stacked.map((row) => row.spacing_mm), 'series')),
      panel('Slice thickness, mm', spread(series.map((row) => row.slice_thickness_mm_min), 'series')),
      panel('Peak kilovoltage', spread(series.map((row) => row.kvp), 'series', ' kV')),
      run.with_values && panel('Convolution kernels', commonest(series.map((row) => row.kernel))),
      panel('Matrix', commonest(series.map((row) => row.rows_max && `${row.rows_max} × ${row.columns_max}`))),
      panel('One volume', commonest(series.map((row) => (row.is_volume ? 'yes' : `no: ${row.why_not ?? 'not known'}`)), 8)),
      panel('Series of a patient', spread([...ofPatients.values()].map((held) => held.length), 'patient')),
      run.with_values && panel('Scanners', commonest(series.map((row) => row.scanner)))),
    months && panel('Scanners by month', months),
  ];
}

/** Series of each scanner in each month (year where there are many months), the darker the more. */
function scannersByMonth(series) {
  const dated = series.filter((row) => row.taken);
  if (!dated.length) return null;
  const byMonth = new Set(dated.map((row) => row.taken.slice(0, 7))).size <= 36;
  const when = (row) => row.taken.slice(0, byMonth ? 7 : 4);
  const periods = [...new Set(dated.map(when))].sort();
  const tally = new Map();
  for (const row of dated) {
    const scanner = row.scanner || 'not given';
    if (!tally.has(scanner)) tally.set(scanner, new Map());
    tally.get(scanner).set(when(row), (tally.get(scanner).get(when(row)) ?? 0) + 1);
  }
  const total = (held) => [...held.values()].reduce((a, b) => a + b, 0);
  const scanners = [...tally].sort(([, a], [, b]) => total(b) - total(a)).slice(0, 20);
  const most = Math.max(...scanners.flatMap(([, held]) => [...held.values()]));
  return h('div', { class: 'scroll', tabindex: '0', role: 'group', 'aria-label': 'Scanners by month' }, h('table', { class: 'heat' },
    h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'scanner'), periods.map((period) => h('th', { scope: 'col' }, period)))),
    h('tbody', {}, scanners.map(([scanner, held]) => h('tr', {}, h('th', { scope: 'row' }, scanner), periods.map((period) => {
      const number = held.get(period);
      const cell = h('td', {}, number ? count(number) : '');
      if (number) cell.style.setProperty('--heat', `${Math.round(12 + 48 * number / most)}%`);
      return cell;
    }))))));
}
