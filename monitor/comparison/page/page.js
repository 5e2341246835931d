const data = JSON.parse(document.getElementById('data').textContent);
const state = { x: 'step', log: false, smoothing: 0, robust: true, off: new Set(), filtered: new Set(), brushed: null };
const byId = (id) => document.getElementById(id);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const isShown = (run) => !state.off.has(run) && !state.filtered.has(run) && (!state.brushed || state.brushed.has(run));

// --- Plotly, which is packed to keep the page small ---

async function unpackPlotly() {
  const packed = atob(byId('plotly').textContent);
  const bytes = new Uint8Array(packed.length);
  for (let at = 0; at < packed.length; at++) bytes[at] = packed.charCodeAt(at);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  const text = await new Response(stream).text();
  await new Promise((resolve) => {
    requestAnimationFrame(() => setTimeout(resolve)); // the previews are on the screen
    setTimeout(resolve, 200); // or nobody looks at the page
  });
  const script = document.createElement('script');
  script.textContent = text;
  document.head.append(script);
  byId('plotly').textContent = '';
}

// --- x axes ---

function interpolate([xs, ys], x) {
  let low = 0;
  let high = xs.length - 1;
  if (x <= xs[low]) return ys[low];
  if (x >= xs[high]) return ys[high];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (xs[middle] <= x) low = middle;
    else high = middle;
  }
  return ys[low] + ((ys[high] - ys[low]) * (x - xs[low])) / (xs[high] - xs[low]);
}

const SECONDS = { title: 'seconds since the start', has: () => true, map: (run, x) => x }; // of system metrics
const X_AXES = {
  step: { title: 'step', has: () => true, map: (run, x) => x },
  epoch: {
    title: 'epoch',
    has: (run) => run.epochs || run.stepsPerEpoch,
    map: (run, x) => x.map((s) => (run.epochs ? interpolate(run.epochs, s) : s / run.stepsPerEpoch)),
  },
  relative: {
    title: 'seconds since the start',
    has: (run) => run.clock,
    map: (run, x) => x.map((s) => interpolate(run.clock, s)),
  },
  wall: {
    title: 'time',
    has: (run) => run.clock && run.started,
    map: (run, x) => x.map((s) => new Date(1000 * (run.started + interpolate(run.clock, s)))),
  },
};

// --- charts ---

function smooth(values, weight) {
  let sum = 0;
  let norm = 0;
  return values.map((value) => {
    if (value === null) return null;
    sum = weight * sum + (1 - weight) * value;
    norm = weight * norm + (1 - weight);
    return sum / norm;
  });
}

function tracesOf(figure, axis) {
  const isCut = state.robust && !state.log && figure.layout.yaxis.range;
  const traces = [];
  for (const trace of figure.data) {
    const { run, part } = trace.meta;
    const info = data.runs[run];
    if (!isShown(run) || !axis.has(info) || (part === 'cut' && !isCut)) continue;
    const own = { ...trace, x: axis.map(info, trace.x), showlegend: false };
    if (state.smoothing && part !== 'cut' && part !== 'change') {
      if (!part) {
        const raw = { ...own, opacity: 0.22, mode: 'lines', hoverinfo: 'skip', meta: { run, part: 'raw' } };
        delete raw.hovertemplate;
        if (!trace.customdata) traces.push(raw);
        own.mode = 'lines';
      }
      own.y = smooth(trace.y, state.smoothing);
    }
    traces.push(own);
  }
  return traces;
}

function layoutOf(figure, axis) {
  const layout = JSON.parse(JSON.stringify(figure.layout));
  delete layout.title;
  delete layout.updatemenus;
  delete layout.legend;
  const cut = layout.yaxis.range;
  layout.margin = { ...layout.margin, t: 8 };
  layout.showlegend = false;
  layout.xaxis.title.text = axis.title;
  layout.xaxis.type = axis === X_AXES.wall ? 'date' : 'linear';
  layout.yaxis.type = state.log ? 'log' : 'linear';
  layout.yaxis.autorange = state.log || !state.robust || !cut;
  if (layout.yaxis.autorange) delete layout.yaxis.range;
  layout.uirevision = `${state.x} ${state.log} ${state.robust}`;
  return layout;
}

const CONFIG = { displaylogo: false, responsive: true, modeBarButtonsToRemove: ['select2d', 'lasso2d', 'autoScale2d'] };
const visible = new Set(); // the plots on the screen, or near it
const dirty = new Set();

function draw(plot) {
  dirty.delete(plot);
  plot.querySelector('.preview')?.remove();
  const figure = data.charts[plot.dataset.chart];
  const axis = plot.dataset.system ? SECONDS : X_AXES[state.x];
  Plotly.react(plot, tracesOf(figure, axis), layoutOf(figure, axis), CONFIG);
}

let isScheduled = false;
function schedule() { // one chart per frame, so that the page stays quick and the first one is there soon
  if (isScheduled || !window.Plotly) return;
  isScheduled = true;
  requestAnimationFrame(() => {
    isScheduled = false;
    drawNext();
  });
}

function drawNext() {
  const next = [...visible].find((plot) => dirty.has(plot));
  if (!next) return;
  draw(next);
  schedule();
}

function redraw() {
  for (const plot of all('[data-chart]')) dirty.add(plot);
  schedule();
}

function watchPlots() {
  const observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) visible.add(target);
      else visible.delete(target);
    }
    if (!window.Plotly && state.x === 'step') showPreviews();
    schedule();
  }, { rootMargin: '200px' });
  for (const plot of all('[data-chart]')) {
    dirty.add(plot);
    observer.observe(plot);
  }
}

function showPreviews() {
  for (const plot of visible) {
    if (!plot.querySelector('.preview')) drawPreview(plot, data.charts[plot.dataset.chart]);
  }
}

function highlight(run) {
  for (const plot of all('.js-plotly-plot')) {
    const lines = plot._fullData.filter((trace) => trace.visible === true);
    all('.scatterlayer .trace', plot).forEach((line, at) => {
      const own = lines[at] && lines[at].meta.run;
      line.style.opacity = run === null || own === run ? '' : 0.12;
    });
  }
  if (run === null) dimBrushed();
}

// --- parallel coordinates ---

function drawParallel() {
  const plot = byId('parallel');
  if (!plot) return;
  const layout = { ...data.parallel.layout };
  delete layout.title;
  layout.margin = { ...layout.margin, t: 34 };
  const observer = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    Plotly.newPlot(plot, data.parallel.data, layout, { displayModeBar: false, responsive: true });
    plot.on('plotly_selected', (event) => brush(event && event.selections));
    plot.on('plotly_deselect', () => brush(null));
    dimBrushed();
  }, { rootMargin: '200px' });
  observer.observe(plot);
}

function brush(boxes) {
  const byAxis = new Map();
  for (const box of boxes || []) {
    const [left, right] = [box.x0, box.x1].sort((a, b) => a - b);
    const [low, high] = [box.y0, box.y1].sort((a, b) => a - b);
    for (let axis = Math.ceil(left); axis <= right; axis++) {
      if (!byAxis.has(axis)) byAxis.set(axis, []);
      byAxis.get(axis).push([low, high]);
    }
  }
  const passes = (trace) => [...byAxis].every(([axis, ranges]) =>
    axis < 0 || axis >= trace.y.length
    || ranges.some(([low, high]) => trace.y[axis] >= low && trace.y[axis] <= high));
  state.brushed = byAxis.size
    ? new Set(data.parallel.data.filter(passes).map((trace) => trace.meta.run)) : null;
  update();
}

function dimBrushed() {
  const plot = byId('parallel');
  if (!plot || !plot._fullData) return;
  all('.scatterlayer .trace', plot).forEach((line, at) => {
    line.style.opacity = isShown(data.parallel.data[at].meta.run) ? '' : 0.1;
  });
}

// --- which runs are shown ---

function update() {
  for (const box of all('.runs input')) {
    const run = Number(box.value.slice(3));
    box.parentElement.hidden = state.filtered.has(run);
    box.parentElement.classList.toggle('off', !isShown(run));
    box.checked = !state.off.has(run);
  }
  for (const part of all('[data-run]')) part.hidden = !isShown(Number(part.dataset.run.slice(3)));
  dimBrushed();
  redraw();
}

function watchRuns() {
  for (const box of all('.runs input')) {
    const run = Number(box.value.slice(3));
    const label = box.parentElement;
    box.addEventListener('change', () => {
      if (box.checked) state.off.delete(run);
      else state.off.add(run);
      update();
    });
    label.addEventListener('mouseenter', () => highlight(run));
    label.addEventListener('mouseleave', () => highlight(null));
    label.addEventListener('dblclick', (event) => { // this run alone
      event.preventDefault();
      state.off = new Set(data.runs.keys());
      state.off.delete(run);
      update();
    });
  }
  byId('show-all').addEventListener('click', () => { state.off.clear(); update(); });
  byId('show-none').addEventListener('click', () => { state.off = new Set(data.runs.keys()); update(); });
  byId('filter').addEventListener('input', (event) => {
    const wanted = event.target.value.trim().toLowerCase();
    state.filtered = new Set(all('.runs label').flatMap((label, run) =>
      (label.dataset.name.toLowerCase().includes(wanted) ? [] : [run])));
    update();
  });
}

// --- toolbar, table, pictures ---

function watchChoice(id, choose) {
  const buttons = all(`#${id} button`);
  for (const button of buttons) {
    button.addEventListener('click', () => {
      for (const other of buttons) other.classList.toggle('on', other === button);
      choose(button);
      redraw();
    });
  }
}

function watchToolbar() {
  if (!byId('smoothing')) return;
  for (const button of all('#x-choice button')) {
    button.hidden = !data.runs.some((run) => X_AXES[button.dataset.x].has(run));
  }
  watchChoice('x-choice', (button) => { state.x = button.dataset.x; });
  watchChoice('y-choice', (button) => { state.log = button.dataset.y === 'log'; });
  byId('smoothing').addEventListener('input', (event) => {
    state.smoothing = Number(event.target.value);
    byId('smoothing-value').textContent = state.smoothing;
    redraw();
  });
  byId('robust').addEventListener('change', (event) => { state.robust = event.target.checked; redraw(); });
  byId('robust').parentElement.hidden = !data.charts.some((figure) => figure.layout.yaxis.range);
}

function watchTables() {
  for (const head of all('.sortable th')) {
    head.addEventListener('click', () => {
      const isDescending = head.getAttribute('aria-sort') === 'ascending';
      for (const other of all('th', head.parentElement)) other.removeAttribute('aria-sort');
      head.setAttribute('aria-sort', isDescending ? 'descending' : 'ascending');
      const body = head.closest('table').tBodies[0];
      const key = (row) => row.cells[head.cellIndex].dataset.value ?? row.cells[head.cellIndex].textContent;
      const isMissing = (text) => text === '' || text === 'nan';
      const rows = [...body.rows].sort((one, other) => {
        const [a, b] = [key(one), key(other)];
        if (isMissing(a) || isMissing(b)) return isMissing(a) - isMissing(b);
        const order = a - b || a.localeCompare(b, undefined, { numeric: true });
        return isDescending ? -order : order;
      });
      body.append(...rows);
    });
  }
}

function watchPictures() {
  for (const image of all('figure img')) { // a small one is enlarged without blur
    image.decode().then(() => {
      image.style.imageRendering = image.naturalWidth < 260 ? 'pixelated' : '';
    }, () => {});
  }
  for (const section of all('[data-pictures]')) {
    const slider = section.querySelector('.slider input');
    if (!slider) continue;
    const { steps, images } = data.pictures[section.dataset.pictures];
    const newest = new Map(all('figure', section).map((figure) => [figure, figure.querySelector('img').src]));
    slider.addEventListener('input', () => {
      const step = steps[slider.value];
      section.querySelector('output').textContent = step;
      for (const figure of all('figure', section)) {
        const own = images[figure.dataset.source]; // its steps and pictures; the last one so far is shown
        const at = own.steps.filter((other) => other <= step).length - 1;
        figure.style.visibility = at < 0 ? 'hidden' : '';
        if (at < 0) continue;
        figure.querySelector('img').src = own.data[at] ?? newest.get(figure);
        figure.querySelector('.step').textContent = `step ${own.steps[at]}`;
      }
    });
  }
}

function watchEnlarged() { // a click shows a picture as large as it is
  const dialog = document.createElement('dialog');
  const shown = document.createElement('img');
  const caption = document.createElement('p');
  dialog.append(shown, caption);
  const enlarge = (figure) => {
    const image = figure.querySelector('img');
    shown.src = image.src;
    shown.alt = image.alt;
    shown.style.imageRendering = image.style.imageRendering;
    shown.style.width = `${Math.max(image.naturalWidth, 520)}px`;
    caption.textContent = figure.querySelector('figcaption').innerText;
    document.body.append(dialog);
    dialog.showModal();
  };
  for (const figure of all('figure')) {
    const image = figure.querySelector('img');
    image.tabIndex = 0;
    image.addEventListener('click', () => enlarge(figure));
    image.addEventListener('keydown', (event) => { if (event.key === 'Enter') enlarge(figure); });
  }
  dialog.addEventListener('click', () => dialog.close());
}

watchRuns();
watchToolbar();
watchTables();
watchPictures();
watchEnlarged();
if (data.charts.length || data.parallel) {
  watchPlots(); // now, so that it is known which ones are visible
  unpackPlotly().then(() => {
    drawNext();
    drawParallel();
  });
}
