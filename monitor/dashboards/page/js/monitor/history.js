// Loaded into Visdom's page after Plotly and before Visdom's own script.
(function () {
  'use strict';

  // A refresh keeps the step that was chosen with a slider, unless it was the newest: then the new newest one is shown.
  if (!window.Plotly) return;
  var react = window.Plotly.react;

  function slider(layout) {
    var found = layout && layout.sliders && layout.sliders[0];
    return found && found.steps && found.steps.length ? found : null;
  }

  // The number of the step to show in a new slider: the chosen one, or if it is gone the last one before it.
  function place(steps, chosen) {
    var found = 0;
    for (var i = 0; i < steps.length; i++) {
      if (steps[i].value === chosen) return i;
      if (Number(steps[i].value) < Number(chosen)) found = i;
    }
    return found;
  }

  function assign(target, path, value) {
    var names = path.split(/[.[\]]+/).filter(Boolean);
    if (names.some(function (name) { return /^(__proto__|prototype|constructor)$/.test(name); })) return;
    var last = names.pop();
    for (var i = 0; i < names.length; i++) {
      if (target[names[i]] === null || typeof target[names[i]] !== 'object') target[names[i]] = {};
      target = target[names[i]];
    }
    if (value === null) delete target[last];
    else target[last] = value;
  }

  // Change a figure as Plotly does when its slider is moved, but before it is drawn.
  function show(data, layout, number) {
    var control = slider(layout);
    var step = control.steps[number];
    var args = step.method === 'update' ? step.args : [{}, step.args[0], []];
    Object.keys(args[0]).forEach(function (path) {
      args[2].forEach(function (trace, i) { assign(data[trace], path, args[0][path][i]); });
    });
    Object.keys(args[1]).forEach(function (path) { assign(layout, path, args[1][path]); });
    control.active = number;
  }

  window.Plotly.react = function (div, data, layout, config) {
    var plot = typeof div === 'string' ? document.getElementById(div) : div;
    var before = plot && plot.layout !== layout ? slider(plot.layout) : null;
    var after = slider(layout);
    if (before && after && before.active < before.steps.length - 1) {
      show(data, layout, place(after.steps, before.steps[before.active].value));
    }
    return react(div, data, layout, config);
  };
})();
