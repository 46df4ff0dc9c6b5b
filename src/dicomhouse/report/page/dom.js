// Elements, texts and numbers. Nothing here or elsewhere takes a text for HTML.

const unseen = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** A text with what a screen would obey, controls and turns of direction, written out. */
function printable(text) {
  return String(text).replace(unseen, (character) =>
    character === '\n' || character === '\t'
      ? character
      : `\\u${character.codePointAt(0).toString(16).padStart(4, '0')}`);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child.nodeType ? child : printable(child));
  }
  return element;
}

/** An HTML element with attributes, listeners (`onclick`) and children: elements or texts. */
function h(name, attributes, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** A text whose long names may break behind their underscores. */
function breakable(text) {
  return printable(text).split(/(?<=_)/).flatMap((part, i) => (i ? [h('wbr'), part] : [part]));
}

function svg(name, attributes, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', name), attributes, children);
}

const sections = new Map();

/** The rows of a section of the data, read when they are first asked for. */
function rows(name) {
  if (!sections.has(name)) {
    const data = JSON.parse(document.getElementById(`data-${name}`).textContent);
    sections.set(name, data.columns
      ? data.rows.map((row) => Object.fromEntries(data.columns.map((column, i) => [column, row[i]])))
      : data);
  }
  return sections.get(name);
}

/** Lists of what has one key, by it. */
function grouped(held, key) {
  const groups = new Map();
  for (const one of held) {
    const group = groups.get(key(one));
    if (group) group.push(one);
    else groups.set(key(one), [one]);
  }
  return groups;
}

const indexes = new Map();

/** The rows of a section by a column, each under its value a list. */
function rowsBy(name, column, key) {
  const id = `${name} ${column}`;
  if (!indexes.has(id)) indexes.set(id, grouped(rows(name), (row) => row[column]));
  return indexes.get(id).get(key) ?? [];
}

const run = rows('run');

const thousands = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

function count(number) {
  return number === null || number === undefined ? '' : thousands.format(number);
}

/** "1 image", "2 images". */
function counted(number, noun, plural = `${noun}s`) {
  return `${count(number)} ${number === 1 ? noun : plural}`;
}

/** A measured number: four figures, no trailing zeros. */
function measured(number) {
  if (number === null || number === undefined) return '';
  if (Number.isInteger(number) && Math.abs(number) < 1e7) return count(number);
  return String(Number(number.toPrecision(4)));
}

function bytes(number) {
  if (number === null || number === undefined) return '';
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let place = 0;
  while (number >= 1000 && place < units.length - 1) [number, place] = [number / 1000, place + 1];
  return `${number < 10 && place ? number.toFixed(1) : Math.round(number)} ${units[place]}`;
}

function percent(number) {
  if (number === null || number === undefined) return '';
  if (number === 0 || number === 100) return `${number} %`;
  return `${Math.min(99.9, Math.max(0.1, number)).toFixed(1)} %`;
}

const severities = { E: 'error', W: 'warning', I: 'information' };

function severity(code) {
  return code && h('span', { class: `badge ${severities[code]}` }, severities[code]);
}

/** Terms and what they are; those of no value stay out. */
function facts(pairs) {
  const held = pairs.filter(([, value]) => value !== null && value !== undefined && value !== '' && value !== false);
  return h('dl', { class: 'facts' }, held.map(([term, value]) => h('div', {}, h('dt', {}, term), h('dd', {}, value))));
}

function sourceName(number) {
  return rows('sources')[number - 1]?.source ?? '';
}

const hasSources = rows('sources').length > 1;
