// The table of patients, and the page of one: its modules, its series, what varies.

function patientRow(number) {
  return rowsBy('patients', 'patient_number', number)[0];
}

function patientName(number) {
  const row = patientRow(number);
  return row?.patient_id || row?.folder || `patient ${number}`;
}

function viewPatients(number) {
  if (number !== undefined) return viewOnePatient(Number(number));
  const all = rows('patients');
  const total = sum(rows('sources'), 'patients');
  const { place, api } = dataTable('Patients of all sources', [
    { title: 'patient', kind: 'is-text', value: (row) => `${patientName(row.patient_number)} ${row.name ?? ''}`,
      show: (row) => [h('a', { href: `#patients/${row.patient_number}` }, patientName(row.patient_number)), row.name && h('div', { class: 'quiet' }, row.name)] },
    ...(hasSources ? [{ title: 'source', from: 'wide', value: (row) => sourceName(row.source_number) }] : []),
    { title: 'modality', from: 'small', value: (row) => row.modality },
    { title: 'studies', isNumber: true, from: 'medium', value: (row) => row.studies, show: (row) => count(row.studies) },
    { title: 'series', isNumber: true, from: 'small', value: (row) => row.series, show: (row) => count(row.series) },
    { title: 'images', isNumber: true, value: (row) => row.images, show: (row) => count(row.images) },
    { title: 'size', isNumber: true, from: 'medium', value: (row) => row.size_bytes, show: (row) => bytes(row.size_bytes) },
    ...(run.with_values ? [{ title: 'studies from', from: 'wide', value: (row) => row.study_date_min ?? '' }] : []),
    { title: 'findings', isNumber: true, from: 'small', value: (row) => row.findings, show: (row) => count(row.findings) },
    worstColumn(),
  ], all);
  return [
    h('h1', {}, 'Patients'),
    total > all.length && h('p', { class: 'quiet' }, `The first ${count(all.length)} of ${count(total)}; the table patients has all.`),
    h('div', { class: 'filters' }, filterOf(api)),
    place,
  ];
}

function viewOnePatient(number) {
  const row = patientRow(number);
  if (!row) return notFound();
  const series = rowsBy('series', 'patient_number', number);
  const numbers = series.map((one) => one.series_number);
  return [
    h('p', { class: 'crumbs' }, h('a', { href: '#patients' }, 'Patients')),
    h('h1', {}, patientName(number)),
    facts([
      ['Name', row.name], ['Modality', row.modality], ['Studies', count(row.studies)], ['Series', count(row.series)], ['Images', count(row.images)],
      ['Size', bytes(row.size_bytes)], ['Dates of studies', rangeOf([row.study_date_min, row.study_date_max])],
      ['Folder', row.folder && h('code', {}, row.folder)], ['Source', hasSources && sourceName(row.source_number)],
    ]),
    picturesOf(numbers),
    section('Series', series.length ? dataTable(`Series of ${patientName(number)}`, seriesColumns(true), series).place : h('p', { class: 'quiet' }, 'Not among the first ten thousand.')),
    findingsSection(rowsBy('findings', 'patient_number', number), row.findings),
    patientModules(row),
    numbers.length === 1 && varyingSection(numbers[0]),
    numbers.length > 1 && h('p', { class: 'quiet' }, 'What varies by image stands on the page of each series.'),
  ];
}

/** Module by module, the attributes of one value in all images of the patient. */
function patientModules(patient) {
  const [own] = rowsBy('patient_tags', 'patient_number', patient.patient_number);
  const held = [];
  if (own) own.paths.forEach((path, i) => held.push([tag(path), own.tag_values[i]]));
  for (const row of rowsBy('tags', 'source_number', patient.source_number)) {
    if (row.is_constant && row.examples?.length && !row.path.includes('.')) held.push([row, row.examples[0], true]);
  }
  if (!held.length) return null;
  const modules = grouped(held, ([row]) => moduleOf(row));
  const place = ([, [[row]]]) => entityPlace(entityOf(row));
  const ordered = [...modules].sort((a, b) => place(a) - place(b) || (a[0] < b[0] ? -1 : 1));
  return section('Constant in this patient', h('p', { class: 'quiet' }, 'Grey: the same in all images of the source.'),
    h('div', { class: 'modules' }, ordered.map(([module, pairs]) => h('section', { class: 'panel' }, h('h3', {}, moduleName(module)),
      h('dl', { class: 'pairs' }, pairs.sort(([a], [b]) => (a.tag < b.tag ? -1 : 1)).map(([one, value, isCommon]) =>
        h('div', { class: isCommon && 'is-common' }, h('dt', {}, tagLink(one.path_number)), h('dd', {}, value))))))));
}
