// Small charts: bars are elements, so that they wrap, print and are read aloud; the rest is SVG.

/** Bars of counts by label: [[label, number, href], ...], the longest full. */
function bars(pairs, unit) {
  const most = Math.max(...pairs.map(([, number]) => number), 1);
  return h('ul', { class: 'bars' }, pairs.map(([label, number, href]) => {
    const length = h('span', { class: 'length', 'aria-hidden': 'true' });
    length.style.setProperty('--share', number / most);
    const text = label === '' ? h('em', {}, 'empty') : breakable(label);
    return h('li', {},
      h('span', { class: 'label' }, href ? h('a', { href }, text) : text),
      length,
      h('span', { class: 'number' }, unit ? counted(number, unit) : count(number)));
  }));
}

/** Counts in bins of equal width between two numbers, with a scale below. */
function histogram(counts, least, most, noun) {
  const width = 100 / counts.length;
  const highest = Math.max(...counts, 1);
  const step = (most - least) / counts.length;
  const picture = svg('svg', { viewBox: '0 0 100 40', preserveAspectRatio: 'none', role: 'img',
    'aria-label': `Histogram from ${measured(least)} to ${measured(most)}, at most ${counted(highest, noun)} in a bin` },
  counts.map((number, i) => number > 0 && svg('rect', {
    x: i * width + width * 0.06, width: width * 0.88,
    y: 40 - Math.max(40 * number / highest, 0.8), height: Math.max(40 * number / highest, 0.8),
  }, svg('title', {}, `${measured(least + i * step)} to ${measured(least + (i + 1) * step)}: ${counted(number, noun)}`))));
  return h('div', { class: 'histogram' }, picture,
    h('div', { class: 'scale', 'aria-hidden': 'true' }, h('span', {}, measured(least)), h('span', {}, measured((least + most) / 2)), h('span', {}, measured(most))));
}

/** A histogram of numbers; bars where there are few different ones. */
function spread(numbers, noun, unit = '') {
  const known = numbers.filter((number) => number !== null && number !== undefined);
  const missing = numbers.length - known.length;
  const rest = missing > 0 && h('p', { class: 'quiet' }, `${counted(missing, noun, noun === 'series' ? 'series' : undefined)} without`);
  if (!known.length) return h('p', { class: 'quiet' }, 'None has it.');
  const tally = new Map();
  for (const number of known) tally.set(number, (tally.get(number) ?? 0) + 1);
  if (tally.size <= 12) {
    const pairs = [...tally].sort(([a], [b]) => a - b);
    return h('div', {}, bars(pairs.map(([number, held]) => [`${measured(number)}${unit}`, held])), rest);
  }
  const least = Math.min(...tally.keys());
  const most = Math.max(...tally.keys());
  const bins = new Array(30).fill(0);
  for (const number of known) bins[Math.min(29, Math.floor(30 * (number - least) / (most - least)))] += 1;
  return h('div', {}, histogram(bins, least, most, noun), rest);
}

/** The commonest of texts as bars, the others counted. */
function commonest(texts, most = 12) {
  const tally = new Map();
  for (const text of texts) tally.set(text, (tally.get(text) ?? 0) + 1);
  const pairs = [...tally].sort(([, a], [, b]) => b - a);
  const others = pairs.slice(most).reduce((sum, [, number]) => sum + number, 0);
  const shown = pairs.slice(0, most).map(([text, number]) => [text || 'not given', number]);
  return bars(others ? [...shown, [`${counted(pairs.length - most, 'other')}`, others]] : shown);
}

/** How images are spread over values, too small to read: the shape alone. */
function sparkline(counts) {
  const highest = Math.max(...counts, 1);
  const width = Math.min(100 / counts.length, 12);
  const path = counts.map((number, i) => {
    const height = number ? Math.max(20 * number / highest, 1) : 0;
    return `M${(i * width).toFixed(2)} 20v${(-height).toFixed(2)}h${(width * 0.82).toFixed(2)}V20z`;
  }).join('');
  return svg('svg', { class: 'sparkline', viewBox: '0 0 100 20', preserveAspectRatio: 'none', 'aria-hidden': 'true' }, svg('path', { d: path }));
}

/** Positions of slices along the normal: a line each, gaps marked by what is missing in them. */
function positions(stack, isLarge) {
  if (!stack.steps?.length) return null;
  const slices = [];
  const gaps = [];
  let place = 0;
  slices.push(place);
  for (const [step, steps, missing] of stack.steps) {
    for (let i = 0; i < steps; i += 1) {
      if (missing > 0) gaps.push([place, place + step, missing]);
      place += step;
      slices.push(place);
    }
  }
  const x = (mm) => (place ? 0.8 + 98.4 * mm / place : 50).toFixed(3);
  const gapLabel = gaps.length ? `, ${counted(stack.missing_slices, 'slice')} missing in ${counted(gaps.length, 'gap')}` : ', no gap';
  const cut = slices.length < stack.positions ? `, the first ${count(slices.length)} drawn` : '';
  const label = `${counted(stack.positions, 'position')} over ${measured(place)} mm${gapLabel}${cut}`;
  const picture = svg('svg', { class: 'positions', viewBox: '0 0 100 20', preserveAspectRatio: 'none', role: 'img', 'aria-label': label },
    svg('title', {}, label),
    gaps.map(([from, to]) => svg('rect', { class: 'gap', x: x(from), width: Math.max(x(to) - x(from), 0.4), y: 0, height: 20 })),
    svg('path', { d: slices.map((mm) => `M${x(mm)} 3V17`).join(''), 'vector-effect': 'non-scaling-stroke' }));
  if (!isLarge) return picture;
  return h('figure', { class: 'stack' }, picture,
    h('figcaption', {}, h('span', {}, `${measured(stack.position_min)} mm`), h('span', {}, label), h('span', {}, `${measured(stack.position_min + place)} mm`)));
}
