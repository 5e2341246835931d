// Loaded into Visdom's page after Plotly and before Visdom's own script.
(function () {
  'use strict';

  // Update a plot in place: zoom, pan, hidden traces and the chosen tool survive a refresh. And leave out the link that
  // would send the plot to another host.
  if (window.Plotly) {
    window.Plotly.newPlot = function (div, data, layout, config) {
      return window.Plotly.react(div, data, layout, Object.assign({}, config, { showLink: false, displaylogo: false }));
    };
  }
})();
