// Loaded into Visdom's page after Plotly and before Visdom's own script.
(function () {
  'use strict';

  // Every image window keeps keys from having their usual effect, wherever they are typed: no field of a window could be
  // filled in. Here the keys of a field keep it, and a field looks like one.
  ['keydown', 'keypress'].forEach(function (kind) {
    window.addEventListener(
      kind,
      function (event) {
        if (event.target.matches && event.target.matches('.table-properties input')) {
          event.preventDefault = function () {};
        }
      },
      true
    );
  });

  var style = document.createElement('style');
  style.textContent = '.table-properties td input { border: 1px solid #999; border-radius: 3px; padding: 1px 4px; }';
  document.head.appendChild(style);
})();
