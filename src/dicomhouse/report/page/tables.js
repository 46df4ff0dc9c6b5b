// Tables with search, order and pages: DataTables, which writes strings as HTML, and here never
// gets one to write: each cell is an element, and each title one of our own.

/**
 * A table of rows that the reader sorts and searches.
 * Columns: title, value(row) to sort and search by, show(row) if it is shown otherwise, isNumber,
 * from ('medium', 'wide': the width of the screen from which it is shown).
 */
function dataTable(caption, columns, held, options = {}) {
  const table = h('table', { class: 'data' });
  const place = h('div', { class: 'table' }, table);
  const settings = {
    data: held,
    columns: columns.map((column) => ({
      title: column.title,
      type: column.isNumber ? 'num' : 'string',
      className: [column.isNumber && 'is-number', column.from && `from-${column.from}`, column.kind].filter(Boolean).join(' '),
      data: (row, kind) => {
        if (kind === 'display') return h('span', {}, column.show ? column.show(row) : printable(column.value(row) ?? ''));
        const value = column.value(row);
        if (kind === 'sort' || kind === 'type') return column.isNumber ? value ?? -Infinity : String(value ?? '').toLowerCase();
        return String(value ?? '');
      },
    })),
    order: options.order ?? [],
    pageLength: 50,
    lengthMenu: [25, 50, 100, 500, { label: 'all', value: -1 }],
    autoWidth: false,
    caption,
    layout: held.length > 10
      ? { topStart: options.filters ?? null, topEnd: 'search', bottomStart: ['info', 'pageLength'], bottomEnd: 'paging' }
      : { topStart: null, topEnd: null, bottomStart: null, bottomEnd: null },
    language: { search: 'Filter:', info: '_START_ to _END_ of _TOTAL_', infoFiltered: '(of _MAX_)', infoEmpty: 'None', lengthMenu: '_MENU_ a page', zeroRecords: 'None is left by the filter.', emptyTable: 'None.' },
  };
  const api = new DataTable(table, settings);
  if (held.length > 10) {
    let length = null;
    place.addEventListener('print', () => { length ??= api.page.len(); api.page.len(1000).draw(); });
    place.addEventListener('printed', () => { api.page.len(length ?? 50).draw(); length = null; });
  }
  return { place, api };
}

/** Choices of one value each, as a list to pick from: what it is called, values, what to do. */
function picker(label, values, onchange, chosen = '') {
  return h('label', { class: 'picker' }, `${label} `,
    h('select', { onchange: (event) => onchange(event.target.value) },
      values.map(([value, text]) => h('option', { value, selected: value === chosen }, text))));
}
