// Loaded into Visdom's page after Plotly and before Visdom's own script.
(function () {
  'use strict';

  // Visdom shows every pixel of an image as a square. That suits an image which is enlarged; in others, whose window is
  // hardly larger or is smaller, it tears letters apart.
  function smooth(image) {
    var scale = (image.clientWidth * window.devicePixelRatio) / image.naturalWidth;
    image.style.imageRendering = scale < 2 ? 'auto' : '';
  }

  var sizes = new ResizeObserver(function (entries) {
    entries.forEach(function (entry) {
      if (entry.target.naturalWidth) smooth(entry.target);
    });
  });

  document.addEventListener(
    'load',
    function (event) {
      if (!event.target.classList || !event.target.classList.contains('content-image')) return;
      smooth(event.target);
      sizes.observe(event.target);
    },
    true
  );
})();
