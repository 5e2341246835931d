// Loaded into Visdom's page after Plotly and before Visdom's own script.
(function () {
  'use strict';
  if (!window.Plotly) return;

  // A window that gets another size does so in a fifth of a second, so its plot is drawn again when it has it.
  var sizes = new ResizeObserver(function (entries) {
    entries.forEach(function (entry) {
      var plot = entry.target;
      var drawn = plot.isConnected && plot._fullLayout;
      if (!drawn || !plot.clientWidth || (plot.layout && plot.layout.width)) return;
      var isOther = Math.abs(drawn.width - plot.clientWidth) > 1 || Math.abs(drawn.height - plot.clientHeight) > 1;
      if (!isOther) return;
      // Plotly places the legend by the old margin: if it now has fewer rows, it is on the curves until drawn again.
      window.Plotly.Plots.resize(plot).then(function () {
        return plot.isConnected && plot.querySelector('.legend') && window.Plotly.redraw(plot);
      }).catch(function () {}); // the plot was gone meanwhile
    });
  });

  // Update a plot in place: zoom, pan, hidden traces and the chosen tool survive a refresh. And leave out the link that
  // would send the plot to another host.
  window.Plotly.newPlot = function (div, data, layout, config) {
    var plot = typeof div === 'string' ? document.getElementById(div) : div;
    if (plot) sizes.observe(plot);
    return window.Plotly.react(div, data, layout, Object.assign({}, config, { showLink: false, displaylogo: false }));
  };
})();
