// Loaded into Visdom's page after Plotly and before Visdom's own script.
(function () {
  'use strict';

  // Show the picture of a sample while the pointer is on its row of a timeline of predictions.
  if (!window.Plotly) return;
  var react = window.Plotly.react;
  var SCALE_PX = 112; // the longer side of the picture
  var box = null;

  function hide() {
    if (box) box.style.display = 'none';
  }

  function show(plot, event) {
    var found = plot.layout && plot.layout.meta && plot.layout.meta.timeline;
    var point = event.points && event.points[0];
    var row = point && Array.isArray(point.pointIndex) ? point.pointIndex[0] : NaN;
    if (!found || !(row < found.samples.length) || !/^data:image\/png;base64,[\w+/=]+$/.test(found.source)) return hide();
    if (!box) {
      box = document.createElement('div');
      box.className = 'timeline-picture';
      box.style.cssText = 'position:fixed;z-index:10000;pointer-events:none;border:1px solid #888;background:#fff;' +
        'box-shadow:0 1px 4px rgba(0,0,0,.3);image-rendering:pixelated';
      document.body.appendChild(box);
    }
    var scale = SCALE_PX / Math.max(found.width, found.height);
    var width = found.width * scale, height = found.height * scale;
    var rows = Math.ceil(found.samples.length / found.columns);
    box.style.width = width + 'px';
    box.style.height = height + 'px';
    box.style.backgroundImage = 'url("' + found.source + '")';
    box.style.backgroundSize = width * found.columns + 'px ' + height * rows + 'px';
    box.style.backgroundPosition =
      -(row % found.columns) * width + 'px ' + -Math.floor(row / found.columns) * height + 'px';
    box.setAttribute('data-sample', String(found.samples[row]));
    var x = event.event.clientX, y = event.event.clientY;
    box.style.left = Math.max(0, x - width - 16) + 'px';
    box.style.top = Math.max(0, Math.min(y + 16, window.innerHeight - height - 8)) + 'px';
    box.style.display = 'block';
  }

  window.Plotly.react = function (div, data, layout, config) {
    var plot = typeof div === 'string' ? document.getElementById(div) : div;
    return react(div, data, layout, config).then(function (drawn) {
      if (layout && layout.meta && layout.meta.timeline && plot && !plot.showsTimeline) {
        plot.showsTimeline = true;
        plot.on('plotly_hover', function (event) { show(plot, event); });
        plot.on('plotly_unhover', hide);
      }
      return drawn;
    });
  };
})();
