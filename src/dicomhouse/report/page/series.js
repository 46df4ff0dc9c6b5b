// The table of series, and the page of one.

function seriesRow(number) {
  return rowsBy('series', 'series_number', number)[0];
}

function seriesName(number) {
  const row = seriesRow(number);
  const folder = row?.folder?.split('/').pop();
  return row?.description || (folder?.length <= 40 && folder) || `series ${number}`;
}

function isVolume(row) {
  return row.is_volume ? h('span', { class: 'yes' }, 'yes') : h('span', { class: 'no' }, 'no');
}

function thickness(row) {
  const [least, most] = [row.slice_thickness_mm_min, row.slice_thickness_mm_max];
  return least === most ? measured(least) : `${measured(least)} to ${measured(most)}`;
}

function positionsOf(row) {
  const [stack] = rowsBy('stacks', 'series_number', row.series_number);
  return stack ? positions(stack, false) ?? '' : '';
}

const severityOrder = { E: 0, W: 1, I: 2 };

/** The most severe finding, from a width of the screen on. */
function worstColumn(from) {
  return { title: 'worst', from, value: (row) => `${severityOrder[row.worst_finding] ?? 3}${severities[row.worst_finding] ?? ''}`, show: (row) => severity(row.worst_finding) };
}

function seriesColumns(isShort) {
  return [
    { title: 'series', kind: 'is-text is-name', value: (row) => `${seriesName(row.series_number)} ${row.uid ?? ''} ${row.folder ?? ''}`,
      show: (row) => [h('a', { href: `#series/${row.series_number}` }, seriesName(row.series_number)),
        row.folder && row.folder !== seriesName(row.series_number) && h('div', { class: 'quiet address' }, row.folder)] },
    ...(isShort ? [] : [{ title: 'patient', kind: 'is-text', from: 'widest', value: (row) => (row.patient_number === null ? '' : patientName(row.patient_number)),
      show: (row) => row.patient_number !== null && h('a', { href: `#patients/${row.patient_number}` }, patientName(row.patient_number)) }]),
    { title: 'modality', from: 'small', value: (row) => row.modality },
    { title: 'images', isNumber: true, value: (row) => row.images, show: (row) => count(row.images) },
    { title: 'positions', isNumber: true, from: 'medium', value: (row) => row.positions, show: (row) => count(row.positions) },
    { title: 'spacing, mm', isNumber: true, from: 'medium', value: (row) => row.spacing_mm, show: (row) => measured(row.spacing_mm) },
    { title: 'thickness, mm', isNumber: true, from: 'widest', value: (row) => row.slice_thickness_mm_min, show: thickness },
    { title: 'missing', isNumber: true, from: 'medium', value: (row) => row.missing_slices, show: (row) => count(row.missing_slices) },
    { title: 'along the normal', from: 'wide', kind: 'is-plot', value: (row) => row.positions, isNumber: true, show: positionsOf },
    { title: 'volume', kind: 'is-verdict', value: (row) => (row.is_volume ? 'yes' : `no ${row.why_not ?? ''}`), show: (row) => [isVolume(row), row.why_not && h('div', { class: 'quiet why from-medium' }, breakable(row.why_not))] },
    worstColumn('small'),
  ];
}

function viewSeries(number) {
  if (number !== undefined) return viewOneSeries(Number(number));
  const all = rows('series');
  const modalities = [...new Set(all.map((row) => row.modality))].sort();
  const chosen = { modality: '', volume: '', worst: '' };
  const { place, api } = dataTable('Series of all sources', seriesColumns(false), all);
  api.search.fixed('chosen', (text, row) => (!chosen.modality || row.modality === chosen.modality)
    && (!chosen.volume || (chosen.volume === 'yes') === Boolean(row.is_volume))
    && (!chosen.worst || row.worst_finding === chosen.worst));
  const set = (name) => (value) => { chosen[name] = value; api.draw(); };
  const total = sum(rows('sources'), 'series');
  return [
    h('h1', {}, 'Series'),
    total > all.length && h('p', { class: 'quiet' }, `The first ${count(all.length)} of ${count(total)}; the table series has all.`),
    h('div', { class: 'filters' },
      picker('Modality', [['', 'all'], ...modalities.filter(Boolean).map((one) => [one, one])], set('modality')),
      picker('Volume', [['', 'all'], ['yes', 'yes'], ['no', 'no']], set('volume')),
      picker('Worst finding', [['', 'all'], ...Object.entries(severities)], set('worst')),
      filterOf(api)),
    place,
  ];
}

function viewOneSeries(number) {
  const row = seriesRow(number);
  if (!row) return notFound();
  const stacks = rowsBy('stacks', 'series_number', number);
  return [
    h('p', { class: 'crumbs' }, h('a', { href: '#series' }, 'Series'), row.patient_number !== null && [' · ', h('a', { href: `#patients/${row.patient_number}` }, patientName(row.patient_number))]),
    h('h1', {}, seriesName(number)),
    facts([
      ['Modality', row.modality], ['Images', count(row.images)], ['Matrix', row.rows_max && `${row.rows_max} × ${row.columns_max}`],
      ['Size', bytes(row.size_bytes)], ['Taken', row.taken], ['Scanner', row.scanner], ['Kernel', row.kernel], ['kVp', measured(row.kvp)],
      ['SeriesInstanceUID', row.uid && h('code', {}, row.uid)], ['Folder', row.folder && h('code', {}, row.folder)],
      ['Source', hasSources && sourceName(row.source_number)],
      ['One volume', row.is_volume ? 'yes' : `no: ${row.why_not ?? 'not known'}`],
    ]),
    picturesOf([number]),
    stacks.length > 0 && section('Geometry', stacks.map((stack) => [
      stacks.length > 1 && h('h3', {}, `Stack ${stack.stack}`),
      positions(stack, true),
      facts([
        ['Plane', stack.oblique_degrees > 0.1 ? `${stack.plane}, ${measured(stack.oblique_degrees)}° oblique` : stack.plane],
        ['Slices', count(stack.images)], ['Positions', count(stack.positions)],
        ['Spacing', stack.spacing_median !== null && `${measured(stack.spacing_median)} mm`],
        ['Steps', stack.spacing_min !== null && stack.spacing_min !== stack.spacing_max && `${measured(stack.spacing_min)} to ${measured(stack.spacing_max)} mm`],
        ['Slice thickness', stack.slice_thickness_mm !== null && `${measured(stack.slice_thickness_mm)} mm`],
        ['Missing slices', stack.missing_slices || null], ['Irregular steps', stack.irregular_steps || null],
        ['Images at a position', stack.repetition_max > 1 ? count(stack.repetition_max) : null],
        ['Shear', stack.shear_degrees > 0.05 ? `${measured(stack.shear_degrees)}°` : null],
        ['Volume', stack.is_volume ? 'yes' : `no: ${stack.why_not ?? 'not known'}`],
      ])])),
    findingsSection(rowsBy('findings', 'series_number', number), row.findings),
    varyingSection(number),
  ];
}

function findingsSection(found, total) {
  if (!total && !found.length) return section('Findings', h('p', { class: 'quiet' }, 'None.'));
  if (!run.with_values) return section('Findings', h('p', { class: 'quiet' }, `${counted(total, 'finding')}; they name files and values, and are left out.`));
  const shown = [...found].sort((a, b) => severityOrder[a.severity] - severityOrder[b.severity]);
  return section('Findings', h('ul', { class: 'found' }, shown.map((finding) => h('li', {}, marksOf(finding),
    h('a', { href: `#findings/${finding.rule}` }, finding.rule), ' ', finding.message,
    offendersOf(finding)))),
  found.length < total && h('p', { class: 'quiet' }, `${found.length} of ${count(total)}; the table findings has all.`));
}

function varyingSection(number) {
  const [varying] = rowsBy('varying', 'series_number', number);
  if (!varying) return null;
  // Of several numbers in an element the table has the first alone, whose range says little.
  const bound = (path, value) => (value === null || tag(Number(path))?.vm !== '1' ? '' : Number.isFinite(Number(value)) ? measured(Number(value)) : value);
  return section('What varies by image', smallTable([
    ['tag', ([path]) => tagLink(Number(path))],
    ['values', ([, values]) => count(Number(values)), true],
    ['from', ([path, , least]) => bound(path, least), true], ['to', ([path, , , most]) => bound(path, most), true],
    ['step', ([, , , , step]) => (step === null ? '' : measured(Number(step))), true]], varying.tags));
}

function picturesOf(numbers) {
  const pictures = numbers.flatMap((number) => rowsBy('pictures', 'series_number', number));
  return pictures.length > 0 && section('Pictures', h('div', { class: 'pictures' }, pictures.map((picture) =>
    h('figure', {}, picture.url === null ? h('p', { class: 'quiet' }, 'No pictures.') : h('img', { src: picture.url, alt: `${picture.what} of ${seriesName(picture.series_number)}`, loading: 'lazy' }),
      h('figcaption', {}, picture.what, numbers.length > 1 && [' · ', h('a', { href: `#series/${picture.series_number}` }, seriesName(picture.series_number))])))));
}
