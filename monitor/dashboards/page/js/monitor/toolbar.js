// Loaded into Visdom's page after plots.js and before Visdom's own script.
(function () {
  'use strict';
  if (!window.Plotly) return;

  // The buttons of a chart, small and below it: what its x axis counts, a logarithmic y axis, smoothing. Plotly's own
  // buttons, which other pages show, are large, and forget what was chosen when the chart is drawn again.
  var NAMES = ['x', 'smoothing', 'y'];
  var STEP = 'step %{x:,d}';
  var states = new WeakMap(); // by plot: what it was drawn from, what is chosen, and the user's zoom

  function stateOf(plot) {
    if (!states.has(plot)) states.set(plot, { chosen: {}, sent: null, kept: undefined });
    return states.get(plot);
  }

  function set(target, path, value) {
    var names = path.split('.');
    var last = names.pop();
    names.forEach(function (name) {
      target = target[name] = Object.assign({}, target[name]);
    });
    target[last] = value;
  }

  function interpolate(xs, ys, x) {
    var low = 0;
    var high = xs.length - 1;
    while (high - low > 1) {
      var middle = (low + high) >> 1;
      if (xs[middle] <= x) low = middle;
      else high = middle;
    }
    var share = xs[high] > xs[low] ? (x - xs[low]) / (xs[high] - xs[low]) : 0;
    return ys[low] + (ys[high] - ys[low]) * Math.min(1, Math.max(0, share));
  }

  // The same rules as in monitor/render/charts/x_axes.py, which fills Plotly's own buttons.
  function place(trace, axis, meta) {
    var own = trace.meta || {};
    var times = own.start === undefined ? null : own.times || trace.customdata;
    if (!trace.x) return trace;
    if (times && trace.customdata && !own.times) { // hover labels read dates as text only
      trace = Object.assign({}, trace, {
        customdata: trace.customdata.map(function (time) { return new Date(time).toISOString().slice(0, 19); }),
      });
    }
    if (axis === 'step') return trace;
    var x = [];
    if (axis === 'epoch' && own.epochs) {
      x = trace.x.map(function (step) { return interpolate(own.epochs[0], own.epochs[1], step); });
    } else if (axis === 'time' && times) {
      x = times;
    } else if (axis === 'relative' && times) {
      x = times.map(function (time) { return (time - own.start) / meta.relative_ms; });
    }
    var template = trace.hovertemplate && trace.hovertemplate.replace(STEP, 'step %{text:,d}');
    return Object.assign({}, trace, { x: x, text: trace.x }, template ? { hovertemplate: template } : {});
  }

  function apply(button, data, layout) {
    var args = button.args;
    var traceUpdates = button.method === 'relayout' ? {} : args[0];
    var layoutUpdates = button.method === 'relayout' ? args[0] : button.method === 'update' ? args[1] : {};
    var places = button.method === 'restyle' ? args[1] : data.map(function (_, at) { return at; });
    Object.keys(traceUpdates).forEach(function (path) {
      places.forEach(function (at, number) {
        data[at] = Object.assign({}, data[at]);
        set(data[at], path, traceUpdates[path][number % traceUpdates[path].length]);
      });
    });
    Object.keys(layoutUpdates).forEach(function (path) { set(layout, path, layoutUpdates[path]); });
  }

  // Return what to draw: the figure as it came, with what the user chose.
  function arranged(plot, state) {
    var data = state.data.slice();
    var layout = JSON.parse(JSON.stringify(state.layout));
    var meta = layout.meta.chart;
    // Visdom's page takes a range that was sent for a user's zoom, and keeps it. And Plotly keeps a user's zoom only as
    // long as what is sent is the same.
    state.sent = state.kept === undefined ? meta.range : state.kept;
    layout.yaxis.autorange = !state.sent;
    if (state.sent) layout.yaxis.range = state.sent.slice();
    else delete layout.yaxis.range;
    layout.updatemenus = state.others;
    state.menus.forEach(function (menu) {
      var button = chosenButton(state, menu);
      if (menu.buttons.indexOf(button) > 0) apply(button, data, layout);
      var axis = { x: 'xaxis', y: 'yaxis' }[menu.name];
      if (axis) layout[axis].uirevision = menu.name + ' ' + button.label; // a zoom belongs to one kind of axis
      if (menu.name === 'x') data = data.map(function (trace) { return place(trace, button.label, meta); });
    });
    return [data, layout];
  }

  function chosenButton(state, menu) {
    var found = menu.buttons.filter(function (button) { return button.label === state.chosen[menu.name]; });
    return found[0] || menu.buttons[menu.active || 0];
  }

  function button(text, title, isOn, choose) {
    var made = document.createElement('button');
    made.type = 'button';
    made.textContent = text;
    made.title = title;
    made.setAttribute('aria-pressed', String(isOn));
    made.style.cssText = 'font:10px/14px system-ui,sans-serif;padding:0 4px;border:0;border-radius:3px;cursor:pointer;'
      + (isOn ? 'background:#dfe7f3;color:#1f3b66' : 'background:transparent;color:#777');
    made.addEventListener('click', choose);
    return made;
  }

  var TITLES = { x: 'The x axis', smoothing: 'A smoothed curve over the values', y: 'A logarithmic y axis' };

  function showToolbar(plot, state) {
    var old = plot.querySelector(':scope > .monitor-toolbar');
    if (old) old.remove();
    if (!state.menus.length) return;
    var bar = document.createElement('div');
    bar.className = 'monitor-toolbar';
    bar.style.cssText = 'position:absolute;left:4px;right:16px;bottom:2px;display:flex;gap:2px;z-index:3;pointer-events:none';
    var space = document.createElement('span');
    space.style.flex = '1';
    NAMES.forEach(function (name) {
      var menu = state.menus.filter(function (own) { return own.name === name; })[0];
      if (name === 'smoothing') bar.append(space);
      if (!menu) return;
      var active = chosenButton(state, menu);
      var isToggle = menu.buttons.length === 2 && name !== 'x';
      var shown = !isToggle ? menu.buttons : menu.buttons.filter(function (own) {
        return own.label === 'log' || own.label === 'smooth';
      });
      shown.forEach(function (own) {
        var isOn = own === active;
        var next = isToggle && isOn ? menu.buttons.filter(function (other) { return other !== own; })[0] : own;
        var made = button(own.label, TITLES[name], isOn, function () {
          state.chosen[name] = next.label;
          if (name === 'y') state.kept = undefined;
          draw(plot, state);
        });
        made.style.pointerEvents = 'auto';
        bar.append(made);
      });
    });
    plot.style.position = 'relative';
    plot.append(bar);
  }

  function watchZoom(plot, state) {
    if (state.isWatched || !plot.on) return;
    state.isWatched = true;
    plot.on('plotly_relayout', function (change) {
      if (change['yaxis.autorange']) state.kept = undefined;
      var low = change['yaxis.range[0]'];
      if (low !== undefined) state.kept = state.sent && low === state.sent[0] ? undefined : state.sent;
    });
  }

  var next = window.Plotly.newPlot;

  function draw(plot, state) {
    var figure = arranged(plot, state);
    var drawn = next.call(window.Plotly, plot, figure[0], figure[1], state.config);
    showToolbar(plot, state);
    watchZoom(plot, state);
    return drawn;
  }

  window.Plotly.newPlot = function (div, data, layout, config) {
    var plot = typeof div === 'string' ? document.getElementById(div) : div;
    var menus = layout && Array.isArray(layout.updatemenus) ? layout.updatemenus : [];
    var isOurs = function (menu) { return menu && NAMES.indexOf(menu.name) >= 0 && Array.isArray(menu.buttons); };
    var isChart = layout && layout.meta && layout.meta.chart; // others are figures of a user's own
    if (!plot || !isChart) return next.call(window.Plotly, div, data, layout, config);
    var state = stateOf(plot);
    Object.assign(state, {
      data: data, layout: layout, config: config, menus: menus.filter(isOurs),
      others: menus.filter(function (menu) { return !isOurs(menu); }),
    });
    try {
      return draw(plot, state);
    } catch (error) { // of a figure that is no chart after all: the page would remove all windows
      console.warn(error);
      return next.call(window.Plotly, plot, data, layout, config);
    }
  };
})();
