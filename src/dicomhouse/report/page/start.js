// The bar, and which view an address shows.

const views = {
  overview: ['Overview', viewOverview],
  findings: ['Findings', viewFindings],
  series: ['Series', viewSeries],
  patients: ['Patients', viewPatients],
  tags: ['Tags', viewTags],
  distributions: ['Distributions', viewDistributions],
};

function notFound() {
  return [h('h1', {}, 'Not here'), h('p', {}, 'This page has nothing at that address. ', h('a', { href: '#overview' }, 'Overview'))];
}

function part(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const main = document.getElementById('main');

function show() {
  const [name, ...chosen] = location.hash.slice(1).split('/').map(part);
  const known = Object.hasOwn(views, name || 'overview') ? name || 'overview' : null;
  const held = known ? views[known][1](...chosen.filter((one) => one !== '')) : notFound();
  main.replaceChildren();
  fill(main, {}, [held]);
  for (const link of document.querySelectorAll('nav a')) {
    if (link.getAttribute('href') === `#${known}`) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  document.title = `${main.querySelector('h1').textContent} · dicomhouse, generation ${run.generation}`;
  const open = chosen.length && main.querySelector('details.card[open], details.tag[open]');
  if (open) open.scrollIntoView();
  else scrollTo(0, 0);
}

/** Go to an address, anew where it is the present one. */
function go(href) {
  if (location.hash === href) show();
  else location.hash = href;
}

function bar() {
  fill(document.querySelector('nav'), {}, Object.entries(views).map(([name, [title]]) => h('a', { href: `#${name}` }, title)));
  fill(document.querySelector('.search'), {}, searchField());
  document.querySelector('.skip').addEventListener('click', (event) => { event.preventDefault(); main.focus(); });
  addEventListener('keydown', (event) => {
    if (event.key === '/' && !event.ctrlKey && !event.metaKey && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) {
      event.preventDefault();
      document.querySelector('.search input').focus();
    }
  });
  addEventListener('hashchange', () => { show(); main.focus({ preventScroll: true }); });
  const tell = (kind) => () => document.querySelectorAll('.table').forEach((place) => place.dispatchEvent(new Event(kind)));
  addEventListener('beforeprint', tell('print'));
  addEventListener('afterprint', tell('printed'));
}

bar();
show();
